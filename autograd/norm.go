package autograd

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// BatchNormOptions are the settings of [BatchNorm].
type BatchNormOptions struct {
	// Mean and Var are the running estimates [C]; nil means that there are none.
	Mean, Var *tensor.Tensor

	// UseRunning normalises by the running estimates, which count as constants. By
	// default the mean and the biased variance of the batch normalise it.
	UseRunning bool

	// Update moves the running estimates towards the statistics of the batch, with the
	// unbiased variance. It has no effect with UseRunning.
	Update bool

	Momentum float64 // the weight of the batch in the running estimates; 0 leaves them alone
	Eps      float64 // added to the variance; 0 adds nothing

	PreReLU  bool // replaces x by max(x, 0) first
	PostReLU bool // replaces negative results by 0 last

	// Residual has the shape of x and is added after the normalisation and before
	// PostReLU. The zero Var adds nothing.
	Residual Var
}

// BatchNorm normalises each channel of x [N, C, ...] and returns
// (x-mean)/sqrt(variance+Eps) · gamma + beta in the shape of x (Ioffe and Szegedy,
// 2015). The scale gamma and the shift beta are [C]; the zero Var stands for 1 and 0.
// BatchNorm panics if another shape does not fit, if running estimates are asked for
// and missing, or if a batch without values is to give statistics.
func BatchNorm(x, gamma, beta Var, o BatchNormOptions) Var {
	const op = "autograd.BatchNorm"
	n := x.node(op)
	t := x.tape
	g, b, r := gamma.optional(op, t), beta.optional(op, t), o.Residual.optional(op, t)
	if n.rank < 2 {
		tensor.Panic(op, "want [N, C, ...]", n.shape())
	}
	c := n.dims[1]
	bn := kernel.BatchNorm{
		N: n.dims[0], C: c, S: 1, PreReLU: o.PreReLU, PostReLU: o.PostReLU, Eps: o.Eps, Momentum: o.Momentum,
		Gamma: checkBias(op, g, c), Beta: checkBias(op, b, c),
	}
	for _, d := range n.dims[2:n.rank] {
		bn.S *= d
	}
	var residual []float32
	if r != nil {
		sameShape(op, n, r)
		residual = r.data
	}
	mean, variance := o.estimates(op, n.shape())
	y := t.like(n)
	if o.UseRunning {
		bn.RunningMean, bn.RunningVar = mean, variance
		if t.records(n, g, b, r) { // a training pass may move them before the gradient is asked for
			kept := t.mem.get(2 * c).buf[:2*c]
			bn.RunningMean, bn.RunningVar = kept[:c], kept[c:]
			copy(bn.RunningMean, mean)
			copy(bn.RunningVar, variance)
		}
		bn.Infer(y.data, n.data, residual)
	} else {
		if bn.N*bn.S == 0 {
			tensor.Panic(op, "batch statistics of no values", n.shape())
		}
		if o.Update {
			bn.RunningMean, bn.RunningVar = mean, variance
		}
		stats := t.mem.get(2 * c).buf
		bn.Mean, bn.InvStd = stats[:c], stats[c:2*c]
		bn.Train(y.data, n.data, residual)
	}
	if t.records(n, g, b, r) {
		*record[batchNormOp](t, y, n, g, b, r) = batchNormOp{bn, o.UseRunning}
	}
	return y.v(t)
}

// estimates returns the running estimates for a tensor [N, C, ...], nil if there are none and
// none are needed.
func (o *BatchNormOptions) estimates(op string, shape []int) (mean, variance []float32) {
	for _, s := range []*tensor.Tensor{o.Mean, o.Var} {
		if s != nil && s.Len() != shape[1] {
			tensor.Panic(op, fmt.Sprintf("running estimates of %d channels", s.Len()), shape)
		}
	}
	if o.Mean == nil || o.Var == nil {
		if o.UseRunning || o.Update {
			tensor.Panic(op, "no running estimates")
		}
		return nil, nil
	}
	return o.Mean.Data(), o.Var.Data()
}

type batchNormOp struct {
	bn      kernel.BatchNorm
	running bool
}

func (o *batchNormOp) backward(t *Tape, y *node) {
	x, g, b, r := y.in[0], y.in[1], y.in[2], y.in[3]
	var grads kernel.BatchNormGrads
	var dgamma, dbeta *block
	if t.wants(g) {
		dgamma = t.mem.get(o.bn.C)
		grads.DGamma = dgamma.buf[:o.bn.C]
	}
	if t.wants(b) {
		dbeta = t.mem.get(o.bn.C)
		grads.DBeta = dbeta.buf[:o.bn.C]
	}
	var result []float32
	// The gradient of y turns, in place, into that of the residual if there is one,
	// into that of x otherwise.
	var dx *block
	dy := y.gradient()
	masked := r != nil && o.bn.PostReLU
	switch {
	case masked:
		dy = t.own(y)
		grads.DR, result = dy, y.data
		dx = t.mem.get(len(dy))
		grads.DX = dx.buf[:len(dy)]
	case r == nil:
		dy = t.own(y)
		grads.DX = dy
	default:
		dx = t.mem.get(len(dy))
		grads.DX = dx.buf[:len(dy)]
	}
	if o.running {
		o.bn.InferGrad(&grads, dy, x.data, result)
	} else {
		o.bn.TrainGrad(&grads, dy, x.data, result)
	}
	t.adopt(g, dgamma)
	t.adopt(b, dbeta)
	if t.wants(r) {
		t.pass(r, y)
	}
	switch {
	case !t.wants(x):
		if dx != nil {
			t.mem.put(dx)
		}
	case dx != nil:
		t.adopt(x, dx)
	default:
		t.pass(x, y)
	}
}

// LayerNorm normalises each row of x [..., K] by the mean and the biased variance of
// the row, and returns (x-mean)/sqrt(variance+eps) · gamma + beta in the shape of x
// (Ba, Kiros and Hinton, 2016). The scale gamma and the shift beta are [K]; the zero
// Var stands for 1 and 0. LayerNorm panics if x is a scalar or another shape does not
// fit.
func LayerNorm(x, gamma, beta Var, eps float64) Var {
	const op = "autograd.LayerNorm"
	n := x.node(op)
	t := x.tape
	g, b := gamma.optional(op, t), beta.optional(op, t)
	rows, k := n.rows(op)
	gd, bd := checkBias(op, g, k), checkBias(op, b, k)
	y := t.like(n)
	stats := t.mem.get(2 * rows).buf
	mean, invStd := stats[:rows], stats[rows:2*rows]
	kernel.LayerNorm(y.data, n.data, gd, bd, mean, invStd, k, eps)
	if t.records(n, g, b) {
		*record[layerNormOp](t, y, n, g, b) = layerNormOp{k, mean, invStd}
	}
	return y.v(t)
}

type layerNormOp struct {
	k            int
	mean, invStd []float32
}

func (o *layerNormOp) backward(t *Tape, y *node) {
	x, g, b := y.in[0], y.in[1], y.in[2]
	var gamma, dg, db []float32
	var dgamma, dbeta *block
	if g != nil {
		gamma = g.data
	}
	if t.wants(g) {
		dgamma = t.mem.get(o.k)
		dg = dgamma.buf[:o.k]
	}
	if t.wants(b) {
		dbeta = t.mem.get(o.k)
		db = dbeta.buf[:o.k]
	}
	dx := t.mem.get(len(x.data))
	kernel.LayerNormGrad(dx.buf[:len(x.data)], dg, db, y.gradient(), x.data, gamma, o.mean, o.invStd, o.k)
	t.adopt(g, dgamma)
	t.adopt(b, dbeta)
	if t.wants(x) {
		t.adopt(x, dx)
	} else {
		t.mem.put(dx)
	}
}

// NormalizeRows returns each row of x [..., K] divided by its Euclidean norm, in the
// shape of x. A norm below eps is replaced by eps, so that a row of zeros stays zero.
// NormalizeRows panics if x is a scalar.
func NormalizeRows(x Var, eps float64) Var {
	const op = "autograd.NormalizeRows"
	n := x.node(op)
	t := x.tape
	rows, k := n.rows(op)
	y := t.like(n)
	norms := t.mem.get(2 * rows).floats64(rows)
	for i := range norms {
		row := n.data[i*k : (i+1)*k]
		norms[i] = kernel.Norm2(row)
		kernel.Scale(y.data[i*k:(i+1)*k], row, float32(1/max(norms[i], eps)))
	}
	if t.records(n) {
		*record[normalizeOp](t, y, n) = normalizeOp{k, norms, eps}
	}
	return y.v(t)
}

type normalizeOp struct {
	k     int
	norms []float64
	eps   float64
}

func (o *normalizeOp) backward(t *Tape, y *node) {
	dy := y.gradient()
	t.give(y.in[0], func(dx []float32) {
		for i, norm := range o.norms {
			g, v := dy[i*o.k:(i+1)*o.k], y.data[i*o.k:(i+1)*o.k]
			along := kernel.Dot(g, v)
			if norm <= o.eps {
				norm, along = o.eps, 0
			}
			kernel.Combine(dx[i*o.k:(i+1)*o.k], float32(1/norm), g, float32(-along/norm), v, 0)
		}
	})
}
