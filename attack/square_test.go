package attack

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/zoo"
)

// watch runs an attack against a linear victim that is never beaten, from an image
// that is grey but for two pixels, until the budget ends, and shows each query and
// its loss.
func watch(t *testing.T, a ScoreAttack, loss zoo.Loss, budget int, grey float32, see func(i int, x []float32, loss float64)) (clean []float32, v *linear) {
	t.Helper()
	v = newLinear(6, 3, 2, 12, 12)
	v.b[0] = 1e4
	s := v.samples(1, 1)[0]
	s.X.Fill(grey)
	s.X.Data()[3], s.X.Data()[5] = 0, 1
	ledger := &zoo.Ledger{Budget: budget}
	goal := zoo.Untargeted(0)
	try := &Try{Clean: s.X, Goal: goal, Seed: 1, norm: a.About().Norm, ledger: ledger}
	i := 0
	rec := recorder{Scorer: v, see: func(x []float32, scores []float64) {
		see(i, x, loss.Value(scores, zoo.Logits, goal))
		i++
	}}
	if err := a.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, rec), try); err != nil && i != budget {
		t.Fatalf("after %d queries: %v", i, err)
	}
	return s.X.Data(), v
}

// TestSquareProposals: every query is the best so far but for a square of the
// scheduled side (two squares for L2), lies on the ball, and replaces the best if
// its loss is lower.
func TestSquareProposals(t *testing.T) {
	margin := zoo.Loss{Kind: zoo.Margin, Scale: 1}
	const side, budget = 12, 600
	for _, c := range []struct {
		a   Square
		eps float64
	}{{Square{Norm: Linf, Eps: 0.2, P: 0.3}, 0.2}, {Square{Eps: 0.5, P: 0.3}, 0.5}} {
		var queries [][]float32
		var losses []float64
		clean, _ := watch(t, c.a, margin, budget, 0.5, func(_ int, x []float32, loss float64) {
			queries, losses = append(queries, slices.Clone(x)), append(losses, loss)
		})
		s := squareSearch{h: side, w: side, p: c.a.P}
		best, accepted := 0, 0
		for i, x := range queries {
			for p, v := range x {
				d := math.Abs(float64(v) - float64(clean[p]))
				inside := clean[p] == 0.5
				if c.a.Norm == Linf && inside && math.Abs(d-c.eps) > 1e-6 {
					t.Fatalf("query %d moves pixel %d by %v", i, p, d)
				}
				if c.a.Norm == Linf && !inside && d > 1e-6 && math.Abs(d-c.eps) > 1e-6 {
					t.Fatalf("query %d moves pixel %d, at a bound, by %v", i, p, d)
				}
			}
			// The two pixels at bounds may have lost their share to clipping.
			if l2 := L2.Distance(x, clean); c.a.Norm == L2 && (l2 > c.eps+1e-5 || l2 < 0.9*c.eps) {
				t.Fatalf("query %d has L2 %v, want %v", i, l2, c.eps)
			}
			if i == 0 {
				continue
			}
			if c.a.Norm == Linf { // the pixels that differ from the best fit the square
				n := s.side(s.share(i-1, budget), 1)
				top, left, bottom, right := side, side, -1, -1
				for p, v := range x {
					if v != queries[best][p] {
						y, x := p/side%side, p%side
						top, left, bottom, right = min(top, y), min(left, x), max(bottom, y), max(right, x)
					}
				}
				if bottom-top >= n || right-left >= n {
					t.Fatalf("query %d changes rows %d to %d, columns %d to %d; the square has side %d", i, top, bottom, left, right, n)
				}
			}
			if losses[i] < losses[best] {
				best = i
				accepted++
			}
		}
		if accepted < 10 {
			t.Errorf("%v: only %d proposals were better", c.a.Norm, accepted)
		}
	}
}

// TestSquareSchedule is the paper's table, for its budget and another.
func TestSquareSchedule(t *testing.T) {
	s := squareSearch{p: 0.8}
	for i, at := range []int{0, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001} {
		want := 0.8 / math.Pow(2, float64(i))
		if got := s.share(at, 10000); got != want {
			t.Errorf("share at %d: %v, want %v", at, got, want)
		}
		if got := s.share(at-1, 10000); i > 0 && got != 2*want {
			t.Errorf("share at %d: %v, want %v", at-1, got, 2*want)
		}
		if got := s.share(10*at, 100000); got != want {
			t.Errorf("share at %d of 100,000: %v, want %v", 10*at, got, want)
		}
	}
}
