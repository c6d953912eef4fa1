package attack

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// HopSkipJump is the decision-based attack of Chen, Jordan and Wainwright (2020): bisect to
// the boundary, estimate its normal from the labels of random probes, step, repeat. It is
// the right choice for a small distance from a victim that answers with labels only; RayS
// is quicker to a given Linf distance. It comes nearer until the budget or its iterations
// end.
type HopSkipJump struct {
	Norm       Norm
	Iterations int     // 0 means no limit
	Probes     int     // probes of the first estimate; the number grows as the square root of the iteration; 0 means 100
	MaxProbes  int     // 0 means 10,000
	Gamma      float64 // sets the tolerance of the bisection; 0 means 1
}

// About describes the attack.
func (a HopSkipJump) About() About { return About{"hopskipjump", a.Norm, a.defaults()} }

func (a HopSkipJump) defaults() HopSkipJump {
	a.Probes, a.MaxProbes, a.Gamma = cmp.Or(a.Probes, 100), cmp.Or(a.MaxProbes, 10000), cmp.Or(a.Gamma, 1)
	return a
}

// AttackLabels implements LabelAttack.
func (a HopSkipJump) AttackLabels(ctx context.Context, v zoo.Labeler, t *Try) error {
	a = a.defaults()
	r := t.Rand(0)
	l := &labeled{v, t}
	clean := t.Clean.Data()
	x, err := l.begin(ctx, r, 1000)
	if err != nil || x == nil {
		return err
	}
	d := float64(len(x))
	theta := a.Gamma / (d * math.Sqrt(d))
	if a.Norm == Linf {
		theta = a.Gamma / (d * d)
	}
	// The first bisection starts far away, and is as fine as the later ones.
	if err := a.bisect(ctx, l, clean, x, theta); err != nil {
		return err
	}
	g := make([]float64, len(x))
	next := make([]float32, len(x))
	for i := 1; a.Iterations == 0 || i <= a.Iterations; i++ {
		dist := a.Norm.Distance(x, clean)
		if dist == 0 {
			t.Converged()
			return nil
		}
		delta := math.Sqrt(d) * theta * dist
		if a.Norm == Linf {
			delta = d * theta * dist
		}
		if i == 1 {
			delta = 0.1
		}
		probes := min(int(float64(a.Probes)*math.Sqrt(float64(i))), a.MaxProbes)
		if err := a.normal(ctx, l, x, g, delta, probes, r); err != nil {
			return err
		}
		for step := dist / math.Sqrt(float64(i)); ; step /= 2 {
			for j, v := range g {
				next[j] = clip01(float64(x[j]) + step*v)
			}
			ok, err := l.hit(ctx, next)
			if err != nil {
				return err
			}
			if ok {
				break
			}
			if step < 1e-9*dist {
				copy(next, x)
				break
			}
		}
		copy(x, next)
		if err := a.bisect(ctx, l, clean, x, theta); err != nil {
			return err
		}
	}
	return nil
}

// bisect brings the adversarial image x back to the boundary: along the line to
// the clean image, or for Linf by shrinking the ball it is clipped to.
func (a HopSkipJump) bisect(ctx context.Context, l *labeled, clean, x []float32, theta float64) error {
	if a.Norm == L2 {
		return l.bisect(ctx, clean, x, theta)
	}
	far := append([]float32(nil), x...)
	lo, hi := 0.0, Linf.Distance(x, clean)
	mid := make([]float32, len(x))
	for tol := min(hi*theta, theta); hi-lo > tol; {
		r := (lo + hi) / 2
		if r == lo || r == hi {
			break
		}
		copy(mid, far)
		Linf.Project(mid, clean, r)
		ok, err := l.hit(ctx, mid)
		if err != nil {
			return err
		}
		if ok {
			hi = r
			copy(x, mid)
		} else {
			lo = r
		}
	}
	return nil
}

// normal estimates the direction in which the goal is reached, from the labels
// of probes round x.
func (a HopSkipJump) normal(ctx context.Context, l *labeled, x []float32, g []float64, delta float64, probes int, r *rand.Rand) error {
	clear(g)
	sum := make([]float64, len(g)) // of all displacements
	var hits, asked float64
	u := make([]float64, len(g))
	most := min(128, max(1, 1<<24/len(x))) // clips are large
	batch := tensor.New(append([]int{min(probes, most)}, l.t.Clean.Shape()...)...)
	won := make([]bool, batch.Dim(0))
	for asked < float64(probes) {
		part := batch.Slice(0, min(probes-int(asked), most))
		n := part.Dim(0)
		for i := range n {
			a.direction(u, r)
			for j, v := range u {
				part.Index(i).Data()[j] = clip01(float64(x[j]) + delta*v)
			}
		}
		if err := l.t.AskLabels(ctx, l.v, part, won[:n]); err != nil {
			return err
		}
		for i := range n {
			phi := -1.0
			if won[i] {
				phi = 1
				hits++
			}
			for j, v := range part.Index(i).Data() {
				e := (float64(v) - float64(x[j])) / delta // what clipping left of the displacement
				g[j] += phi * e
				sum[j] += e
			}
		}
		asked += float64(n)
	}
	// The mean of the answers is taken off, unless they are all the same.
	mean := 2*hits/asked - 1
	var length float64
	for j := range g {
		if mean > -1 && mean < 1 {
			g[j] -= mean * sum[j]
		}
		length += g[j] * g[j]
	}
	f := 1 / max(math.Sqrt(length), 1e-30)
	for j, v := range g {
		g[j] = f * v
		if a.Norm == Linf {
			g[j] = float64(sign(float32(v)))
		}
	}
	return nil
}

// direction draws a unit vector: Gaussian for L2, uniform in a cube for Linf.
func (a HopSkipJump) direction(u []float64, r *rand.Rand) {
	var sum float64
	for i := range u {
		if a.Norm == Linf {
			u[i] = 2*r.Float64() - 1
		} else {
			u[i] = r.NormFloat64()
		}
		sum += u[i] * u[i]
	}
	f := 1 / math.Sqrt(sum)
	for i := range u {
		u[i] *= f
	}
}
