package mm

import (
	"errors"
	"fmt"
	"math"
)

// DC is the surrogate family of a difference of convex functions, f_i = a − c_i, with
// a common to all components. It linearises c_i (the concave–convex procedure of
// Yuille and Rangarajan 2003),
//
//	g_i(θ;κ) = a(θ) − c_i(κ) − ⟨∇c_i(κ), θ−κ⟩.
//
// The statistic is ∇c_i(κ) = ∇a(κ) − ∇f_i(κ), p numbers. Theorem D needs a + h to be
// strongly convex. If a = 0, only the monotone descent of MM and MISO is sure.
type DC struct {
	// Sum is the problem's sum.
	Sum FiniteSum
	// Convex is a. Nil means a = 0: f is concave, as in PCA, and the surrogate is
	// linear. Then h must be a LinearMaximizer. MM on Sphere is then the power
	// method, and on L1Sphere a sparse power method.
	Convex ConvexPart
}

// A ConvexPart is the convex function a of a DC decomposition.
type ConvexPart interface {
	// Value returns a(x).
	Value(x []float64) float64
	// AddGrad adds scale·∇a(x) to dst.
	AddGrad(dst, x []float64, scale float64)
	// Solve writes argmin_x a(x) − ⟨s,x⟩ + h(x) to dst.
	Solve(dst, s []float64, h Regularizer) error
	// Modulus returns the strong convexity of a, 0 if there is none.
	Modulus() float64
}

// Validate checks that the family fits the problem.
func (s *DC) Validate(n, p int) error {
	return firstError(sameSum("DC", s.Sum, n, p), validate(s.Convex, n, p))
}

// StatDim returns p.
func (s *DC) StatDim() int { return s.Sum.Dim() }

// Modulus returns that of Convex, or 0.
func (s *DC) Modulus() float64 {
	if s.Convex == nil {
		return 0
	}
	return s.Convex.Modulus()
}

// AddStat adds scale·∇c_i(anchor) to dst.
func (s *DC) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	s.Sum.AddGrad(dst, i, anchor, -scale)
	s.addConvex(dst, anchor, scale)
}

// AddBatchStat adds scale·Σ_{i∈idx} ∇c_i(anchor) to dst.
func (s *DC) AddBatchStat(dst []float64, idx []int, anchor []float64, scale float64) {
	g := gradients(s.Sum)
	g.batch(dst, idx, anchor, -scale)
	s.addConvex(dst, anchor, scale*float64(len(idx)))
}

// AddStatDiff adds scale·Σ_{i∈idx} (∇c_i(a) − ∇c_i(b)) to dst.
func (s *DC) AddStatDiff(dst []float64, idx []int, a, b []float64, scale float64) {
	g := gradients(s.Sum)
	g.diff(dst, idx, a, b, -scale)
	s.addConvex(dst, a, scale*float64(len(idx)))
	s.addConvex(dst, b, -scale*float64(len(idx)))
}

func (s *DC) addConvex(dst, x []float64, scale float64) {
	if s.Convex != nil {
		s.Convex.AddGrad(dst, x, scale)
	}
}

// Eval returns a(x) − ⟨stat,x⟩.
func (s *DC) Eval(stat, x []float64) float64 {
	v := -dot(stat, x)
	if s.Convex != nil {
		v += s.Convex.Value(x)
	}
	return v
}

// Minimize writes argmin_x a(x) − ⟨stat,x⟩ + h(x) to dst.
func (s *DC) Minimize(dst, stat, _ []float64, h Regularizer) error {
	if s.Convex != nil {
		return s.Convex.Solve(dst, stat, h)
	}
	m, ok := h.(LinearMaximizer)
	if !ok {
		return fmt.Errorf("%T does not maximise linear functions", h)
	}
	m.MaximizeLinear(dst, stat)
	return nil
}

func (s *DC) accepts(h Regularizer) error {
	if _, ok := h.(LinearMaximizer); s.Convex == nil && !ok {
		return fmt.Errorf("mm: a linear surrogate needs a regulariser that is a LinearMaximizer, not %T", h)
	}
	return nil
}

// Poisson is non-negative Poisson regression, f_i(θ) = x_iᵀθ − y_i log(x_iᵀθ) for
// θ ≥ 0 and x_i, y_i ≥ 0. Emission tomography and topic weights have this form. The
// gradient is not Lipschitz near rates x_iᵀθ = 0, so Poisson does not implement
// Smooth, and only the family PoissonEM has a guarantee here. A run must start from
// positive parameters: at the origin, the default start, f is not finite.
type Poisson struct {
	// X has one sample per row: n×p, entries ≥ 0.
	X Rows
	// Y has the counts, one per row, ≥ 0.
	Y []float64
}

// NewPoisson returns the sum over the rows of x and the counts y. It returns an error
// for data without rows, columns or a non-zero entry, for entries and counts that
// are negative or not finite, for a row of zeros with a positive count (no rate
// explains it), and unless there is one count per row.
func NewPoisson(x Rows, y []float64) (*Poisson, error) {
	if x == nil {
		panic(Error("NewPoisson: nil rows"))
	}
	if err := checkRows(x); err != nil {
		return nil, err
	}
	f := &Poisson{x, y}
	if err := f.Validate(0, 0); err != nil {
		return nil, err
	}
	for i, t := range y {
		negative, zero := false, true
		x.Do(i, func(_ int, v float64) {
			negative = negative || v < 0
			zero = zero && v == 0
		})
		switch {
		case negative:
			return nil, fmt.Errorf("mm: row %d of the data has a negative entry", i)
		case zero && t > 0:
			return nil, fmt.Errorf("mm: row %d of the data is zero, but its count is %g", i, t)
		}
	}
	return f, nil
}

// Validate checks the counts and their number, not the entries of X.
func (f *Poisson) Validate(_, _ int) error {
	if f.X == nil {
		return errors.New("mm: Poisson without X")
	}
	if n, _ := f.X.Dims(); len(f.Y) != n {
		return fmt.Errorf("mm: %d counts for %d rows", len(f.Y), n)
	}
	return checkWeights("Poisson.Y", f.Y)
}

// Len returns the number of samples.
func (f *Poisson) Len() int { return len(f.Y) }

// Dim returns the number of columns of X.
func (f *Poisson) Dim() int {
	if f.X == nil {
		return 0
	}
	_, p := f.X.Dims()
	return p
}

// Component returns f_i(x).
func (f *Poisson) Component(i int, x []float64) float64 {
	m := f.X.Dot(i, x)
	if f.Y[i] == 0 {
		return m
	}
	return m - f.Y[i]*math.Log(m)
}

// AddGrad adds scale·∇f_i(x) to dst.
func (f *Poisson) AddGrad(dst []float64, i int, x []float64, scale float64) {
	c := 1.0
	if f.Y[i] != 0 {
		c -= f.Y[i] / f.X.Dot(i, x)
	}
	f.X.AddRow(dst, i, scale*c)
}

// PoissonEM is the Jensen surrogate of Poisson regression with the weights
// w_ij = x_ij κ_j / x_iᵀκ,
//
//	g_i(θ;κ) = x_iᵀθ − y_i Σ_j w_ij log θ_j + const.
//
// This is the expectation step of the EM algorithm of Richardson (1972), Lucy (1974),
// and Shepp and Vardi (1982). The statistic is y_i w_ij (p numbers), then x_ij (p
// numbers). The minimiser is the quotient of their means, coordinate by coordinate.
// The problem must have no regulariser.
//
// With SPIMM the method is SPIDER-EM (Fort, Moulines and Wai 2020); where the path
// makes a statistic negative, it counts as 0. The curvature moves with θ, so theorem
// D holds only inside a compact set of positive θ.
type PoissonEM struct {
	// F is the sum, which must be the problem's.
	F *Poisson
}

// Validate checks that the family fits the problem.
func (s *PoissonEM) Validate(n, p int) error {
	if s.F == nil {
		return errors.New("mm: PoissonEM has no sum")
	}
	return sameSum("PoissonEM", s.F, n, p)
}

// StatDim returns 2p.
func (s *PoissonEM) StatDim() int { return 2 * s.F.Dim() }

// Modulus returns 0: the curvature vanishes for large θ.
func (s *PoissonEM) Modulus() float64 { return 0 }

// AddStat adds scale·s_i(anchor) to dst.
func (s *PoissonEM) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	p := len(anchor)
	s.F.X.AddRow(dst[p:], i, scale)
	if s.F.Y[i] == 0 {
		return
	}
	c := scale * s.F.Y[i] / s.F.X.Dot(i, anchor)
	s.F.X.Do(i, func(j int, v float64) { dst[j] += c * v * anchor[j] })
}

// Minimize writes the minimiser of the mean surrogate to dst. A coordinate that no
// sample has seen stays at its value in start.
func (s *PoissonEM) Minimize(dst, stat, start []float64, _ Regularizer) error {
	p := len(dst)
	for j := range dst {
		if dst[j] = start[j]; stat[p+j] > 0 {
			dst[j] = max(stat[j], 0) / stat[p+j]
		}
	}
	return nil
}

// Eval returns Σ_j x̄_j x_j − Σ_j t_j log x_j for the statistic (t, x̄).
func (s *PoissonEM) Eval(stat, x []float64) float64 {
	p := len(x)
	v := dot(stat[p:], x)
	for j, t := range stat[:p] {
		if t != 0 {
			v -= t * math.Log(x[j])
		}
	}
	return v
}

func (s *PoissonEM) accepts(h Regularizer) error {
	if _, ok := h.(Zero); !ok {
		return errors.New("mm: PoissonEM has a closed form without a regulariser only")
	}
	return nil
}
