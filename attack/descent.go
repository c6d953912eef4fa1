package attack

import (
	"context"
	"math"

	"github.com/mettleml/mettle/zoo"
)

// A descent is the loop that the gradient-estimating attacks share: ask about
// the iterate, stop if it succeeds, estimate the gradient there, step.
type descent struct {
	obj   *zoo.Objective
	try   *Try
	est   zoo.Estimator
	step  func(x, g []float32) // moves the image in place
	seen  func(loss float64)   // is told the loss of each iterate; may be nil
	steps int                  // at most; 0: until the budget ends
}

func (d *descent) run(ctx context.Context) error {
	x := d.try.start()
	g := make([]float32, len(x))
	for i := 0; ; i++ {
		loss, label, err := d.obj.At(ctx, x)
		if err != nil {
			return err
		}
		if d.try.Offer(x, label) || d.steps > 0 && i == d.steps {
			return nil
		}
		if d.seen != nil {
			d.seen(loss)
		}
		if err := d.est.Estimate(ctx, d.obj, zoo.Point{X: x, Loss: loss}, g); err != nil {
			return err
		}
		d.step(x, g)
	}
}

// start is a copy of the clean image to begin from.
func (t *Try) start() []float32 { return append([]float32(nil), t.Clean.Data()...) }

// ballStep steps against the gradient by its sign (Linf) or by its direction
// (L2), and projects on the ball round the clean image and on [0,1].
func ballStep(n Norm, eps float64, lr *float64, clean []float32) func(x, g []float32) {
	return func(x, g []float32) {
		f := *lr
		if n == L2 {
			f /= max(norm2(g), 1e-30)
		}
		for i, v := range g {
			if n == Linf {
				v = sign(v)
			}
			x[i] -= float32(f * float64(v))
		}
		n.Project(x, clean, eps)
	}
}

func norm2(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func sign(v float32) float32 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
