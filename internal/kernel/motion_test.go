package kernel

import (
	"math/rand"
	"testing"
)

// bytesOf returns n random bytes at an odd address between guards.
func bytesOf(rng *rand.Rand, n int) []uint8 {
	x := make([]uint8, n+64)
	off := rng.Intn(32)
	rng.Read(x)
	return x[off : off+n : off+n]
}

func TestSADs(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 300 {
			w, h := 1+rng.Intn(70), 1+rng.Intn(20)
			switch rng.Intn(4) {
			case 0:
				w, h = 16, 16
			case 1:
				w, h = 8, 8
			case 2:
				w = 8 + 8*rng.Intn(2)
			}
			stride := w + rng.Intn(20)
			// The last block ends where the plane does.
			cur, ref := bytesOf(rng, (h-1)*stride+w+rng.Intn(9)), bytesOf(rng, (h-1)*stride+w+rng.Intn(500))
			if rng.Intn(3) == 0 { // the largest sums
				for i := range cur {
					cur[i] = 255 * uint8(i&1)
				}
				for i := range ref {
					ref[i] = 255 * uint8(i&1)
				}
			}
			at := rng.Intn(len(cur) - (h-1)*stride - w + 1)
			room := len(ref) - (h-1)*stride - w
			base := rng.Intn(room + 1)
			dst, off := make([]int32, 1+rng.Intn(130)), []int32{}
			for range dst {
				off = append(off, int32(rng.Intn(room+1)-base))
			}
			off[rng.Intn(len(off))] = int32(room - base)
			SADs(dst, off, cur, ref, at, base, stride, w, h)
			for i, o := range off {
				want := int32(0)
				for y := range h {
					for x := range w {
						d := int32(cur[at+y*stride+x]) - int32(ref[base+int(o)+y*stride+x])
						want += max(d, -d)
					}
				}
				if dst[i] != want {
					t.Fatalf("%dx%d, stride %d, candidate %d of %d: %d, want %d", w, h, stride, i, len(off), dst[i], want)
				}
			}
		}
		for _, f := range []func(){
			func() { SADs(make([]int32, 1), []int32{1}, make([]uint8, 4), make([]uint8, 4), 0, 0, 2, 2, 2) },
			func() { SADs(make([]int32, 1), []int32{-1}, make([]uint8, 4), make([]uint8, 4), 0, 0, 2, 2, 2) },
			func() { SADs(make([]int32, 1), []int32{0}, make([]uint8, 4), make([]uint8, 4), 1, 0, 2, 2, 2) },
			func() { SADs(make([]int32, 1), []int32{0}, make([]uint8, 4), make([]uint8, 4), 0, 0, 2, 3, 1) },
			func() { SADs(make([]int32, 1), []int32{0}, make([]uint8, 4), make([]uint8, 4), 0, 0, 2, 0, 1) },
			func() { SADs(make([]int32, 1), nil, make([]uint8, 4), make([]uint8, 4), 0, 0, 2, 1, 1) },
		} {
			mustPanic(t, f)
		}
	})
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}

func TestHalfPixels(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for round := range 40 {
			w, h := 1+rng.Intn(100), 1+rng.Intn(12)
			if round == 0 {
				w, h = 700, 300 // several parts
			}
			x := bytesOf(rng, w*h)
			right, down, both := bytesOf(rng, w*h), bytesOf(rng, w*h), bytesOf(rng, w*h)
			HalfPixels(right, down, both, x, w)
			for i := range x {
				px, py := i%w < w-1, i/w < h-1
				at := func(j int) int { return int(x[j]) }
				if px && int(right[i]) != (at(i)+at(i+1)+1)>>1 {
					t.Fatalf("%dx%d: right of %d is %d", h, w, i, right[i])
				}
				if py && int(down[i]) != (at(i)+at(i+w)+1)>>1 {
					t.Fatalf("%dx%d: below %d is %d", h, w, i, down[i])
				}
				if px && py && int(both[i]) != (at(i)+at(i+1)+at(i+w)+at(i+w+1)+2)>>2 {
					t.Fatalf("%dx%d: right and below %d is %d", h, w, i, both[i])
				}
			}
		}
	})
}
