package autograd

import (
	"math"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// MSE returns the mean of the squared differences of a and b, accumulated in
// float64. The shapes must be equal.
func MSE(a, b Var) Var { return distance("autograd.MSE", a, b, true) }

// L1 returns the mean of the absolute differences of a and b, accumulated in
// float64. The shapes must be equal; the derivative is 0 where a = b.
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

// KLDiv returns the Kullback-Leibler divergence of the distributions q from those
// whose logarithms are logp, both [N, K], as a mean over rows: sum(q·(log q -
// logp))/N. Where q is 0 its term is 0.
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

// CosineSimilarity returns [N] with the cosine of the angle between each row of a
// [N, K] and the same row of b: their inner product over the product of their norms,
// each at least eps.
func CosineSimilarity(a, b Var, eps float64) Var {
	return SumAxes(Mul(NormalizeRows(a, eps), NormalizeRows(b, eps)), -1)
}
