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
	lnTask{per: per, n: n, eps: eps, y: y, x: x, gamma: gamma, beta: beta, mean: mean, invStd: invStd}.run(parts)
}

// LayerNormGrad writes the gradients of a sum weighted by dy: dx, and dgamma and
// dbeta unless nil. The sums over rows are taken in float64, in chunks of rows
// that depend on the shape alone. dx may be dy.
func LayerNormGrad(dx, dgamma, dbeta, dy, x, gamma, mean, invStd []float32, n int) {
	checkLayerNorm("LayerNormGrad", dx, x, gamma, nil, mean, invStd, n)
	need("LayerNormGrad", "dy", len(dy), len(x))
	if dgamma != nil {
		need("LayerNormGrad", "dgamma", len(dgamma), n)
	}
	if dbeta != nil {
		need("LayerNormGrad", "dbeta", len(dbeta), n)
	}
	t := lnTask{n: n, y: dx, dy: dy, x: x, gamma: gamma, mean: mean, invStd: invStd}
	var parts int
	t.per, parts = cut(len(mean), n)
	if dgamma == nil && dbeta == nil {
		t.run(parts)
		return
	}
	t.per = max(t.per, 8)
	parts = ceilDiv(len(mean), t.per)
	w := lnSums.get()
	w.partial = grow(w.partial, 2*n*parts)
	clear(w.partial)
	t.partial = w.partial
	t.run(parts)
	for j := range n {
		var gammaSum, betaSum float64
		for p := j; p < len(w.partial); p += 2 * n {
			gammaSum += w.partial[p]
			betaSum += w.partial[p+n]
		}
		if dgamma != nil {
			dgamma[j] = float32(gammaSum)
		}
		if dbeta != nil {
			dbeta[j] = float32(betaSum)
		}
	}
	lnSums.put(w)
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

// An lnPartial holds, for each part of the rows, the sums for dgamma and dbeta.
type lnPartial struct{ partial []float64 }

var lnSums freeList[lnPartial]

// An lnTask does a pass over the rows. In a backward pass y is dx.
type lnTask struct {
	set          *Set
	per, n       int
	eps          float64
	y, dy, x     []float32
	gamma, beta  []float32
	mean, invStd []float32
	partial      []float64
}

var lnTasks freeList[lnTask]

func (t lnTask) run(parts int) {
	t.set = Active()
	runPooled(&lnTasks, parts, t)
}

// Part does some rows.
func (t *lnTask) Part(part int) {
	lo, hi := part*t.per, min((part+1)*t.per, len(t.mean))
	switch {
	case t.dy == nil:
		t.estimate(lo, hi)
		if t.n > 0 {
			for i := lo; i < hi; i++ {
				t.row(t.y[i*t.n:(i+1)*t.n], t.x[i*t.n:(i+1)*t.n], t.mean[i], t.invStd[i])
			}
		}
	case t.n > 0:
		var partial []float64
		if t.partial != nil {
			partial = t.partial[2*t.n*part : 2*t.n*(part+1)]
		}
		w := partScratch(2 * t.n)
		for i := lo; i < hi; i++ {
			at := i * t.n
			t.gradRow(t.y[at:at+t.n], t.dy[at:at+t.n], t.x[at:at+t.n], w.f, partial, t.mean[i], t.invStd[i])
		}
		putScratch(w)
	}
}

// estimate computes the statistics of some rows.
func (t *lnTask) estimate(lo, hi int) {
	w := getBNScratch(hi - lo)
	if t.n > 0 {
		for i := lo; i < hi; i++ {
			w.coef[(i-lo)*bnCoefs+bnPivot] = t.x[i*t.n]
		}
		t.set.nnet.bnStats(w.coef, w.sums, t.x[lo*t.n:], 1, hi-lo, t.n, 0, noReLU)
	}
	for i := lo; i < hi; i++ {
		c := i - lo
		mean, variance := moments(float64(t.n), float64(w.coef[c*bnCoefs+bnPivot]), bnSum(w.sums, c, 0), bnSum(w.sums, c, 1))
		t.mean[i], t.invStd[i] = float32(mean), float32(1/math.Sqrt(variance+t.eps))
	}
	bnScratches.put(w)
}

func (t *lnTask) row(y, x []float32, mean, invStd float32) {
	s := t.set
	s.rowMap(opSubS, y, x, x, mean, 0)
	s.rowMap(opMulS, y, y, y, invStd, 0)
	if t.gamma != nil {
		s.rowMap(opMul, y, y, t.gamma, 0, 0)
	}
	if t.beta != nil {
		s.rowMap(opAdd, y, y, t.beta, 0, 0)
	}
}

// gradRow writes dx = invStd·(g - mean(g) - h·mean(g·h)), where g is dy·gamma and
// h the normalised row, and adds dy·h and dy to the partial sums. The scratch w
// holds two rows.
func (t *lnTask) gradRow(dx, dy, x, w []float32, partial []float64, mean, invStd float32) {
	s, n := t.set, t.n
	h, g := w[:n], dy
	s.rowMap(opSubS, h, x, x, mean, 0)
	s.rowMap(opMulS, h, h, h, invStd, 0)
	if partial != nil {
		s.vec.accumulateMul(1, n, n, &partial[0], &dy[0], &h[0])
		s.vec.accumulate(1, n, n, &partial[n], &dy[0])
	}
	if t.gamma != nil {
		g = w[n:]
		s.rowMap(opMul, g, dy, t.gamma, 0, 0)
	}
	m := float64(n)
	a := s.vec.reduces[opSum](n, &g[0], &g[0]) / m
	b := s.vec.reduces[opDot](n, &g[0], &h[0]) / m
	v := float64(invStd)
	s.vec.maps[opCombine](n, &dx[0], &g[0], &h[0], invStd, float32(-v*b), float32(-v*a))
}
