package video

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// penalty is what Flickering weighs, by its definition.
func (a Flickering) penalty(d []float32, frames, channels int) (sum float64) {
	at := func(t, c int) float64 { return float64(d[(t+frames)%frames*channels+c]) }
	for t := range frames {
		for c := range channels {
			first := at(t, c) - at(t-1, c)
			second := at(t+1, c) - 2*at(t, c) + at(t-1, c)
			sum += a.Thickness*at(t, c)*at(t, c) + (1-a.Thickness)*(first*first+second*second)
		}
	}
	return sum / float64(len(d))
}

// TestFlickerGradient: thickness and roughness, over the frames of the clip and round its
// end, by central differences.
func TestFlickerGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a := Flickering{Thickness: 0.3}
	for _, frames := range []int{1, 2, 3, 7} {
		d, g := make([]float32, frames*3), make([]float32, frames*3)
		for i := range d {
			d[i] = float32(r.NormFloat64())
		}
		a.flicker(g, d, frames, 3)
		for i, v := range d {
			const h = 1e-2 // exact for a quadratic, but for rounding
			d[i] = v + h
			up := a.penalty(d, frames, 3)
			hi := d[i]
			d[i] = v - h
			want := (up - a.penalty(d, frames, 3)) / (float64(hi) - float64(d[i]))
			d[i] = v
			if math.Abs(float64(g[i])-want) > 1e-5 {
				t.Errorf("%d frames: derivative %d is %v, differences say %v", frames, i, g[i], want)
			}
		}
	}
}

// TestFlickering: the success is one colour in each frame, and fainter the longer the
// attack goes on; answers in probabilities serve as well.
func TestFlickering(t *testing.T) {
	shape := []int{5, 3, 8, 8}
	v := newClipVictim(3, shape, func(c, t, ch, y, x int) float64 {
		return 0.05 * math.Sin(float64(3*c+5*ch)) * math.Exp(-float64(t)) // the first frames matter most
	})
	clip := tensor.New(shape...)
	for i := range clip.Data() {
		clip.Data()[i] = 0.4 + 0.2*float32(i%7)/7
	}
	s := sampleFor(t, v, clip)
	v.margin(t, s, 1)
	long := attacked(t, Flickering{Iterations: 1000, LR: 0.002, Margin: 0.01}, v, s, zoo.Untargeted(s.Label), 2000, 1)
	first := attacked(t, Flickering{First: true, LR: 0.002, Margin: 0.01}, v, s, zoo.Untargeted(s.Label), 2000, 1)
	if !long.Verified || !first.Verified || !(long.Best.L2 < 0.99*long.First.L2) || long.First != first.First || first.Queries != first.First.Queries {
		t.Fatalf("first success %+v, in the long run %+v and best %+v", first.First, long.First, long.Best)
	}
	x := long.Adversarial.Tensor().Data()
	for c := range 15 {
		want := x[c*64] - clip.Data()[c*64]
		for i := c * 64; i < c*64+64; i++ {
			if d := x[i] - clip.Data()[i]; math.Abs(float64(d-want)) > 1e-6 {
				t.Fatalf("frame %d, channel %d: pixels change by %v and %v", c/3, c%3, want, d)
			}
		}
	}
	small := attacked(t, Flickering{Eps: 0.01, Iterations: 100}, v, s, zoo.Untargeted(s.Label), 2000, 1)
	if small.Success && small.Best.Linf > 0.01 {
		t.Errorf("%v away in a ball of 0.01", small.Best.Linf)
	}
	logits := []float64{1, -2, 0.5}
	p := make([]float64, 3)
	for i := range p {
		p[i] = softmax(logits, zoo.Logits)(i)
	}
	for i, z := range logitsOf(p, zoo.Probabilities) {
		if math.Abs(z-logits[i]-(math.Log(p[0])-logits[0])) > 1e-9 {
			t.Errorf("logit %d of probabilities is %v", i, z)
		}
	}
}
