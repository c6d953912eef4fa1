package motion

import (
	"fmt"
	"math"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// A warp says where what is at (x, y) of a frame of h rows of w was before.
type warp func(x, y float64, h, w int) (float64, float64)

func translation(dx, dy float64) warp {
	return func(x, y float64, _, _ int) (float64, float64) { return x - dx, y - dy }
}

// similarity turns by an angle, to the right as seen on the screen, and enlarges.
func similarity(degrees, zoom float64) warp {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return func(x, y float64, h, w int) (float64, float64) {
		cx, cy := float64(w-1)/2, float64(h-1)/2
		x, y = (x-cx)/zoom, (y-cy)/zoom
		return cos*x + sin*y + cx, cos*y - sin*x + cy
	}
}

var warps = map[string]warp{
	"small translation": translation(0.3, 0.2), "translation": translation(3.3, -2.1), "large translation": translation(19, -14),
	"rotation": similarity(2, 1), "zoom": similarity(0, 1.05),
}

// warped draws a texture and what a warp makes of it, and returns the true motion.
func warped(t testing.TB, tex texture, h, w int, f warp) (*Frames, *tensor.Tensor, *Field) {
	truth := NewField(h, w)
	clip := clipOf(2, h, w, func(t int, x, y float64) float64 {
		if t == 0 {
			return tex.at(x, y)
		}
		px, py := f(x, y, h, w)
		p := int(y)*w + int(x)
		truth.DX[p], truth.DY[p] = float32(x-px), float32(y-py)
		return tex.at(px, py)
	})
	clip = clip.Round8()
	return framesOf(t, clip), clip, truth
}

// endPointError is the mean distance of the vectors of a and b, margin pixels from the
// edges.
func endPointError(a, b *Field, margin int) float64 {
	sum, n := 0.0, 0
	for y := margin; y < a.H-margin; y++ {
		for x := margin; x < a.W-margin; x++ {
			p := y*a.W + x
			sum += math.Hypot(float64(a.DX[p]-b.DX[p]), float64(a.DY[p]-b.DY[p]))
			n++
		}
	}
	return sum / float64(n)
}

func TestFlowOnWarps(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		tex := newTexture(fixedRand(), 12)
		for name, f := range warps {
			frames, clip, truth := warped(t, tex, 120, 160, f)
			ref, cur := clip.Index(0), clip.Index(1)
			none := PSNR(ref, cur)
			for _, c := range []struct {
				e     Estimator
				limit float64
			}{{Farneback{}, 0.16}, {TVL1{}, 0.12}} {
				d := c.e.Estimate(frames, 0, 1)
				if e := endPointError(d, truth, 16); !(e < c.limit) {
					t.Errorf("%T, %s: end-point error %.3f", c.e, name, e)
				}
				// The sign, by what it is for.
				if got := PSNR(Compensate(ref, d), cur); !(got > none+3) {
					t.Errorf("%T, %s: %.1f dB, without motion %.1f", c.e, name, got, none)
				}
				// After a long way the texture is another one, and one error as good as two.
				if got := PSNR(Compensate(ref, c.e.Estimate(frames, 1, 0)), cur); !(got < none) && name != "large translation" {
					t.Errorf("%T, %s: %.1f dB with the opposite direction, without motion %.1f", c.e, name, got, none)
				}
			}
		}
	})
}

// A square that moves over a background at rest: total variation keeps its edges.
func TestFlowAtEdges(t *testing.T) {
	tex := newTexture(fixedRand(), 5)
	inside := func(x, y float64) bool { return x >= 30 && x < 60 && y >= 30 && y < 60 }
	f := framesOf(t, clipOf(2, 96, 96, func(t int, x, y float64) float64 {
		if x -= 2 * float64(t); inside(x, y) {
			return tex.at(x, y)
		}
		return tex.at(x+2*float64(t)+500, y)
	}))
	truth := NewField(96, 96)
	for i := range truth.DX {
		if inside(float64(i%96)-2, float64(i/96)) {
			truth.DX[i] = 2
		}
	}
	smooth, sharp := endPointError(Farneback{}.Estimate(f, 0, 1), truth, 8), endPointError(TVL1{}.Estimate(f, 0, 1), truth, 8)
	if smooth > 0.3 || sharp > 0.15 || sharp > smooth {
		t.Errorf("end-point errors %.3f (Farneback) and %.3f (TV-L1)", smooth, sharp)
	}
}

func TestFlowOfTinyAndStaticFrames(t *testing.T) {
	rng := newRand(t)
	for _, e := range []Estimator{Farneback{}, TVL1{}, Farneback{Radius: 15, Window: 10, Sigma: 4}} {
		for _, size := range [][2]int{{1, 1}, {1, 2}, {2, 1}, {3, 5}, {7, 8}, {8, 7}, {15, 16}, {1, 40}, {33, 9}, {17, 64}} {
			f := noisy(t, rng, 2, size[0], size[1])
			d := e.Estimate(f, 0, 1)
			for i, x := range d.DX {
				if l := math.Hypot(float64(x), float64(d.DY[i])); !(l < 1e4) {
					t.Fatalf("%T: pixel %d of %v moves by (%v, %v)", e, i, size, x, d.DY[i])
				}
			}
			if !e.Estimate(f, 1, 1).Zero() {
				t.Errorf("%T: a frame of %v moves against itself", e, size)
			}
		}
		if !e.Estimate(framesOf(t, tensor.New(2, 1, 30, 30)), 0, 1).Zero() {
			t.Errorf("%T: black moves", e)
		}
	}
}

func TestFlowSameBitsOnAnyWorkers(t *testing.T) {
	frames, _, _ := warped(t, newTexture(newRand(t), 10), 150, 130, similarity(3, 1.02))
	defer tensor.SetWorkers(tensor.SetWorkers(1))
	for _, e := range []Estimator{Farneback{}, TVL1{Iterations: 5}} {
		want := ""
		for _, n := range []int{1, 2, 3, 8} {
			tensor.SetWorkers(n)
			got := fmt.Sprint(e.Estimate(frames, 0, 1))
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%T: another flow on %d workers", e, n)
			}
		}
	}
}

func TestFlowOptions(t *testing.T) {
	f := noisy(t, newRand(t), 2, 40, 40)
	nan := math.NaN()
	for _, e := range []Estimator{
		Farneback{Levels: -1}, Farneback{Iterations: -1}, Farneback{Window: -1}, Farneback{Window: 11}, Farneback{Window: nan},
		Farneback{Radius: -1}, Farneback{Radius: 16}, Farneback{Sigma: -1}, Farneback{Sigma: nan},
		TVL1{Levels: -1}, TVL1{Warps: -1}, TVL1{Iterations: -1}, TVL1{Lambda: -1}, TVL1{Lambda: nan}, TVL1{Theta: -1}, TVL1{Tau: 0.3},
	} {
		wantPanic(t, "impossible options", func() { e.Estimate(f, 0, 1) })
	}
	wantPanic(t, "no frame 2", func() { Farneback{}.Estimate(f, 0, 2) })
	wantPanic(t, "no frame 2", func() { TVL1{}.Estimate(f, 2, 0) })
	// Every option does something.
	for _, c := range [][]Estimator{
		{Farneback{}, Farneback{Levels: 1}, Farneback{Iterations: 1}, Farneback{Window: 5}, Farneback{Radius: 3}, Farneback{Sigma: 2}},
		{TVL1{}, TVL1{Levels: 1}, TVL1{Warps: 1}, TVL1{Iterations: 10}, TVL1{Lambda: 0.3}, TVL1{Theta: 0.4}, TVL1{Tau: 0.1}},
	} {
		usual := c[0].Estimate(f, 0, 1)
		for _, e := range c[1:] {
			if fmt.Sprint(e.Estimate(f, 0, 1)) == fmt.Sprint(usual) {
				t.Errorf("%T%+v gives what the defaults do", e, e)
			}
		}
	}
}
