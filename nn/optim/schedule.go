package optim

import (
	"fmt"
	"math"

	"github.com/mettleml/mettle/tensor"
)

// A Schedule returns the learning rate at time t. The caller counts time in steps or in
// epochs. A schedule has no state to save:
//
//	opt.SetLR(schedule(epoch))
type Schedule func(t int) float64

// Constant returns lr at all times.
func Constant(lr float64) Schedule { return func(int) float64 { return lr } }

// Step begins with lr and multiplies the rate by gamma after each period of length every.
// It panics unless every is positive.
func Step(lr float64, every int, gamma float64) Schedule {
	if every < 1 {
		tensor.Panic("optim.Step", fmt.Sprintf("every %d units of time", every))
	}
	return func(t int) float64 { return lr * math.Pow(gamma, float64(t/every)) }
}

// MultiStep begins with lr and multiplies the rate by gamma at each of the given times.
func MultiStep(lr float64, gamma float64, at ...int) Schedule {
	return func(t int) float64 {
		rate := lr
		for _, m := range at {
			if t >= m {
				rate *= gamma
			}
		}
		return rate
	}
}

// Cosine falls from lr at time 0 to end at time total, along half a cosine
// (Loshchilov and Hutter, 2017), and stays there.
func Cosine(lr, end float64, total int) Schedule {
	return func(t int) float64 {
		if t >= total {
			return end
		}
		return end + (lr-end)*(1+math.Cos(math.Pi*float64(t)/float64(total)))/2
	}
}

// OneCycle rises from lr/25 to lr over the first 0.3 of total steps, and then falls to
// lr/250,000, both along half a cosine, and stays there (Smith and Topin, 2019, with the
// defaults of PyTorch's OneCycleLR). Unlike PyTorch's it does not change the momentum. It
// is a good choice for training in few epochs. It panics unless total is at least 4.
func OneCycle(lr float64, total int) Schedule {
	if total < 4 {
		tensor.Panic("optim.OneCycle", fmt.Sprintf("%d steps; there must be 4 at least", total))
	}
	top, last := 0.3*float64(total)-1, float64(total-1)
	return func(t int) float64 {
		at, from, to := min(float64(t), last), lr/25, lr
		share := at / top
		if at > top {
			from, to, share = lr, lr/25/1e4, (at-top)/(last-top)
		}
		return to + (from-to)*(1+math.Cos(math.Pi*share))/2
	}
}

// WarmUp rises linearly to s over the first n units of time: at t < n it is (t+1)/n
// of s(t).
func WarmUp(s Schedule, n int) Schedule {
	return func(t int) float64 {
		if t < n {
			return s(t) * float64(t+1) / float64(n)
		}
		return s(t)
	}
}
