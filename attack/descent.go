package attack

import (
	"context"
	"math"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/zoo"
)

// A Descent is the loop of the attacks that estimate gradients: ask the victim about the
// iterate, stop if it succeeds, estimate the gradient there, step. It begins at the clean
// sample.
type Descent struct {
	Objective *zoo.Objective // over pixels
	Estimator zoo.Estimator
	Step      func(x []float32, g []float64) // moves the image in place, against the estimate
	Seen      func(loss float64)             // called with the loss of each iterate; may be nil
	Steps     int                            // most steps; 0 means no limit but the budget
}

// Run descends until a success or the last step, and then returns nil. At the end of the
// budget it returns an error that wraps zoo.ErrBudget.
func (d *Descent) Run(ctx context.Context, t *Try) error {
	x := t.start()
	g := make([]float64, len(x))
	for i := 0; ; i++ {
		loss, won, err := t.Ask(ctx, d.Objective, x)
		if err != nil || won || d.Steps > 0 && i == d.Steps {
			return err
		}
		if d.Seen != nil {
			d.Seen(loss)
		}
		if err := d.Estimator.Estimate(ctx, d.Objective, zoo.Point{X: x, Loss: loss}, g); err != nil {
			return err
		}
		d.Step(x, g)
	}
}

// BallStep returns a function that moves x against the gradient g and projects it on the
// ball of radius eps round the clean image and on [0,1]. In L2 the step has length *lr
// along the gradient; in Linf every pixel moves by *lr against the gradient's sign. The
// function reads *lr at every step.
func BallStep(n Norm, eps float64, lr *float64, clean []float32) func(x []float32, g []float64) {
	if n == Linf {
		return linfStep(eps, lr, clean)
	}
	return func(x []float32, g []float64) {
		length := norm2(g)
		if length == 0 {
			return
		}
		f := *lr / length
		for i, v := range g {
			x[i] -= float32(f * v)
		}
		n.Project(x, clean, eps)
	}
}

// linfStep is BallStep for Linf. The edges of the ball are computed once, and signs are
// moved as bits: those of a gradient are as good as random, which branches do not like.
func linfStep(eps float64, lr *float64, clean []float32) func(x []float32, g []float64) {
	lo, hi := make([]float32, len(clean)), make([]float32, len(clean))
	Linf.Bounds(lo, hi, clean, eps)
	return func(x []float32, g []float64) {
		h := math.Float32bits(float32(*lr))
		for i, v := range g {
			d := math.Float32frombits(h | uint32(math.Float64bits(v)>>32)&(1<<31))
			if v == 0 || v != v {
				d = 0
			}
			x[i] -= d
		}
		kernel.Maximum(x, x, lo)
		kernel.Minimum(x, x, hi)
	}
}

func sign[T float32 | float64](v T) T {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
