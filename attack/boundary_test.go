package attack

import (
	"context"
	"math"
	"math/rand/v2"
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

// TestPace: of steps along the sphere more than half or less than a fifth of the last
// hundred, of whole steps more than a quarter or less than a tenth of the last thirty,
// change the lengths by the factor.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		sphere, step         int // tries
		onSphere, onStep     int // successes
		wantSphere, wantStep float64
	}{
		{99, 29, 99, 29, 1, 1}, // not enough tries
		{100, 0, 51, 0, 2, 2},
		{100, 0, 50, 0, 1, 1},
		{100, 0, 20, 0, 1, 1},
		{100, 0, 19, 0, 0.5, 0.5},
		{0, 30, 0, 8, 1, 2},
		{0, 30, 0, 7, 1, 1},
		{0, 30, 0, 3, 1, 1},
		{0, 30, 0, 2, 1, 0.5},
		{100, 30, 51, 8, 2, 4},
	} {
		p := newPace(Boundary{Sphere: 1, Source: 1, Adapt: 2})
		for i := range c.sphere {
			p.onSphere.add(i < c.onSphere)
		}
		for i := range c.step {
			p.onStep.add(i < c.onStep)
		}
		p.adjust()
		if p.sphere != c.wantSphere || p.source != c.wantStep {
			t.Errorf("%d of %d along the sphere, %d of %d steps: lengths %v and %v, want %v and %v", c.onSphere, c.sphere, c.onStep, c.step, p.sphere, p.source, c.wantSphere, c.wantStep)
		}
		was := *p
		if p.adjust(); was.sphere != p.sphere || was.source != p.source {
			t.Errorf("%+v: adjusted twice for the same tries", c)
		}
	}
}

// TestBoundarySteps: a step along the sphere keeps the distance and has its length, at a
// right angle to the way to the clean image, the other then shortens the distance.
func TestBoundarySteps(t *testing.T) {
	const n, delta, eps = 100, 0.1, 0.03
	r := rand.New(rand.NewPCG(5, 5))
	clean, x := make([]float32, n), make([]float32, n)
	for i := range x {
		clean[i] = 0.5
		x[i] = 0.5 + 0.02*float32(r.NormFloat64())
	}
	dist := L2.Distance(x, clean)
	side, next := make([]float32, n), make([]float32, n)
	mean := make([]float64, n)
	const draws = 500
	for range draws {
		along(side, x, clean, delta, dist, r)
		var dot float64
		for i, v := range side {
			dot += (float64(v) - 0.5) * (float64(x[i]) - 0.5)
			mean[i] += (float64(v) - float64(x[i])) / draws
		}
		// The chord of a tangent of length delta, drawn back on the sphere.
		cos := 1 / math.Sqrt(1+delta*delta)
		if d := L2.Distance(side, clean); !(math.Abs(d/dist-1) <= 1e-5) || !(math.Abs(dot/(dist*dist)-cos) <= 1e-5) {
			t.Fatalf("a step along the sphere ends %v away, cosine %v; want %v and %v", d, dot/(dist*dist), dist, cos)
		}
		towards(next, side, clean, eps, dist)
		if d := L2.Distance(next, clean); !(math.Abs(d/dist-(1-eps)) <= 1e-5) {
			t.Fatalf("a step towards the clean image ends %v away, want %v", d, (1-eps)*dist)
		}
		for i, v := range next { // on the line
			if got, want := float64(v)-0.5, (1-eps)*(float64(side[i])-0.5); !(math.Abs(got-want) <= 1e-6) {
				t.Fatalf("value %d is %v off, want %v", i, got, want)
			}
		}
	}
	towards(next, x, clean, eps, 0.99*dist) // a step that clipping has taken off the sphere
	if d := L2.Distance(next, clean); !(math.Abs(d/dist-0.99*(1-eps)) <= 1e-5) {
		t.Errorf("a step from off the sphere ends %v away, want %v", d, 0.99*(1-eps)*dist)
	}
	// The draws have no preferred direction: their mean is that of the chord.
	var drift float64
	for i, m := range mean {
		back := (float64(x[i]) - 0.5) * (1/math.Sqrt(1+delta*delta) - 1)
		drift += (m - back) * (m - back)
	}
	if limit := 1.5 * delta * dist / math.Sqrt(draws); !(math.Sqrt(drift) <= limit) {
		t.Errorf("the mean of %d steps is %v, want at most %v", draws, math.Sqrt(drift), limit)
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
