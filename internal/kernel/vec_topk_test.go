package kernel

import (
	"math"
	"slices"
	"testing"
)

func TestTopKAbs(t *testing.T) {
	rng := newRand(t)
	nan := float32(math.NaN())
	values := []float32{0, 1, -1, 2, -2, 3, nan, -nan, float32(math.Inf(1)), float32(math.Inf(-1)), 1e-45, -1e-45, math.Float32frombits(0x7fc12345)}
	for n := range 200 {
		x := normal(rng, n)
		if n%2 == 0 { // mostly ties
			for i := range x {
				x[i] = values[rng.Intn(len(values))]
			}
		}
		want := make([]int, n)
		for i := range want {
			want[i] = i
		}
		slices.SortStableFunc(want, func(i, j int) int {
			a, b := math.Abs(float64(x[i])), math.Abs(float64(x[j]))
			switch {
			case a != a && b == b || a > b:
				return -1
			case b != b && a == a || b > a:
				return 1
			}
			return 0
		})
		for k := 0; k <= n; k += 1 + k/8 {
			got := make([]int, k)
			TopKAbs(got, x, k)
			if !slices.Equal(got, want[:k]) {
				t.Fatalf("top %d of %v: %v, want %v", k, x, got, want[:k])
			}
		}
	}
}

// TestTopKAbsLong sorts by counting.
func TestTopKAbsLong(t *testing.T) {
	x := normal(newRand(t), 50000)
	for i := range x {
		x[i] = float32(math.Round(float64(x[i]) * 1000))
	}
	idx := make([]int, 20000)
	TopKAbs(idx, x, len(idx))
	seen := map[int]bool{}
	for i, k := range idx {
		if seen[k] {
			t.Fatalf("index %d twice", k)
		}
		seen[k] = true
		if i > 0 {
			p := idx[i-1]
			if abs(x[p]) < abs(x[k]) || abs(x[p]) == abs(x[k]) && p > k {
				t.Fatalf("place %d: %v at %d after %v at %d", i, x[k], k, x[p], p)
			}
		}
	}
	least := abs(x[idx[len(idx)-1]])
	for i, v := range x {
		if !seen[i] && abs(v) > least {
			t.Fatalf("%v at %d is missing", v, i)
		}
	}
}
