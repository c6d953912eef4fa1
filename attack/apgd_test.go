package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// golden is what testdata/autoattack/reference.py wrote.
type golden struct {
	Checkpoints map[string][]int
	APGD        struct {
		A, B [][]float64
		X    []float64
		Y    int
		Runs []struct {
			Norm   Norm
			Eps    float64
			Loss   string
			Target int
			Trace  [][]any // the loss and the step's length, and at a checkpoint whether it is halved
		}
	}
}

func readGolden(t *testing.T) (g golden) {
	b, err := os.ReadFile("testdata/autoattack/golden.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// smooth is a white box with logits B·tanh(A·(x - 1/2)), and records the losses it is
// asked for.
type smooth struct {
	a, b   [][]float64
	losses []float64
}

func (s *smooth) Info() zoo.Info {
	return zoo.Info{Name: "smooth", Shape: []int{1, 4, 4}, Classes: len(s.b)}
}

func (s *smooth) hidden(x []float32) []float64 {
	h := make([]float64, len(s.a))
	for j, w := range s.a {
		for i, v := range x {
			h[j] += w[i] * (float64(v) - 0.5)
		}
		h[j] = math.Tanh(h[j])
	}
	return h
}

func (s *smooth) Scores(_ context.Context, x *tensor.Tensor, out []float64) error {
	for i := range x.Dim(0) {
		h := s.hidden(x.Index(i).Data())
		for k, w := range s.b {
			out[i*len(s.b)+k] = 0
			for j, v := range h {
				out[i*len(s.b)+k] += w[j] * v
			}
		}
	}
	return nil
}

func (s *smooth) Gradients(ctx context.Context, x *tensor.Tensor, loss zoo.DifferentiableLoss, goals []zoo.Goal, out []float64, grad *tensor.Tensor) error {
	if err := s.Scores(ctx, x, out); err != nil {
		return err
	}
	k := len(s.b)
	dz, scratch := make([]float32, k), make([]float64, k)
	for i := range x.Dim(0) {
		row := out[i*k : (i+1)*k]
		s.losses = append(s.losses, loss.Value(row, zoo.Logits, goals[i]))
		zoo.Cotangent(dz, scratch, loss, row, goals[i])
		h := s.hidden(x.Index(i).Data())
		g := make([]float64, x.Len()/x.Dim(0))
		for j, w := range s.a {
			var d float64
			for c, v := range dz {
				d += float64(v) * s.b[c][j]
			}
			for p := range g {
				g[p] += d * (1 - h[j]*h[j]) * w[p]
			}
		}
		for p, v := range g {
			grad.Index(i).Data()[p] = float32(v)
		}
	}
	return nil
}

// TestAPGDFollowsTheReference: from the same start the losses are those of the PyTorch
// implementation, through all halvings.
func TestAPGDFollowsTheReference(t *testing.T) {
	g := readGolden(t)
	for _, run := range g.APGD.Runs {
		t.Run(fmt.Sprint(run.Norm, run.Eps, run.Loss, run.Target), func(t *testing.T) {
			v := &smooth{a: g.APGD.A, b: g.APGD.B}
			clean := tensor.New(1, 4, 4)
			for i, p := range g.APGD.X {
				clean.Data()[i] = float32(p)
			}
			start := clean.Clone()
			for i := range start.Data() {
				start.Data()[i] += float32(run.Eps)
			}
			run.Norm.ProjectBox(start.Data(), clean.Data(), run.Eps)
			// A goal that no answer achieves: the attack is to go on.
			try := &Try{Clean: clean, Goal: zoo.Targeted(g.APGD.Y, 99), norm: run.Norm, ledger: &zoo.Ledger{}}
			a := APGD{Norm: run.Norm, Eps: run.Eps}
			if run.Loss == "dlr" {
				a.Loss = zoo.DLR{}
			}
			a = a.defaults()
			r := apgdRun{APGD: a, t: try, b: newWhiteBox(v, try, a.Loss)}
			r.b.goal = zoo.Untargeted(g.APGD.Y)
			if run.Target >= 0 {
				r.b.goal = zoo.Targeted(g.APGD.Y, run.Target)
			}
			if _, err := r.climb(context.Background(), start.Data(), run.Eps, 100, 0); err != nil {
				t.Fatal(err)
			}
			if len(v.losses) != 101 {
				t.Fatalf("%d gradients for 100 iterations", len(v.losses))
			}
			for i, row := range run.Trace {
				// What float32 rounds grows a little from step to step.
				want, got := row[0].(float64), -v.losses[i+1]
				if math.Abs(got-want) > 2e-4*(1+math.Abs(want)) {
					t.Fatalf("loss %v after %d iterations, want %v", got, i+1, want)
				}
			}
		})
	}
}

// TestSchedule: the checkpoints are those of the reference, a loss that falls at every
// step keeps the step, one that does not halves it, and after a checkpoint without a
// halving one without a better best halves as well.
func TestSchedule(t *testing.T) {
	for text, want := range readGolden(t).Checkpoints {
		var n int
		fmt.Sscan(text, &n)
		s := newSchedule(n, 0.75, 1, 0)
		var got []int
		for i := range n {
			if s.seen(0, 0) {
				got = append(got, i+1)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d iterations: checkpoints %v, want %v", n, got, want)
		}
	}
	s := newSchedule(100, 0.75, 1, 0)
	for i := range 22 + 19 {
		if s.seen(-float64(i+1), -float64(i+1)) {
			t.Fatalf("halved after %d improvements", i+1)
		}
	}
	for i := range 16 { // each step better than the one before, and none than the best
		if halved := s.seen(100-float64(i), -41); halved != (i == 15) {
			t.Fatalf("halved %v after %d steps below the best", halved, i+1)
		}
	}
	// At a checkpoint, 12 improvements of 16 are not more than three quarters.
	for improved, want := range map[int]bool{16: true, 17: false} {
		s := newSchedule(100, 0.75, 1, 0)
		loss := 0.0
		halved := false
		for i := range 22 {
			if i < improved {
				loss--
			}
			halved = s.seen(loss, loss)
		}
		if halved != want || s.size != map[bool]float64{true: 0.5, false: 1}[want] {
			t.Errorf("%d improvements of 22: halved %v, step %v", improved, halved, s.size)
		}
	}
}

// TestAPGDCounts: the queries are what the documentation says, of a victim that cannot be
// broken.
func TestAPGDCounts(t *testing.T) {
	v := newLinear(1, 6, 1, 6, 6)
	v.b[2] = 1e6
	s := v.samples(1, 1)[0]
	for _, c := range []struct {
		a    GradientAttack
		want int
	}{
		{APGD{Norm: Linf}, 101}, {APGD{Restarts: 3, Iterations: 10}, 33}, {APGD{Targets: 9, Iterations: 10}, 1 + 5*11}, {APGD{Repeats: 4, Iterations: 10}, 44},
		{APGD{Norm: L1, Iterations: 20}, 23},
		{FAB{}, 5 * 101}, {FAB{Targets: 2}, 1 + 2*101}, {FAB{Targets: 2, Restarts: 2, Iterations: 5}, 1 + 4*6},
		{AutoAttack{Norm: Linf}, 101 + 1 + 5*101 + 1 + 5*101 + 5001}, {AutoAttack{Version: "rand"}, 2 * 20 * 101},
		{AutoAttack{Version: "plus"}, 5*101 + 5*101 + 5*5*101 + 5001 + 1 + 5*101 + 1 + 5*101},
	} {
		v.count.Store(0)
		job := WithGradients(c.a, v)
		rec, err := job.Attack(context.Background(), s, zoo.Untargeted(2), 20000, 1)
		if err != nil {
			t.Fatal(err)
		}
		if rec.Success || rec.Queries != c.want || int(v.count.Load()) != c.want+1 {
			t.Errorf("%+v: %d queries, want %d; the victim saw %d; success %v", c.a, rec.Queries, c.want, v.count.Load(), rec.Success)
		}
	}
}

// TestL1StepIsSparse: a step moves the pixels of the largest gradients, together by the
// step's length.
func TestL1StepIsSparse(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	clean := slices.Repeat([]float32{0.5}, 100)
	s := newSparsity(100, 6, 0.2, clean, clean)
	now := &apgdState{x: slices.Clone(clean), g: make([]float32, 100)}
	for i := range now.g {
		now.g[i] = float32(r.NormFloat64())
	}
	next := make([]float32, 100)
	s.step(next, now)
	d := distances(next, clean)
	if d.L0 != 20 || math.Abs(d.L1-6) > 1e-5 {
		t.Errorf("%d pixels moved by %v together, want 20 and 6", d.L0, d.L1)
	}
	least := math.Inf(1)
	for i, v := range next {
		if v != clean[i] {
			least = min(least, math.Abs(float64(now.g[i])))
			if (v < clean[i]) != (now.g[i] > 0) {
				t.Fatalf("pixel %d moves with its gradient", i)
			}
		}
	}
	for i, v := range next {
		if v == clean[i] && math.Abs(float64(now.g[i])) > least {
			t.Fatalf("pixel %d has a larger gradient than one that moved", i)
		}
	}
	// Fewer pixels than before: the step is long again; as many: it shrinks, to a tenth.
	s.since = s.period - 1
	s.moved, s.size = 50, 1
	if !s.seen(next) || s.size != 6 || math.Abs(s.share-20./100/1.5) > 1e-12 {
		t.Errorf("after fewer pixels: step %v, share %v", s.size, s.share)
	}
	for range 10 * s.period {
		if s.seen(next) {
			t.Fatal("went back though no fewer pixels moved")
		}
	}
	if math.Abs(s.size-0.6) > 1e-12 {
		t.Errorf("step %v, want a tenth of 6", s.size)
	}
}

// TestFABOvershoot: on a linear victim the points' distances, over that to the border,
// follow from overshoot, pull and step back alone.
func TestFABOvershoot(t *testing.T) {
	ratio, at := math.Inf(1), 0.0
	for range 100 {
		alpha := min((1-at)/(2-at), 0.1)
		now := (at+1.05*(1-at))*(1-alpha) + 1.05*alpha
		ratio, at = min(ratio, now), 0.9*now
	}
	v := newLinear(7, 2, 1, 5, 5)
	v.b[0] = 2.5
	for _, n := range []Norm{L2, Linf} {
		for _, s := range v.samples(8, 4) {
			job := WithGradients(FAB{Norm: n}, v)
			rec, err := job.Attack(context.Background(), s, zoo.Untargeted(s.Label), 1000, 1)
			if err != nil {
				t.Fatal(err)
			}
			exact := v.edge(s.X.Data(), s.Label)
			if n == Linf {
				exact = v.edgeLinf(s.X.Data(), s.Label)
			}
			if got := rec.Best.Distance(n) / exact; math.Abs(got-ratio) > 1e-4 {
				t.Errorf("%v: %v times the distance, want %v", n, got, ratio)
			}
		}
	}
}
