package autograd

import (
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// broadcast returns the shape that a and b are repeated to, by the rule of the
// package comment.
func broadcast(op string, a, b *node) (dims [MaxRank]int, rank int) {
	rank = max(a.rank, b.rank)
	for i := 1; i <= rank; i++ {
		da, db := 1, 1
		if i <= a.rank {
			da = a.dims[a.rank-i]
		}
		if i <= b.rank {
			db = b.dims[b.rank-i]
		}
		if da != db && da != 1 && db != 1 {
			tensor.Panic(op, "the shapes do not broadcast", a.shape(), b.shape())
		}
		dims[rank-i] = da
		if da == 1 {
			dims[rank-i] = db
		}
	}
	return dims, rank
}

// binary computes y = a op b.
func binary(op string, k kernel.BinaryOp, a, b Var) (t *Tape, y, an, bn *node) {
	an = a.node(op)
	t = a.tape
	bn = b.on(op, t)
	dims, rank := broadcast(op, an, bn)
	y = t.newNode(dims[:rank]...)
	kernel.Broadcast(k, y.data, y.shape(), an.data, an.shape(), bn.data, bn.shape())
	return t, y, an, bn
}

// exactOf returns the value of a scalar node.
func exactOf(n *node) float64 {
	if n.isExact {
		return n.exact
	}
	return float64(n.data[0])
}

// giveProduct adds s·dy·b to the gradient of x, an operand of y, where b is the
// other operand.
func giveProduct(t *Tape, x, y, b *node) {
	dx, add := t.gradInto(x)
	dy := y.gradient()
	if len(dx) == len(dy) {
		op := kernel.OpMul
		if add {
			op = kernel.OpAddMul
		}
		kernel.Broadcast(op, dx, y.shape(), dy, y.shape(), b.data, b.shape())
		return
	}
	if len(b.data) == len(dy) {
		kernel.SumMulTo(dx, x.shape(), dy, b.data, y.shape(), add)
		return
	}
	tmp := t.mem.get(len(dy))
	p := tmp.buf[:len(dy)]
	kernel.Broadcast(kernel.OpMul, p, y.shape(), dy, y.shape(), b.data, b.shape())
	kernel.SumTo(dx, x.shape(), p, y.shape(), add)
	t.mem.put(tmp)
}

// giveSum adds the gradient of y, summed over the axes along which x was repeated,
// to that of x.
func giveSum(t *Tape, x, y *node) {
	if len(x.data) == len(y.data) {
		t.pass(x, y)
		return
	}
	dx, add := t.gradInto(x)
	kernel.SumTo(dx, x.shape(), y.gradient(), y.shape(), add)
}

// Add returns a + b, element by element. The operands broadcast: their shapes are
// lined up at the last axes, and an operand repeats along an axis that it lacks or has
// with length 1. So [N, C, H, W] and [C, 1, 1] make [N, C, H, W]. The gradient of a
// repeated operand is summed over the repetitions. Add panics if two axes differ and
// neither has length 1.
func Add(a, b Var) Var {
	t, y, an, bn := binary("autograd.Add", kernel.OpAdd, a, b)
	if t.records(an, bn) {
		record[addOp](t, y, an, bn)
	}
	if len(y.data) == 1 {
		y.setExact(exactOf(an) + exactOf(bn))
	}
	return y.v(t)
}

type addOp struct{}

func (*addOp) backward(t *Tape, y *node) {
	for _, x := range y.in {
		if t.wants(x) {
			giveSum(t, x, y)
		}
	}
}

// Sub returns a - b, element by element. It broadcasts and panics as [Add] does.
func Sub(a, b Var) Var {
	t, y, an, bn := binary("autograd.Sub", kernel.OpSub, a, b)
	if t.records(an, bn) {
		record[subOp](t, y, an, bn)
	}
	if len(y.data) == 1 {
		y.setExact(exactOf(an) - exactOf(bn))
	}
	return y.v(t)
}

type subOp struct{}

func (*subOp) backward(t *Tape, y *node) {
	a, b := y.in[0], y.in[1]
	if t.wants(a) {
		giveSum(t, a, y)
	}
	if t.wants(b) {
		dy := t.own(y)
		kernel.Neg(dy, dy)
		giveSum(t, b, y)
	}
}

// Mul returns a · b, element by element ([MatMul] is the product of matrices). It
// broadcasts and panics as [Add] does.
func Mul(a, b Var) Var {
	t, y, an, bn := binary("autograd.Mul", kernel.OpMul, a, b)
	if t.records(an, bn) {
		record[mulOp](t, y, an, bn)
	}
	if len(y.data) == 1 {
		y.setExact(exactOf(an) * exactOf(bn))
	}
	return y.v(t)
}

type mulOp struct{}

func (*mulOp) backward(t *Tape, y *node) {
	a, b := y.in[0], y.in[1]
	if t.wants(a) {
		giveProduct(t, a, y, b)
	}
	if t.wants(b) {
		giveProduct(t, b, y, a)
	}
}

// Div returns a / b, element by element; a number divided by 0 is infinite or NaN, as
// in IEEE arithmetic. It broadcasts and panics as [Add] does.
func Div(a, b Var) Var {
	t, y, an, bn := binary("autograd.Div", kernel.OpDiv, a, b)
	if t.records(an, bn) {
		record[divOp](t, y, an, bn)
	}
	if len(y.data) == 1 {
		y.setExact(exactOf(an) / exactOf(bn))
	}
	return y.v(t)
}

type divOp struct{}

func (*divOp) backward(t *Tape, y *node) {
	a, b := y.in[0], y.in[1]
	dy := t.own(y)
	kernel.Broadcast(kernel.OpDiv, dy, y.shape(), dy, y.shape(), b.data, b.shape())
	if t.wants(a) {
		giveSum(t, a, y)
	}
	if t.wants(b) {
		dy = t.own(y)
		kernel.Mul(dy, dy, y.data)
		kernel.Neg(dy, dy)
		giveSum(t, b, y)
	}
}

// Maximum returns the larger of a and b, element by element, and NaN if either is NaN.
// Where the two are equal the derivative goes to a. It broadcasts and panics as [Add]
// does.
func Maximum(a, b Var) Var {
	return choose("autograd.Maximum", kernel.OpMaximum, kernel.OpGreaterEqual, kernel.OpLess, a, b)
}

// Minimum returns the smaller of a and b, element by element, and NaN if either is
// NaN. Where the two are equal the derivative goes to a. It broadcasts and panics as
// [Add] does.
func Minimum(a, b Var) Var {
	return choose("autograd.Minimum", kernel.OpMinimum, kernel.OpLessEqual, kernel.OpGreater, a, b)
}

func choose(op string, k, toA, toB kernel.BinaryOp, a, b Var) Var {
	t, y, an, bn := binary(op, k, a, b)
	if t.records(an, bn) {
		record[chooseOp](t, y, an, bn).to = [2]kernel.BinaryOp{toA, toB}
	}
	return y.v(t)
}

type chooseOp struct{ to [2]kernel.BinaryOp }

func (o *chooseOp) backward(t *Tape, y *node) {
	a, b := y.in[0], y.in[1]
	tmp := t.mem.get(len(y.data))
	chosen := tmp.buf[:len(y.data)]
	for i, x := range y.in {
		if t.wants(x) {
			kernel.Broadcast(o.to[i], chosen, y.shape(), a.data, a.shape(), b.data, b.shape())
			dx, add := t.gradInto(x)
			kernel.SumMulTo(dx, x.shape(), y.gradient(), chosen, y.shape(), add)
		}
	}
	t.mem.put(tmp)
}
