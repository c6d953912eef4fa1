package report

import (
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

func TestMontage(t *testing.T) {
	gray := tensor.FromSlice([]float32{0.1, 0.2, 0.3, 0.4}, 2, 1, 1, 2)
	rgb := tensor.FromSlice([]float32{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0, 1, 0.15}, 2, 3, 1, 2)
	m := Montage([]*tensor.Tensor{gray, rgb}, 2)
	if want := []int{3, 2 + 2 + 2, 4 + 2 + 4}; !slices.Equal(m.Shape(), want) {
		t.Fatalf("shape %v, want %v", m.Shape(), want)
	}
	for _, c := range []struct {
		want float32
		at   [3]int
		what string
	}{{0.1, [3]int{2, 1, 1}, "gray in blue"}, {0.4, [3]int{0, 0, 8}, "the second gray picture"}, {1, [3]int{0, 0, 5}, "the gap"},
		{0.3, [3]int{1, 4, 0}, "green of the second row"}, {0.15, [3]int{2, 5, 9}, "the last pixel"}} {
		if got := m.At(c.at[:]...); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestScatter(t *testing.T) {
	y := tensor.FromSlice([]float32{-1, -1, 1, 1, -1, 1}, 3, 2)
	m := Scatter(y, []int{0, 1, 12})
	side := m.Dim(1)
	for _, c := range []struct {
		x, y, label int
		shade       float32
	}{{2, 2, 0, 1}, {side - 4, side - 4, 1, 1}, {2, side - 4, 2, 0.5}} {
		for k := range 3 {
			if got, want := m.At(k, c.y, c.x), colours[c.label][k]*c.shade; got != want {
				t.Errorf("channel %d at %d, %d is %v, want %v", k, c.x, c.y, got, want)
			}
		}
	}
	if m.At(0, side/2, side/2) != 1 {
		t.Error("the ground is not white")
	}
}

func TestCalibrated(t *testing.T) {
	s := Calibrated("a", []eval.Bin{{Count: 0, Confidence: 9}, {Count: 2, Confidence: 0.4, Accuracy: 0.5}})
	if s.Name != "a" || !slices.Equal(s.X, []float64{0.4}) || !slices.Equal(s.Y, []float64{0.5}) {
		t.Errorf("%+v", s)
	}
}

func TestDifference(t *testing.T) {
	a, b := tensor.FromSlice([]float32{0.5, 0.5, 0.25}, 3), tensor.FromSlice([]float32{0.25, 0.5, 0.375}, 3)
	if d := Difference(a, b).Data(); !slices.Equal(d, []float32{1, 0.5, 0.25}) {
		t.Errorf("%v, want 1, 0.5, 0.25", d)
	}
	if d := Difference(b, b).Data(); !slices.Equal(d, []float32{0.5, 0.5, 0.5}) {
		t.Errorf("no difference is %v", d)
	}
}
