package data

import (
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// Normalize subtracts Mean from every channel and divides by Std. Each has one
// entry for all channels or one for each.
type Normalize struct {
	Mean, Std []float32
}

// Shape returns in. It panics if the entries do not fit the channels, or one of
// Std is zero.
func (n Normalize) Shape(in []int) []int {
	c, _, _ := dims("data.Normalize", in)
	for _, v := range [][]float32{n.Mean, n.Std} {
		if len(v) != 1 && len(v) != c {
			tensor.Panic("data.Normalize", fmt.Sprintf("%d entries for the channels", len(v)), in)
		}
	}
	for _, s := range n.Std {
		if s == 0 {
			tensor.Panic("data.Normalize", "a standard deviation of 0", in)
		}
	}
	return in
}

// Apply draws nothing.
func (n Normalize) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	c, h, w := dims("data.Normalize", src.Shape())
	for ch := range c {
		mean, std := n.Mean[min(ch, len(n.Mean)-1)], n.Std[min(ch, len(n.Std)-1)]
		in, out := src.Data()[ch*h*w:][:h*w], dst.Data()[ch*h*w:][:h*w]
		for i, v := range in {
			out[i] = (v - mean) / std
		}
	}
}

// Luma weights of ITU-R BT.601.
const lumaR, lumaG, lumaB = 0.299, 0.587, 0.114

func luma(r, g, b float32) float32 { return lumaR*r + lumaG*g + lumaB*b }

func clamp(v float32) float32 { return min(max(v, 0), 1) }

// rgb panics for op unless the shape is [3, H, W], and returns H·W.
func rgb(op string, shape []int) int {
	c, h, w := dims(op, shape)
	if c != 3 {
		tensor.Panic(op, "not three channels", shape)
	}
	return h * w
}

// Grayscale replaces red, green and blue by the luma of ITU-R BT.601. The image
// keeps its three channels.
type Grayscale struct{}

// Shape returns in. It panics if there are not three channels.
func (Grayscale) Shape(in []int) []int {
	rgb("data.Grayscale", in)
	return in
}

// Apply draws nothing.
func (Grayscale) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	n := rgb("data.Grayscale", src.Shape())
	in, out := src.Data(), dst.Data()
	for i := range n {
		y := luma(in[i], in[n+i], in[2*n+i])
		out[i], out[n+i], out[2*n+i] = y, y, y
	}
}

// ColorJitter changes brightness, contrast, saturation and hue of an RGB image
// by random amounts, in random order. Each of the first three multiplies by a
// factor drawn from [max(0, 1-v), 1+v]: the image, its difference from its mean
// luma, its difference from its own luma. Hue turns the colour circle by up to
// Hue of it in either direction. Results are clamped to [0,1] after each.
type ColorJitter struct {
	Brightness, Contrast, Saturation float32 // at least 0
	Hue                              float32 // in [0, 0.5]
}

// Shape returns in. It panics if an option is out of range or there are not
// three channels.
func (j ColorJitter) Shape(in []int) []int {
	rgb("data.ColorJitter", in)
	if !(j.Brightness >= 0 && j.Contrast >= 0 && j.Saturation >= 0 && j.Hue >= 0 && j.Hue <= 0.5) {
		tensor.Panic("data.ColorJitter", fmt.Sprintf("impossible options %+v", j), in)
	}
	return in
}

// Apply draws the order and then four amounts.
func (j ColorJitter) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	n := rgb("data.ColorJitter", src.Shape())
	dst.CopyFrom(src)
	order := [4]int{0, 1, 2, 3}
	rng.Shuffle(4, func(a, b int) { order[a], order[b] = order[b], order[a] })
	factor := func(v float32) float32 {
		lo := max(0, 1-v)
		return lo + rng.Float32()*(1+v-lo)
	}
	amounts := [4]float32{factor(j.Brightness), factor(j.Contrast), factor(j.Saturation), (2*rng.Float32() - 1) * j.Hue}
	used := [4]bool{j.Brightness > 0, j.Contrast > 0, j.Saturation > 0, j.Hue > 0}
	d := dst.Data()
	r, g, b := d[:n], d[n:2*n], d[2*n:3*n]
	for _, what := range order {
		if !used[what] {
			continue
		}
		f := amounts[what]
		switch what {
		case 0:
			for i := range d {
				d[i] = clamp(f * d[i])
			}
		case 1:
			mean := 0.0
			for i := range r {
				mean += float64(luma(r[i], g[i], b[i]))
			}
			m := float32(mean / float64(n))
			for i := range d {
				d[i] = clamp(m + f*(d[i]-m))
			}
		case 2:
			for i := range r {
				y := luma(r[i], g[i], b[i])
				r[i], g[i], b[i] = clamp(y+f*(r[i]-y)), clamp(y+f*(g[i]-y)), clamp(y+f*(b[i]-y))
			}
		case 3:
			for i := range r {
				r[i], g[i], b[i] = turnHue(r[i], g[i], b[i], f)
			}
		}
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
