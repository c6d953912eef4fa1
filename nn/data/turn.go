package data

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// HorizontalFlip exchanges left and right, always. [RandomHorizontalFlip] does so
// for half of the samples.
type HorizontalFlip struct{}

// Shape returns in.
func (HorizontalFlip) Shape(in []int) []int {
	frames("data.HorizontalFlip", in)
	return in
}

// Apply draws nothing.
func (HorizontalFlip) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	_, _, _, w := frames("data.HorizontalFlip", src.Shape())
	out, in := dst.Data(), src.Data()
	for ; len(in) > 0 && w > 0; in, out = in[w:], out[w:] {
		line, row := in[:w], out[:w]
		for x := range row {
			row[x] = line[w-1-x]
		}
	}
}

// RandomHorizontalFlip exchanges left and right with probability P.
type RandomHorizontalFlip struct {
	P float64 // 0 means 0.5
}

// Shape returns in. It panics if P is not in [0,1].
func (f RandomHorizontalFlip) Shape(in []int) []int {
	chance("data.RandomHorizontalFlip", f.P, 0.5)
	return HorizontalFlip{}.Shape(in)
}

// Apply draws once.
func (f RandomHorizontalFlip) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	sometimes(dst, src, rng, cmp.Or(f.P, 0.5), HorizontalFlip{})
}

// QuarterTurns rotates an image counter-clockwise by Turns times 90 degrees.
type QuarterTurns struct {
	Turns int // any integer; multiples of 4 are no rotation
}

// Shape returns in, with height and width exchanged if Turns is odd.
func (q QuarterTurns) Shape(in []int) []int {
	_, _, h, w := frames("data.QuarterTurns", in)
	if q.Turns&1 == 0 {
		return in
	}
	return resized(in, w, h)
}

// Apply draws nothing.
func (q QuarterTurns) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	t, c, h, w := frames("data.QuarterTurns", src.Shape())
	_, _, oh, ow := frames("data.QuarterTurns", dst.Shape())
	// The pixel (y, x) of the result is at start + y*down + x*right in a channel.
	var start, down, right int
	switch q.Turns & 3 {
	case 0:
		start, down, right = 0, w, 1
	case 1:
		start, down, right = w-1, -1, w
	case 2:
		start, down, right = h*w-1, -w, -1
	case 3:
		start, down, right = (h-1)*w, 1, -w
	}
	for ch := range t * c {
		in, out := src.Data()[ch*h*w:][:h*w], dst.Data()[ch*h*w:][:h*w]
		for y := range oh {
			at := start + y*down
			for x := range ow {
				out[y*ow+x] = in[at]
				at += right
			}
		}
	}
}

// RandomQuarterTurns rotates a square image by 0, 90, 180 or 270 degrees, each with
// probability 1/4.
type RandomQuarterTurns struct{}

// Shape returns in. It panics if the image is not square.
func (RandomQuarterTurns) Shape(in []int) []int {
	if _, _, h, w := frames("data.RandomQuarterTurns", in); h != w {
		tensor.Panic("data.RandomQuarterTurns", fmt.Sprintf("%d by %d is not square", h, w), in)
	}
	return in
}

// Apply draws the number of turns.
func (RandomQuarterTurns) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	QuarterTurns{rng.IntN(4)}.Apply(dst, src, rng)
}
