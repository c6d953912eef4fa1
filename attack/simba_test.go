package attack

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/zoo"
)

// TestSimBAWalk: each basis vector is tried once, one way and perhaps the other; a
// kept step lowers the loss; the distance grows by a step at most each time.
func TestSimBAWalk(t *testing.T) {
	const eps, d = 0.1, 288
	var best []float32
	bestLoss := math.Inf(1)
	last, tried, accepted, queries := -1, make([]int, d), 0, 0
	clean, _ := watch(t, SimBA{Eps: eps, Loss: unitMarginLoss}, unitMarginLoss, 2*d+10, 0.5, func(i int, x []float32, loss float64) {
		queries++
		if i == 0 {
			best, bestLoss = append(best, x...), loss
			return
		}
		moved := -1
		for p, v := range x {
			if v == best[p] {
				continue
			}
			if moved >= 0 || !(math.Abs(math.Abs(float64(v-best[p]))-eps) <= 1e-6) {
				t.Fatalf("query %d differs from the best at %d and %d, there by %v", i, moved, p, v-best[p])
			}
			moved = p
		}
		if moved >= 0 { // else a pixel at its bound
			if tried[moved]++; tried[moved] > 1 && moved != last || tried[moved] > 2 {
				t.Fatalf("query %d tries pixel %d again", i, moved)
			}
			last = moved
		}
		if loss < bestLoss {
			bestLoss = loss
			copy(best, x)
			accepted++
		}
	})
	if l2 := L2.Distance(best, clean); l2 > eps*math.Sqrt(float64(accepted))+1e-5 || accepted < d/2 {
		t.Errorf("L2 %v after %d steps of %v", l2, accepted, eps)
	}
	if queries < d+1 || queries > 2*d+1 {
		t.Errorf("%d queries for %d basis vectors", queries, d)
	}
}

var unitMarginLoss = zoo.Margin{}

// TestDCTBasis is orthonormal and complete, and its shells are the low block and what
// each growth adds to it, in every plane.
func TestDCTBasis(t *testing.T) {
	shape := []int{2, 5, 7}
	for _, c := range []struct {
		part   float64
		stride int
		shells []int
	}{
		{1, 1, []int{70}},
		{0.4, 2, []int{2 * 2 * 3, 2 * (4*5 - 2*3), 2 * (5*7 - 4*5)}},
		{0.1, 7, []int{2, 2 * 34}},
	} {
		b := SimBA{DCT: true, Fraction: c.part, Stride: c.stride}.basis(shape)
		var order []int
		for _, s := range b.shells {
			order = append(order, s...)
		}
		if sizes := lengths(b.shells); !slices.Equal(sizes, c.shells) {
			t.Fatalf("fraction %v, stride %d: shells of %v, want %v", c.part, c.stride, sizes, c.shells)
		}
		highest := math.Inf(-1) // of the shell before, beyond the block
		for _, s := range b.shells {
			least, most := math.Inf(1), math.Inf(-1)
			for _, k := range s {
				size := math.Max(float64(k/7%5-low(5, c.part)), float64(k%7-low(7, c.part)))
				least, most = min(least, size), max(most, size)
			}
			if least = max(least, -1); !(least > highest) { // the block begins anywhere below 0
				t.Errorf("fraction %v: a shell has a frequency %v beyond the block, the one before it up to %v", c.part, least, highest)
			}
			highest = most
		}
		v := make([][]float32, len(order))
		for k := range v {
			v[k] = make([]float32, 70)
			b.add(v[k], order[k], 1)
			for j := range k + 1 {
				var dot float64
				for i := range v[k] {
					dot += float64(v[k][i]) * float64(v[j][i])
				}
				want := 0.0
				if j == k {
					want = 1
				}
				if !(math.Abs(dot-want) <= 1e-6) {
					t.Fatalf("<%d, %d> = %v", k, j, dot)
				}
			}
		}
	}
}

func lengths(shells [][]int) []int {
	var n []int
	for _, s := range shells {
		n = append(n, len(s))
	}
	return n
}

// TestSimBAGoesOn: with the default block of 4 by 4 frequencies of 28 by 28 the attack
// goes on to the next shells, permuted within each, and through all of them.
func TestSimBAGoesOn(t *testing.T) {
	b := SimBA{DCT: true}.defaults().basis([]int{1, 28, 28})
	if got, want := lengths(b.shells), []int{16, 11*11 - 16, 18*18 - 11*11, 25*25 - 18*18, 28*28 - 25*25}; !slices.Equal(got, want) {
		t.Fatalf("shells of %v, want %v", got, want)
	}
	order := slices.Collect(b.order(rand.New(rand.NewPCG(1, 1))))
	for _, s := range b.shells {
		got := slices.Clone(order[:len(s)])
		if slices.Equal(got, s) {
			t.Errorf("a shell of %d is not permuted", len(s))
		}
		slices.Sort(got)
		if !slices.Equal(got, s) {
			t.Errorf("shell %v is tried as %v", s, got)
		}
		order = order[len(s):]
	}
	v := newLinear(6, 2, 1, 28, 28)
	v.b[0] = 1e4
	s := v.samples(1, 1)[0]
	job := WithScores(SimBA{DCT: true, Eps: 0.01}, v)
	rec, err := job.Attack(context.Background(), s, zoo.Untargeted(0), 5000, 1)
	if err != nil || rec.Queries < 784+1 || rec.Queries > 2*784+1 || rec.Stop != StopIterations {
		t.Errorf("%d queries, stop %q, %v", rec.Queries, rec.Stop, err)
	}
}
