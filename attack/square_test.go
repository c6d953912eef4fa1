package attack

import (
	"context"
	"math"
	"math/rand/v2"
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
	margin := zoo.Margin{}
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

// TestBump compares with the table of a 5x5 bump worked out by hand: squares of sides
// 1, 3 and 5 about the middle of each half, of weights 1, 1/4 and 1/9.
func TestBump(t *testing.T) {
	const a, b, c = 1 + 1./4 + 1./9, 1./4 + 1./9, 1. / 9
	upper := []float64{c, b, b, b, c, c, b, a, b, c}
	lower := []float64{c, b, b, b, c, c, b, a, b, c, c, b, b, b, c}
	normalise(upper)
	normalise(lower)
	want := slices.Clone(upper)
	for _, v := range lower {
		want = append(want, -v)
	}
	normalise(want)
	s := squareSearch{rand: rand.New(rand.NewPCG(1, 1))}
	upright := 0
	for range 20 {
		if got := s.bump(5); same(got, want) {
			upright++
		} else if !same(got, transpose(want)) {
			t.Fatalf("bump %.4f, want %.4f or its transpose", got, want)
		}
	}
	if upright < 3 || upright > 17 {
		t.Errorf("%d of 20 bumps are not transposed", upright)
	}
	for side := 1; side <= 12; side++ {
		got := s.bump(side)
		if got[side-1] < 0 { // side by side
			got = transpose(got)
		}
		var sum float64
		for i, v := range got {
			sum += v * v
			if upper := i/side < side/2; upper != (v > 0) {
				t.Errorf("side %d: value %d is %v", side, i, v)
			}
		}
		if !(math.Abs(sum-1) <= 1e-9) {
			t.Errorf("side %d: squared length %v", side, sum)
		}
	}
}

func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) <= 1e-4 })
}

func transpose(b []float64) []float64 {
	n := int(math.Sqrt(float64(len(b))))
	t := make([]float64, len(b))
	for i, v := range b {
		t[i%n*n+i/n] = v
	}
	return t
}

// isBump reports whether v is a bump, up to sign.
func isBump(v []float64) bool {
	side := int(math.Sqrt(float64(len(v))))
	want := (&squareSearch{rand: rand.New(rand.NewPCG(1, 1))}).bump(side)
	minus := slices.Clone(want)
	for i := range minus {
		minus[i] = -minus[i]
	}
	return same(v, want) || same(v, minus) || same(v, transpose(want)) || same(v, transpose(minus))
}

// TestSquareBeginsWithTiles: the first L2 image has five by five bumps of 5x5 in the
// middle of 28x28.
func TestSquareBeginsWithTiles(t *testing.T) {
	const n, eps, tile = 28, 0.5, 5
	s := squareSearch{clean: slices.Repeat([]float32{0.5}, n*n), rand: rand.New(rand.NewPCG(2, 2)), planes: 1, h: n, w: n, eps: eps}
	x := make([]float32, n*n)
	s.beginBumps(x)
	covered := 0
	signs := map[bool]int{}
	for top := 1; top < 26; top += tile {
		for left := 1; left < 26; left += tile {
			var b []float64
			for i := range tile * tile {
				b = append(b, (float64(x[(top+i/tile)*n+left+i%tile])-0.5)*5/eps) // 25 tiles of equal length
				covered++
			}
			if !isBump(b) {
				t.Fatalf("tile at %d, %d is %.3f", top, left, b)
			}
			signs[b[0] > 0]++
		}
	}
	p := distances(x, s.clean)
	moved, l2 := p.L0, p.L2
	if moved != covered || !(math.Abs(l2-eps) <= 1e-5) || len(signs) != 2 {
		t.Errorf("%d pixels moved of %d in tiles, L2 %v, signs %v", moved, covered, l2, signs)
	}
}

// TestSquareWindows: a proposal of the L2 attack empties one window and gives another
// what was in the two, and what the ball had left, as a bump added to what was there;
// nothing else changes.
func TestSquareWindows(t *testing.T) {
	const n, planes, eps = 12, 2, 0.5
	r := rand.New(rand.NewPCG(3, 3))
	covered, signs := 0, map[[2]bool]int{}
	for trial := range 60 {
		used := []float64{1, 0.5}[trial%2] // of eps
		share := []float64{0.01, 0.1, 0.25}[trial%3]
		side := []int{3, 5, 7}[trial%3] // sqrt(share·144) is 1.2, 3.8, 6: at least 3, and odd
		s := squareSearch{clean: slices.Repeat([]float32{0.5}, planes*n*n), rand: r, planes: planes, h: n, w: n, eps: eps}
		d := make([]float64, planes*n*n)
		for i := range d {
			d[i] = r.NormFloat64()
		}
		normalise(d)
		x := make([]float32, len(d))
		for i := range d {
			x[i] = float32(0.5 + used*eps*d[i])
			d[i] = float64(x[i]) - 0.5
		}
		s.proposeBump(x, share)
		var positive [planes]bool
		for c := range planes {
			old, now := d[c*n*n:(c+1)*n*n], make([]float64, n*n)
			var window, emptied []int
			var before, after float64
			for i := range now {
				now[i] = float64(x[c*n*n+i]) - 0.5
				before += old[i] * old[i]
				after += now[i] * now[i]
				switch {
				case math.Abs(now[i]) < 1e-9:
					emptied = append(emptied, i)
				case math.Abs(now[i]-old[i]) > 2e-7: // more than rounding
					window = append(window, i)
				}
			}
			if len(window) != side*side || span(window, n) != side || span(emptied, n) > side {
				t.Fatalf("trial %d: %d values of a window of side %d change, %d are emptied (%v and %v)", trial, len(window), side, len(emptied), window, emptied)
			}
			if len(emptied) < side*side && !touch(window, emptied, n) {
				t.Fatalf("trial %d: only %d values are emptied", trial, len(emptied))
			}
			if len(emptied) == 0 {
				covered++
			}
			if spare := eps * eps * (1 - used*used) / planes; !(math.Abs(after-before-spare) <= 1e-5) {
				t.Errorf("trial %d: plane %d goes from a squared length of %v to %v, want %v more", trial, c, before, after, spare)
			}
			// The new content is f·(±bump + old/|old|), the bump of unit length.
			var was, is []float64
			for _, i := range window {
				was, is = append(was, old[i]), append(is, now[i])
			}
			normalise(was)
			normalise(is)
			var dot float64
			for i := range is {
				dot += is[i] * was[i]
			}
			for i := range is {
				is[i] = 2*dot*is[i] - was[i]
			}
			if !isBump(is) {
				t.Fatalf("trial %d: %.3f was added to the window", trial, is)
			}
			positive[c] = is[0] > 0
		}
		signs[positive]++
	}
	if covered > 6 || len(signs) != 4 {
		t.Errorf("%d windows cover the other, signs of the two planes %v", covered, signs)
	}
}

// span is the larger side of the rectangle round cells of a plane of width n.
func span(cells []int, n int) int {
	top, left, bottom, right := n, n, -1, -1
	for _, i := range cells {
		top, left, bottom, right = min(top, i/n), min(left, i%n), max(bottom, i/n), max(right, i%n)
	}
	return max(bottom-top, right-left) + 1
}

// touch reports whether a cell of a is next to one of b, as where one window covers
// a part of another.
func touch(a, b []int, n int) bool {
	for _, i := range a {
		for _, j := range b {
			if dy, dx := i/n-j/n, i%n-j%n; dy*dy+dx*dx == 1 {
				return true
			}
		}
	}
	return len(b) == 0 // wholly covered
}

// TestSquareThin: images with a side of 1 are displaced too.
func TestSquareThin(t *testing.T) {
	for _, shape := range [][2]int{{1, 12}, {12, 1}, {1, 1}} {
		s := squareSearch{clean: slices.Repeat([]float32{0.5}, 12), rand: rand.New(rand.NewPCG(1, 1)), planes: 12 / (shape[0] * shape[1]), h: shape[0], w: shape[1], eps: 0.2}
		changed := 0
		for range 20 {
			x := slices.Clone(s.clean)
			s.proposeLinf(x, 0.05)
			if !slices.Equal(x, s.clean) {
				changed++
			}
		}
		if changed != 20 {
			t.Errorf("%v: %d of 20 proposals change something", shape, changed)
		}
	}
}
