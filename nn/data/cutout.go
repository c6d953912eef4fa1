package data

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// Cutout sets squares of a sample to Fill (DeVries and Taylor, "Improved regularization of
// convolutional neural networks with cutout", 2017). The centre of a square is drawn
// uniformly from the sample's pixels, so part of the square may lie outside. The paper
// fills with 0 after normalisation, which is the mean of the data.
type Cutout struct {
	Size  int     // side of a square; 0 means half of the sample's height, which is 16 for CIFAR-10
	Count int     // squares; 0 means 1
	Fill  float32 // new value of the pixels
}

// Shape returns in. It panics if an option is negative.
func (c Cutout) Shape(in []int) []int {
	frames("data.Cutout", in)
	if c.Size < 0 || c.Count < 0 {
		tensor.Panic("data.Cutout", fmt.Sprintf("impossible options %+v", c), in)
	}
	return in
}

// Apply draws row and column of every centre.
func (c Cutout) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	t, ch, h, w := frames("data.Cutout", src.Shape())
	size := cmp.Or(c.Size, max(h/2, 1))
	dst.CopyFrom(src)
	for range cmp.Or(c.Count, 1) {
		y, x := rng.IntN(h), rng.IntN(w)
		top, bottom := max(y-size/2, 0), min(y-size/2+size, h)
		left, right := max(x-size/2, 0), min(x-size/2+size, w)
		for plane := range t * ch {
			for row := top; row < bottom; row++ {
				set(dst.Data()[(plane*h+row)*w:][left:right], c.Fill)
			}
		}
	}
}
