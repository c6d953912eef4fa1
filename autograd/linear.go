package autograd

import (
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Linear returns x·wᵀ + b for an input x [N, in], weights w [out, in] and a bias b
// [out]; the result is [N, out]. The zero Var for b adds nothing. With relu, negative
// results become 0. Linear panics if the shapes differ from these.
func Linear(x, w, b Var, relu bool) Var {
	const op = "autograd.Linear"
	xn := x.node(op)
	t := x.tape
	wn, bn := w.on(op, t), b.optional(op, t)
	if xn.rank != 2 || wn.rank != 2 || xn.dims[1] != wn.dims[1] {
		tensor.Panic(op, "want an input [N, in] and weights [out, in]", xn.shape(), wn.shape())
	}
	n, in, out := xn.dims[0], xn.dims[1], wn.dims[0]
	bias := checkBias(op, bn, out)
	y := t.newNode(n, out)
	kernel.MatMul(y.data, out, xn.data, in, false, wn.data, in, true, n, out, in,
		kernel.Epilogue{ColBias: bias, Act: activation(relu)})
	if t.records(xn, wn, bn) {
		record[linearOp](t, y, xn, wn, bn).relu = relu
	}
	return y.v(t)
}

type linearOp struct{ relu bool }

func (o *linearOp) backward(t *Tape, y *node) {
	if o.relu {
		maskReLU(t, y)
	}
	x, w, b, dy := y.in[0], y.in[1], y.in[2], y.gradient()
	n, in, out := x.dims[0], x.dims[1], w.dims[0]
	if t.wants(w) {
		dw, add := t.gradInto(w)
		kernel.MatMul(dw, in, dy, out, true, x.data, in, false, out, in, n, kernel.Epilogue{Accumulate: add})
	}
	if t.wants(b) {
		giveBias(t, b, y)
	}
	if t.wants(x) {
		dx, add := t.gradInto(x)
		kernel.MatMul(dx, in, dy, out, false, w.data, in, false, n, in, out, kernel.Epilogue{Accumulate: add})
	}
}

// MatMul returns the product of the matrices a [M, K] and b [K, N], which is [M, N].
// For two batches, a [B, M, K] and b [B, K, N], it returns the product of each pair of
// items, [B, M, N]. The operands do not broadcast: MatMul panics if the shapes differ
// from these.
func MatMul(a, b Var) Var { return matMul("autograd.MatMul", a, b, false) }

// MatMulT returns a·bᵀ for the matrices a [M, K] and b [N, K], which is [M, N]. For
// two batches, a [B, M, K] and b [B, N, K], it returns [B, M, N]. It panics if the
// shapes differ from these.
func MatMulT(a, b Var) Var { return matMul("autograd.MatMulT", a, b, true) }

func matMul(op string, a, b Var, transB bool) Var {
	an := a.node(op)
	t := a.tape
	bn := b.on(op, t)
	if an.rank != bn.rank || an.rank < 2 || an.rank > 3 || an.rank == 3 && an.dims[0] != bn.dims[0] {
		tensor.Panic(op, "want two matrices, or two equal batches of matrices", an.shape(), bn.shape())
	}
	batch, as, bs := 1, an.shape(), bn.shape()
	if an.rank == 3 {
		batch, as, bs = as[0], as[1:], bs[1:]
	}
	inner, n := bs[0], bs[1]
	if transB {
		inner, n = n, inner
	}
	if as[1] != inner {
		tensor.Panic(op, "the inner dimensions differ", an.shape(), bn.shape())
	}
	m, k := as[0], as[1]
	dims := [3]int{batch, m, n}
	y := t.newNode(dims[3-an.rank:]...)
	o := matMulOp{batch, m, n, k, transB}
	kernel.MatMulBatch(batch, y.data, n, m*n, an.data, k, m*k, false, bn.data, bs[1], k*n, transB, m, n, k, kernel.Epilogue{})
	if t.records(an, bn) {
		*record[matMulOp](t, y, an, bn) = o
	}
	return y.v(t)
}

type matMulOp struct {
	batch, m, n, k int
	transB         bool
}

func (o *matMulOp) backward(t *Tape, y *node) {
	a, b, dy := y.in[0], y.in[1], y.gradient()
	m, n, k := o.m, o.n, o.k
	ldb := n
	if o.transB {
		ldb = k
	}
	if t.wants(a) { // dA = dY·Bᵀ
		da, add := t.gradInto(a)
		kernel.MatMulBatch(o.batch, da, k, m*k, dy, n, m*n, false, b.data, ldb, k*n, !o.transB, m, k, n, kernel.Epilogue{Accumulate: add})
	}
	if !t.wants(b) {
		return
	}
	db, add := t.gradInto(b)
	if o.transB { // dB = dYᵀ·A
		kernel.MatMulBatch(o.batch, db, k, n*k, dy, n, m*n, true, a.data, k, m*k, false, n, k, m, kernel.Epilogue{Accumulate: add})
	} else { // dB = Aᵀ·dY
		kernel.MatMulBatch(o.batch, db, n, n*k, a.data, k, m*k, true, dy, n, m*n, false, k, n, m, kernel.Epilogue{Accumulate: add})
	}
}

func (o *linearOp) multiplyAdds(y *node) int64 {
	return int64(len(y.data)) * int64(y.in[1].dims[1])
}

func (o *matMulOp) multiplyAdds(*node) int64 {
	return int64(o.batch) * int64(o.m) * int64(o.n) * int64(o.k)
}
