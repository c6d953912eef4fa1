package autograd

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// GatherCopy returns entries of x [N, ...] along the first axis, index[i] in place i:
// [len(index), ...]. An entry may occur several times, and its gradient is then the
// sum. The tape keeps the slice index, which must not change before Reset. GatherCopy
// panics if x is a scalar or has no such entry.
func GatherCopy(x Var, index []int) Var {
	const op = "autograd.GatherCopy"
	n := x.node(op)
	t := x.tape
	if n.rank == 0 {
		tensor.Panic(op, "want at least one axis", n.shape())
	}
	dims := n.dims
	dims[0] = len(index)
	y := t.newNode(dims[:n.rank]...)
	row := 1
	for _, d := range n.dims[1:n.rank] {
		row *= d
	}
	for _, j := range index {
		if uint(j) >= uint(n.dims[0]) {
			tensor.Panic(op, fmt.Sprintf("no entry %d", j), n.shape())
		}
	}
	kernel.GatherRows(y.data, n.data, index, row)
	if t.records(n) {
		*record[gatherOp](t, y, n) = gatherOp{index, row}
	}
	return y.v(t)
}

type gatherOp struct {
	index []int
	row   int
}

func (o *gatherOp) backward(t *Tape, y *node) {
	dx, add := t.gradInto(y.in[0])
	if !add {
		clear(dx)
	}
	kernel.ScatterAddRows(dx, y.gradient(), o.index, o.row)
}

// Pick returns element index[i] of row i of x [N, K], as [N]: the logit of each label,
// for instance. The tape keeps the slice index, which must not change before Reset.
// Pick panics if x is no matrix, index does not have N entries, or a row has no such
// element.
func Pick(x Var, index []int) Var {
	const op = "autograd.Pick"
	n := x.node(op)
	t := x.tape
	if n.rank != 2 || n.dims[0] != len(index) {
		tensor.Panic(op, fmt.Sprintf("want a matrix with one row for each of %d indices", len(index)), n.shape())
	}
	k := n.dims[1]
	y := t.newNode(len(index))
	for i, j := range index {
		if uint(j) >= uint(k) {
			tensor.Panic(op, fmt.Sprintf("no column %d for row %d", j, i), n.shape())
		}
		y.data[i] = n.data[i*k+j]
	}
	if t.records(n) {
		record[pickOp](t, y, n).index = index
	}
	return y.v(t)
}

type pickOp struct{ index []int }

func (o *pickOp) backward(t *Tape, y *node) {
	x := y.in[0]
	dx, add := t.gradInto(x)
	if !add {
		clear(dx)
	}
	k := x.dims[1]
	for i, g := range y.gradient() {
		dx[i*k+o.index[i]] += g
	}
}

// MaxRow returns the largest element of each row of x [N, K], as [N]; element
// except[i] of row i does not count. A nil except leaves nothing out. The derivative
// goes to the first of equal elements; a NaN counts as the largest. MaxRow panics if x
// is no matrix, except has other than N entries, or a row has nothing left.
func MaxRow(x Var, except []int) Var {
	const op = "autograd.MaxRow"
	n := x.node(op)
	t := x.tape
	if n.rank != 2 || except != nil && len(except) != n.dims[0] {
		tensor.Panic(op, fmt.Sprintf("want a matrix with one row for each of %d exceptions", len(except)), n.shape())
	}
	k := n.dims[1]
	y := t.newNode(n.dims[0])
	best := make([]int, n.dims[0])
	for i := range best {
		row := n.data[i*k : (i+1)*k]
		b := -1
		for j, v := range row {
			if except != nil && j == except[i] {
				continue
			}
			if b < 0 || v > row[b] || v != v && row[b] == row[b] {
				b = j
			}
		}
		if b < 0 {
			tensor.Panic(op, "a row has no column left", n.shape())
		}
		best[i] = b
		y.data[i] = row[b]
	}
	if t.records(n) {
		record[pickOp](t, y, n).index = best
	}
	return y.v(t)
}
