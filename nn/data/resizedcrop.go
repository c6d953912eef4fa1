package data

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// ResizedCrop crops Height rows of Width pixels from (Top, Left) on, and resizes them to H
// x W as [Resize] does.
type ResizedCrop struct {
	Top, Left, Height, Width int
	H, W                     int
}

// Shape returns in with the height H and the width W. It panics if the part does not
// lie on the sample.
func (r ResizedCrop) Shape(in []int) []int {
	_, _, h, w := frames("data.ResizedCrop", in)
	if r.H < 1 || r.W < 1 || r.Top < 0 || r.Left < 0 || r.Height < 1 || r.Width < 1 || r.Top+r.Height > h || r.Left+r.Width > w {
		tensor.Panic("data.ResizedCrop", fmt.Sprintf("impossible options %+v", r), in)
	}
	return resized(in, r.H, r.W)
}

// Apply draws nothing.
func (r ResizedCrop) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	resize(dst, src, r.Top, r.Left, r.Height, r.Width)
}

// RandomResizedCrop crops a part of a sample with random area, aspect ratio and place, and
// resizes it to H x W (Szegedy et al., "Going deeper with convolutions", 2015, as in
// torchvision). If ten draws do not fit, it takes the largest part in the middle with a
// permitted ratio.
type RandomResizedCrop struct {
	H, W                 int
	MinScale, MaxScale   float64 // share of the sample's area; 0 means 0.08 and 1
	MinAspect, MaxAspect float64 // width divided by height; 0 means 3/4 and 4/3
}

func (r RandomResizedCrop) withDefaults() RandomResizedCrop {
	r.MinScale, r.MaxScale = cmp.Or(r.MinScale, 0.08), cmp.Or(r.MaxScale, 1)
	r.MinAspect, r.MaxAspect = cmp.Or(r.MinAspect, 3.0/4), cmp.Or(r.MaxAspect, 4.0/3)
	return r
}

// Shape returns in with the height H and the width W. It panics if H, W or a range
// is impossible.
func (r RandomResizedCrop) Shape(in []int) []int {
	_, _, h, w := frames("data.RandomResizedCrop", in)
	d := r.withDefaults()
	if r.H < 1 || r.W < 1 || h < 1 || w < 1 || !(0 < d.MinScale && d.MinScale <= d.MaxScale && d.MaxScale <= 1) || !(0 < d.MinAspect && d.MinAspect <= d.MaxAspect) {
		tensor.Panic("data.RandomResizedCrop", fmt.Sprintf("impossible options %+v", r), in)
	}
	return resized(in, r.H, r.W)
}

// Apply draws area and ratio, up to ten times, and then the place.
func (r RandomResizedCrop) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	_, _, h, w := frames("data.RandomResizedCrop", src.Shape())
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
