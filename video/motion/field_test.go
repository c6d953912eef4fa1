package motion

import (
	"fmt"
	"testing"
)

func TestField(t *testing.T) {
	f := NewField(2, 3)
	if !f.Zero() || f.Distinct() != 1 {
		t.Errorf("a new field moves: %v", f)
	}
	f.DX = []float32{1, 1.4, -0.5, 0, 0, 0.5}
	f.DY = []float32{0, 0.3, 0, 0, -0.2, 0}
	// (1,0) twice, (-1,0), (0,0) twice, (1,0) again.
	if f.Zero() || f.Distinct() != 3 {
		t.Errorf("%d distinct vectors in %v", f.Distinct(), f)
	}
	if g := FieldOf(f.Tensor()); fmt.Sprint(g) != fmt.Sprint(f) {
		t.Errorf("%v became %v", f, g)
	}
	r := f.Resize(4, 3)
	if got := fmt.Sprint(r.DX, r.DY); got != "[1 1.4 -0.5 1 1.4 -0.5 0 0 0.5 0 0 0.5] [0 0.6 0 0 0.6 0 0 -0.4 0 0 -0.4 0]" {
		t.Errorf("resized: %v", got)
	}
	r = f.Resize(1, 6)
	if got := fmt.Sprint(r.DX); got != "[0 0 0 0 1 1]" {
		t.Errorf("resized: %v", got)
	}
}
