package autograd

import (
	"math"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Sum returns the sum of all elements of x as a scalar, accumulated in float64: 0 if
// there are none.
func Sum(x Var) Var { return sumScaled("autograd.Sum", x, false) }

// Mean returns the mean of all elements of x as a scalar, accumulated in float64. It
// panics if there are none.
func Mean(x Var) Var { return sumScaled("autograd.Mean", x, true) }

func sumScaled(op string, x Var, mean bool) Var {
	n := x.node(op)
	t := x.tape
	scale := 1.0
	if mean {
		if len(n.data) == 0 {
			tensor.Panic(op, "no elements", n.shape())
		}
		scale = 1 / float64(len(n.data))
	}
	y := t.newNode()
	y.setExact(kernel.Sum(n.data) * scale)
	if t.records(n) {
		record[sumOp](t, y, n).scale = float32(scale)
	}
	return y.v(t)
}

type sumOp struct{ scale float32 }

func (o *sumOp) backward(t *Tape, y *node) {
	x := y.in[0]
	g := y.gradient()[0] * o.scale
	dx, add := t.gradInto(x)
	if add {
		kernel.AddScalar(dx, dx, g)
		return
	}
	for i := range dx {
		dx[i] = g
	}
}

// SumAxes returns the sums over the given axes, accumulated in float64. The result
// lacks these axes: the sum of [N, C, H, W] over axes 2 and 3 is [N, C]. SumAxes
// panics if x has no such axis or an axis is named twice.
func SumAxes(x Var, axes ...int) Var { return sumAxes("autograd.SumAxes", x, axes, false) }

// MeanAxes returns the means over the given axes, in the shape that [SumAxes] gives.
// It panics as SumAxes does, and if one of the axes has length 0.
func MeanAxes(x Var, axes ...int) Var { return sumAxes("autograd.MeanAxes", x, axes, true) }

func sumAxes(op string, x Var, axes []int, mean bool) Var {
	n := x.node(op)
	t := x.tape
	kept := n.dims
	count := 1
	var drop [MaxRank]bool
	for _, axis := range axes {
		a := n.axis(op, axis)
		if drop[a] {
			tensor.Panic(op, "an axis is named twice", n.shape())
		}
		drop[a] = true
		count *= n.dims[a]
		kept[a] = 1
	}
	if mean && count == 0 {
		tensor.Panic(op, "the mean over an axis of length 0", n.shape())
	}
	var dims [MaxRank]int
	rank := 0
	for i, d := range n.shape() {
		if !drop[i] {
			dims[rank] = d
			rank++
		}
	}
	y := t.newNode(dims[:rank]...)
	kernel.SumTo(y.data, kept[:n.rank], n.data, n.shape(), false)
	scale := float32(1)
	if mean {
		scale = 1 / float32(count)
		kernel.Scale(y.data, y.data, scale)
	}
	if t.records(n) {
		*record[sumAxesOp](t, y, n) = sumAxesOp{kept, scale}
	}
	return y.v(t)
}

type sumAxesOp struct {
	kept  [MaxRank]int // the shape of the result with dropped axes of length 1
	scale float32
}

func (o *sumAxesOp) backward(t *Tape, y *node) {
	x := y.in[0]
	dx, add := t.gradInto(x)
	if !add {
		clear(dx)
	}
	// dx += dy·scale, dy repeated: one pass, and no product when scale is 1.
	if o.scale != 1 {
		dy := t.own(y)
		kernel.Scale(dy, dy, o.scale)
	}
	kernel.Broadcast(kernel.OpAdd, dx, x.shape(), dx, x.shape(), y.gradient(), o.kept[:x.rank])
}

// LogSumExp returns the logarithm of the sum of exponentials of each row of x [...,
// K], without the last axis: [...]. It does not overflow, and sums in float64.
// LogSumExp panics if x is a scalar or K is 0.
func LogSumExp(x Var) Var {
	const op = "autograd.LogSumExp"
	n := x.node(op)
	t := x.tape
	rows, k := n.rows(op)
	if k == 0 {
		tensor.Panic(op, "rows of length 0", n.shape())
	}
	y := t.newNode(n.dims[:n.rank-1]...)
	for i := range rows {
		row := n.data[i*k : (i+1)*k]
		m := kernel.MaxOf(row)
		if math.IsInf(float64(m), 0) {
			y.data[i] = m
			continue
		}
		y.data[i] = float32(float64(m) + math.Log(kernel.ExpSum(nil, row, m)))
	}
	if t.records(n) {
		record[logSumExpOp](t, y, n)
	}
	return y.v(t)
}

type logSumExpOp struct{}

func (*logSumExpOp) backward(t *Tape, y *node) {
	x := y.in[0]
	k := x.dims[x.rank-1]
	dy := y.gradient()
	t.give(x, func(dx []float32) {
		for i, g := range dy {
			row := dx[i*k : (i+1)*k]
			kernel.ExpSum(row, x.data[i*k:(i+1)*k], y.data[i])
			kernel.Scale(row, row, g)
		}
	})
}

// rows sees n as a matrix: the last axis, and the product of all others.
func (n *node) rows(op string) (rows, length int) {
	if n.rank == 0 {
		tensor.Panic(op, "want at least one axis", n.shape())
	}
	length = n.dims[n.rank-1]
	rows = 1
	for _, d := range n.dims[:n.rank-1] {
		rows *= d
	}
	return rows, length
}
