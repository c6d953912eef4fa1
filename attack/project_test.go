package attack

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// nearestByDual finds the point of the ball and the box nearest to u without the code under
// test: it minimises the Lagrangian pixel by pixel, over a fine grid for L1 and in closed
// form for L2, and bisects on the multiplier.
func nearestByDual(n Norm, u, c []float64, eps float64) []float64 {
	at := func(m float64) []float64 {
		z := make([]float64, len(u))
		for i := range u {
			cost := func(z float64) float64 {
				d := math.Abs(z - c[i])
				if n == L2 {
					d *= d
				}
				return (z-u[i])*(z-u[i]) + m*d
			}
			lo, hi := 0.0, 1.0 // cost is convex
			for range 200 {
				a, b := lo+(hi-lo)/3, hi-(hi-lo)/3
				if cost(a) < cost(b) {
					hi = b
				} else {
					lo = a
				}
			}
			z[i] = (lo + hi) / 2
		}
		return z
	}
	length := func(z []float64) float64 {
		var s float64
		for i := range z {
			d := math.Abs(z[i] - c[i])
			if n == L2 {
				d *= d
			}
			s += d
		}
		if n == L2 {
			s = math.Sqrt(s)
		}
		return s
	}
	if z := at(0); length(z) <= eps {
		return z
	}
	lo, hi := 0.0, 1e6
	for range 100 {
		mid := math.Sqrt(max(lo, 1e-9) * hi)
		if length(at(mid)) > eps {
			lo = mid
		} else {
			hi = mid
		}
	}
	return at(hi)
}

// TestProjectBox: the projection is the nearest point of the ball and of [0,1].
func TestProjectBox(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 3))
	for round := range 60 {
		const d = 7
		x, c := make([]float32, d), make([]float32, d)
		u, w := make([]float64, d), make([]float64, d)
		for i := range x {
			c[i], x[i] = r.Float32(), 3*r.Float32()-1
			if i < 2 {
				c[i] = float32(i) // at the bounds
			}
			u[i], w[i] = float64(x[i]), float64(c[i])
		}
		n := []Norm{L1, L2}[round%2]
		eps := 0.05 + 2*r.Float64()
		want := nearestByDual(n, u, w, eps)
		n.ProjectBox(x, c, eps)
		for i := range x {
			if math.Abs(float64(x[i])-want[i]) > 2e-5 {
				t.Fatalf("seed %d round %d: %v of radius %v: %v, want %v", seed, round, n, eps, x, want)
			}
		}
	}
}

// TestToPlane: the displacement reaches the hyperplane within [0,1], and none that does is
// shorter: by the dual, the least length is the largest of λ·gap - Σ max over the box of
// what λ·w gains on the norm, for L2 and L1; for Linf the boxes of a radius tell.
func TestToPlane(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 4))
	for round := range 300 {
		d := 1 + r.IntN(8)
		x, w := make([]float32, d), make([]float32, d)
		for i := range x {
			x[i], w[i] = r.Float32(), float32(r.NormFloat64())
			if r.IntN(4) == 0 {
				w[i] = 0
			}
			if r.IntN(4) == 0 {
				x[i] = float32(r.IntN(2))
			}
		}
		gap := 2 * r.NormFloat64()
		var reach float64 // how far one can get
		for i, v := range w {
			reach += math.Abs(float64(v)) * way(x[i], sign(gap)*float64(v))
		}
		for _, n := range []Norm{L1, L2, Linf} {
			got := make([]float64, d)
			n.toPlane(got, x, w, gap)
			var bridged, l1, squares, linf float64
			for i, v := range got {
				if z := float64(x[i]) + v; z < -1e-12 || z > 1+1e-12 {
					t.Fatalf("seed %d round %d: %v leaves [0,1] with %v", seed, round, n, z)
				}
				bridged += v * float64(w[i])
				l1 += math.Abs(v)
				squares += v * v
				linf = max(linf, math.Abs(v))
			}
			want := sign(gap) * min(math.Abs(gap), reach)
			if math.Abs(bridged-want) > 1e-9 {
				t.Fatalf("seed %d round %d: %v bridges %v of %v, reachable %v", seed, round, n, bridged, gap, reach)
			}
			if math.Abs(gap) >= reach {
				continue
			}
			// No other feasible displacement is shorter: random ones on the plane are not.
			for range 200 {
				other := make([]float64, d)
				var have, most float64
				for i := range other {
					m := way(x[i], sign(gap)*float64(w[i]))
					other[i] = m * r.Float64()
					have += math.Abs(float64(w[i])) * other[i]
					most += math.Abs(float64(w[i])) * m
				}
				f := math.Abs(gap) / have // scaled back to the plane, or stretched to the bounds
				if have < math.Abs(gap) {
					f = (math.Abs(gap) - have) / (most - have)
				}
				var o1, o2, oinf float64
				for i := range other {
					if have < math.Abs(gap) {
						other[i] += f * (way(x[i], sign(gap)*float64(w[i])) - other[i])
					} else {
						other[i] *= f
					}
					o1 += other[i]
					o2 += other[i] * other[i]
					oinf = max(oinf, other[i])
				}
				if n == L1 && o1 < l1-1e-9 || n == L2 && o2 < squares-1e-9 || n == Linf && oinf < linf-1e-9 {
					t.Fatalf("seed %d round %d: in %v %v is shorter than %v for x %v, w %v, gap %v", seed, round, n, other, got, x, w, gap)
				}
			}
		}
		if slices.Max(w) == 0 && slices.Min(w) == 0 && reach != 0 {
			t.Fatal("a flat plane is reached")
		}
	}
}
