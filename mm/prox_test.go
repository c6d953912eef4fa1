package mm

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

const proxDim = 6

// regularizers is every proximal operator of the package, at dimension 6.
func regularizers() []Regularizer {
	w := []float64{1, 0.5, 2, 0, 1, 3}
	groups := [][]int{{0, 2}, {1, 3, 4}}
	return []Regularizer{
		Zero{}, L1{Lambda: 0.7}, L1{Lambda: 0.7, Weights: w}, Ridge{Lambda: 0.8}, ElasticNet{L1: 0.4, L2: 0.9},
		GroupLasso{Lambda: 0.6}, GroupLasso{Lambda: 0.6, Groups: groups, Weights: []float64{1, 2}},
		GroupLasso{Lambda: 0.6, L1: 0.2, Groups: groups}, LInf{Lambda: 0.9},
		FusedLasso{TV: 0.5}, FusedLasso{TV: 0.5, L1: 0.2},
		Box{Lo: -0.5, Hi: 1}, NonNegative(), Ball{}, Ball{Radius: 2}, Sphere{}, Sphere{Radius: 2},
		BallL1{}, BallL1{Radius: 2}, Simplex{}, Simplex{Sum: 3},
		L1Ball{Lambda: 0.3}, L1Ball{Lambda: 0.3, Radius: 2}, L1Sphere{Lambda: 0.3}, L1Sphere{Lambda: 9}, NonNegBall{}, KSparse{K: 2},
		Nuclear{Lambda: 0.5, R: 3, C: 2}, MaxRank{K: 1, R: 2, C: 3}, Stiefel{R: 3, C: 2},
		L0{Lambda: 0.5}, MCP{Lambda: 0.5, Gamma: 3}, SCAD{Lambda: 0.5, A: 3.7}, LogSum{Lambda: 0.5, Eps: 0.3}, LogSum{Lambda: 2, Eps: 0.1},
		CappedL1{Lambda: 0.5, A: 0.8},
	}
}

func name(h any) string { return fmt.Sprintf("%T%+v", h, h) }

func randomVec(r *counter, p int, scale float64) []float64 {
	x := make([]float64, p)
	for j := range x {
		x[j] = scale * r.normal()
	}
	return x
}

// T9 and the universal tests: the objective of the prox at its result is no
// larger than at 1000 other points of the domain, found by the prox itself from
// random inputs, and at random points near by.
func TestProxMinimises(t *testing.T) {
	for _, h := range regularizers() {
		t.Run(name(h), func(t *testing.T) {
			r := newCounter(11, streamData)
			for range 12 {
				step := 0.05 + 1.2*r.float()
				u := randomVec(&r, proxDim, 1.5)
				p := make([]float64, proxDim)
				h.Prox(p, u, step)
				at := h.Value(p) + sqDistance(p, u)/(2*step)
				if math.IsInf(at, 0) || math.IsNaN(at) {
					t.Fatalf("prox of %v is %v with value %g", u, p, at)
				}
				if !Feasible(h, p, 1e-12) {
					t.Fatalf("prox of %v is infeasible: %v", u, p)
				}
				z := make([]float64, proxDim)
				for k := range 1000 {
					if k%2 == 0 {
						h.Prox(z, randomVec(&r, proxDim, 2), step)
					} else {
						for j := range z {
							z[j] = p[j] + 0.2*r.normal()*r.float()
						}
					}
					if k%4 == 0 {
						// A feasible point near the result.
						for j := range z {
							z[j] = p[j] + 0.1*(z[j]-p[j])
						}
						h.Prox(z, z, 1e-9)
					}
					if v := h.Value(z) + sqDistance(z, u)/(2*step); v < at-1e-9 {
						t.Fatalf("step %g, u %v: objective %.12g at %v, %.12g at the prox %v", step, u, v, z, at, p)
					}
				}
			}
		})
	}
}

// The prox of a convex h is the point p with (u−p)/t a subgradient at p, which the
// inequality below characterises, and it is firmly non-expansive.
func TestProxConvex(t *testing.T) {
	for _, h := range regularizers() {
		if !h.Convex() {
			continue
		}
		r := newCounter(12, streamData)
		p, q := make([]float64, proxDim), make([]float64, proxDim)
		for range 300 {
			step := 0.05 + 2*r.float()
			u, w := randomVec(&r, proxDim, 1.5), randomVec(&r, proxDim, 1.5)
			h.Prox(p, u, step)
			h.Prox(q, w, step)
			lhs, rhs, sub := 0.0, 0.0, 0.0
			for j := range p {
				lhs += (p[j] - q[j]) * (p[j] - q[j])
				rhs += (p[j] - q[j]) * (u[j] - w[j])
				sub += (u[j] - p[j]) / step * (q[j] - p[j])
			}
			if lhs > rhs+1e-10 {
				t.Errorf("%s: not firmly non-expansive: %g > %g", name(h), lhs, rhs)
			}
			if h.Value(q) < h.Value(p)+sub-1e-9 {
				t.Errorf("%s: subgradient inequality fails: %g < %g", name(h), h.Value(q), h.Value(p)+sub)
			}
		}
	}
}

// Moreau: u = prox_{th}(u) + t·prox_{h*/t}(u/t), for the pairs whose conjugate is in
// the table.
func TestMoreau(t *testing.T) {
	for _, pair := range []struct{ h, conj Regularizer }{
		{L1{Lambda: 0.7}, Box{-0.7, 0.7}},
		{LInf{Lambda: 0.7}, BallL1{Radius: 0.7}},
		{GroupLasso{Lambda: 0.7}, Ball{Radius: 0.7}},
		{NonNegative(), Box{math.Inf(-1), 0}},
		{Ridge{Lambda: 0.5}, Ridge{Lambda: 2}},
	} {
		r := newCounter(13, streamData)
		a, b, s := make([]float64, proxDim), make([]float64, proxDim), make([]float64, proxDim)
		for range 100 {
			u := randomVec(&r, proxDim, 2)
			step := 0.1 + r.float()
			pair.h.Prox(a, u, step)
			for j := range u {
				s[j] = u[j] / step
			}
			pair.conj.Prox(b, s, 1/step)
			for j := range u {
				if got := a[j] + step*b[j]; !(math.Abs(got-u[j]) <= 1e-12) {
					t.Fatalf("%s: %g + t·%g ≠ %g", name(pair.h), a[j], b[j], u[j])
				}
			}
		}
	}
}

// The scalar proxes against a grid of step 1e-4.
func TestProxGrid(t *testing.T) {
	for _, h := range regularizers() {
		s, ok := h.(Separable)
		if !ok {
			continue
		}
		if l, ok := h.(L1); ok && l.Weights != nil {
			h = L1{l.Lambda, l.Weights[:1]}
		}
		r := newCounter(14, streamData)
		for range 20 {
			u, step := 2*r.normal(), 0.05+1.5*r.float()
			got := s.ProxCoord(0, u, step)
			at := func(x float64) float64 {
				return h.Value([]float64{x}) + (x-u)*(x-u)/(2*step)
			}
			best := math.Inf(1)
			for k := -60000; k <= 60000; k++ {
				best = min(best, at(float64(k)*1e-4))
			}
			if at(got) > best+1e-12 {
				t.Errorf("%s: u %g step %g: objective %.12g at %g, %.12g on the grid", name(h), u, step, at(got), got, best)
			}
		}
	}
}

// Projections are idempotent and every prox may overwrite its argument.
func TestProxAliasAndIdempotence(t *testing.T) {
	for _, h := range regularizers() {
		r := newCounter(15, streamData)
		for range 50 {
			u := randomVec(&r, proxDim, 2)
			p := make([]float64, proxDim)
			h.Prox(p, u, 0.5)
			v := slices.Clone(u)
			h.Prox(v, v, 0.5)
			if !slices.Equal(p, v) {
				t.Errorf("%s: in place %v, apart %v", name(h), v, p)
			}
			if _, set := h.(Constraint); !set || h.Value(p) != 0 {
				continue
			}
			h.Prox(v, p, 0.5)
			if !(distance(p, v) <= 1e-12) {
				t.Errorf("%s: projected twice %v, once %v", name(h), v, p)
			}
		}
	}
}

// The linear maximiser beats random points of the domain.
func TestMaximizeLinear(t *testing.T) {
	for _, h := range regularizers() {
		m, ok := h.(LinearMaximizer)
		if !ok {
			continue
		}
		r := newCounter(16, streamData)
		p, z := make([]float64, proxDim), make([]float64, proxDim)
		for range 20 {
			s := randomVec(&r, proxDim, 1)
			m.MaximizeLinear(p, s)
			at := dot(s, p) - h.Value(p)
			for range 500 {
				h.Prox(z, randomVec(&r, proxDim, 3), 1)
				if v := dot(s, z) - h.Value(z); v > at+1e-9 {
					t.Fatalf("%s: %g at %v, %g at the maximiser %v", name(h), v, z, at, p)
				}
			}
		}
	}
}

func TestProxEdges(t *testing.T) {
	zero := make([]float64, 3)
	p := make([]float64, 3)
	for _, c := range []struct {
		h    Regularizer
		u    []float64
		want []float64
	}{
		{Sphere{}, zero, []float64{1, 0, 0}},
		{L1Sphere{Lambda: 1}, []float64{0.1, -0.3, 0.3}, []float64{0, -1, 0}},
		{GroupLasso{Lambda: 1}, zero, zero},
		{KSparse{K: 1}, []float64{1, -1, 1}, []float64{1, 0, 0}},
		{L0{Lambda: 0.5}, []float64{1, -1, 1.01}, []float64{0, 0, 1.01}},
		{Simplex{}, []float64{5, 5, 5}, []float64{1. / 3, 1. / 3, 1. / 3}},
		{Sphere{}, []float64{5e-324, 0, 0}, []float64{1, 0, 0}},
		{Sphere{}, []float64{0, 1e300, 1e300}, []float64{0, math.Sqrt2 / 2, math.Sqrt2 / 2}},
		{FusedLasso{TV: 100}, []float64{1, 2, 6}, []float64{3, 3, 3}},
		{FusedLasso{TV: 1}, []float64{0, 10, 0}, []float64{1, 8, 1}},
	} {
		c.h.Prox(p, c.u, 1)
		if !(distance(p, c.want) <= 1e-15*10) {
			t.Errorf("%s of %v: %v, want %v", name(c.h), c.u, p, c.want)
		}
	}
	for _, h := range []Regularizer{MCP{Lambda: 1, Gamma: 2}, SCAD{Lambda: 1, A: 3}} {
		func() {
			defer func() {
				if _, ok := recover().(Error); !ok {
					t.Errorf("%s: no panic at its largest step", name(h))
				}
			}()
			h.Prox(p, zero, 2)
		}()
	}
}

// Slopes are derivatives of the penalties.
func TestConcaveSlopes(t *testing.T) {
	for _, h := range []ConcavePenalty{MCP{0.5, 3}, SCAD{0.5, 3.7}, LogSum{0.5, 0.3}, CappedL1{0.5, 0.8}} {
		for _, r := range []float64{0.1, 0.45, 0.6, 0.79, 1.4, 1.9, 4} {
			const e = 1e-6
			want := (h.Value([]float64{r + e}) - h.Value([]float64{-r + e})) / (2 * e)
			if got := h.Slope(r); !(math.Abs(got-want) <= 1e-6) {
				t.Errorf("%s: slope at %g is %g, want %g", name(h), r, got, want)
			}
		}
	}
}

// Without weight, LInf is nothing: its ball of radius 0 is not the default one.
func TestLInfWithoutWeight(t *testing.T) {
	u, p := []float64{3, -2, 0.5}, make([]float64, 3)
	LInf{}.Prox(p, u, 1)
	if !slices.Equal(p, u) {
		t.Errorf("prox of %v is %v", u, p)
	}
}
