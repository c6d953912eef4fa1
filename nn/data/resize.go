package data

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/mettleml/mettle/tensor"
)

// Resize changes an image to H x W by bilinear interpolation with the centres of pixels at
// halves. When it reduces, it averages over the area of a new pixel with a triangle filter,
// against aliasing.
type Resize struct {
	H, W int
}

// Shape returns in with the height H and the width W.
func (r Resize) Shape(in []int) []int {
	_, _, h, w := frames("data.Resize", in)
	if r.H < 1 || r.W < 1 || h < 1 || w < 1 {
		tensor.Panic("data.Resize", fmt.Sprintf("to %d by %d", r.H, r.W), in)
	}
	return resized(in, r.H, r.W)
}

// Apply draws nothing.
func (r Resize) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	_, _, h, w := frames("data.Resize", src.Shape())
	resize(dst, src, 0, 0, h, w)
}

// taps are the weights that make one line of n pixels from another: pixel i is
// the sum of weights[i*width+k] times pixel first[i]+k.
type taps struct {
	width   int
	first   []int
	weights []float32
}

// set computes the taps of n pixels, from the given one on, of a line of full that comes
// from one of size.
func (t *taps) set(n, size, from, full int) {
	scale := float64(size) / float64(full)
	support := max(scale, 1)
	t.width = min(int(math.Ceil(support))*2+1, size)
	t.first = grow(t.first, n)
	t.weights = grow(t.weights, n*t.width)
	for i := range n {
		center := (float64(from+i) + 0.5) * scale
		lo := min(max(int(math.Floor(center-support+0.5)), 0), size-t.width)
		t.first[i] = lo
		row := t.weights[i*t.width:][:t.width]
		sum := 0.0
		for k := range row {
			v := max(0, 1-math.Abs(float64(lo+k)+0.5-center)/support)
			row[k] = float32(v)
			sum += v
		}
		for k := range row {
			row[k] = float32(float64(row[k]) / sum)
		}
	}
}

// grow returns a slice of length n, in the memory of s if it is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// resizer is scratch memory of resize.
type resizer struct {
	x, y taps
	rows []float32 // the part with its width already changed
}

var resizers = sync.Pool{New: func() any { return new(resizer) }}

// resize fills dst from the part of src that starts at (top, left) and has h rows of
// w pixels.
func resize(dst, src *tensor.Tensor, top, left, h, w int) {
	_, _, oh, ow := frames("data.Resize", dst.Shape())
	resizeWindow(dst, src, top, left, h, w, view{oh, ow, 0, 0})
}

// A view is the part of an image of h by w from a corner on.
type view struct{ h, w, top, left int }

// resizeWindow is resize for the part of the result that win says, of the size of dst.
func resizeWindow(dst, src *tensor.Tensor, top, left, h, w int, win view) {
	t, c, oh, ow := frames("data.Resize", dst.Shape())
	_, _, sh, sw := frames("data.Resize", src.Shape())
	r := resizers.Get().(*resizer)
	defer resizers.Put(r)
	r.x.set(ow, w, win.left, win.w)
	r.y.set(oh, h, win.top, win.h)
	r.rows = grow(r.rows, h*ow)
	for ch := range t * c {
		for y := range h {
			line := src.Data()[(ch*sh+top+y)*sw+left:][:w]
			out := r.rows[y*ow:][:ow]
			for i := range out {
				weights := r.x.weights[i*r.x.width:][:r.x.width]
				in := line[r.x.first[i]:][:len(weights)]
				var sum float32
				for k, v := range weights {
					sum += v * in[k]
				}
				out[i] = sum
			}
		}
		for y := range oh {
			out := dst.Data()[(ch*oh+y)*ow:][:ow]
			clear(out)
			for k, v := range r.y.weights[y*r.y.width:][:r.y.width] {
				if v == 0 {
					continue
				}
				in := r.rows[(r.y.first[y]+k)*ow:][:len(out)]
				for i := range out {
					out[i] += v * in[i]
				}
			}
		}
	}
}
