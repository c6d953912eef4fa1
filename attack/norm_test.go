package attack

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/zoo"
)

// TestProject: the result lies in the ball and in [0,1]; a point that does already
// stays; on the way out the L2 ball's edge is reached.
func TestProject(t *testing.T) {
	const n = 50
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	center, x := make([]float32, n), make([]float32, n)
	for range 200 {
		for i := range x {
			center[i] = r.Float32()
			if r.IntN(4) == 0 {
				center[i] = float32(r.IntN(2))
			}
			x[i] = center[i] + float32(r.NormFloat64())
		}
		for _, norm := range []Norm{L2, Linf} {
			eps := 0.05 + 3*r.Float64()
			p := slices.Clone(x)
			norm.Project(p, center, eps)
			for i, v := range p {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("seed %d, %v: pixel %d is %v", seed, norm, i, v)
				}
			}
			tol := 0.0
			if norm == Linf {
				tol = 1e-7 // the sum of center and eps rounds
			}
			if d := norm.Distance(p, center); !(d <= eps*(1+tol)+tol) {
				t.Fatalf("seed %d, %v: distance %v beyond %v", seed, norm, d, eps)
			}
			again := slices.Clone(p)
			norm.Project(again, center, eps)
			if d := Linf.Distance(again, p); norm == Linf && d != 0 || d > 1e-6 {
				t.Fatalf("seed %d, %v: a projected point moves by %v", seed, norm, d)
			}
		}
	}
	mid := []float32{0.5, 0.5}
	p := []float32{0.9, 0.5}
	if L2.Project(p, mid, 0.3); !(p[0] > 0.7999 && p[0] <= 0.8 && p[1] == 0.5) {
		t.Errorf("projected to %v, want the edge of the ball at 0.8", p)
	}
}

// fixed is an estimator that answers what it is told.
type fixed struct{ next []float64 }

func (f *fixed) Estimate(_ context.Context, _ *zoo.Objective, _ zoo.Point, g []float64) error {
	copy(g, f.next)
	return nil
}

// TestMomentum: the first gradient counts whole, the later ones by what is not kept.
func TestMomentum(t *testing.T) {
	f := &fixed{}
	m := &momentum{est: f, keep: 0.75}
	g := make([]float64, 2)
	for i, c := range [][2][]float64{{{4, -8}, {4, -8}}, {{0, 8}, {3, -4}}, {{8, 0}, {4.25, -3}}} {
		f.next = c[0]
		if err := m.Estimate(context.Background(), nil, zoo.Point{}, g); err != nil || !slices.Equal(g, c[1]) {
			t.Errorf("estimate %d: %v, want %v (%v)", i, g, c[1], err)
		}
	}
}
