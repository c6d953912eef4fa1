package video

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// Flickering is the attack of Pony, Naeh and Mannor (2021, "Over-the-Air Adversarial
// Flickering Attacks against Video Recognition Networks") on a white box: every frame is
// changed by one colour. It minimises FlickerLoss plus Weight times two penalties:
// thickness, the mean square of the colours, and roughness, the mean squares of their first
// and second differences in time (cyclic). It goes on to its last iteration, so that its
// best success is the faintest.
//
// The balance of the terms, the step and the iterations are ours.
type Flickering struct {
	Eps        float64 // the largest change of a pixel; 0 means 1, which is no limit
	LR         float64 // of Adam; 0 means 0.001
	Iterations int     // 0 means 1000
	Weight     float64 // weight of thickness and roughness together; 0 means 1
	Thickness  float64 // share of thickness in Weight, from 0 to 1; 0 means 0.5
	Margin     float64 // m of FlickerLoss; 0 means 0.05
	First      bool    // stop at the first success
}

// About describes the attack.
func (a Flickering) About() attack.About {
	return attack.About{Name: "flickering", Norm: attack.L2, Options: a.defaults()}
}

func (a Flickering) defaults() Flickering {
	a.Eps, a.LR, a.Iterations = cmp.Or(a.Eps, 1), cmp.Or(a.LR, 1e-3), cmp.Or(a.Iterations, 1000)
	a.Weight, a.Thickness, a.Margin = cmp.Or(a.Weight, 1), cmp.Or(a.Thickness, 0.5), cmp.Or(a.Margin, 0.05)
	return a
}

// Check implements attack.Checker.
func (a Flickering) Check(shape []int) error {
	err := clips(a, shape)
	for _, v := range []float64{a.Eps, a.LR, float64(a.Iterations), a.Weight, a.Thickness, a.Margin} {
		if !(v >= 0) || math.IsInf(v, 1) {
			err = errors.Join(err, fmt.Errorf("video: Flickering has an option of %g; none is negative, and 0 means the default", v))
		}
	}
	if a.Thickness > 1 || a.Eps > 1 {
		err = errors.Join(err, fmt.Errorf("video: Flickering with Thickness %g and Eps %g; both are at most 1", a.Thickness, a.Eps))
	}
	return err
}

// AttackGradients implements attack.GradientAttack.
func (a Flickering) AttackGradients(ctx context.Context, v zoo.Differentiable, t *attack.Try) error {
	a = a.defaults()
	info := v.Info()
	frames, channels := info.Shape[0], info.Shape[1]
	pixels := info.Size() / (frames * channels)
	clean := t.Clean.Data()
	batch := append([]int{1}, info.Shape...)
	x, g := tensor.New(batch...), tensor.New(batch...)
	scores, slope := make([]float64, info.Classes), make([]float64, info.Classes)
	d := make([]float32, frames*channels) // the colours
	grad, mean, squares := make([]float32, len(d)), make([]float32, len(d)), make([]float32, len(d))
	loss := FlickerLoss{M: a.Margin}
	for i := 0; ; i++ {
		for c, colour := range d {
			for j := c * pixels; j < (c+1)*pixels; j++ {
				x.Data()[j] = clean[j] + colour
			}
		}
		attack.Linf.Project(x.Data(), clean, a.Eps)
		if err := v.Gradients(ctx, x, loss, []zoo.Goal{t.Goal}, scores, g); err != nil {
			return err
		}
		won := t.Offer(x.Data(), zoo.Top(scores))
		if i == a.Iterations || won && a.First {
			return nil
		}
		// A white box tells gradients up to a factor; here it matters.
		logits := logitsOf(scores, info.Scores)
		loss.Gradient(slope, logits, t.Goal)
		var factor float64
		for _, s := range slope {
			factor = max(factor, math.Abs(s))
		}
		a.flicker(grad, d, frames, channels)
		for c := range d {
			var sum float64
			for j := c * pixels; j < (c+1)*pixels; j++ {
				if y := clean[j] + d[c]; y >= 0 && y <= 1 { // clipped pixels do not follow
					sum += float64(g.Data()[j])
				}
			}
			grad[c] = float32(a.Weight*float64(grad[c]) + factor*sum)
		}
		const beta1, beta2 = 0.9, 0.999
		n := float64(i + 1)
		kernel.AdamStep(d, grad, mean, squares, kernel.Adam{LR: a.LR, Beta1: beta1, Beta2: beta2, Eps: 1e-8,
			Bias1: 1 - math.Pow(beta1, n), Bias2: 1 - math.Pow(beta2, n)})
		kernel.Clamp(d, d, float32(-a.Eps), float32(a.Eps))
	}
}

// flicker writes to g the gradient of thickness and roughness of the colours d,
// [frames, channels].
func (a Flickering) flicker(g, d []float32, frames, channels int) {
	n := float64(len(d))
	thick, rough := 2*a.Thickness/n, 2*(1-a.Thickness)/n
	at := func(t, c int) float64 { return float64(d[(t+2*frames)%frames*channels+c]) }
	for t := range frames {
		for c := range channels {
			first := 2*at(t, c) - at(t-1, c) - at(t+1, c)
			var second float64 // the transpose of the second difference, of it
			for k, w := range []float64{1, -2, 1} {
				u := t + k - 1
				second += w * (at(u-1, c) - 2*at(u, c) + at(u+1, c))
			}
			g[t*channels+c] = float32(thick*at(t, c) + rough*(first+second))
		}
	}
}

// logitsOf returns logits for scores: what differs by a constant is as good.
func logitsOf(scores []float64, kind zoo.ScoreKind) []float64 {
	if kind != zoo.Probabilities {
		return scores
	}
	z := make([]float64, len(scores))
	for i, p := range scores {
		z[i] = math.Log(max(p, 1e-300))
	}
	return z
}
