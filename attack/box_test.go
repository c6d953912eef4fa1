package attack

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestBox: images stay in [0,1] whatever the modifier; a modifier of 0 gives the
// clean image back; clipping is exact; the slope is the derivative.
func TestBox(t *testing.T) {
	const n = 200
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	clean, x := make([]float32, n), make([]float32, n)
	for i := range clean {
		clean[i] = r.Float32()
	}
	clean[0], clean[1] = 0, 1
	for _, b := range []Box{Clip, Tanh} {
		b.Image(x, make([]float32, n), clean)
		for i, v := range x {
			if d := math.Abs(float64(v - clean[i])); d > 1e-6 || b == Clip && d != 0 {
				t.Errorf("%v, seed %d: pixel %d of %v comes back as %v", b, seed, i, clean[i], v)
			}
		}
		for _, size := range []float64{0.1, 1, 1e3, math.Inf(1)} {
			w := make([]float32, n)
			for i := range w {
				w[i] = float32(size * r.NormFloat64())
			}
			wanted := append([]float32(nil), w...)
			b.Image(x, w, clean)
			for i, v := range x {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("%v, seed %d: pixel %d becomes %v", b, seed, i, v)
				}
				if b == Tanh {
					continue
				}
				if want := min(max(wanted[i], -clean[i]), 1-clean[i]); w[i] != want {
					t.Fatalf("seed %d: modifier %v of a pixel of %v is cut to %v, want %v", seed, wanted[i], clean[i], w[i], want)
				}
			}
		}
		const h = 1e-3
		w := make([]float32, n)
		up, down, slope := make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range w {
			w[i] = float32(0.01 * r.NormFloat64())
		}
		shift := func(x []float32, d float32) {
			moved := append([]float32(nil), w...)
			for i := range moved {
				moved[i] += d
			}
			b.Image(x, moved, clean)
		}
		shift(x, 0)
		shift(up, h)
		shift(down, -h)
		b.Slope(slope, x)
		for i := range w {
			if clean[i] < 0.1 || clean[i] > 0.9 {
				continue // clipped there, or flat
			}
			if d := (float64(up[i]) - float64(down[i])) / (2 * h); !(math.Abs(d-float64(slope[i])) <= 1e-3) {
				t.Errorf("%v, seed %d: slope %v at %v, differences give %v", b, seed, slope[i], x[i], d)
			}
		}
	}
}
