package video

import (
	"math/rand/v2"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// Controls change the frames of a clip, to show whether a network uses motion: one that
// does not is as accurate on them as on the clips. They are transforms of clips [T, C, H,
// W], and panic at other shapes. Put them in front of what prepares a clip for a network:
//
//	eval.Options{Transform: data.Compose(video.Freeze{}, pre.Transform())}
var (
	_ data.Transform = Freeze{}
	_ data.Transform = Shuffle{}
	_ data.Transform = Reverse{}
)

// Freeze repeats the middle frame, number T/2.
type Freeze struct{}

// Shuffle puts the frames in random order.
type Shuffle struct{}

// Reverse reverses the order of the frames.
type Reverse struct{}

func (Freeze) Shape(in []int) []int  { return clipShape("video.Freeze", in) }
func (Shuffle) Shape(in []int) []int { return clipShape("video.Shuffle", in) }
func (Reverse) Shape(in []int) []int { return clipShape("video.Reverse", in) }

// Apply repeats the frame. It draws nothing.
func (Freeze) Apply(dst, src *tensor.Tensor, _ *rand.Rand) {
	n := src.Dim(0)
	reorder(dst, src, func(int) int { return n / 2 })
}

// Apply draws the order from rng.
func (Shuffle) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	order := rng.Perm(src.Dim(0))
	reorder(dst, src, func(t int) int { return order[t] })
}

// Apply reverses time. It draws nothing.
func (Reverse) Apply(dst, src *tensor.Tensor, _ *rand.Rand) {
	n := src.Dim(0)
	reorder(dst, src, func(t int) int { return n - 1 - t })
}

func clipShape(op string, in []int) []int {
	if len(in) != 4 {
		tensor.Panic(op, "not the shape [T, C, H, W] of a clip", in)
	}
	return in
}

func reorder(dst, src *tensor.Tensor, from func(t int) int) {
	for t := range src.Dim(0) {
		dst.Index(t).CopyFrom(src.Index(from(t)))
	}
}
