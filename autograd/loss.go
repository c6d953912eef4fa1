package autograd

import (
	"math"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// MSE returns the mean squared error of a and b, mean((a-b)²), as a scalar,
// accumulated in float64. The operands do not broadcast: MSE panics if their shapes
// differ or they have no elements.
func MSE(a, b Var) Var { return distance("autograd.MSE", a, b, true) }

// L1 returns the mean absolute difference of a and b as a scalar, accumulated in
// float64. Its derivative is 0 where a = b. The operands do not broadcast: L1 panics
// if their shapes differ or they have no elements.
func L1(a, b Var) Var { return distance("autograd.L1", a, b, false) }

func distance(op string, a, b Var, squared bool) Var {
	an := a.node(op)
	t := a.tape
	bn := b.on(op, t)
	sameShape(op, an, bn)
	if len(an.data) == 0 {
		tensor.Panic(op, "the mean of no elements", an.shape())
	}
	y := t.newNode()
	n := float64(len(an.data))
	if squared {
		d := kernel.Distance2(an.data, bn.data)
		y.setExact(d * d / n)
	} else {
		y.setExact(kernel.Distance1(an.data, bn.data) / n)
	}
	if t.records(an, bn) {
		record[distanceOp](t, y, an, bn).squared = squared
	}
	return y.v(t)
}

type distanceOp struct{ squared bool }

func (o *distanceOp) backward(t *Tape, y *node) {
	a, b := y.in[0], y.in[1]
	g := y.gradient()[0] / float32(len(a.data))
	if o.squared {
		g *= 2
	}
	for i, x := range y.in {
		if !t.wants(x) {
			continue
		}
		s := g
		if i == 1 {
			s = -g
		}
		t.give(x, func(dx []float32) {
			if o.squared {
				kernel.Combine(dx, s, a.data, -s, b.data, 0)
				return
			}
			kernel.Sub(dx, a.data, b.data)
			kernel.Sign(dx, dx)
			kernel.Scale(dx, dx, s)
		})
	}
}

// KLDiv returns the Kullback-Leibler divergence of a model from the distributions q
// [N, K], as a scalar: the mean over rows of sum(q·(log q - logp)). The operand logp
// [N, K] holds the logarithms of the model's probabilities, as [LogSoftmax] returns
// them. A term is 0 where q is 0. Gradients flow to both operands. KLDiv panics if the
// shapes differ, are no matrices, or have no rows.
func KLDiv(logp, q Var) Var {
	const op = "autograd.KLDiv"
	p := logp.node(op)
	t := logp.tape
	qn := q.on(op, t)
	sameShape(op, p, qn)
	if p.rank != 2 || p.dims[0] == 0 {
		tensor.Panic(op, "want [N, K], at least one row", p.shape())
	}
	sum := 0.0
	for i, v := range qn.data {
		if v != 0 {
			sum += float64(v) * (math.Log(float64(v)) - float64(p.data[i]))
		}
	}
	y := t.newNode()
	y.setExact(sum / float64(p.dims[0]))
	if t.records(p, qn) {
		record[klDivOp](t, y, p, qn)
	}
	return y.v(t)
}

type klDivOp struct{}

func (*klDivOp) backward(t *Tape, y *node) {
	p, q := y.in[0], y.in[1]
	g := y.gradient()[0] / float32(p.dims[0])
	if t.wants(p) {
		t.give(p, func(dx []float32) { kernel.Scale(dx, q.data, -g) })
	}
	if t.wants(q) {
		t.give(q, func(dx []float32) {
			kernel.Log(dx, q.data)
			kernel.Combine(dx, g, dx, -g, p.data, g)
		})
	}
}

// CosineSimilarity returns [N]: the cosine of the angle between each row of a [N, K]
// and the same row of b [N, K]. It is the inner product of the rows divided by their
// Euclidean norms; a norm below eps is replaced by eps. The rows broadcast as in
// [Mul], so that b may be [K] or [1, K].
func CosineSimilarity(a, b Var, eps float64) Var {
	return SumAxes(Mul(NormalizeRows(a, eps), NormalizeRows(b, eps)), -1)
}
