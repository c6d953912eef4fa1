package data

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// An operation is one of those that AutoAugment and RandAugment choose from. Its
// strength is a bin of some.
type operation struct {
	signed bool                              // half of the time the strength is negated
	amount func(bin, bins, h, w int) float64 // of the strength; nil if there is one only
	apply  func(p *picture, v float64, fill byte)
}

// linspace is element i of n numbers from 0 to end, rounded as PyTorch rounds them
// for torchvision: a last bit decides bytes where a product ends near a whole number.
func linspace(end float32, i, n int) float64 {
	step := float64(end / float32(n-1))
	if i < n/2 {
		return float64(float32(step * float64(i)))
	}
	return float64(float32(float64(end) - step*float64(n-1-i)))
}

func upTo(end float32) func(bin, bins, h, w int) float64 {
	return func(bin, bins, _, _ int) float64 { return linspace(end, bin, bins) }
}

// farthest is the longest translation, as a part of the side.
const farthest = 150.0 / 331

var (
	shearX     = &operation{true, upTo(0.3), func(p *picture, v float64, fill byte) { p.affine(1, v, 0, 0, 1, 0, fill) }}
	shearY     = &operation{true, upTo(0.3), func(p *picture, v float64, fill byte) { p.affine(1, 0, 0, v, 1, 0, fill) }}
	translateX = &operation{true, func(bin, bins, _, w int) float64 { return linspace(float32(farthest*float64(w)), bin, bins) },
		func(p *picture, v float64, fill byte) { p.affine(1, 0, -math.Trunc(v), 0, 1, 0, fill) }}
	translateY = &operation{true, func(bin, bins, h, _ int) float64 { return linspace(float32(farthest*float64(h)), bin, bins) },
		func(p *picture, v float64, fill byte) { p.affine(1, 0, 0, 0, 1, -math.Trunc(v), fill) }}
	rotate    = &operation{true, upTo(30), func(p *picture, v float64, fill byte) { p.rotate(v, fill) }}
	brighten  = &operation{true, upTo(0.9), func(p *picture, v float64, _ byte) { p.brightness(float32(1 + v)) }}
	recolor   = &operation{true, upTo(0.9), func(p *picture, v float64, _ byte) { p.color(float32(1 + v)) }}
	contrasts = &operation{true, upTo(0.9), func(p *picture, v float64, _ byte) { p.contrast(float32(1 + v)) }}
	sharpen   = &operation{true, upTo(0.9), func(p *picture, v float64, _ byte) { p.sharpness(float32(1 + v)) }}
	posterize = &operation{false, func(bin, bins, _, _ int) float64 { return 8 - math.RoundToEven(float64(bin)*4/float64(bins-1)) },
		func(p *picture, v float64, _ byte) { p.posterize(int(v)) }}
	solarize = &operation{false, func(bin, bins, _, _ int) float64 { return linspace(255, bins-1-bin, bins) },
		func(p *picture, v float64, _ byte) { p.solarize(v) }}
	autoContrast = &operation{apply: func(p *picture, _ float64, _ byte) { p.autoContrast() }}
	equalize     = &operation{apply: func(p *picture, _ float64, _ byte) { p.equalize() }}
	invert       = &operation{apply: func(p *picture, _ float64, _ byte) { p.solarize(0) }}
	identity     = &operation{apply: func(*picture, float64, byte) {}}
)

// A chosen operation has its amount and sign.
type chosen struct {
	op     *operation
	amount float64
}

// choose gives op the strength bin of bins, and a sign by a drawn bit.
func (op *operation) choose(bin, bins, h, w int, minus bool) chosen {
	if op.amount == nil {
		return chosen{op: op}
	}
	v := op.amount(bin, bins, h, w)
	if op.signed && minus {
		v = -v
	}
	return chosen{op, v}
}

// augmentable panics for op unless the sample has one channel or three.
func augmentable(op string, shape []int, fill float32) {
	if _, c, _, _ := frames(op, shape); c != 1 && c != 3 {
		tensor.Panic(op, "neither one channel nor three", shape)
	}
	if !(fill >= 0 && fill <= 1) {
		tensor.Panic(op, fmt.Sprintf("fill %v is not in [0,1]", fill), shape)
	}
}

// augmentBy applies operations to all frames of src.
func augmentBy(dst, src *tensor.Tensor, fill float32, list ...chosen) {
	if len(list) == 0 {
		dst.CopyFrom(src)
		return
	}
	count, c, h, w := frames("data.AutoAugment", src.Shape())
	p := pictures.Get().(*picture)
	defer pictures.Put(p)
	for f := range count {
		p.load(src.Data()[f*c*h*w:][:c*h*w], c, h, w)
		for _, o := range list {
			o.op.apply(p, o.amount, byte(fill*255+0.5))
		}
		p.store(dst.Data()[f*c*h*w:][:c*h*w])
	}
}

// AutoAugment applies a random one of the 25 sub-policies that were learned for a data set
// (Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data", 2019,
// appendix): two operations, each with its own probability and strength and a random
// direction. It works with nearest neighbours on values rounded to 8 bits, as the Python
// Imaging Library does, so put it before Normalize. If no operation is applied, the sample
// does not change.
type AutoAugment struct {
	Policy Policy  // the zero value is CIFAR10
	Fill   float32 // of pixels that come from outside the sample, in [0,1]
}

// A Policy names the data set for which the sub-policies of [AutoAugment] were learned.
type Policy uint8

const (
	CIFAR10 Policy = iota
	ImageNet
)

// Shape returns in. It panics unless there are one or three channels, or if an option
// is out of range.
func (a AutoAugment) Shape(in []int) []int {
	augmentable("data.AutoAugment", in, a.Fill)
	if int(a.Policy) >= len(policies) {
		tensor.Panic("data.AutoAugment", fmt.Sprintf("no policy %d", a.Policy))
	}
	return in
}

// Apply draws the sub-policy, and then for either operation whether it is applied and
// its direction.
func (a AutoAugment) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	_, _, h, w := frames("data.AutoAugment", src.Shape())
	sub := &policies[a.Policy][rng.IntN(len(policies[a.Policy]))]
	var list [2]chosen
	n := 0
	for _, s := range sub {
		apply, minus := rng.Float64() < s.p, rng.IntN(2) == 0
		if apply {
			list[n] = s.op.choose(s.bin, 10, h, w, minus)
			n++
		}
	}
	augmentBy(dst, src, a.Fill, list[:n]...)
}

// RandAugment applies operations that are drawn uniformly, each with the same strength
// (Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search
// space", 2020). See [AutoAugment] for the values that they work on.
type RandAugment struct {
	Ops       int     // number of operations, one after the other; 0 means 2
	Magnitude int     // strength, of 0 to 30; 0 means 9
	Fill      float32 // of pixels that come from outside the sample, in [0,1]
}

// randBins is the number of strengths.
const randBins = 31

var randOps = []*operation{identity, shearX, shearY, translateX, translateY, rotate, brighten, recolor, contrasts,
	sharpen, posterize, solarize, autoContrast, equalize}

// Shape returns in. It panics unless there are one or three channels, or if an option
// is out of range.
func (r RandAugment) Shape(in []int) []int {
	augmentable("data.RandAugment", in, r.Fill)
	if r.Ops < 0 || r.Magnitude < 0 || r.Magnitude >= randBins {
		tensor.Panic("data.RandAugment", fmt.Sprintf("impossible options %+v", r))
	}
	return in
}

// Apply draws operation and direction, one after the other.
func (r RandAugment) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	_, _, h, w := frames("data.RandAugment", src.Shape())
	list := make([]chosen, cmp.Or(r.Ops, 2))
	for i := range list {
		op, minus := randOps[rng.IntN(len(randOps))], rng.IntN(2) == 0
		list[i] = op.choose(cmp.Or(r.Magnitude, 9), randBins, h, w, minus)
	}
	augmentBy(dst, src, r.Fill, list...)
}

// A step is half of a sub-policy.
type step struct {
	op  *operation
	p   float64
	bin int // of ten
}

// policies are the tables of the paper's appendix.
var policies = [][25][2]step{
	CIFAR10: {
		{{invert, 0.1, 0}, {contrasts, 0.2, 6}},
		{{rotate, 0.7, 2}, {translateX, 0.3, 9}},
		{{sharpen, 0.8, 1}, {sharpen, 0.9, 3}},
		{{shearY, 0.5, 8}, {translateY, 0.7, 9}},
		{{autoContrast, 0.5, 0}, {equalize, 0.9, 0}},
		{{shearY, 0.2, 7}, {posterize, 0.3, 7}},
		{{recolor, 0.4, 3}, {brighten, 0.6, 7}},
		{{sharpen, 0.3, 9}, {brighten, 0.7, 9}},
		{{equalize, 0.6, 0}, {equalize, 0.5, 0}},
		{{contrasts, 0.6, 7}, {sharpen, 0.6, 5}},
		{{recolor, 0.7, 7}, {translateX, 0.5, 8}},
		{{equalize, 0.3, 0}, {autoContrast, 0.4, 0}},
		{{translateY, 0.4, 3}, {sharpen, 0.2, 6}},
		{{brighten, 0.9, 6}, {recolor, 0.2, 8}},
		{{solarize, 0.5, 2}, {invert, 0, 0}},
		{{equalize, 0.2, 0}, {autoContrast, 0.6, 0}},
		{{equalize, 0.2, 0}, {equalize, 0.6, 0}},
		{{recolor, 0.9, 9}, {equalize, 0.6, 0}},
		{{autoContrast, 0.8, 0}, {solarize, 0.2, 8}},
		{{brighten, 0.1, 3}, {recolor, 0.7, 0}},
		{{solarize, 0.4, 5}, {autoContrast, 0.9, 0}},
		{{translateY, 0.9, 9}, {translateY, 0.7, 9}},
		{{autoContrast, 0.9, 0}, {solarize, 0.8, 3}},
		{{equalize, 0.8, 0}, {invert, 0.1, 0}},
		{{translateY, 0.7, 9}, {autoContrast, 0.9, 0}},
	},
	ImageNet: {
		{{posterize, 0.4, 8}, {rotate, 0.6, 9}},
		{{solarize, 0.6, 5}, {autoContrast, 0.6, 0}},
		{{equalize, 0.8, 0}, {equalize, 0.6, 0}},
		{{posterize, 0.6, 7}, {posterize, 0.6, 6}},
		{{equalize, 0.4, 0}, {solarize, 0.2, 4}},
		{{equalize, 0.4, 0}, {rotate, 0.8, 8}},
		{{solarize, 0.6, 3}, {equalize, 0.6, 0}},
		{{posterize, 0.8, 5}, {equalize, 1, 0}},
		{{rotate, 0.2, 3}, {solarize, 0.6, 8}},
		{{equalize, 0.6, 0}, {posterize, 0.4, 6}},
		{{rotate, 0.8, 8}, {recolor, 0.4, 0}},
		{{rotate, 0.4, 9}, {equalize, 0.6, 0}},
		{{equalize, 0, 0}, {equalize, 0.8, 0}},
		{{invert, 0.6, 0}, {equalize, 1, 0}},
		{{recolor, 0.6, 4}, {contrasts, 1, 8}},
		{{rotate, 0.8, 8}, {recolor, 1, 2}},
		{{recolor, 0.8, 8}, {solarize, 0.8, 7}},
		{{sharpen, 0.4, 7}, {invert, 0.6, 0}},
		{{shearX, 0.6, 5}, {equalize, 1, 0}},
		{{recolor, 0.4, 0}, {equalize, 0.6, 0}},
		{{equalize, 0.4, 0}, {solarize, 0.2, 4}},
		{{solarize, 0.6, 5}, {autoContrast, 0.6, 0}},
		{{invert, 0.6, 0}, {equalize, 1, 0}},
		{{recolor, 0.6, 4}, {contrasts, 1, 8}},
		{{equalize, 0.8, 0}, {equalize, 0.6, 0}},
	},
}
