package autograd

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// ConvOptions are the settings of a convolution. The lists hold one number per spatial
// dimension in the order of the shape (depth, height, width), or a single number for
// all of them. The zero value is a convolution with stride 1 and no padding.
type ConvOptions struct {
	Stride   []int // in elements, at least 1; nil means 1
	Padding  []int // zeros on either side; nil means 0
	Dilation []int // the distance of neighbouring taps, at least 1; nil means 1
	Groups   int   // divides the channels of both sides; 0 means 1

	// OutputPadding enlarges the result of a transposed convolution at the end of each
	// dimension; nil means 0. Other convolutions ignore it.
	OutputPadding []int

	// ReLU replaces negative results by 0 on their way to memory.
	ReLU bool
}

// sizes spreads one value per spatial dimension over depth, height and width. A
// missing depth gets lone, and nil means def everywhere.
func sizes(op, name string, v []int, spatial, def, lone, least int) [3]int {
	s := [3]int{lone, lone, lone}
	if len(v) > 1 && len(v) != spatial {
		tensor.Panic(op, fmt.Sprintf("%s has %d numbers for %d dimensions", name, len(v), spatial))
	}
	for i := range spatial {
		d := def
		switch len(v) {
		case 0:
		case 1:
			d = v[0]
		default:
			d = v[i]
		}
		if d < least {
			tensor.Panic(op, fmt.Sprintf("%s is %d, below %d", name, d, least))
		}
		s[3-spatial+i] = d
	}
	return s
}

// convShape describes to the kernels a convolution of an input shaped x by weights
// shaped w. In a transposed one x takes the place of the result.
func convShape(op string, x, w []int, o *ConvOptions, transposed bool) kernel.ConvShape {
	spatial := len(w) - 2
	if spatial < 1 || spatial > 3 || len(x) != len(w) {
		tensor.Panic(op, "input and weights must have the same rank of 3 to 5", x, w)
	}
	s := kernel.ConvShape{
		N:        x[0],
		O:        w[0],
		Groups:   max(o.Groups, 1),
		Stride:   sizes(op, "Stride", o.Stride, spatial, 1, 1, 1),
		Pad:      sizes(op, "Padding", o.Padding, spatial, 0, 0, 0),
		Dilation: sizes(op, "Dilation", o.Dilation, spatial, 1, 1, 1),
		Kernel:   sizes(op, "kernel size", w[2:], spatial, 1, 1, 1),
	}
	size := sizes(op, "input size", x[2:], spatial, 1, 1, 0)
	s.C = w[1] * s.Groups
	channels := s.C
	if transposed {
		channels = s.O
	}
	if o.Groups < 0 || s.O%s.Groups != 0 || x[1] != channels {
		tensor.Panic(op, fmt.Sprintf("the input must have %d channels, in %d groups", channels, s.Groups), x, w)
	}
	if transposed {
		extra := sizes(op, "OutputPadding", o.OutputPadding, spatial, 0, 0, 0)
		for d := range 3 {
			span := (s.Kernel[d]-1)*s.Dilation[d] + 1
			if size[d] == 0 || (size[d]-1)*s.Stride[d]-2*s.Pad[d]+span+extra[d] < 1 || extra[d] > 0 && extra[d] >= max(s.Stride[d], s.Dilation[d]) {
				tensor.Panic(op, "the kernel, padding and output padding do not fit the input", x, w)
			}
		}
		s.Out = size
		s.ResolveTransposed(extra)
		return s
	}
	for d := range 3 {
		if span := (s.Kernel[d]-1)*s.Dilation[d] + 1; size[d]+2*s.Pad[d] < span {
			tensor.Panic(op, "the kernel is larger than the padded input", x, w)
		}
	}
	s.In = size
	s.Resolve()
	return s
}

// checkBias panics unless b is absent or has one number for each of n channels.
func checkBias(op string, b *node, n int) []float32 {
	if b == nil {
		return nil
	}
	if b.rank != 1 || b.dims[0] != n {
		tensor.Panic(op, fmt.Sprintf("the bias must have shape [%d]", n), b.shape())
	}
	return b.data
}

// outShape returns [n, channels, the last spatial sizes of v].
func outShape(n, channels, spatial int, v [3]int) (dims [5]int) {
	dims[0], dims[1] = n, channels
	copy(dims[2:], v[3-spatial:])
	return dims
}

// Conv returns the convolution of x by w plus b, in the sense of the field: w is not
// flipped (cross-correlation). With two spatial dimensions x is [N, C, H, W], w [O,
// C/Groups, KH, KW], b [O], and the result [N, O, H', W'] with H' = floor((H +
// 2·padding - dilation·(KH-1) - 1)/stride) + 1. With one and three spatial dimensions
// the shapes are [N, C, L] and [N, C, D, H, W] accordingly. The zero Var for b adds
// nothing. Conv panics if the shapes do not fit each other or the options, or if the
// kernel is larger than the padded input.
func Conv(x, w, b Var, o ConvOptions) Var {
	const op = "autograd.Conv"
	xn := x.node(op)
	t := x.tape
	wn, bn := w.on(op, t), b.optional(op, t)
	s := convShape(op, xn.shape(), wn.shape(), &o, false)
	bias := checkBias(op, bn, s.O)
	dims := outShape(s.N, s.O, wn.rank-2, s.Out)
	y := t.newNode(dims[:wn.rank]...)
	kernel.ConvForward(&s, y.data, xn.data, wn.data, bias, activation(o.ReLU))
	if t.records(xn, wn, bn) {
		*record[convOp](t, y, xn, wn, bn) = convOp{s, o.ReLU}
	}
	return y.v(t)
}

func activation(relu bool) kernel.Act {
	if relu {
		return kernel.ActReLU
	}
	return kernel.ActNone
}

type convOp struct {
	s    kernel.ConvShape
	relu bool
}

// giveBias adds to the gradient of b, a bias of the channels of y [N, C, ...], the
// sums of the gradient of y over all other axes.
func giveBias(t *Tape, b, y *node) {
	db, add := t.gradInto(b)
	kept := [MaxRank]int{}
	for i := range y.rank {
		kept[i] = 1
	}
	kept[1] = y.dims[1]
	kernel.SumTo(db, kept[:y.rank], y.gradient(), y.shape(), add)
}

// maskReLU turns the gradient of y, the result of a fused ReLU, into that of what
// the ReLU was applied to.
func maskReLU(t *Tape, y *node) {
	dy := t.own(y)
	kernel.ReLUGrad(dy, dy, y.data, false)
}

func (o *convOp) backward(t *Tape, y *node) {
	if o.relu {
		maskReLU(t, y)
	}
	x, w, b, dy := y.in[0], y.in[1], y.in[2], y.gradient()
	if t.wants(w) {
		t.give(w, func(dw []float32) { kernel.ConvBackwardWeights(&o.s, dw, dy, x.data) })
	}
	if t.wants(b) {
		giveBias(t, b, y)
	}
	if t.wants(x) {
		t.give(x, func(dx []float32) { kernel.ConvBackwardData(&o.s, dx, dy, w.data) })
	}
}

// ConvTranspose returns the transposed convolution of x by w plus b: the gradient of a
// convolution to its input (Zeiler et al., 2010). With two spatial dimensions x is [N,
// C, H, W], w [C, O/Groups, KH, KW], b [O], and the result [N, O, H', W'] with H' =
// (H-1)·stride - 2·padding + dilation·(KH-1) + 1 + output padding; one and three
// spatial dimensions are alike. The zero Var for b adds nothing. ConvTranspose panics
// if the shapes do not fit each other or the options, if an output padding reaches
// both stride and dilation, or if nothing is left of the result.
func ConvTranspose(x, w, b Var, o ConvOptions) Var {
	const op = "autograd.ConvTranspose"
	xn := x.node(op)
	t := x.tape
	wn, bn := w.on(op, t), b.optional(op, t)
	s := convShape(op, xn.shape(), wn.shape(), &o, true)
	bias := checkBias(op, bn, s.C)
	dims := outShape(s.N, s.C, wn.rank-2, s.In)
	y := t.newNode(dims[:wn.rank]...)
	kernel.ConvTransposeForward(&s, y.data, xn.data, wn.data, bias, activation(o.ReLU))
	if t.records(xn, wn, bn) {
		*record[convTransposeOp](t, y, xn, wn, bn) = convTransposeOp{s, o.ReLU}
	}
	return y.v(t)
}

type convTransposeOp struct {
	s    kernel.ConvShape
	relu bool
}

func (o *convTransposeOp) backward(t *Tape, y *node) {
	if o.relu {
		maskReLU(t, y)
	}
	x, w, b, dy := y.in[0], y.in[1], y.in[2], y.gradient()
	if t.wants(w) {
		t.give(w, func(dw []float32) { kernel.ConvBackwardWeights(&o.s, dw, x.data, dy) })
	}
	if t.wants(b) {
		giveBias(t, b, y)
	}
	if t.wants(x) {
		t.give(x, func(dx []float32) { kernel.ConvForward(&o.s, dx, dy, w.data, nil, kernel.ActNone) })
	}
}

func (o *convOp) multiplyAdds(y *node) int64 { return convMultiplyAdds(&o.s) }

func (o *convTransposeOp) multiplyAdds(y *node) int64 { return convMultiplyAdds(&o.s) }

func convMultiplyAdds(s *kernel.ConvShape) int64 {
	n := int64(s.WLen()) * int64(s.N)
	for _, d := range s.Out {
		n *= int64(d)
	}
	return n
}
