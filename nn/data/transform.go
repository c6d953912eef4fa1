package data

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/mettleml/mettle/tensor"
)

// A Transform makes one sample from another. It has no state of its own: what is
// random is drawn from rng, so that a sample can be made again. Several
// goroutines may use one Transform.
type Transform interface {
	// Shape returns the shape of the result for a sample of shape in. It panics
	// if there is none.
	Shape(in []int) []int
	// Apply reads src and writes dst, which has the shape Shape(src.Shape()) and
	// does not overlap src.
	Apply(dst, src *tensor.Tensor, rng *rand.Rand)
}

// dims returns the dimensions of a [C, H, W] shape, or panics for op.
func dims(op string, shape []int) (c, h, w int) {
	if len(shape) != 3 {
		tensor.Panic(op, "not the shape [C, H, W] of an image", shape)
	}
	return shape[0], shape[1], shape[2]
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

// Randomly applies a transform with probability P, and otherwise copies the
// sample. The transform must keep the shape.
type Randomly struct {
	P         float64
	Transform Transform
}

// Shape returns in. It panics if the transform changes it.
func (r Randomly) Shape(in []int) []int {
	if out := r.Transform.Shape(in); !slices.Equal(in, out) {
		tensor.Panic("data.Randomly", fmt.Sprintf("%T changes the shape", r.Transform), in, out)
	}
	return in
}

// Apply draws once, and then whatever the transform draws.
func (r Randomly) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	if rng.Float64() < r.P {
		r.Transform.Apply(dst, src, rng)
	} else {
		dst.CopyFrom(src)
	}
}
