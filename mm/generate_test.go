package mm

import (
	"math"
	"testing"
)

// The generators have the shapes they promise: unit rows, ascending columns, both
// labels, and the densities of what they imitate; equal seeds give equal data.
func TestGenerators(t *testing.T) {
	check := func(what string, x Rows, y []float64, density float64) {
		t.Helper()
		n, p := x.Dims()
		nz, plus := 0, 0
		for i := range n {
			last := -1
			x.Do(i, func(j int, v float64) {
				if j <= last || j >= p {
					t.Fatalf("%s: row %d has column %d after %d", what, i, j, last)
				}
				last = j
				nz++
			})
			if s := sqRow(x, i); last >= 0 && math.Abs(s-1) > 1e-12 {
				t.Fatalf("%s: row %d has squared norm %g", what, i, s)
			}
			if y[i] == 1 {
				plus++
			} else if y[i] != -1 {
				t.Fatalf("%s: label %g", what, y[i])
			}
		}
		if got := float64(nz) / float64(n*p); !(math.Abs(got-density) <= 0.1*density) {
			t.Errorf("%s: density %g, want about %g", what, got, density)
		}
		if plus < n/20 || plus > n-n/20 {
			t.Errorf("%s: %d of %d labels are +1", what, plus, n)
		}
	}
	x, y := OneHot(2000, 1)
	if x.P != 123 {
		t.Errorf("one-hot columns %d, want 123", x.P)
	}
	check("one-hot", x, y, 14.0/123)
	w, y := SparseBinary(2000, 300, 0.04, 2)
	check("binary", w, y, 0.04)
	g, y := Gaussian(2000, 22, 3)
	check("dense", g, y, 1)
	c, y := Text(2000, 4000, 60, 4)
	check("text", c, y, 47.0/4000) // 60 words, repetitions merged
	again, y2 := Text(2000, 4000, 60, 4)
	if !sameSamples(&Samples{c, y}, &Samples{again, y2}) {
		t.Error("equal seeds give different texts")
	}
	z, u := Spiked(4000, 20, 5, 6, 5)
	// Along the spike the variance is (1+6)/(20+6), across it 1/26.
	along := 0.0
	for i := range 4000 {
		d := z.Dot(i, u)
		along += d * d / 4000
	}
	if !(math.Abs(along-7.0/26) <= 0.03) || !(math.Abs(norm(u)-1) <= 1e-12) {
		t.Errorf("variance %g along a spike of norm %g, want %g", along, norm(u), 7.0/26)
	}
}
