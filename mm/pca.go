package mm

import "math"

// Components is the objective of k principal components at once,
//
//	f_i(W) = −‖Wᵀz_i‖²/2 + Lambda Σ_jl huber(W_jl),   W ∈ R^{p×k} row-major,
//
// to be minimised over the Stiefel manifold (Problem.Reg = Stiefel). The prox of
// λ‖W‖₁ on that manifold has no closed form, so sparsity enters smoothed: huber(t)
// is |t| − Delta/2 for |t| ≥ Delta and t²/(2·Delta) below. The reconstruction's
// choice, not the paper's.
type Components struct {
	Z      Rows
	K      int
	Lambda float64
	Delta  float64 // zero is 1e-2
}

func (c *Components) Len() int {
	n, _ := c.Z.Dims()
	return n
}

func (c *Components) Dim() int {
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

func (c *Components) AddGrad(dst []float64, i int, w []float64, scale float64) {
	c.add(dst, make([]float64, c.K), i, w, scale)
	c.addPenalty(dst, w, scale)
}

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

// Lipschitz: −zzᵀ acts on each column of W alone, so the constants are those of
// one component plus Lambda/Delta.
func (c *Components) Lipschitz() Lipschitz {
	l := NewPCA(c.Z).Lipschitz()
	r := c.Lambda / c.delta()
	return Lipschitz{l.MeanSquare + r, l.Max + r}
}
