package attack

import (
	"context"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

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

// TestBeginsWithPaleNoise: a victim that sees the sample's class in all plain noise is
// attacked from dark or pale one.
func TestBeginsWithPaleNoise(t *testing.T) {
	info := zoo.Info{Name: "brightness", Shape: []int{1, 8, 8}, Classes: 2}
	victim := zoo.LabelerFunc(info, func(_ context.Context, x *tensor.Tensor, out []int) error {
		for i := range out {
			var mean float32
			for _, v := range x.Index(i).Data() {
				mean += v / 64
			}
			out[i] = 0
			if mean > 0.3 {
				out[i] = 1
			}
		}
		return nil
	})
	clean := tensor.New(1, 8, 8)
	for i := range clean.Data() {
		clean.Data()[i] = 0.6
	}
	for _, a := range []LabelAttack{Boundary{Steps: 50}, HopSkipJump{Iterations: 1}} {
		c := Campaign{Job: WithLabels(a, victim), Budget: 2000, Seed: 3}
		res, err := c.Run(context.Background(), []Sample{{Name: "0", X: clean, Label: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if r := res.Records[0]; !r.Success || r.Best.L2 > 8*0.4 {
			t.Errorf("%s: success %v, L2 %v after %d queries", a.About().Name, r.Success, r.Best.L2, r.Queries)
		}
	}
}
