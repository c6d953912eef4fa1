package kernel

import "math"

// LayerNorm normalises each row of x, n long, by its own mean and biased
// variance (Ba, Kiros and Hinton 2016):
//
//	y = (x - mean)·invStd·gamma + beta,  invStd = 1/sqrt(variance + eps)
//
// gamma and beta have length n and may be nil (1 and 0). mean and invStd receive
// one value a row for [LayerNormGrad]. y may be x.
func LayerNorm(y, x, gamma, beta, mean, invStd []float32, n int, eps float64) {
	checkLayerNorm("LayerNorm", y, x, gamma, beta, mean, invStd, n)
	per, parts := cut(len(mean), n)
	runPooled(&lnTasks, parts, lnTask{op: &Active().nnet, per: per, n: n, eps: eps,
		y: y, x: x, gamma: gamma, beta: beta, mean: mean, invStd: invStd})
}

// LayerNormGrad writes the gradients of a sum weighted by dy: dx, and dgamma and
// dbeta unless nil. The sums over rows are taken in float64, in chunks of rows
// that depend on n alone. dx may be dy.
func LayerNormGrad(dx, dgamma, dbeta, dy, x, gamma, mean, invStd []float32, n int) {
	checkLayerNorm("LayerNormGrad", dx, x, gamma, nil, mean, invStd, n)
	need("LayerNormGrad", "dy", len(dy), len(x))
	if dgamma != nil {
		need("LayerNormGrad", "dgamma", len(dgamma), n)
	}
	if dbeta != nil {
		need("LayerNormGrad", "dbeta", len(dbeta), n)
	}
	rows := len(mean)
	if dgamma != nil || dbeta != nil {
		// Columns first: dx may overwrite dy.
		per, parts := cut(n, 4*rows)
		per = max(per, 16)
		parts = (n + per - 1) / per
		runPooled(&lnTasks, parts, lnTask{per: per, n: n, y: dy, x: x, mean: mean, invStd: invStd, dgamma: dgamma, dbeta: dbeta, columns: true})
	}
	per, parts := cut(rows, n)
	runPooled(&lnTasks, parts, lnTask{per: per, n: n, y: dx, dy: dy, x: x, gamma: gamma, mean: mean, invStd: invStd})
}

func checkLayerNorm(op string, y, x, gamma, beta, mean, invStd []float32, n int) {
	need(op, "x", len(x), n*len(mean))
	need(op, "y", len(y), len(x))
	need(op, "invStd", len(invStd), len(mean))
	if gamma != nil {
		need(op, "gamma", len(gamma), n)
	}
	if beta != nil {
		need(op, "beta", len(beta), n)
	}
}

type lnTask struct {
	op            *nnOps
	per, n        int
	eps           float64
	y, dy, x      []float32
	gamma, beta   []float32
	mean, invStd  []float32
	dgamma, dbeta []float32
	columns       bool
}

var lnTasks freeList[lnTask]

// Part does some rows, or the sums of some columns.
func (t *lnTask) Part(part int) {
	if t.columns {
		t.columnSums(part*t.per, min((part+1)*t.per, t.n))
		return
	}
	lo, hi := part*t.per, min((part+1)*t.per, len(t.mean))
	if t.dy == nil {
		t.estimate(lo, hi)
	}
	for i := lo; i < hi; i++ {
		y, x := t.y[i*t.n:(i+1)*t.n], t.x[i*t.n:(i+1)*t.n]
		if t.dy != nil {
			t.gradRow(y, t.dy[i*t.n:(i+1)*t.n], x, t.mean[i], t.invStd[i])
		} else {
			t.row(y, x, i)
		}
	}
}

// estimate computes the statistics of some rows.
func (t *lnTask) estimate(lo, hi int) {
	w := getBNScratch(hi - lo)
	if t.n > 0 {
		for i := lo; i < hi; i++ {
			w.coef[(i-lo)*bnCoefs+bnPivot] = t.x[i*t.n]
		}
		t.op.bnStats(w.coef, w.sums, t.x[lo*t.n:], 1, hi-lo, t.n, 0, noReLU)
	}
	for i := lo; i < hi; i++ {
		c := i - lo
		mean, variance := moments(float64(t.n), float64(w.coef[c*bnCoefs+bnPivot]), bnSum(w.sums, c, 0), bnSum(w.sums, c, 1))
		t.mean[i], t.invStd[i] = float32(mean), float32(1/math.Sqrt(variance+t.eps))
	}
	bnScratches.put(w)
}

func (t *lnTask) row(y, x []float32, i int) {
	mu, inv := t.mean[i], t.invStd[i]
	for j, v := range x {
		v = (v - mu) * inv
		if t.gamma != nil {
			v *= t.gamma[j]
		}
		if t.beta != nil {
			v += t.beta[j]
		}
		y[j] = v
	}
}

func (t *lnTask) gradRow(dx, dy, x []float32, mu, inv float32) {
	var sum, dot float64
	for j, g := range dy {
		if t.gamma != nil {
			g *= t.gamma[j]
		}
		sum += float64(g)
		dot += float64(float64(g) * float64((x[j]-mu)*inv))
	}
	m := float64(len(dx))
	a, b := float32(sum/m), float32(dot/m)
	for j, g := range dy {
		if t.gamma != nil {
			g *= t.gamma[j]
		}
		dx[j] = inv * (g - a - float32(b*((x[j]-mu)*inv)))
	}
}

// columnSums adds up the columns [lo, hi) over all rows, in blocks that fit
// into registers or the nearest cache.
func (t *lnTask) columnSums(lo, hi int) {
	const block = 64
	for ; lo < hi; lo += block {
		var sums, dots [block]float64
		k := min(block, hi-lo)
		for i := range t.mean {
			mu, inv := t.mean[i], t.invStd[i]
			at := i*t.n + lo
			dy, x := t.y[at:at+k], t.x[at:at+k]
			for j, g := range dy {
				sums[j&(block-1)] += float64(g)
				dots[j&(block-1)] += float64(float64(g) * float64((x[j]-mu)*inv))
			}
		}
		for j := range k {
			if t.dbeta != nil {
				t.dbeta[lo+j] = float32(sums[j])
			}
			if t.dgamma != nil {
				t.dgamma[lo+j] = float32(dots[j])
			}
		}
	}
}
