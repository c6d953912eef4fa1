package zoo

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Prior is the bandit estimator of Ilyas, Engstrom and Madry (2019): it keeps a
// guess v of the gradient, of shape [C, Tile, Tile] ([T, C, Tile, Tile] for clips),
// improves it at every call by one antithetic pair of probes, and answers with v enlarged
// to the image. That the gradient changes little between steps is its prior in time, that
// neighbouring pixels agree its prior in data. A call costs two queries and does
// not use f(x).
type Prior struct {
	Tile        int     // side s of the prior; 0: the image's own, which is no prior in data
	Probe       float64 // η: L2 length of a probe's displacement; 0 means 0.01
	Explore     float64 // δ: factor on the noise that is explored; 0 means 0.01
	LR          float64 // of the prior; 0 means 0.1
	Exponential bool    // exponentiated-gradient update, which keeps v in (-1,1): for Linf
	PerFrame    bool    // give each frame of a clip a displacement of length Probe, instead of the whole
	// Noise draws what is explored; nil means Gaussian noise that is independent for
	// each value and of unit expected length.
	Noise Noise
	Rand  *rand.Rand

	v, e, q []float64
}

// A Noise is a source of exploration noise for a [Prior].
type Noise interface {
	// Name names the source. In a campaign's options the source is its name and its
	// fields.
	Name() string
	// Draw fills dst, the values of a prior of the given shape, [C, H, W] or
	// [T, C, H, W], with new noise.
	Draw(dst []float64, shape []int, r *rand.Rand) error
}

// certain is as sure of a sign as the exponentiated update may become.
const certain = 1 - 1e-6

// Estimate implements Estimator. Samples that are not images or clips are an error.
func (b *Prior) Estimate(ctx context.Context, o *Objective, p Point, g []float64) error {
	shape := o.Info().Shape
	if len(shape) < 2 {
		return fmt.Errorf("zoo: a prior needs images, not samples of shape %v", shape)
	}
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	sh, sw := h, w
	if b.Tile > 0 {
		sh, sw = min(b.Tile, h), min(b.Tile, w)
	}
	planes := o.Info().Size() / (h * w)
	if n := planes * sh * sw; len(b.v) != n {
		b.v, b.e = make([]float64, n), make([]float64, n)
	}
	eta, delta, lr := cmp.Or(b.Probe, 0.01), cmp.Or(b.Explore, 0.01), cmp.Or(b.LR, 0.1)
	if err := b.explore(append(slices.Clone(shape[:len(shape)-2]), sh, sw), delta); err != nil {
		return err
	}
	frame := len(p.X) // what gets one displacement
	if b.PerFrame && len(shape) == 4 {
		frame /= shape[0]
	}
	b.q = grow(b.q, len(p.X))
	batch := o.Batch(2)
	for s, sign := range []float64{1, -1} {
		enlarge(b.q, h, w, sh, sw, func(i int) float64 { return b.v[i] + sign*b.e[i] })
		for lo := 0; lo < len(p.X); lo += frame {
			var sum float64
			for _, v := range b.q[lo : lo+frame] {
				sum += v * v
			}
			f := eta / max(math.Sqrt(sum), 1e-30)
			for i, x := range p.X[lo : lo+frame] {
				batch[s*len(p.X)+lo+i] = o.inside(float64(x) + f*b.q[lo+i])
			}
		}
	}
	var loss [2]float64
	if _, err := o.Losses(ctx, 2, loss[:]); err != nil {
		return err
	}
	d := (loss[0] - loss[1]) / (eta * delta)
	for i, v := range b.v {
		if b.Exponential {
			// r·e^a over r·e^a + (1-r)·e^-a, with r = (v+1)/2, in a form that a step too
			// long for its exponentials cannot make NaN. A component that reached a bound
			// in float64 could never leave it.
			odds := (1 - v) / (1 + v) * math.Exp(-2*lr*d*b.e[i])
			b.v[i] = min(max(2/(1+odds)-1, -certain), certain)
		} else {
			b.v[i] = v + lr*d*b.e[i]
		}
	}
	enlarge(g, h, w, sh, sw, func(i int) float64 { return b.v[i] })
	return nil
}

// explore draws b.e.
func (b *Prior) explore(shape []int, delta float64) error {
	if b.Noise == nil {
		sd := delta / math.Sqrt(float64(len(b.v)))
		for i := range b.e {
			b.e[i] = sd * b.Rand.NormFloat64()
		}
		return nil
	}
	if err := b.Noise.Draw(b.e, shape, b.Rand); err != nil {
		return fmt.Errorf("zoo: noise %s: %w", b.Noise.Name(), err)
	}
	for i := range b.e {
		b.e[i] *= delta
	}
	return nil
}

// enlarge fills planes of h by w with the nearest values of planes of sh by sw.
func enlarge(dst []float64, h, w, sh, sw int, small func(i int) float64) {
	for i := range dst {
		plane, y, x := i/(h*w), i/w%h, i%w
		dst[i] = small((plane*sh+y*sh/h)*sw + x*sw/w)
	}
}
