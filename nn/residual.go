package nn

import (
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// A Shortcut is the kind of a residual block's skip connection.
type Shortcut uint8

const (
	// Projection is a 1x1 convolution and batch normalisation where the shape
	// changes (option B of He et al., 2016), the identity elsewhere.
	Projection Shortcut = iota

	// ZeroPad takes every stride-th pixel and pads channels with zeros on both
	// sides: option A, which has no parameters.
	ZeroPad
)

// BasicBlock is two 3x3 convolutions with batch normalisation and a shortcut (He et al.,
// 2016). Its children are conv1, bn1, conv2, bn2 and, for a projection, downsample.
type BasicBlock struct {
	Conv1, Conv2 *Conv
	BN1, BN2     *BatchNorm
	Downsample   *Sequential // the projection, or nil

	Stride int
	Pad    int // channels of zeros on either side of the shortcut, with ZeroPad
}

// NewBasicBlock returns a block with He initialisation for the fan-out. With ZeroPad it
// panics unless out-in is even and not negative.
func NewBasicBlock(rng *rand.Rand, in, out, stride int, s Shortcut) *BasicBlock {
	b := &BasicBlock{
		Conv1: conv(rng, in, out, 3, stride), BN1: NewBatchNorm(out),
		Conv2: conv(rng, out, out, 3, 1), BN2: NewBatchNorm(out),
		Stride: stride,
	}
	switch {
	case s == ZeroPad:
		if out < in || (out-in)%2 != 0 {
			tensor.Panic("nn.NewBasicBlock", fmt.Sprintf("cannot pad %d channels to %d on both sides", in, out))
		}
		b.Pad = (out - in) / 2
	case stride != 1 || in != out:
		b.Downsample = projection(rng, in, out, stride)
	}
	return b
}

// conv returns a convolution without bias that keeps the size but for the stride,
// initialised for ReLU, or with zeros without a generator.
func conv(rng *rand.Rand, in, out, kernel, stride int) *Conv {
	c := NewConv2D(nil, in, out, kernel, ConvOptions{Stride: stride, Padding: kernel / 2, NoBias: true})
	if rng != nil {
		KaimingNormalOut(rng, c.Weight)
	}
	return c
}

func projection(rng *rand.Rand, in, out, stride int) *Sequential {
	return NewSequential(conv(rng, in, out, 1, stride), NewBatchNorm(out))
}

// Forward applies the block.
func (b *BasicBlock) Forward(x autograd.Var) autograd.Var {
	a := b.Conv1.normalized(x, b.BN1, true)
	h := b.Conv2.Forward(a)
	a.Free()
	r := b.shortcut(x)
	y := b.BN2.forward(h, false, true, r)
	h.Free()
	if r != x {
		r.Free()
	}
	return y
}

func (b *BasicBlock) shortcut(x autograd.Var) autograd.Var {
	switch {
	case b.Downsample != nil:
		return b.Downsample.Forward(x)
	case b.Stride == 1 && b.Pad == 0:
		return x
	}
	small := autograd.SubsampleCopy(x, b.Stride)
	defer small.Free()
	return autograd.PadConstant(small, 0, 0, 0, 0, 0, b.Pad, b.Pad)
}

// Promises: see [Promiser].
func (b *BasicBlock) Promises(self Module) Promise {
	p := Together(b.Conv1, b.BN1, b.Conv2, b.BN2)
	if b.Downsample != nil {
		p &= promises(b.Downsample)
	}
	return Promised[*BasicBlock](self, p)
}

// Walk names the children.
func (b *BasicBlock) Walk(w *Walker) {
	w.Child("conv1", b.Conv1)
	w.Child("bn1", b.BN1)
	w.Child("conv2", b.Conv2)
	w.Child("bn2", b.BN2)
	if b.Downsample != nil {
		w.Child("downsample", b.Downsample)
	}
}

// Settings: see [HasSettings].
func (b *BasicBlock) Settings() string { return fmt.Sprint(b.Stride, b.Pad) }

// Bottleneck is a 1x1, a 3x3 and a 1x1 convolution with batch normalisation, and a
// projection shortcut where the shape changes (He et al., 2016). The stride is the
// 3x3's. Its children are conv1, bn1, ..., bn3 and downsample.
type Bottleneck struct {
	Conv1, Conv2, Conv3 *Conv
	BN1, BN2, BN3       *BatchNorm
	Downsample          *Sequential // or nil
}

// NewBottleneck returns a block whose result has 4·width channels, with He
// initialisation for the fan-out.
func NewBottleneck(rng *rand.Rand, in, width, stride int) *Bottleneck {
	out := 4 * width
	b := &Bottleneck{
		Conv1: conv(rng, in, width, 1, 1), BN1: NewBatchNorm(width),
		Conv2: conv(rng, width, width, 3, stride), BN2: NewBatchNorm(width),
		Conv3: conv(rng, width, out, 1, 1), BN3: NewBatchNorm(out),
	}
	if stride != 1 || in != out {
		b.Downsample = projection(rng, in, out, stride)
	}
	return b
}

// Forward applies the block.
func (b *Bottleneck) Forward(x autograd.Var) autograd.Var {
	h := b.Conv1.normalized(x, b.BN1, true)
	a := b.Conv2.normalized(h, b.BN2, true)
	h.Free()
	h = b.Conv3.Forward(a)
	a.Free()
	r := x
	if b.Downsample != nil {
		r = b.Downsample.Forward(x)
	}
	y := b.BN3.forward(h, false, true, r)
	h.Free()
	if r != x {
		r.Free()
	}
	return y
}

// Promises: see [Promiser].
func (b *Bottleneck) Promises(self Module) Promise {
	p := Together(b.Conv1, b.BN1, b.Conv2, b.BN2, b.Conv3, b.BN3)
	if b.Downsample != nil {
		p &= promises(b.Downsample)
	}
	return Promised[*Bottleneck](self, p)
}

// Walk names the children.
func (b *Bottleneck) Walk(w *Walker) {
	w.Child("conv1", b.Conv1)
	w.Child("bn1", b.BN1)
	w.Child("conv2", b.Conv2)
	w.Child("bn2", b.BN2)
	w.Child("conv3", b.Conv3)
	w.Child("bn3", b.BN3)
	if b.Downsample != nil {
		w.Child("downsample", b.Downsample)
	}
}
