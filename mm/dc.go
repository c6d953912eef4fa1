package mm

import (
	"errors"
	"fmt"
	"math"
)

// DC is the surrogate of a difference f_i = a − c_i of convex functions, with a
// common to all components: c_i is linearised,
//
//	g_i(θ;κ) = a(θ) − c_i(κ) − ⟨∇c_i(κ), θ−κ⟩.
//
// The statistic is ∇c_i(κ) = ∇a(κ) − ∇f_i(κ). A nil Convex is a = 0: f is concave,
// as in PCA, and the surrogate is linear; then h must be a LinearMaximizer, and MM
// on the sphere is the power method, on L1Sphere its sparse form. Theorem D needs
// a + h strongly convex; with a = 0 on a set there is none to speak of, and only
// the monotone descent of MM and MISO is sure.
type DC struct {
	Sum    FiniteSum
	Convex ConvexPart
}

// ConvexPart is the convex function a of a DC decomposition.
type ConvexPart interface {
	Value(x []float64) float64
	// AddGrad adds scale·∇a(x) to dst.
	AddGrad(dst, x []float64, scale float64)
	// Solve writes argmin_x a(x) − ⟨s,x⟩ + h(x) to dst.
	Solve(dst, s []float64, h Regularizer) error
	// Modulus is the strong convexity of a.
	Modulus() float64
}

func (s *DC) StatDim() int { return s.Sum.Dim() }

func (s *DC) Modulus() float64 {
	if s.Convex == nil {
		return 0
	}
	return s.Convex.Modulus()
}

func (s *DC) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	s.Sum.AddGrad(dst, i, anchor, -scale)
	s.addConvex(dst, anchor, scale)
}

func (s *DC) AddBatchStat(dst []float64, idx []int, anchor []float64, scale float64) {
	g := gradients(s.Sum)
	g.batch(dst, idx, anchor, -scale)
	s.addConvex(dst, anchor, scale*float64(len(idx)))
}

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

func (s *DC) Eval(stat, x []float64) float64 {
	v := -dot(stat, x)
	if s.Convex != nil {
		v += s.Convex.Value(x)
	}
	return v
}

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
// θ ≥ 0 with x_i, y_i ≥ 0: emission tomography, topic weights. Its gradient is not
// Lipschitz near zero rates, so only the EM family below has a guarantee here.
type Poisson struct {
	X Rows
	Y []float64
}

// NewPoisson errs when an entry or a target is negative, or their numbers differ.
func NewPoisson(x Rows, y []float64) (*Poisson, error) {
	n, _ := x.Dims()
	if len(y) != n || n == 0 {
		return nil, fmt.Errorf("mm: %d targets for %d rows", len(y), n)
	}
	for i, v := range y {
		bad := !(v >= 0)
		x.Do(i, func(_ int, v float64) { bad = bad || !(v >= 0) })
		if bad {
			return nil, fmt.Errorf("mm: row %d is not non-negative", i)
		}
	}
	return &Poisson{x, y}, nil
}

func (f *Poisson) Len() int { return len(f.Y) }
func (f *Poisson) Dim() int {
	_, p := f.X.Dims()
	return p
}

func (f *Poisson) Component(i int, x []float64) float64 {
	m := f.X.Dot(i, x)
	if f.Y[i] == 0 {
		return m
	}
	return m - f.Y[i]*math.Log(m)
}

func (f *Poisson) AddGrad(dst []float64, i int, x []float64, scale float64) {
	c := 1.0
	if f.Y[i] != 0 {
		c -= f.Y[i] / f.X.Dot(i, x)
	}
	f.X.AddRow(dst, i, scale*c)
}

// PoissonEM is the Jensen surrogate of Poisson regression with weights
// w_ij = x_ij κ_j / x_iᵀκ, the expectation step of the EM algorithm
// (Richardson–Lucy):
//
//	g_i(θ;κ) = x_iᵀθ − y_i Σ_j w_ij log θ_j + const.
//
// The statistic is y_i w_ij, then x_ij, the minimiser the quotient of their means,
// coordinate by coordinate; h must be zero. With SPIMM this is SPIDER-EM; a
// statistic that the path made negative is held at zero. The surrogate's curvature
// moves with θ: theorem D only inside a compact set of positive θ.
type PoissonEM struct {
	F *Poisson
}

func (s *PoissonEM) StatDim() int     { return 2 * s.F.Dim() }
func (s *PoissonEM) Modulus() float64 { return 0 }

func (s *PoissonEM) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	p := len(anchor)
	s.F.X.AddRow(dst[p:], i, scale)
	if s.F.Y[i] == 0 {
		return
	}
	c := scale * s.F.Y[i] / s.F.X.Dot(i, anchor)
	s.F.X.Do(i, func(j int, v float64) { dst[j] += c * v * anchor[j] })
}

// Minimize leaves a coordinate that no sample has seen where it is.
func (s *PoissonEM) Minimize(dst, stat, start []float64, _ Regularizer) error {
	p := len(dst)
	for j := range dst {
		if dst[j] = start[j]; stat[p+j] > 0 {
			dst[j] = max(stat[j], 0) / stat[p+j]
		}
	}
	return nil
}

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
