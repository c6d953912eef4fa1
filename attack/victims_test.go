package attack

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// linear is a white box with logits W·(x - 1/2) + b, and counts the samples it sees
// and their values that are not in [0,1].
type linear struct {
	info       zoo.Info
	w          [][]float64
	b          []float64
	count, bad atomic.Int64
}

func newLinear(seed uint64, classes int, shape ...int) *linear {
	r := rand.New(rand.NewPCG(seed, 1))
	v := &linear{info: zoo.Info{Name: "linear", Shape: shape, Classes: classes}, b: make([]float64, classes)}
	for range classes {
		w := make([]float64, v.info.Size())
		for i := range w {
			w[i] = r.NormFloat64()
		}
		v.w = append(v.w, w)
	}
	return v
}

func (v *linear) Info() zoo.Info { return v.info }

func (v *linear) logits(x []float32, out []float64) {
	for k, w := range v.w {
		s := v.b[k]
		for i, p := range x {
			s += w[i] * (float64(p) - 0.5)
		}
		out[k] = s
	}
}

func (v *linear) Scores(_ context.Context, x *tensor.Tensor, out []float64) error {
	n, k := v.info.Size(), v.info.Classes
	v.count.Add(int64(x.Dim(0)))
	for _, p := range x.Data() {
		if !(p >= 0 && p <= 1) {
			v.bad.Add(1)
		}
	}
	for i := range x.Dim(0) {
		v.logits(x.Data()[i*n:(i+1)*n], out[i*k:(i+1)*k])
	}
	return nil
}

func (v *linear) Gradients(ctx context.Context, x *tensor.Tensor, loss zoo.DifferentiableLoss, goals []zoo.Goal, out []float64, grad *tensor.Tensor) error {
	if err := v.Scores(ctx, x, out); err != nil {
		return err
	}
	n, k := v.info.Size(), v.info.Classes
	dz, scratch := make([]float32, k), make([]float64, k)
	for i := range x.Dim(0) {
		zoo.Cotangent(dz, scratch, loss, out[i*k:(i+1)*k], goals[i])
		g := grad.Data()[i*n : (i+1)*n]
		for j := range g {
			var s float64
			for c, d := range dz {
				s += float64(d) * v.w[c][j]
			}
			g[j] = float32(s)
		}
	}
	return nil
}

// edge is the exact L2 distance from x to the nearest other class, ignoring the
// bounds of the pixels, and edgeLinf the Linf distance.
func (v *linear) edge(x []float32, y int) float64 {
	return v.nearest(x, y, func(sum, squares float64) float64 { return math.Sqrt(squares) })
}

func (v *linear) edgeLinf(x []float32, y int) float64 {
	return v.nearest(x, y, func(sum, squares float64) float64 { return sum })
}

// nearest is the least margin of a class over the dual norm of its gradient, which is
// made of the sums of the gradient's magnitudes and squares.
func (v *linear) nearest(x []float32, y int, dual func(sum, squares float64) float64) float64 {
	z := make([]float64, v.info.Classes)
	v.logits(x, z)
	best := math.Inf(1)
	for k := range z {
		if k == y {
			continue
		}
		var sum, squares float64
		for i := range v.w[k] {
			d := v.w[k][i] - v.w[y][i]
			sum += math.Abs(d)
			squares += d * d
		}
		best = min(best, (z[y]-z[k])/dual(sum, squares))
	}
	return best
}

// samples returns n grey-ish images with the victim's own answers as labels.
func (v *linear) samples(seed uint64, n int) []Sample {
	r := rand.New(rand.NewPCG(seed, 2))
	z := make([]float64, v.info.Classes)
	var out []Sample
	for range n {
		x := tensor.New(v.info.Shape...)
		for i := range x.Data() {
			x.Data()[i] = 0.3 + 0.4*r.Float32()
		}
		v.logits(x.Data(), z)
		out = append(out, Sample{X: x, Label: zoo.Top(z)})
	}
	return out
}

// starts returns, for any goal, a sample the victim puts in the wanted class.
func (v *linear) start(samples []Sample) func(zoo.Goal) *tensor.Tensor {
	return func(g zoo.Goal) *tensor.Tensor {
		i := slices.IndexFunc(samples, func(s Sample) bool { return g.Achieved(s.Label) })
		if i < 0 {
			return nil
		}
		return samples[i].X
	}
}
