package mm

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Factorization is the factorised form of PCA,
//
//	f_i(W) = min_a ‖z_i − Wa‖²/2 + (Mu/2)‖a‖²,   W ∈ R^{p×K} row-major.
//
// With an l1 regulariser on W it is sparse dictionary learning (Mairal, Bach, Ponce
// and Sapiro 2010). It is smooth by Danskin's theorem, but no constant holds for all
// W, so it does not implement Smooth. Use it with the family FactorMM.
type Factorization struct {
	// Z has one sample per row: n×p.
	Z Rows
	// K ≥ 1 is the number of columns of W.
	K int
	// Mu > 0 is the weight of the ridge on the codes a (μ).
	Mu float64
}

// Validate checks the fields, except for the entries of Z.
func (f *Factorization) Validate(_, _ int) error {
	if f.Z == nil {
		return errors.New("mm: Factorization without Z")
	}
	return firstError(atLeast("Factorization.K", f.K, 1), positive("Factorization.Mu", f.Mu))
}

// Len returns the number of samples.
func (f *Factorization) Len() int {
	if f.Z == nil {
		return 0
	}
	n, _ := f.Z.Dims()
	return n
}

// Dim returns p·K.
func (f *Factorization) Dim() int {
	if f.Z == nil {
		return 0
	}
	_, p := f.Z.Dims()
	return p * f.K
}

// code returns the minimising a for sample i, and Wᵀz.
func (f *Factorization) code(i int, w []float64) (a, wz []float64) {
	k := f.K
	g := mat.NewSymDense(k, nil)
	p := len(w) / k
	for j := range p {
		row := w[j*k : (j+1)*k]
		for r, v := range row {
			for c := r; c < k; c++ {
				g.SetSym(r, c, g.At(r, c)+v*row[c])
			}
		}
	}
	wz = make([]float64, k)
	f.Z.Do(i, func(j int, v float64) { axpy(wz, v, w[j*k:(j+1)*k]) })
	a = make([]float64, k)
	c, err := factorize(g, f.Mu)
	if err != nil {
		for j := range a {
			a[j] = math.NaN()
		}
		return a, wz
	}
	// An ill-conditioned system is still solved as well as it can be.
	_ = c.SolveVecTo(mat.NewVecDense(k, a), mat.NewVecDense(k, wz))
	return a, wz
}

// Component returns f_i(w), which is ‖z‖²/2 − ⟨Wᵀz, a⟩/2 at the minimising a.
func (f *Factorization) Component(i int, w []float64) float64 {
	a, wz := f.code(i, w)
	return (sqRow(f.Z, i) - dot(wz, a)) / 2
}

// AddGrad adds scale·(Wa − z)aᵀ, the gradient of f_i at w, to dst.
func (f *Factorization) AddGrad(dst []float64, i int, w []float64, scale float64) {
	k := f.K
	a, _ := f.code(i, w)
	for j := 0; j*k < len(w); j++ {
		axpy(dst[j*k:(j+1)*k], scale*dot(w[j*k:(j+1)*k], a), a)
	}
	f.Z.Do(i, func(j int, v float64) { axpy(dst[j*k:(j+1)*k], -scale*v, a) })
}

// FactorMM is the surrogate family of a Factorization that holds the code a of each
// sample at its minimiser for the anchor,
//
//	g_i(W;κ) = ‖z_i − W a_i(κ)‖²/2 + (Mu/2)‖a_i(κ)‖².
//
// The statistic is a aᵀ (K² numbers, the full matrix), then z aᵀ (p·K numbers). The
// minimiser solves a K×K system, or an inner problem for a convex h that is neither
// zero nor Ridge. With SMM it is online dictionary learning (Mairal et al. 2010).
//
// The curvature moves with the anchor, so theorem D holds only where the codes stay
// bounded.
type FactorMM struct {
	// F is the sum, which must be the problem's.
	F *Factorization
}

// Validate checks that the family fits the problem.
func (s *FactorMM) Validate(n, p int) error {
	if s.F == nil {
		return errors.New("mm: FactorMM has no sum")
	}
	return firstError(s.F.Validate(n, p), sameSum("FactorMM", s.F, n, p))
}

// StatDim returns K² + p·K.
func (s *FactorMM) StatDim() int { return s.F.K*s.F.K + s.F.Dim() }

// Modulus returns 0: the mean surrogate need not be strongly convex.
func (s *FactorMM) Modulus() float64 { return 0 }

// AddStat adds scale·s_i(anchor) to dst.
func (s *FactorMM) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	k := s.F.K
	a, _ := s.F.code(i, anchor)
	for r, v := range a {
		axpy(dst[r*k:(r+1)*k], scale*v, a)
	}
	b := dst[k*k:]
	s.F.Z.Do(i, func(j int, v float64) { axpy(b[j*k:(j+1)*k], scale*v, a) })
}

func (s *FactorMM) gram(stat []float64) *mat.SymDense {
	k := s.F.K
	g := mat.NewSymDense(k, nil)
	for r := range k {
		for c := r; c < k; c++ {
			g.SetSym(r, c, stat[r*k+c])
		}
	}
	return g
}

// Eval returns tr(W A Wᵀ)/2 − tr(WᵀB) for the statistic (A, B).
func (s *FactorMM) Eval(stat, w []float64) float64 {
	k := s.F.K
	v := -dot(stat[k*k:], w)
	for j := 0; j*k < len(w); j++ {
		row := w[j*k : (j+1)*k]
		for r, t := range row {
			v += t * dot(stat[r*k:(r+1)*k], row) / 2
		}
	}
	return v
}

// Minimize writes the minimiser of the mean surrogate plus h to dst. If the K×K
// matrix is singular, it adds 1e-10 of the largest row to the diagonal, so that a
// column of W that no sample uses stays where it is.
func (s *FactorMM) Minimize(dst, stat, start []float64, h Regularizer) error {
	k := s.F.K
	a := s.gram(stat)
	top := 0.0
	for r := range k {
		row := 0.0
		for c := range k {
			row += math.Abs(a.At(r, c))
		}
		top = max(top, row)
	}
	lift := 0.0
	ridge, quadratic := ridgeOf(h)
	c, err := factorize(a, ridge)
	if err != nil {
		lift = max(1e-10*top, 1e-12)
		for c == nil && lift <= 1+10*top {
			c, err = factorize(a, ridge+lift)
			lift *= 10
		}
		if err != nil {
			return err
		}
		lift /= 10
	}
	b := append([]float64(nil), stat[k*k:]...)
	if lift > 0 {
		axpy(b, lift, start)
	}
	if quadratic {
		for j := 0; j*k < len(dst); j++ {
			// An ill-conditioned system is still solved as well as it can be.
			_ = c.SolveVecTo(mat.NewVecDense(k, dst[j*k:(j+1)*k]), mat.NewVecDense(k, b[j*k:(j+1)*k]))
		}
		return nil
	}
	return solveComposite(dst, b, start, h, top+lift, 0, func(y, x []float64) {
		clear(y)
		for j := 0; j*k < len(x); j++ {
			row := x[j*k : (j+1)*k]
			for r := range k {
				y[j*k+r] = lift * row[r]
				for c := range k {
					y[j*k+r] += a.At(r, c) * row[c]
				}
			}
		}
	})
}

func (s *FactorMM) accepts(h Regularizer) error { return acceptsConvex(h) }
