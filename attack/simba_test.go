package attack

import (
	"math"
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

var unitMarginLoss = zoo.Loss{Kind: zoo.Margin, Scale: 1}

// TestDCTBasisIsOrthonormal, and holds the lowest frequencies of every plane.
func TestDCTBasisIsOrthonormal(t *testing.T) {
	shape := []int{2, 5, 7}
	for _, c := range []struct {
		part  float64
		count int
	}{{1, 70}, {0.4, 2 * 2 * 3}} {
		b := SimBA{DCT: true, Fraction: c.part}.basis(shape)
		if b.count != c.count {
			t.Fatalf("fraction %v: %d vectors, want %d", c.part, b.count, c.count)
		}
		v := make([][]float32, b.count)
		for k := range v {
			v[k] = make([]float32, 70)
			b.add(v[k], k, 1)
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
