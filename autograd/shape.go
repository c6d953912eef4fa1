package autograd

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Reshape returns x in another shape with as many elements; the two share memory. One
// dimension may be -1, and stands for the number that fits. Reshape panics if the
// numbers of elements differ, if -1 stands for no single number, or if the shape is
// negative or has more than [MaxRank] axes.
func Reshape(x Var, shape ...int) Var {
	const op = "autograd.Reshape"
	n := x.node(op)
	var buf [MaxRank]int
	if len(shape) > MaxRank {
		tensor.Panic(op, fmt.Sprintf("rank above %d", MaxRank), n.shape(), shape)
	}
	dims := buf[:copy(buf[:], shape)]
	size, open := 1, -1
	for i, d := range dims {
		switch {
		case d == -1 && open < 0:
			open = i
		case d < 0:
			tensor.Panic(op, "a dimension is negative", n.shape(), shape)
		default:
			size *= d
		}
	}
	if open >= 0 && size == 0 {
		tensor.Panic(op, "no dimension in the place of -1 is the only one that fits", n.shape(), shape)
	}
	if open >= 0 {
		dims[open] = len(n.data) / size
		size *= dims[open]
	}
	if size != len(n.data) {
		tensor.Panic(op, "the numbers of elements differ", n.shape(), shape)
	}
	return reshape(x.tape, n, dims)
}

func reshape(t *Tape, x *node, dims []int) Var {
	y := t.view(x, dims)
	if t.records(x) {
		record[reshapeOp](t, y, x)
	}
	return y.v(t)
}

type reshapeOp struct{}

func (*reshapeOp) backward(t *Tape, y *node) { t.pass(y.in[0], y) }

// Flatten returns x [N, ...] as a matrix [N, rest]; the two share memory. It panics if
// x is a scalar.
func Flatten(x Var) Var {
	const op = "autograd.Flatten"
	n := x.node(op)
	if n.rank < 1 {
		tensor.Panic(op, "want at least one axis", n.shape())
	}
	rest := 1
	for _, d := range n.shape()[1:] {
		rest *= d
	}
	return reshape(x.tape, n, []int{n.dims[0], rest})
}

// PermuteCopy returns x with its axes in another order: axis i of the result is axis
// order[i] of x. It copies. PermuteCopy panics unless the order names every axis once.
func PermuteCopy(x Var, order ...int) Var {
	const op = "autograd.PermuteCopy"
	n := x.node(op)
	t := x.tape
	if len(order) != n.rank {
		tensor.Panic(op, fmt.Sprintf("the order %v does not name every axis", slices.Clone(order)), n.shape())
	}
	var o permuteOp
	var seen [MaxRank]bool
	var dims [MaxRank]int
	for i, a := range order {
		a = n.axis(op, a)
		if seen[a] {
			tensor.Panic(op, fmt.Sprintf("the order %v names an axis twice", slices.Clone(order)), n.shape())
		}
		seen[a] = true
		o.order[i], o.inverse[a], dims[i] = a, i, n.dims[a]
	}
	y := t.newNode(dims[:n.rank]...)
	kernel.Permute(y.data, n.data, n.shape(), o.order[:n.rank])
	if t.records(n) {
		*record[permuteOp](t, y, n) = o
	}
	return y.v(t)
}

type permuteOp struct{ order, inverse [MaxRank]int }

func (o *permuteOp) backward(t *Tape, y *node) {
	t.give(y.in[0], func(dx []float32) { kernel.Permute(dx, y.gradient(), y.shape(), o.inverse[:y.rank]) })
}

// TransposeCopy returns the matrix x [M, N] with rows and columns exchanged, [N, M].
// It copies. TransposeCopy panics if x is no matrix.
func TransposeCopy(x Var) Var {
	const op = "autograd.TransposeCopy"
	if n := x.node(op); n.rank != 2 {
		tensor.Panic(op, "want a matrix", n.shape())
	}
	return PermuteCopy(x, 1, 0)
}

// NarrowCopy returns the entries from, from+step, ... of x along one axis, up to but
// not including entry to. It copies. A step of 0 means 1. NarrowCopy panics if x has
// no such axis, unless 0 <= from <= to <= length, or if the step is negative.
func NarrowCopy(x Var, axis, from, to, step int) Var {
	const op = "autograd.NarrowCopy"
	n := x.node(op)
	a := n.axis(op, axis)
	if from < 0 || to < from || to > n.dims[a] || step < 0 {
		tensor.Panic(op, fmt.Sprintf("no range [%d:%d] in steps of %d along axis %d", from, to, step, axis), n.shape())
	}
	step = max(step, 1)
	o := unitSteps()
	dims := n.dims
	o.start[a], o.step[a] = from, step
	dims[a] = (to - from + step - 1) / step
	return slice(x.tape, n, dims, o)
}

// FlipCopy returns x reversed along the given axes, in the shape of x. It copies.
// FlipCopy panics if x has no such axis.
func FlipCopy(x Var, axes ...int) Var {
	const op = "autograd.FlipCopy"
	n := x.node(op)
	o := unitSteps()
	for _, axis := range axes {
		if a := n.axis(op, axis); n.dims[a] > 0 {
			o.start[a], o.step[a] = n.dims[a]-1, -1
		}
	}
	return slice(x.tape, n, n.dims, o)
}

// SubsampleCopy returns every step-th row and column of the last two axes of x [...,
// H, W], beginning with the first: [..., ceil(H/step), ceil(W/step)]. It is a
// convolution by the kernel [[1]] with that stride. It copies. SubsampleCopy panics if
// x has fewer than two axes or the step is below 1.
func SubsampleCopy(x Var, step int) Var {
	const op = "autograd.SubsampleCopy"
	n := x.node(op)
	if n.rank < 2 || step < 1 {
		tensor.Panic(op, fmt.Sprintf("want at least two axes and a positive step, not %d", step), n.shape())
	}
	o := unitSteps()
	dims := n.dims
	for _, a := range []int{n.rank - 2, n.rank - 1} {
		o.step[a] = step
		dims[a] = (dims[a] + step - 1) / step
	}
	return slice(x.tape, n, dims, o)
}

// sliceOp is a copy of the elements at start + i·step along each axis.
type sliceOp struct{ start, step [MaxRank]int }

func unitSteps() (o sliceOp) {
	for i := range o.step {
		o.step[i] = 1
	}
	return o
}

func slice(t *Tape, x *node, dims [MaxRank]int, o sliceOp) Var {
	y := t.newNode(dims[:x.rank]...)
	kernel.Slice(y.data, y.shape(), x.data, x.shape(), o.start[:x.rank], o.step[:x.rank])
	if t.records(x) {
		*record[sliceOp](t, y, x) = o
	}
	return y.v(t)
}

func (o *sliceOp) backward(t *Tape, y *node) {
	x := y.in[0]
	dx, add := t.gradInto(x)
	if !add {
		clear(dx)
	}
	kernel.SetSlice(dx, x.shape(), y.gradient(), y.shape(), o.start[:x.rank], o.step[:x.rank], true)
}

// Rot90Copy turns each plane of x [..., H, W] counter-clockwise by the given number of
// quarter turns, with rows counted downwards. The result is [..., W, H] after an odd number
// of turns and [..., H, W] otherwise. A negative number turns clockwise. It copies.
// Rot90Copy panics if x has fewer than two axes.
func Rot90Copy(x Var, turns int) Var {
	const op = "autograd.Rot90Copy"
	n := x.node(op)
	t := x.tape
	if n.rank < 2 {
		tensor.Panic(op, "want at least two axes", n.shape())
	}
	dims := n.dims
	h, w := dims[n.rank-2], dims[n.rank-1]
	if turns&1 != 0 {
		dims[n.rank-2], dims[n.rank-1] = w, h
	}
	planes := 1
	for _, d := range dims[:n.rank-2] {
		planes *= d
	}
	y := t.newNode(dims[:n.rank]...)
	kernel.Rot90(y.data, n.data, planes, h, w, turns)
	if t.records(n) {
		*record[rot90Op](t, y, n) = rot90Op{planes, turns}
	}
	return y.v(t)
}

type rot90Op struct{ planes, turns int }

func (o *rot90Op) backward(t *Tape, y *node) {
	t.give(y.in[0], func(dx []float32) {
		kernel.Rot90(dx, y.gradient(), o.planes, y.dims[y.rank-2], y.dims[y.rank-1], -o.turns)
	})
}

// RollCopy shifts x along an axis by shift entries: what leaves at one end enters at the
// other. The result has the shape of x. It copies. RollCopy panics if x has no such axis.
func RollCopy(x Var, axis, shift int) Var {
	n := x.node("autograd.RollCopy")
	t := x.tape
	var o rollOp
	o.shift[n.axis("autograd.RollCopy", axis)] = shift
	y := t.like(n)
	kernel.Roll(y.data, n.data, n.shape(), o.shift[:n.rank])
	if t.records(n) {
		*record[rollOp](t, y, n) = o
	}
	return y.v(t)
}

type rollOp struct{ shift [MaxRank]int }

func (o *rollOp) backward(t *Tape, y *node) {
	var back [MaxRank]int
	for i, s := range o.shift {
		back[i] = -s
	}
	t.give(y.in[0], func(dx []float32) { kernel.Roll(dx, y.gradient(), y.shape(), back[:y.rank]) })
}

// PadConstant returns x with entries of the given value added at the ends of its last axes.
// The list pad holds the numbers of entries (before, after) per axis, the last axis first,
// as in PyTorch. A negative number crops. It copies. PadConstant panics if the list holds
// no pairs, holds more pairs than x has axes, or crops more than there is.
func PadConstant(x Var, value float32, pad ...int) Var {
	const op = "autograd.PadConstant"
	n := x.node(op)
	t := x.tape
	if len(pad)%2 != 0 || len(pad)/2 > n.rank {
		tensor.Panic(op, fmt.Sprintf("%d numbers are not pairs for the axes", len(pad)), n.shape())
	}
	var o padOp
	dims := n.dims
	for i := 0; i < len(pad); i += 2 {
		a := n.rank - 1 - i/2
		o.before[a], o.after[a] = pad[i], pad[i+1]
		dims[a] += pad[i] + pad[i+1]
		if dims[a] < 0 {
			tensor.Panic(op, "cropped beyond nothing", n.shape())
		}
	}
	y := t.newNode(dims[:n.rank]...)
	kernel.Pad(y.data, n.data, n.shape(), o.before[:n.rank], o.after[:n.rank], value)
	if t.records(n) {
		*record[padOp](t, y, n) = o
	}
	return y.v(t)
}

type padOp struct{ before, after [MaxRank]int }

func (o *padOp) backward(t *Tape, y *node) {
	var before, after [MaxRank]int
	for i := range before {
		before[i], after[i] = -o.before[i], -o.after[i]
	}
	t.give(y.in[0], func(dx []float32) {
		kernel.Pad(dx, y.gradient(), y.shape(), before[:y.rank], after[:y.rank], 0)
	})
}

// ConcatCopy joins the operands x along an axis; their other dimensions must be equal.
// It copies. An operand may occur twice. ConcatCopy panics without operands, if the
// first has no such axis, or if the other dimensions differ.
func ConcatCopy(axis int, x ...Var) Var {
	const op = "autograd.ConcatCopy"
	if len(x) == 0 {
		tensor.Panic(op, "no operands")
	}
	first := x[0].node(op)
	t := x[0].tape
	a := first.axis(op, axis)
	in := make([]*node, len(x))
	dims := first.dims
	dims[a] = 0
	for i, v := range x {
		n := v.on(op, t)
		in[i] = n
		if n.rank != first.rank {
			tensor.Panic(op, "the ranks differ", first.shape(), n.shape())
		}
		for d := range n.rank {
			if d != a && n.dims[d] != first.dims[d] {
				tensor.Panic(op, fmt.Sprintf("the shapes differ beside axis %d", axis), first.shape(), n.shape())
			}
		}
		dims[a] += n.dims[a]
	}
	y := t.newNode(dims[:first.rank]...)
	concatEach(y, in, a, func(x *node, ys, xs, n int) { copy(y.data[ys:ys+n], x.data[xs:]) })
	if t.records(in...) {
		record[concatOp](t, y, in...).axis = a
	}
	return y.v(t)
}

// concatEach calls f with every contiguous piece of y: the operand it belongs to,
// where it begins in both, and its length.
func concatEach(y *node, in []*node, axis int, f func(x *node, ys, xs, n int)) {
	inner := 1
	for _, d := range y.dims[axis+1 : y.rank] {
		inner *= d
	}
	outer := 1
	for _, d := range y.dims[:axis] {
		outer *= d
	}
	at := 0
	for o := range outer {
		for _, x := range in {
			n := x.dims[axis] * inner
			f(x, at, o*n, n)
			at += n
		}
	}
}

type concatOp struct{ axis int }

func (o *concatOp) backward(t *Tape, y *node) {
	dy := y.gradient()
	for _, x := range y.in { // an operand may occur twice
		if dx, add := t.gradIntoWanted(x); dx != nil && !add {
			clear(dx)
		}
	}
	concatEach(y, y.in, o.axis, func(x *node, ys, xs, n int) {
		if !t.wants(x) {
			return
		}
		dx := x.gradient()[xs : xs+n]
		for i, g := range dy[ys : ys+n] {
			dx[i] += g
		}
	})
}
