package data

import (
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// AdjustBrightness multiplies an RGB sample by Factor and clamps it to [0,1].
type AdjustBrightness struct{ Factor float32 }

// AdjustContrast multiplies the difference of every value of an RGB sample from the mean
// luma of its frame by Factor, and clamps the result to [0,1].
type AdjustContrast struct{ Factor float32 }

// AdjustSaturation multiplies the difference of every value of an RGB sample from the luma
// of its pixel by Factor, and clamps the result to [0,1].
type AdjustSaturation struct{ Factor float32 }

// AdjustHue rotates the hues of an RGB sample by Turn full turns: a Turn of 1/3 makes red
// green. Saturation and value (HSV) do not change.
type AdjustHue struct{ Turn float32 }

// Shape returns in. It panics if there are not three channels, or Factor is not at
// least 0.
func (a AdjustBrightness) Shape(in []int) []int {
	return adjustable("data.AdjustBrightness", in, a.Factor, a.Factor >= 0)
}

// Shape returns in. It panics if there are not three channels, or Factor is not at
// least 0.
func (a AdjustContrast) Shape(in []int) []int {
	return adjustable("data.AdjustContrast", in, a.Factor, a.Factor >= 0)
}

// Shape returns in. It panics if there are not three channels, or Factor is not at
// least 0.
func (a AdjustSaturation) Shape(in []int) []int {
	return adjustable("data.AdjustSaturation", in, a.Factor, a.Factor >= 0)
}

// Shape returns in. It panics if there are not three channels, or Turn is not in
// [-0.5, 0.5].
func (a AdjustHue) Shape(in []int) []int {
	return adjustable("data.AdjustHue", in, a.Turn, a.Turn >= -0.5 && a.Turn <= 0.5)
}

func adjustable(op string, in []int, amount float32, ok bool) []int {
	rgb(op, in)
	if !ok {
		tensor.Panic(op, fmt.Sprintf("by %v", amount), in)
	}
	return in
}

// Apply draws nothing.
func (a AdjustBrightness) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	adjust(dst, src, 0, a.Factor)
}

// Apply draws nothing.
func (a AdjustContrast) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	adjust(dst, src, 1, a.Factor)
}

// Apply draws nothing.
func (a AdjustSaturation) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	adjust(dst, src, 2, a.Factor)
}

// Apply draws nothing.
func (a AdjustHue) Apply(dst, src *tensor.Tensor, rng *rand.Rand) { adjust(dst, src, 3, a.Turn) }

// adjustments change one frame d of n pixels, by the order in which [ColorJitter]
// draws their amounts.
var adjustments = [4]func(d []float32, n int, amount float32){brightness, contrast, saturation, hue}

func adjust(dst, src *tensor.Tensor, what int, amount float32) {
	dst.CopyFrom(src)
	count, n := rgb("data.Adjust", src.Shape())
	for f := range count {
		adjustments[what](dst.Data()[3*n*f:][:3*n], n, amount)
	}
}

func brightness(d []float32, n int, f float32) {
	for i := range d {
		d[i] = clamp(f * d[i])
	}
}

func contrast(d []float32, n int, f float32) {
	r, g, b := d[:n], d[n:2*n], d[2*n:3*n]
	mean := 0.0
	for i := range r {
		mean += float64(luma(r[i], g[i], b[i]))
	}
	m := float32(mean / float64(n))
	for i := range d {
		d[i] = clamp(m + f*(d[i]-m))
	}
}

func saturation(d []float32, n int, f float32) {
	r, g, b := d[:n], d[n:2*n], d[2*n:3*n]
	for i := range r {
		y := luma(r[i], g[i], b[i])
		r[i], g[i], b[i] = clamp(y+f*(r[i]-y)), clamp(y+f*(g[i]-y)), clamp(y+f*(b[i]-y))
	}
}

func hue(d []float32, n int, turn float32) {
	r, g, b := d[:n], d[n:2*n], d[2*n:3*n]
	for i := range r {
		r[i], g[i], b[i] = turnHue(r[i], g[i], b[i], turn)
	}
}

// turnHue adds to the hue of a colour, which goes from 0 to 1 around the circle,
// and keeps its saturation and value in the HSV sense.
func turnHue(r, g, b, turn float32) (float32, float32, float32) {
	top, bottom := max(r, g, b), min(r, g, b)
	span := top - bottom
	if span <= 0 {
		return r, g, b
	}
	var hue float32 // in sixths of the circle
	switch top {
	case r:
		hue = (g - b) / span
	case g:
		hue = 2 + (b-r)/span
	default:
		hue = 4 + (r-g)/span
	}
	hue += 6 * turn
	if hue < 0 {
		hue += 6
	}
	return top - span*sector(hue+5), top - span*sector(hue+3), top - span*sector(hue+1)
}

// sector is the trapezoid that each channel follows around the circle of six
// sixths, a third apart from the next: 0 in [4, 6], 1 in [1, 3]. It repeats.
func sector(k float32) float32 {
	for k >= 6 {
		k -= 6
	}
	return max(0, min(k, 4-k, 1))
}
