package data

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// Normalize subtracts Mean from every channel and divides by Std. Each has one entry for
// all channels or one per channel.
type Normalize struct {
	Mean, Std []float32
}

// Shape returns in. It panics if the entries do not fit the channels, or one of
// Std is zero.
func (n Normalize) Shape(in []int) []int {
	_, c, _, _ := frames("data.Normalize", in)
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
	t, c, h, w := frames("data.Normalize", src.Shape())
	for plane := range t * c {
		ch := plane % c
		mean, std := n.Mean[min(ch, len(n.Mean)-1)], n.Std[min(ch, len(n.Std)-1)]
		in, out := src.Data()[plane*h*w:][:h*w], dst.Data()[plane*h*w:][:h*w]
		for i, v := range in {
			out[i] = (v - mean) / std
		}
	}
}

// Luma weights of ITU-R BT.601.
const lumaR, lumaG, lumaB = 0.299, 0.587, 0.114

func luma(r, g, b float32) float32 { return lumaR*r + lumaG*g + lumaB*b }

func clamp(v float32) float32 { return min(max(v, 0), 1) }

// rgb panics for op unless the shape is [3, H, W] or [T, 3, H, W], and returns T, or
// 1, and H·W.
func rgb(op string, shape []int) (count, pixels int) {
	t, c, h, w := frames(op, shape)
	if c != 3 {
		tensor.Panic(op, "not three channels", shape)
	}
	return t, h * w
}

// Grayscale replaces red, green and blue by the luma of ITU-R BT.601. The sample
// keeps its three channels.
type Grayscale struct{}

// Shape returns in. It panics if there are not three channels.
func (Grayscale) Shape(in []int) []int {
	rgb("data.Grayscale", in)
	return in
}

// Apply draws nothing.
func (Grayscale) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	count, n := rgb("data.Grayscale", src.Shape())
	for f := range count {
		in, out := src.Data()[3*n*f:][:3*n], dst.Data()[3*n*f:][:3*n]
		for i := range n {
			y := luma(in[i], in[n+i], in[2*n+i])
			out[i], out[n+i], out[2*n+i] = y, y, y
		}
	}
}

// RandomGrayscale applies [Grayscale] with probability P.
type RandomGrayscale struct {
	P float64 // 0 means 0.1
}

// Shape returns in. It panics if there are not three channels, or P is not in [0,1].
func (g RandomGrayscale) Shape(in []int) []int {
	chance("data.RandomGrayscale", g.P, 0.1)
	return Grayscale{}.Shape(in)
}

// Apply draws once.
func (g RandomGrayscale) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	sometimes(dst, src, rng, cmp.Or(g.P, 0.1), Grayscale{})
}

// ColorJitter changes brightness, contrast, saturation and hue of an RGB sample by random
// amounts, in random order: by [AdjustBrightness], [AdjustContrast] and [AdjustSaturation]
// with a factor drawn from [max(0, 1-v), 1+v], where v is the field, and by [AdjustHue]
// with a turn drawn from [-Hue, Hue]. A field of 0 changes nothing.
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
	order := [4]int{0, 1, 2, 3}
	rng.Shuffle(4, func(a, b int) { order[a], order[b] = order[b], order[a] })
	factor := func(v float32) float32 {
		lo := max(0, 1-v)
		return lo + rng.Float32()*(1+v-lo)
	}
	amounts := [4]float32{factor(j.Brightness), factor(j.Contrast), factor(j.Saturation), (2*rng.Float32() - 1) * j.Hue}
	used := [4]bool{j.Brightness > 0, j.Contrast > 0, j.Saturation > 0, j.Hue > 0}
	dst.CopyFrom(src)
	count, n := rgb("data.ColorJitter", src.Shape())
	for f := range count {
		for _, what := range order {
			if used[what] {
				adjustments[what](dst.Data()[3*n*f:][:3*n], n, amounts[what])
			}
		}
	}
}
