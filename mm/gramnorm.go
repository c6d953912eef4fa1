package mm

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// weightedGram is the matrix A = (1/n) Σ w_i x_i x_iᵀ with w_i = ‖x_i‖², never formed.
type weightedGram struct {
	x Rows
	w []float64
}

// mul writes Au to dst.
func (g weightedGram) mul(dst, u []float64) {
	clear(dst)
	n := float64(len(g.w))
	for i, w := range g.w {
		if d := g.x.Dot(i, u); d != 0 {
			g.x.AddRow(dst, i, w*d/n)
		}
	}
}

// weightedGramNorm returns an upper bound on the largest eigenvalue of the weighted
// Gram matrix of x: power iteration from a fixed start until the residual ‖Au−ru‖ is
// 1 % of the Rayleigh quotient r, then r plus the residual, or the trace where that is
// smaller. An eigenvalue lies that near to r, but it need not be the largest if others
// are close to it. So the iteration is followed by Lanczos steps, which tell close
// eigenvalues apart; their bound counts if they find a larger one.
func weightedGramNorm(x Rows) float64 {
	n, p := x.Dims()
	g := weightedGram{x, make([]float64, n)}
	trace := 0.0
	for i := range g.w {
		g.w[i] = sqRow(x, i)
		trace += g.w[i] * g.w[i] / float64(n)
	}
	u, au := make([]float64, p), make([]float64, p)
	r := newCounter(1, streamEstimate)
	for j := range u {
		u[j] = 1 + 0.1*r.normal()
	}
	bound := trace
	if !(trace > 0) || math.IsInf(trace, 1) {
		return bound
	}
	for it := range 60 {
		floats.Scale(1/norm(u), u)
		g.mul(au, u)
		value := dot(u, au)
		res := 0.0
		for j := range u {
			d := au[j] - value*u[j]
			res += d * d
		}
		res = math.Sqrt(res)
		if it >= 5 {
			bound = min(bound, value+res)
			if res <= 1e-2*value {
				break
			}
		}
		if value == 0 {
			break
		}
		u, au = au, u
	}
	if value, res := g.lanczos(u, 20); value > bound {
		return min(trace, value+res)
	}
	return bound
}

// lanczos returns the largest eigenvalue that the given number of Lanczos steps from u
// finds, and its residual.
func (g weightedGram) lanczos(u []float64, steps int) (value, residual float64) {
	p, length := len(u), norm(u)
	now, before, next := make([]float64, p), make([]float64, p), make([]float64, p)
	for j, v := range u {
		now[j] = v / length
	}
	var diag, off []float64
	for len(diag) < min(steps, p) {
		g.mul(next, now)
		a := dot(next, now)
		axpy(next, -a, now)
		if k := len(off); k > 0 {
			axpy(next, -off[k-1], before)
		}
		b := norm(next)
		diag, off = append(diag, a), append(off, b)
		if !(b > 1e-12*a) {
			break
		}
		floats.Scale(1/b, next)
		before, now, next = now, next, before
	}
	k := len(diag)
	t := mat.NewSymDense(k, nil)
	for j := range k {
		t.SetSym(j, j, diag[j])
		if j > 0 {
			t.SetSym(j-1, j, off[j-1])
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(t, true) {
		return 0, 0
	}
	var vec mat.Dense
	eig.VectorsTo(&vec)
	return eig.Values(nil)[k-1], off[k-1] * math.Abs(vec.At(k-1, k-1))
}
