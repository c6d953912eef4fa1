package optim

import (
	"fmt"
	"math"

	"github.com/mettleml/mettle/tensor"
)

// A Schedule gives the learning rate at a time counted in steps or epochs, as the
// caller counts. It has no state, so an interrupted run needs none restored:
//
//	opt.SetLR(schedule(epoch))
type Schedule func(t int) float64

// Constant is one learning rate for ever.
func Constant(lr float64) Schedule { return func(int) float64 { return lr } }

// Step multiplies the rate by gamma every so many units of time. It panics unless
// every is positive.
func Step(lr float64, every int, gamma float64) Schedule {
	if every < 1 {
		tensor.Panic("optim.Step", fmt.Sprintf("every %d units of time", every))
	}
	return func(t int) float64 { return lr * math.Pow(gamma, float64(t/every)) }
}

// MultiStep multiplies the rate by gamma at each of the given times.
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
