package zoo

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

// mnist is the shape of the samples.
var mnist = []int{1, 28, 28}

// TestMetaGroups: on a linear victim a measurement of k groups costs k queries, and what it
// answers on a group is the gradient's projection on the prediction there.
func TestMetaGroups(t *testing.T) {
	net := models.MetaAttackerMNIST(5)
	r := rand.New(rand.NewPCG(3, 1))
	w := [][]float64{normals(r, 784), make([]float64, 784)}
	calls := 0
	v := inBounds(t, rowsVictim(mnist, w, []float64{1000, 0}, &calls))
	x := randomImages(3, 784).Data()
	for i, v := range x {
		x[i] = 0.1 + 0.8*v
	}
	x[0], x[1], x[29] = 0, 1, 0
	for _, c := range []struct{ q, groups int }{{784, 1}, {784, 100}, {784, 784}, {40, 13}, {7, 20}, {1, 1}} {
		for _, mask := range []bool{false, true} {
			est := NewMeta(net)
			est.Coordinates, est.Groups, est.Interval, est.First, est.Step, est.Mask = c.q, c.groups, 10, 2, 1e-2, mask
			est.LR = 1e-30 // what is predicted stays
			predicted := make([]float32, 784)
			if err := est.Predict(mnist, x, predicted); err != nil {
				t.Fatal(err)
			}
			ref := &Meta{Mask: mask}
			ref.choose(x, predicted, c.q)
			groups := ref.cut(mnist, c.groups)
			o := NewObjective(v, Untargeted(0), unitMargin)
			loss, _, err := o.At(context.Background(), x)
			if err != nil {
				t.Fatal(err)
			}
			calls = 0
			g := make([]float64, 784)
			for _, at := range [][]float32{flat(784, 0.5), x} { // what was predicted elsewhere does not count
				if err := est.Estimate(context.Background(), o, Point{at, loss}, g); err != nil {
					t.Fatal(err)
				}
			}
			if want := min(c.q, c.groups); calls != want || !est.Measured() {
				t.Fatalf("q %d, %d groups: %d queries, measured %v", c.q, c.groups, calls, est.Measured())
			}
			factor := 0.0
			most := (c.q + calls - 1) / calls
			for _, group := range groups {
				if n := len(group); n != most && n != c.q/calls {
					t.Fatalf("q %d, %d groups: one has %d coordinates", c.q, c.groups, n)
				}
				var along, length, answer float64
				for _, i := range group {
					p := float64(predicted[i])
					along, length, answer = along+w[0][i]*p, length+p*p, answer+g[i]*p
				}
				if length == 0 || !mask && slices.ContainsFunc(group, func(i int) bool { return x[i] == 0 || x[i] == 1 }) {
					continue // a pixel at a bound moves less far than the others, or not at all
				}
				if f := answer / along; factor == 0 {
					factor = f
				} else if !(math.Abs(f/factor-1) <= 2e-2) {
					t.Fatalf("q %d, %d groups, mask %v: a group answers %g along a slope of %g, factor %g expected", c.q, c.groups, mask, answer, along, factor)
				}
			}
			if factor <= 0 && (mask || c.groups > 1) {
				t.Errorf("q %d, %d groups: factor %g", c.q, c.groups, factor)
			}
		}
	}
}

// TestGroupsAreNeighbours: if all coordinates are chosen, groups for each pixel are its
// channels, and a quarter as many are squares of two by two pixels.
func TestGroupsAreNeighbours(t *testing.T) {
	m := &Meta{chosen: make([]int, 3*28*28)}
	for i := range m.chosen {
		m.chosen[i] = i
	}
	for _, group := range m.cut([]int{3, 28, 28}, 28*28) {
		if g := group; len(g) != 3 || g[1] != g[0]+784 || g[2] != g[0]+2*784 {
			t.Fatalf("group %v", g)
		}
	}
	for _, group := range m.cut([]int{3, 28, 28}, 28*28/4) {
		for _, i := range group {
			if a, b := group[0]%784, i%784; a/28/2 != b/28/2 || a%28/2 != b%28/2 {
				t.Fatalf("coordinates %d and %d are in a group", group[0], i)
			}
		}
	}
}

// TestMetaNearest: of three classes the one with the second score is far away, and a third
// one near. The estimate leads to the third, unless the goal says another. Scores at the
// point cost a query only if it was not the last that was asked about.
func TestMetaNearest(t *testing.T) {
	net := models.MetaAttackerMNIST(5)
	r := rand.New(rand.NewPCG(5, 1))
	w := [][]float64{normals(r, 784), nil, normals(r, 784)}
	w[1] = slices.Clone(w[0]) // nearly the same slopes as the true class
	w[1][5] += 0.01
	calls := 0
	x := flat(784, 0.5)
	b := make([]float64, 3)
	for c, above := range []float64{30, 20, 10} {
		b[c] = above
		for _, v := range w[c] {
			b[c] -= v * 0.5
		}
	}
	v := rowsVictim(mnist, w, b, &calls)
	for _, c := range []struct {
		goal   Goal
		groups int
		stale  bool
		asks   int
		to     int
	}{
		{Untargeted(0), 784, false, 784, 2}, {Untargeted(0), 784, true, 785, 2}, {Untargeted(0), 0, false, 784, 2},
		{Targeted(0, 1), 784, false, 784, 1}, {Targeted(0, 2), 784, true, 784, 2},
	} {
		est := NewMeta(net)
		est.Coordinates, est.Groups, est.First, est.Step, est.Nearest = 784, c.groups, 1, 1e-2, true
		o := NewObjective(v, c.goal, unitMargin)
		o.Keep = !c.goal.Targeted
		loss, _, err := o.At(context.Background(), x)
		if err != nil {
			t.Fatal(err)
		}
		p := Point{x, loss}
		if c.stale {
			if _, _, err := o.At(context.Background(), flat(784, 0.25)); err != nil {
				t.Fatal(err)
			}
		}
		calls = 0
		g := make([]float64, 784)
		if err := est.Estimate(context.Background(), o, p, g); err != nil {
			t.Fatal(err)
		}
		if calls != c.asks {
			t.Errorf("%+v: %d queries", c, calls)
		}
		var dot, gg, ww float64
		for i, u := range g {
			d := w[0][i] - w[c.to][i]
			dot, gg, ww = dot+u*d, gg+u*u, ww+d*d
		}
		if cosine := dot / math.Sqrt(gg*ww); !(cosine >= 0.999) && c.to == 2 || !(cosine >= 0.7) {
			t.Errorf("%+v: the estimate's cosine with the way to class %d is %.4f", c, c.to, cosine)
		}
	}
	est := NewMeta(net)
	est.Nearest = true
	if err := est.Estimate(context.Background(), NewObjective(v, Untargeted(0), unitMargin), Point{x, 1}, make([]float64, 784)); err == nil {
		t.Error("without Keep it ran")
	}
	est.Central = true
	if err := est.Estimate(context.Background(), NewObjective(v, Targeted(0, 1), unitMargin), Point{x, 1}, make([]float64, 784)); err == nil {
		t.Error("with central differences it ran")
	}
}

// TestGroupsNeedAStep: 1e-9 is nowhere in float32.
func TestGroupsNeedAStep(t *testing.T) {
	calls := 0
	est := NewMeta(models.MetaAttackerMNIST(5))
	est.Groups, est.First, est.Step = 10, 1, 1e-9
	o := NewObjective(rowsVictim(mnist, [][]float64{make([]float64, 784), make([]float64, 784)}, make([]float64, 2), &calls), Untargeted(0), unitMargin)
	if err := est.Estimate(context.Background(), o, Point{flat(784, 0.5), 1}, make([]float64, 784)); err == nil || calls > 0 {
		t.Errorf("%v after %d queries", err, calls)
	}
}

// TestKeptScores: with Keep an objective's losses and classes are the same, and the scores
// those of the victim, whatever its largest batch.
func TestKeptScores(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	w := [][]float64{normals(r, 784), normals(r, 784), normals(r, 784)}
	calls := 0
	whole := rowsVictim(mnist, w, make([]float64, 3), &calls)
	info := whole.Info()
	info.Batch = 3
	v := ScorerFunc(info, func(ctx context.Context, x *tensor.Tensor, out []float64) error { return whole.Scores(ctx, x, out) })
	x := randomImages(8, 8, 1, 28, 28)
	want := make([]float64, 8*3)
	if err := whole.Scores(context.Background(), x, want); err != nil {
		t.Fatal(err)
	}
	plain, kept := NewObjective(v, Untargeted(1), CrossEntropy{}), NewObjective(v, Untargeted(1), CrossEntropy{})
	kept.Keep = true
	for _, n := range []int{8, 2, 7} {
		var a, b [8]float64
		copy(plain.Batch(n), x.Data())
		copy(kept.Batch(n), x.Data())
		as, err := plain.Losses(context.Background(), n, a[:])
		if err != nil {
			t.Fatal(err)
		}
		bs, err := kept.Losses(context.Background(), n, b[:])
		if err != nil || !slices.Equal(as, bs) || a != b {
			t.Fatalf("%d images: %v %v, with Keep %v %v, %v", n, as, a, bs, b, err)
		}
		for i := range n {
			if !slices.Equal(kept.Scores(i), want[3*i:][:3]) {
				t.Errorf("image %d of %d: scores %v, want %v", i, n, kept.Scores(i), want[3*i:][:3])
			}
		}
	}
	// What a budget cuts off is told, and the rest is there.
	kept.Victim = MeterScores(&Ledger{Budget: 4}, AttackAccount, v)
	var loss [8]float64
	copy(kept.Batch(8), x.Data())
	got, err := kept.Losses(context.Background(), 8, loss[:])
	if len(got) != 4 || !errors.Is(err, ErrBudget) || !slices.Equal(kept.Scores(3), want[9:12]) {
		t.Errorf("%d evaluations, %v", len(got), err)
	}
}
