package data

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// PadCrop surrounds an image with Pad zeros on every side and cuts a window of
// the original size from it at random: the usual augmentation of CIFAR, with
// Pad 4.
type PadCrop struct {
	Pad int
}

// Shape returns in.
func (p PadCrop) Shape(in []int) []int {
	dims("data.PadCrop", in)
	if p.Pad < 0 {
		tensor.Panic("data.PadCrop", fmt.Sprintf("padding %d", p.Pad), in)
	}
	return in
}

// Apply draws the shift down and then the shift to the right.
func (p PadCrop) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	c, h, w := dims("data.PadCrop", src.Shape())
	down, right := rng.IntN(2*p.Pad+1)-p.Pad, rng.IntN(2*p.Pad+1)-p.Pad
	out, in := dst.Data(), src.Data()
	// Columns lo to hi-1 of the window lie on the image.
	lo := min(max(-right, 0), w)
	hi := max(min(w-right, w), lo)
	for ch := range c {
		for y := range h {
			row := out[(ch*h+y)*w:][:w]
			if sy := y + down; sy < 0 || sy >= h {
				clear(row)
			} else {
				clear(row[:lo])
				if lo < hi {
					copy(row[lo:hi], in[(ch*h+sy)*w+lo+right:])
				}
				clear(row[hi:])
			}
		}
	}
}

// CenterCrop cuts the middle H x W of an image.
type CenterCrop struct {
	H, W int
}

// Shape returns [C, H, W]. It panics if the image is smaller.
func (cc CenterCrop) Shape(in []int) []int {
	c, h, w := dims("data.CenterCrop", in)
	if cc.H < 1 || cc.W < 1 || cc.H > h || cc.W > w {
		tensor.Panic("data.CenterCrop", fmt.Sprintf("no window of %d by %d", cc.H, cc.W), in)
	}
	return []int{c, cc.H, cc.W}
}

// Apply draws nothing.
func (cc CenterCrop) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	c, h, w := dims("data.CenterCrop", src.Shape())
	top, left := (h-cc.H)/2, (w-cc.W)/2
	out, in := dst.Data(), src.Data()
	for ch := range c {
		for y := range cc.H {
			copy(out[(ch*cc.H+y)*cc.W:][:cc.W], in[(ch*h+top+y)*w+left:])
		}
	}
}

// RandomResizedCrop cuts a random part of an image, of random area and aspect
// ratio, and resizes it to H x W: the augmentation of Inception training
// (Szegedy et al., "Going deeper with convolutions", 2015) in the form that
// became common. A part that does not fit after ten draws is replaced by the
// largest one in the middle with a permitted ratio.
type RandomResizedCrop struct {
	H, W                 int
	MinScale, MaxScale   float64 // area of the part relative to the image; 0 means 0.08 and 1
	MinAspect, MaxAspect float64 // width by height of the part; 0 means 3/4 and 4/3
}

func (r RandomResizedCrop) withDefaults() RandomResizedCrop {
	for _, v := range []struct {
		p *float64
		d float64
	}{{&r.MinScale, 0.08}, {&r.MaxScale, 1}, {&r.MinAspect, 3.0 / 4}, {&r.MaxAspect, 4.0 / 3}} {
		if *v.p == 0 {
			*v.p = v.d
		}
	}
	return r
}

// Shape returns [C, H, W]. It panics if H, W or a range is impossible.
func (r RandomResizedCrop) Shape(in []int) []int {
	c, h, w := dims("data.RandomResizedCrop", in)
	d := r.withDefaults()
	if r.H < 1 || r.W < 1 || h < 1 || w < 1 || !(0 < d.MinScale && d.MinScale <= d.MaxScale && d.MaxScale <= 1) || !(0 < d.MinAspect && d.MinAspect <= d.MaxAspect) {
		tensor.Panic("data.RandomResizedCrop", fmt.Sprintf("impossible options %+v", r), in)
	}
	return []int{c, r.H, r.W}
}

// Apply draws area and ratio, up to ten times, and then the place.
func (r RandomResizedCrop) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	_, h, w := dims("data.RandomResizedCrop", src.Shape())
	top, left, ch, cw := r.withDefaults().window(h, w, rng)
	resize(dst, src, top, left, ch, cw)
}

// window draws the part of an h x w image.
func (r RandomResizedCrop) window(h, w int, rng *rand.Rand) (top, left, ch, cw int) {
	logLo, logHi := math.Log(r.MinAspect), math.Log(r.MaxAspect)
	for range 10 {
		area := float64(h*w) * (r.MinScale + rng.Float64()*(r.MaxScale-r.MinScale))
		aspect := math.Exp(logLo + rng.Float64()*(logHi-logLo))
		cw = int(math.Round(math.Sqrt(area * aspect)))
		ch = int(math.Round(math.Sqrt(area / aspect)))
		if cw >= 1 && ch >= 1 && cw <= w && ch <= h {
			return rng.IntN(h - ch + 1), rng.IntN(w - cw + 1), ch, cw
		}
	}
	ch, cw = h, w
	switch aspect := float64(w) / float64(h); {
	case aspect < r.MinAspect:
		ch = min(h, max(1, int(math.Round(float64(w)/r.MinAspect))))
	case aspect > r.MaxAspect:
		cw = min(w, max(1, int(math.Round(float64(h)*r.MaxAspect))))
	}
	return (h - ch) / 2, (w - cw) / 2, ch, cw
}
