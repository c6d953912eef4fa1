package data

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// Pad surrounds a sample with Padding pixels of value Fill on every side.
type Pad struct {
	Padding int
	Fill    float32
}

// Shape returns in with height and width grown by twice the padding. It panics if
// that is negative.
func (p Pad) Shape(in []int) []int {
	_, _, h, w := frames("data.Pad", in)
	if p.Padding < 0 {
		tensor.Panic("data.Pad", fmt.Sprintf("padding %d", p.Padding), in)
	}
	return resized(in, h+2*p.Padding, w+2*p.Padding)
}

// Apply draws nothing.
func (p Pad) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	window(dst, src, -p.Padding, -p.Padding, p.Fill)
}

// CenterCrop cuts the middle H x W of a sample.
type CenterCrop struct {
	H, W int
}

// Shape returns in with the height H and the width W. It panics if the sample is
// smaller.
func (cc CenterCrop) Shape(in []int) []int {
	_, _, h, w := frames("data.CenterCrop", in)
	if cc.H < 1 || cc.W < 1 || cc.H > h || cc.W > w {
		tensor.Panic("data.CenterCrop", fmt.Sprintf("no window of %d by %d", cc.H, cc.W), in)
	}
	return resized(in, cc.H, cc.W)
}

// Apply draws nothing.
func (cc CenterCrop) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	_, _, h, w := frames("data.CenterCrop", src.Shape())
	window(dst, src, (h-cc.H)/2, (w-cc.W)/2, 0)
}

// RandomCrop pads a sample with Padding pixels of value Fill on every side and crops a
// random window of H x W. The usual augmentation of CIFAR is RandomCrop{Padding: 4}.
type RandomCrop struct {
	H, W    int // 0 means the sample's own height or width
	Padding int
	Fill    float32
}

// Shape returns in with the height H and the width W. It panics if an option is
// negative or the padded sample is smaller.
func (r RandomCrop) Shape(in []int) []int {
	_, _, h, w := frames("data.RandomCrop", in)
	oh, ow := cmp.Or(r.H, h), cmp.Or(r.W, w)
	if r.Padding < 0 || oh < 0 || ow < 0 || oh > h+2*r.Padding || ow > w+2*r.Padding {
		tensor.Panic("data.RandomCrop", fmt.Sprintf("no window of %d by %d with padding %d", oh, ow, r.Padding), in)
	}
	return resized(in, oh, ow)
}

// Apply draws the upper edge of the window and then the left one.
func (r RandomCrop) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	_, _, h, w := frames("data.RandomCrop", src.Shape())
	oh, ow := cmp.Or(r.H, h), cmp.Or(r.W, w)
	top := rng.IntN(h+2*r.Padding-oh+1) - r.Padding
	left := rng.IntN(w+2*r.Padding-ow+1) - r.Padding
	window(dst, src, top, left, r.Fill)
}

// window fills dst with the window of src whose upper left pixel is (top, left). It
// is fill where there is no pixel of src.
func window(dst, src *tensor.Tensor, top, left int, fill float32) {
	t, c, h, w := frames("data.RandomCrop", src.Shape())
	_, _, oh, ow := frames("data.RandomCrop", dst.Shape())
	out, in := dst.Data(), src.Data()
	// Columns lo to hi-1 of the window lie on the image.
	lo := min(max(-left, 0), ow)
	hi := max(min(w-left, ow), lo)
	for plane := range t * c {
		for y := range oh {
			row := out[(plane*oh+y)*ow:][:ow]
			sy := y + top
			if sy < 0 || sy >= h || lo == hi {
				set(row, fill)
				continue
			}
			set(row[:lo], fill)
			copy(row[lo:hi], in[(plane*h+sy)*w+lo+left:])
			set(row[hi:], fill)
		}
	}
}

func set(row []float32, v float32) {
	for i := range row {
		row[i] = v
	}
}
