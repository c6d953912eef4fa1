package mm

import (
	"errors"
	"math"
)

// Components is the objective of K principal components at once,
//
//	f_i(W) = −‖Wᵀz_i‖²/2 + Lambda Σ_jl huber(W_jl),   W ∈ R^{p×K} row-major,
//
// to be minimised over the Stiefel manifold (Problem.Reg = Stiefel{p, K}). Here
// huber(t) is |t| − Delta/2 for |t| ≥ Delta and t²/(2·Delta) below: on that manifold
// the proximal operator of λ‖W‖₁ has no closed form, so sparsity enters smoothed.
// This form is ours and not the source's.
type Components struct {
	// Z has one sample per row: n×p. The rows are not centred.
	Z Rows
	// K ≥ 1 is the number of components.
	K int
	// Lambda ≥ 0 is the weight of the sparsity term (λ).
	Lambda float64
	// Delta is the entry at which the sparsity term becomes linear. It is positive;
	// 0 means 1e-2.
	Delta float64
}

// Validate checks the fields, except for the entries of Z.
func (c *Components) Validate(_, _ int) error {
	if c.Z == nil {
		return errors.New("mm: Components without Z")
	}
	return firstError(atLeast("Components.K", c.K, 1), nonNegative("Components.Lambda", c.Lambda), nonNegative("Components.Delta", c.Delta))
}

// Len returns the number of samples.
func (c *Components) Len() int {
	if c.Z == nil {
		return 0
	}
	n, _ := c.Z.Dims()
	return n
}

// Dim returns p·K.
func (c *Components) Dim() int {
	if c.Z == nil {
		return 0
	}
	_, p := c.Z.Dims()
	return p * c.K
}

func (c *Components) delta() float64 {
	if c.Delta == 0 {
		return 1e-2
	}
	return c.Delta
}

// project writes Wᵀz_i to a.
func (c *Components) project(a []float64, i int, w []float64) {
	clear(a)
	c.Z.Do(i, func(j int, v float64) { axpy(a, v, w[j*c.K:(j+1)*c.K]) })
}

// Component returns f_i(w).
func (c *Components) Component(i int, w []float64) float64 {
	a := make([]float64, c.K)
	c.project(a, i, w)
	v := -sqNorm(a) / 2
	if c.Lambda != 0 {
		d, s := c.delta(), 0.0
		for _, t := range w {
			if t = math.Abs(t); t >= d {
				s += t - d/2
			} else {
				s += t * t / (2 * d)
			}
		}
		v += c.Lambda * s
	}
	return v
}

// AddGrad adds scale·∇f_i(w) to dst.
func (c *Components) AddGrad(dst []float64, i int, w []float64, scale float64) {
	c.add(dst, make([]float64, c.K), i, w, scale)
	c.addPenalty(dst, w, scale)
}

// AddBatchGrad adds scale·Σ_{i∈idx} ∇f_i(w) to dst. It evaluates the sparsity term
// once.
func (c *Components) AddBatchGrad(dst []float64, idx []int, w []float64, scale float64) {
	a := make([]float64, c.K)
	for _, i := range idx {
		c.add(dst, a, i, w, scale)
	}
	c.addPenalty(dst, w, scale*float64(len(idx)))
}

func (c *Components) add(dst, a []float64, i int, w []float64, scale float64) {
	c.project(a, i, w)
	c.Z.Do(i, func(j int, v float64) { axpy(dst[j*c.K:(j+1)*c.K], -scale*v, a) })
}

func (c *Components) addPenalty(dst, w []float64, scale float64) {
	if c.Lambda == 0 {
		return
	}
	d := c.delta()
	for j, t := range w {
		dst[j] += scale * c.Lambda * max(-1, min(1, t/d))
	}
}

// Lipschitz returns the constants of one component plus Lambda/Delta: −zzᵀ acts on
// each column of W alone.
func (c *Components) Lipschitz() Lipschitz {
	l := (&Linear{X: c.Z, Y: make([]float64, c.Len()), Loss: NegSquare{}}).Lipschitz()
	r := c.Lambda / c.delta()
	return Lipschitz{l.MeanSquare + r, l.Max + r}
}
