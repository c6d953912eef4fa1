package attack

import "testing"

// TestWindow: the rate is that of the last few, not of all since the beginning.
func TestWindow(t *testing.T) {
	w := window{size: 4}
	for i, c := range []struct {
		ok   bool
		rate float64
		full bool
	}{
		{true, 0, false}, {true, 0, false}, {true, 0, false}, {true, 1, true},
		{false, .75, true}, {false, .5, true}, {false, .25, true}, {false, 0, true}, {true, .25, true},
	} {
		w.add(c.ok)
		if rate, full := w.rate(); rate != c.rate || full != c.full {
			t.Errorf("after %d: rate %v, full %v; want %v, %v", i+1, rate, full, c.rate, c.full)
		}
	}
	w.reset()
	if _, full := w.rate(); full {
		t.Error("full after reset")
	}
}
