package data

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/mettleml/mettle/tensor"
)

// A Transform makes one sample from another: an image [C, H, W] from an image, or a clip
// [T, C, H, W] from a clip. It draws once per clip, so all frames are treated alike. It has
// no state: all randomness comes from rng, so a sample can be reproduced. Several
// goroutines may use one Transform.
type Transform interface {
	// Shape returns the shape of the result for a sample of shape in. It panics if the
	// transform does not take such samples.
	Shape(in []int) []int
	// Apply reads src and writes dst, which has the shape Shape(src.Shape()) and
	// does not overlap src.
	Apply(dst, src *tensor.Tensor, rng *rand.Rand)
}

// frames returns the number of frames, the channels, height and width of an image
// [C, H, W], which is one frame, or of a clip [T, C, H, W]. It panics for op if the
// shape is neither.
func frames(op string, shape []int) (t, c, h, w int) {
	switch len(shape) {
	case 3:
		return 1, shape[0], shape[1], shape[2]
	case 4:
		return shape[0], shape[1], shape[2], shape[3]
	}
	tensor.Panic(op, "neither the shape [C, H, W] of an image nor [T, C, H, W] of a clip", shape)
	return
}

// dims returns the dimensions of a [C, H, W] shape, or panics for op.
func dims(op string, shape []int) (c, h, w int) {
	if len(shape) != 3 {
		tensor.Panic(op, "not the shape [C, H, W] of an image", shape)
	}
	return shape[0], shape[1], shape[2]
}

// resized returns shape with another height and width.
func resized(shape []int, h, w int) []int {
	out := slices.Clone(shape)
	n := len(out)
	out[n-2], out[n-1] = h, w
	return out
}

// chance is the probability p of a random transform, where 0 means the default.
func chance(op string, p, def float64) float64 {
	if !(p >= 0 && p <= 1) {
		tensor.Panic(op, fmt.Sprintf("probability %v", p))
	}
	return cmp.Or(p, def)
}

// A Sequence applies transforms one after another.
type Sequence struct {
	list   []Transform
	stages sync.Pool // of *stages
}

// stages holds the results between the transforms of a Sequence.
type stages struct {
	in      []int
	between []*tensor.Tensor
}

// Compose returns the transform that applies all of list in order.
func Compose(list ...Transform) *Sequence {
	return &Sequence{list: slices.Clone(list)}
}

// Shape applies the Shape methods in order.
func (s *Sequence) Shape(in []int) []int {
	for _, t := range s.list {
		in = t.Shape(in)
	}
	return in
}

// Apply applies the transforms in order.
func (s *Sequence) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	if len(s.list) == 0 {
		dst.CopyFrom(src)
		return
	}
	st, _ := s.stages.Get().(*stages)
	if st == nil || !slices.Equal(st.in, src.Shape()) {
		st = &stages{in: slices.Clone(src.Shape())}
		shape := st.in
		for _, t := range s.list[:len(s.list)-1] {
			shape = t.Shape(shape)
			st.between = append(st.between, tensor.New(shape...))
		}
	}
	for i, t := range s.list {
		out := dst
		if i < len(st.between) {
			out = st.between[i]
		}
		t.Apply(out, src, rng)
		src = out
	}
	s.stages.Put(st)
}

// RandomApply applies a transform with probability P, and otherwise copies the
// sample. The transform must keep the shape.
type RandomApply struct {
	Transform Transform
	P         float64 // 0 means 0.5
}

// Shape returns in. It panics if the transform changes it, or P is not in [0,1].
func (r RandomApply) Shape(in []int) []int {
	chance("data.RandomApply", r.P, 0.5)
	if out := r.Transform.Shape(in); !slices.Equal(in, out) {
		tensor.Panic("data.RandomApply", fmt.Sprintf("%T changes the shape", r.Transform), in, out)
	}
	return in
}

// Apply draws once, and then whatever the transform draws.
func (r RandomApply) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	sometimes(dst, src, rng, cmp.Or(r.P, 0.5), r.Transform)
}

// sometimes applies t with probability p, and otherwise copies.
func sometimes(dst, src *tensor.Tensor, rng *rand.Rand, p float64, t Transform) {
	if rng.Float64() < p {
		t.Apply(dst, src, rng)
	} else {
		dst.CopyFrom(src)
	}
}
