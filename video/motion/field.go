package motion

import (
	"fmt"

	"github.com/mettleml/mettle/tensor"
)

// A Field is the motion of every pixel of a frame: the pixel at (x, y) was at (x-DX, y-DY)
// in the reference frame. An object that moves to the right has a positive DX, and one that
// moves down a positive DY. The unit is the pixel. The slices hold H rows of W numbers.
type Field struct {
	H, W   int
	DX, DY []float32
}

// NewField returns a field without motion. It panics unless h and w are positive.
func NewField(h, w int) *Field {
	if h < 1 || w < 1 {
		tensor.Panic("motion.NewField", "no pixels", []int{h, w})
	}
	d := make([]float32, 2*h*w)
	return &Field{H: h, W: w, DX: d[: h*w : h*w], DY: d[h*w:]}
}

// FieldOf returns the field with the first and the second channel of a tensor [2, H, W] as
// DX and DY. They share memory. It panics if t has another shape.
func FieldOf(t *tensor.Tensor) *Field {
	if t.Rank() != 3 || t.Dim(0) != 2 || t.Len() == 0 {
		tensor.Panic("motion.FieldOf", "not [2, H, W]", t.Shape())
	}
	h, w := t.Dim(1), t.Dim(2)
	return &Field{H: h, W: w, DX: t.Data()[: h*w : h*w], DY: t.Data()[h*w:]}
}

// Tensor returns a copy of the field as a tensor [2, H, W]: DX, then DY.
func (f *Field) Tensor() *tensor.Tensor {
	f.check("motion.Field.Tensor")
	return tensor.FromSlice(append(append(make([]float32, 0, 2*f.H*f.W), f.DX...), f.DY...), 2, f.H, f.W)
}

// check panics for op if the parts of the field do not fit.
func (f *Field) check(op string) {
	if n := f.H * f.W; f.H < 1 || f.W < 1 || len(f.DX) != n || len(f.DY) != n {
		tensor.Panic(op, fmt.Sprintf("the field has %d and %d vectors", len(f.DX), len(f.DY)), []int{f.H, f.W})
	}
}

// Clone returns a copy that shares nothing with f.
func (f *Field) Clone() *Field {
	c := NewField(f.H, f.W)
	copy(c.DX, f.DX)
	copy(c.DY, f.DY)
	return c
}

// Zero reports whether all vectors are zero.
func (f *Field) Zero() bool {
	for i, x := range f.DX {
		if x != 0 || f.DY[i] != 0 {
			return false
		}
	}
	return true
}

// Distinct returns the number of different vectors after rounding to whole pixels, halves
// away from zero. A field without motion has one.
func (f *Field) Distinct() int {
	seen := map[[2]int32]struct{}{}
	for i, x := range f.DX {
		seen[[2]int32{int32(round(x)), int32(round(f.DY[i]))}] = struct{}{}
	}
	return len(seen)
}

// Resize returns the field of the same motion on frames of another size: each pixel takes
// the vector of the nearest pixel, scaled along each axis. It panics unless h and w are
// positive.
func (f *Field) Resize(h, w int) *Field {
	f.check("motion.Field.Resize")
	r := NewField(h, w)
	sx, sy := float32(w)/float32(f.W), float32(h)/float32(f.H)
	for y := range h {
		from := (2*y + 1) * f.H / (2 * h) * f.W
		for x := range w {
			i := from + (2*x+1)*f.W/(2*w)
			r.DX[y*w+x], r.DY[y*w+x] = f.DX[i]*sx, f.DY[i]*sy
		}
	}
	return r
}

// round returns the nearest whole number, halves away from zero.
func round(v float32) int {
	if v < 0 {
		return -int(0.5 - v)
	}
	return int(v + 0.5)
}
