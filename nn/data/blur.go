package data

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/mettleml/mettle/tensor"
)

// GaussianBlur smooths an image with a Gaussian whose standard deviation, in pixels, is
// drawn uniformly from [MinSigma, MaxSigma]. Beyond its edges the image is reflected at the
// outermost pixels.
type GaussianBlur struct {
	Size     int     // of the window, odd; 0 means a tenth of the image's height, as in SimCLR, at least 3
	MinSigma float64 // 0 means 0.1 (SimCLR: Chen et al. 2020, appendix A)
	MaxSigma float64 // 0 means 2
}

func (g GaussianBlur) withDefaults(h int) GaussianBlur {
	if g.Size == 0 {
		g.Size = max(h/10|1, 3)
	}
	if g.MinSigma == 0 {
		g.MinSigma = 0.1
	}
	if g.MaxSigma == 0 {
		g.MaxSigma = 2
	}
	return g
}

// Shape returns in. It panics if half the window is not smaller than the image.
func (g GaussianBlur) Shape(in []int) []int {
	_, _, h, w := frames("data.GaussianBlur", in)
	d := g.withDefaults(h)
	if d.Size < 1 || d.Size&1 == 0 || d.Size/2 >= min(h, w) || !(0 < d.MinSigma && d.MinSigma <= d.MaxSigma) {
		tensor.Panic("data.GaussianBlur", fmt.Sprintf("impossible options %+v", g), in)
	}
	return in
}

// blurrer is scratch memory of GaussianBlur.
type blurrer struct {
	weights, line []float32
}

var blurrers = sync.Pool{New: func() any { return new(blurrer) }}

// Apply draws the standard deviation.
func (g GaussianBlur) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	t, c, h, w := frames("data.GaussianBlur", src.Shape())
	g = g.withDefaults(h)
	sigma := g.MinSigma + rng.Float64()*(g.MaxSigma-g.MinSigma)
	b := blurrers.Get().(*blurrer)
	defer blurrers.Put(b)
	half := g.Size / 2
	b.weights = grow(b.weights, g.Size)
	sum := 0.0
	for k := range g.Size {
		sum += math.Exp(-0.5 * float64((k-half)*(k-half)) / (sigma * sigma))
	}
	for k := range b.weights {
		b.weights[k] = float32(math.Exp(-0.5*float64((k-half)*(k-half))/(sigma*sigma)) / sum)
	}
	b.line = grow(b.line, max(h, w)+2*half)
	out, in := dst.Data(), src.Data()
	for y := range t * c * h {
		b.smooth(out[y*w:][:w], in[y*w:][:w], w, 1, half)
	}
	for ch := range t * c {
		plane := out[ch*h*w:][:h*w]
		for x := range w {
			b.smooth(plane[x:], plane[x:], h, w, half)
		}
	}
}

// smooth filters n values of src that are step apart. It may work in place.
func (b *blurrer) smooth(dst, src []float32, n, step, half int) {
	line := b.line[:n+2*half]
	for i := range line {
		j := i - half
		if j < 0 {
			j = -j
		}
		if j >= n {
			j = 2*(n-1) - j
		}
		line[i] = src[j*step]
	}
	for i := range n {
		var sum float32
		for k, v := range b.weights {
			sum += v * line[i+k]
		}
		dst[i*step] = sum
	}
}
