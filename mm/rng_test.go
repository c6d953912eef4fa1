package mm

import "testing"

// Every index must be equally likely, with and without replacement; without, a
// batch holds no index twice.
func TestSampler(t *testing.T) {
	const n, b, draws = 7, 3, 70000
	for _, replace := range []bool{true, false} {
		s := sampler{counter: newCounter(5, streamBatch), n: n}
		idx := make([]int, b)
		count := make([]int, n)
		for range draws {
			s.draw(idx, replace)
			for k, i := range idx {
				count[i]++
				for _, j := range idx[:k] {
					if !replace && i == j {
						t.Fatalf("index %d twice in %v", i, idx)
					}
				}
			}
		}
		for i, c := range count {
			// Standard deviation is at most √(30000·6/7) ≈ 160.
			if c < 30000-800 || c > 30000+800 {
				t.Errorf("replace %v: index %d drawn %d times, want 30000±800", replace, i, c)
			}
		}
	}
}
