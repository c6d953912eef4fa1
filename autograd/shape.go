package autograd

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// Reshape returns x with another shape, sharing its memory. One dimension may be
// -1 and is then whatever makes the number of elements fit.
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
	if open >= 0 && size > 0 {
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

// Flatten returns x [N, ...] as a matrix [N, rest], sharing its memory.
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

// A layout says where the elements of a result lie in an operand: result index
// (i0, i1, ...) is at start + i0·step0 + i1·step1 + ... of the operand.
type layout struct {
	start int
	rank  int
	dims  [MaxRank]int
	steps [MaxRank]int
}

// strides returns the distances between neighbours along each axis of n.
func (n *node) strides() (s [MaxRank]int) {
	step := 1
	for i := n.rank - 1; i >= 0; i-- {
		s[i] = step
		step *= n.dims[i]
	}
	return s
}

// each calls f with every run of the last axis: where it begins in the result and
// in the operand, its length, and its step in the operand.
func (l *layout) each(f func(dst, src, n, step int)) {
	if slices.Contains(l.dims[:l.rank], 0) {
		return
	}
	if l.rank == 0 {
		f(0, l.start, 1, 1)
		return
	}
	last := l.rank - 1
	var index [MaxRank]int
	src := l.start
	for dst := 0; ; dst += l.dims[last] {
		f(dst, src, l.dims[last], l.steps[last])
		a := last - 1
		for ; a >= 0; a-- {
			index[a]++
			src += l.steps[a]
			if index[a] < l.dims[a] {
				break
			}
			src -= index[a] * l.steps[a]
			index[a] = 0
		}
		if a < 0 {
			return
		}
	}
}

// gather copies out of x along l.
func (l *layout) gather(y, x []float32) {
	l.each(func(dst, src, n, step int) {
		if step == 1 {
			copy(y[dst:dst+n], x[src:])
			return
		}
		for i := range y[dst : dst+n] {
			y[dst+i] = x[src+i*step]
		}
	})
}

// scatterAdd adds dy into dx along l.
func (l *layout) scatterAdd(dx, dy []float32) {
	l.each(func(dst, src, n, step int) {
		for i, g := range dy[dst : dst+n] {
			dx[src+i*step] += g
		}
	})
}

// rearrange records a copy along l, which meets every element of x at most once.
func rearrange(t *Tape, x *node, l layout) Var {
	y := t.newNode(l.dims[:l.rank]...)
	l.gather(y.data, x.data)
	if t.records(x) {
		record[rearrangeOp](t, y, x).l = l
	}
	return y.v(t)
}

type rearrangeOp struct{ l layout }

func (o *rearrangeOp) backward(t *Tape, y *node) {
	dx, add := t.gradInto(y.in[0])
	if !add {
		clear(dx)
	}
	o.l.scatterAdd(dx, y.gradient())
}

// identity is the layout of x itself.
func identity(x *node) layout { return layout{rank: x.rank, dims: x.dims, steps: x.strides()} }

// PermuteCopy returns x with its axes in another order: axis i of the result is axis
// order[i] of x. It copies.
func PermuteCopy(x Var, order ...int) Var {
	const op = "autograd.PermuteCopy"
	n := x.node(op)
	if len(order) != n.rank {
		tensor.Panic(op, fmt.Sprintf("the order %v does not name every axis", slices.Clone(order)), n.shape())
	}
	from, l := identity(n), layout{rank: n.rank}
	var seen [MaxRank]bool
	for i, a := range order {
		a = n.axis(op, a)
		if seen[a] {
			tensor.Panic(op, fmt.Sprintf("the order %v names an axis twice", slices.Clone(order)), n.shape())
		}
		seen[a] = true
		l.dims[i], l.steps[i] = from.dims[a], from.steps[a]
	}
	return rearrange(x.tape, n, l)
}

// TransposeCopy returns a matrix with rows and columns exchanged. It copies.
func TransposeCopy(x Var) Var {
	const op = "autograd.TransposeCopy"
	if n := x.node(op); n.rank != 2 {
		tensor.Panic(op, "want a matrix", n.shape())
	}
	return PermuteCopy(x, 1, 0)
}

// NarrowCopy returns the entries from, from+step, ... below to along one axis. A
// step of 0 means 1. It copies.
func NarrowCopy(x Var, axis, from, to, step int) Var {
	const op = "autograd.NarrowCopy"
	n := x.node(op)
	a := n.axis(op, axis)
	step = max(step, 1)
	if from < 0 || to < from || to > n.dims[a] {
		tensor.Panic(op, fmt.Sprintf("no range [%d:%d] along axis %d", from, to, axis), n.shape())
	}
	l := identity(n)
	l.start = from * l.steps[a]
	l.dims[a] = (to - from + step - 1) / step
	l.steps[a] *= step
	return rearrange(x.tape, n, l)
}

// FlipCopy reverses x along the given axes. It copies.
func FlipCopy(x Var, axes ...int) Var {
	const op = "autograd.FlipCopy"
	n := x.node(op)
	l := identity(n)
	for _, axis := range axes {
		l.flip(n.axis(op, axis))
	}
	return rearrange(x.tape, n, l)
}

func (l *layout) flip(a int) {
	l.start += (l.dims[a] - 1) * l.steps[a]
	l.steps[a] = -l.steps[a]
}

// Rot90Copy turns the plane of the last two axes by quarter turns, counter-clockwise
// where the first axis of the plane points down. It copies.
func Rot90Copy(x Var, turns int) Var {
	const op = "autograd.Rot90Copy"
	n := x.node(op)
	if n.rank < 2 {
		tensor.Panic(op, "want at least two axes", n.shape())
	}
	l := identity(n)
	h, w := n.rank-2, n.rank-1
	swap := func() {
		l.dims[h], l.dims[w] = l.dims[w], l.dims[h]
		l.steps[h], l.steps[w] = l.steps[w], l.steps[h]
	}
	switch turns & 3 {
	case 1: // y[i][j] = x[j][W-1-i]
		l.flip(w)
		swap()
	case 2:
		l.flip(h)
		l.flip(w)
	case 3: // y[i][j] = x[H-1-j][i]
		l.flip(h)
		swap()
	}
	return rearrange(x.tape, n, l)
}

// RollCopy shifts x along an axis by so many entries; what leaves at one end enters
// at the other. It copies.
func RollCopy(x Var, axis, shift int) Var {
	const op = "autograd.RollCopy"
	n := x.node(op)
	a := n.axis(op, axis)
	size := n.dims[a]
	if size == 0 {
		return rearrange(x.tape, n, identity(n))
	}
	cut := ((-shift)%size + size) % size
	if cut == 0 {
		return rearrange(x.tape, n, identity(n))
	}
	return ConcatCopy(axis, NarrowCopy(x, axis, cut, size, 1), NarrowCopy(x, axis, 0, cut, 1))
}

// ConcatCopy joins Vars along an axis; their other dimensions must be equal. It
// copies.
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
