package motion

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestAccumulateGolden(t *testing.T) {
	a, b := NewField(1, 8), NewField(1, 8)
	a.DX[4], a.DX[5] = 2, 2
	b.DX[6], b.DX[7] = 2, 2
	if got := fmt.Sprint(Accumulate(a, b).DX); got != "[0 0 0 0 2 2 4 4]" {
		t.Errorf("x: %v", got)
	}
	// The same along y.
	a, b = &Field{H: 8, W: 1, DX: a.DY, DY: a.DX}, &Field{H: 8, W: 1, DX: b.DY, DY: b.DX}
	if got := fmt.Sprint(Accumulate(a, b).DY); got != "[0 0 0 0 2 2 4 4]" {
		t.Errorf("y: %v", got)
	}
}

// wholeField has random whole-pixel vectors, some of which point out of the picture.
func wholeField(rng *rand.Rand, h, w int) *Field {
	f := NewField(h, w)
	for i := range f.DX {
		if rng.IntN(3) > 0 {
			f.DX[i], f.DY[i] = float32(rng.IntN(7)-3), float32(rng.IntN(7)-3)
		}
	}
	return f
}

// The recursion, forwards and on whole pixels.
func TestAccumulateRecursion(t *testing.T) {
	rng := newRand(t)
	for range 50 {
		h, w, n := 1+rng.IntN(12), 1+rng.IntN(12), 1+rng.IntN(6)
		var fields []*Field
		src := make([]int, h*w)
		for i := range src {
			src[i] = i
		}
		for range n {
			f := wholeField(rng, h, w)
			fields = append(fields, f)
			next := append([]int(nil), src...)
			for p := range src {
				x, y := p%w-int(f.DX[p]), p/w-int(f.DY[p])
				if x >= 0 && x < w && y >= 0 && y < h {
					next[p] = src[y*w+x]
				}
			}
			src = next
		}
		a := Accumulate(fields...)
		for p, s := range src {
			if a.DX[p] != float32(p%w-s%w) || a.DY[p] != float32(p/w-s/w) {
				t.Fatalf("%dx%d, %d frames: pixel %d moved by (%v, %v), the recursion says (%d, %d)", h, w, n, p, a.DX[p], a.DY[p], p%w-s%w, p/w-s/w)
			}
		}
	}
}

// A uniform shift by d per frame adds up to k·d where the origin is inside.
func TestAccumulateUniformShift(t *testing.T) {
	const h, w = 20, 30
	for _, d := range [][2]float32{{2, -1}, {-0.25, 0.75}} {
		var fields []*Field
		for k := 1; k <= 6; k++ {
			f := NewField(h, w)
			for i := range f.DX {
				f.DX[i], f.DY[i] = d[0], d[1]
			}
			fields = append(fields, f)
			a := Accumulate(fields...)
			for p := range a.DX {
				x, y := float32(p%w)-float32(k)*d[0], float32(p/w)-float32(k)*d[1]
				if x >= 0 && y >= 0 && x <= w-1 && y <= h-1 && (a.DX[p] != float32(k)*d[0] || a.DY[p] != float32(k)*d[1]) {
					t.Fatalf("%d shifts by %v: pixel %d moved by (%v, %v)", k, d, p, a.DX[p], a.DY[p])
				}
			}
		}
	}
}

func TestAccumulateLeavesFieldsAlone(t *testing.T) {
	rng := newRand(t)
	a, b := wholeField(rng, 6, 7), wholeField(rng, 6, 7)
	a.DX[3] = float32(math.NaN())
	was := fmt.Sprint(a, b)
	Accumulate(a, b)
	if got := fmt.Sprint(a, b); got != was {
		t.Error("the fields changed")
	}
}

// A field must bring the PSNR up if it is used as it should be, and down if its sign or
// its direction is wrong.
func TestCompensateSign(t *testing.T) {
	rng := fixedRand()
	for range 5 {
		dx, dy := 1+1.5*rng.Float64(), -1-1.5*rng.Float64()
		f, clip := moving(t, rng, 64, 80, dx, dy)
		ref, cur := clip.Index(0), clip.Index(1)
		truth, opposite := NewField(64, 80), NewField(64, 80)
		for i := range truth.DX {
			truth.DX[i], truth.DY[i] = float32(dx), float32(dy)
			opposite.DX[i], opposite.DY[i] = float32(-dx), float32(-dy)
		}
		// Away from the edges, where nothing is known of what came in.
		inner := func(x *tensor.Tensor) *tensor.Tensor {
			y := tensor.New(1, 48, 64)
			for i := range y.Data() {
				y.Data()[i] = x.Data()[(i/64+8)*80+i%64+8]
			}
			return y
		}
		psnr := func(f *Field) float64 { return PSNR(inner(Compensate(ref, f)), inner(cur)) }
		none, right, wrong := psnr(NewField(64, 80)), psnr(truth), psnr(opposite)
		if right < none+15 || right < 35 || wrong > none-1 {
			t.Errorf("(%.1f, %.1f): %.1f dB without motion, %.1f with it, %.1f with the wrong sign", dx, dy, none, right, wrong)
		}
		if got := PSNR(inner(Compensate(cur, opposite)), inner(ref)); got < none+15 {
			t.Errorf("the way back: %.1f dB, without motion %.1f", got, none)
		}
		for _, search := range Searches() {
			m := BlockMatch{Search: search, Range: 7, HalfPel: true}
			found := m.Estimate(f, 0, 1)
			if got := psnr(found); got < none+3 {
				t.Errorf("%s: %.1f dB, without motion %.1f", search, got, none)
			}
			for i := range found.DX {
				found.DX[i], found.DY[i] = -found.DX[i], -found.DY[i]
			}
			if got := psnr(found); got > none {
				t.Errorf("%s with the wrong sign: %.1f dB, without motion %.1f", search, got, none)
			}
			if got := psnr(m.Estimate(f, 1, 0)); got > none {
				t.Errorf("%s with the frames exchanged: %.1f dB, without motion %.1f", search, got, none)
			}
		}
	}
}

func TestCompensate(t *testing.T) {
	ref := tensor.FromSlice([]float32{0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}, 2, 2, 3)
	f := NewField(2, 3)
	f.DX = []float32{0, 1, 0.5, -1, 5, 0}
	f.DY = []float32{0, 0, 0, 0, 0, 0.5}
	want := []float32{0, 0, 1.5, 4, 3, 3.5, 10, 10, 11.5, 14, 13, 13.5}
	if got := Compensate(ref, f).Data(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := PSNR(ref, ref); !math.IsInf(got, 1) {
		t.Errorf("PSNR of a picture with itself is %v", got)
	}
	if got := PSNR(tensor.FromSlice([]float32{0, 0.1}, 2), tensor.FromSlice([]float32{0.1, 0}, 2)); math.Abs(got-20) > 1e-5 {
		t.Errorf("PSNR %v, want 20", got)
	}
}
