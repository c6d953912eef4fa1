package attack

import (
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// TestAutoZOOMSchedule follows the attack with a computation of its own, where the
// periods of three fail, fail, succeed, fail: the weight of the hinge goes 2, 20, 200, 110, 155; an
// estimate takes one direction until the success and three from then on; Adam begins anew
// at the success, not at a later one, and at each later change of the weight.
func TestAutoZOOMSchedule(t *testing.T) {
	const d, lr, success, again, iterations = 16, 0.01, 8, 14, 16
	weights := map[int]float64{0: 2, 3: 20, 6: 200, 9: 110, 12: 155, 15: 0}
	var images [][]float64 // less the clean one
	var hinges []float64
	a := AutoZOOM{Decoder: Bilinear{4}, LR: lr, Weight: 2, Switch: 3, Directions: 3, Iterations: iterations}
	// A query is an iterate where the schedule says so.
	iterate, left := 0, 0
	if _, err := script(a, 4, 1000, func(_ int, x *tensor.Tensor, scores []float64) {
		for k := range x.Dim(0) {
			var w []float64
			for _, p := range x.Index(k).Data() {
				w = append(w, float64(p)-0.5)
			}
			images = append(images, w)
			if left > 0 {
				left--
			} else {
				if iterate == success || iterate == again {
					scores[2*k], scores[2*k+1] = 0, 1
				}
				switch {
				case iterate > 0 && iterate%3 == 0: // no estimate where the weight changes
				case iterate < success:
					left = 1
				default:
					left = 3
				}
				iterate++
			}
			hinges = append(hinges, max(scores[2*k]-scores[2*k+1], 0))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if iterate != iterations || left != 0 {
		t.Fatalf("%d iterates, %d queries left over; want %d", iterate, left, iterations)
	}
	loss := func(q int, weight float64) float64 {
		sum := weight * hinges[q]
		for _, v := range images[q] {
			sum += v * v
		}
		return sum
	}
	opt := newAdam(d, lr)
	want := make([]float64, d)
	weight := weights[0]
	q := 0
	for i := range iterations {
		if !slices.EqualFunc(images[q], want, func(a, b float64) bool { return math.Abs(a-b) <= 3e-7 }) {
			t.Fatalf("iterate %d is at %.5f, want %.5f", i, images[q], want)
		}
		code, at := slices.Clone(images[q]), loss(q, weight)
		q++
		if i == success {
			opt.reset()
		}
		if w, ok := weights[i]; ok && i > 0 {
			weight = w
			if i > success {
				opt.reset()
			}
			want = code
			continue
		}
		directions := 1
		if i >= success {
			directions = 3
		}
		g := make([]float64, d)
		for range directions {
			slope := (loss(q, weight) - at) * d * d * d / float64(directions) // over β², times d; β = 1/d
			for j, v := range images[q] {
				g[j] += slope * (v - code[j])
			}
			q++
		}
		for j := range g {
			want[j] = code[j] - opt.step(j, g[j])
		}
	}
}
