package mm

import (
	"fmt"
	"math"
)

// A Regularizer is the part h of an objective that the methods reach by its
// proximal operator only. It may be non-smooth, non-convex and infinite off a set.
//
// The regularisers of this package panic with an Error in Prox for slices of
// different lengths, for t ≤ 0 and for invalid fields. Minimize checks the fields
// first and returns an error instead (see Validator).
type Regularizer interface {
	// Value returns h(x): +Inf outside the domain, beyond a tolerance of 1e-9.
	Value(x []float64) float64
	// Prox writes argmin_x h(x) + ‖x−u‖²/(2t) to dst for t > 0. The slices dst and u
	// may be the same. Where h is not convex the minimiser may not be unique; Prox
	// must then make the same choice at every call. A NaN in u must stay a NaN in
	// dst, so that a broken gradient is noticed.
	Prox(dst, u []float64, t float64)
	// Convex reports whether h is convex. If it is not, Minimize refuses the step
	// rules that average iterates, and theorem C takes the place of theorem A.
	Convex() bool
}

// A Constraint is a Regularizer with a restricted domain.
type Constraint interface {
	// Feasible reports whether x is within tol of the domain. The distance is
	// measured by the quantity that defines the domain: a norm, a bound or a sum.
	Feasible(x []float64, tol float64) bool
}

// Separable is a Regularizer that treats each coordinate on its own. It has a
// proximal operator in any diagonal metric (see NewDiagonal).
type Separable interface {
	Regularizer
	// ProxCoord returns the proximal point of u for coordinate j alone, at step
	// t > 0. It is called in inner loops and does not check its arguments.
	ProxCoord(j int, u, t float64) float64
}

// A StepLimiter is a Regularizer whose proximal operator needs t < MaxStep.
// Minimize returns an error for a larger step; Prox panics.
type StepLimiter interface {
	// MaxStep returns the bound on t.
	MaxStep() float64
}

// A LinearMaximizer is a Regularizer that can solve argmax_x ⟨s,x⟩ − h(x). The
// linear surrogate of a concave f needs it (see DC).
type LinearMaximizer interface {
	// MaximizeLinear writes the maximiser to dst, which may be s.
	MaximizeLinear(dst, s []float64)
}

// Feasible reports whether x is in the domain of h, within tol. A regulariser that
// is no Constraint is finite everywhere.
func Feasible(h Regularizer, x []float64, tol float64) bool {
	c, ok := h.(Constraint)
	return !ok || c.Feasible(x, tol)
}

const feasTol = 1e-9

// indicator is the value of a set at x.
func indicator(c Constraint, x []float64) float64 {
	if c.Feasible(x, feasTol) {
		return 0
	}
	return math.Inf(1)
}

func proxEach(h Separable, dst, u []float64, t float64, options error) {
	checkProx(dst, u, t, options)
	for j, v := range u {
		dst[j] = h.ProxCoord(j, v, t)
	}
}

// soft is the soft threshold of u at t. NaN stays NaN.
func soft(u, t float64) float64 {
	switch {
	case u > t:
		return u - t
	case u < -t:
		return u + t
	case math.IsNaN(u):
		return u
	}
	return 0
}

// Zero is h = 0.
type Zero struct{}

// Value returns 0.
func (Zero) Value([]float64) float64 { return 0 }

// Prox copies u to dst.
func (Zero) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, nil)
	copy(dst, u)
}

// Convex returns true.
func (Zero) Convex() bool { return true }

// ProxCoord returns u.
func (Zero) ProxCoord(_ int, u, _ float64) float64 { return u }

// L1 is the weighted l1 norm h(x) = Lambda Σ_j Weights_j |x_j|, the lasso penalty
// (Tibshirani 1996).
type L1 struct {
	// Lambda ≥ 0 is the weight of the whole norm (λ).
	Lambda float64
	// Weights has one factor ≥ 0 per parameter. Nil means ones.
	Weights []float64
}

func (h L1) check(p int) error {
	if h.Weights != nil && len(h.Weights) != p {
		return fmt.Errorf("mm: L1.Weights has %d entries for %d parameters", len(h.Weights), p)
	}
	return nonNegative("L1.Lambda", h.Lambda)
}

// Validate checks Lambda and the number and the signs of the weights.
func (h L1) Validate(_, p int) error {
	if err := h.check(p); err != nil {
		return err
	}
	return checkWeights("L1.Weights", h.Weights)
}

func checkWeights(what string, w []float64) error {
	for j, v := range w {
		if !(v >= 0) || math.IsInf(v, 1) {
			return fmt.Errorf("mm: %s[%d] is %g, want a finite number ≥ 0", what, j, v)
		}
	}
	return nil
}

func (h L1) at(j int) float64 {
	if h.Weights == nil {
		return h.Lambda
	}
	return h.Lambda * h.Weights[j]
}

// Value returns Lambda Σ Weights_j |x_j|.
func (h L1) Value(x []float64) float64 {
	mustBe(h.check(len(x)))
	s := 0.0
	for j, v := range x {
		s += h.at(j) * math.Abs(v)
	}
	return s
}

// ProxCoord returns the soft threshold of u at t·Lambda·Weights_j.
func (h L1) ProxCoord(j int, u, t float64) float64 { return soft(u, t*h.at(j)) }

// Convex returns true.
func (L1) Convex() bool { return true }

// Prox soft-thresholds every entry.
func (h L1) Prox(dst, u []float64, t float64) {
	if h.Weights != nil {
		proxEach(h, dst, u, t, h.Validate(0, len(u)))
		return
	}
	checkProx(dst, u, t, h.check(len(u)))
	t *= h.Lambda
	for j, v := range u {
		dst[j] = soft(v, t)
	}
}

// Ridge is the squared Euclidean norm h(x) = (Lambda/2) ‖x‖².
type Ridge struct {
	// Lambda ≥ 0 is the weight (λ).
	Lambda float64
}

// Validate checks Lambda.
func (h Ridge) Validate(_, _ int) error { return nonNegative("Ridge.Lambda", h.Lambda) }

// Value returns (Lambda/2) ‖x‖².
func (h Ridge) Value(x []float64) float64 { return h.Lambda / 2 * sqNorm(x) }

// ProxCoord returns u/(1 + t·Lambda).
func (h Ridge) ProxCoord(_ int, u, t float64) float64 { return u / (1 + t*h.Lambda) }

// Prox divides u by 1 + t·Lambda.
func (h Ridge) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t, h.Validate(0, 0)) }

// Convex returns true.
func (Ridge) Convex() bool { return true }

// ElasticNet is h(x) = L1 ‖x‖₁ + (L2/2) ‖x‖² (Zou and Hastie 2005).
type ElasticNet struct {
	// L1 ≥ 0 is the weight of the l1 norm.
	L1 float64
	// L2 ≥ 0 is the weight of half the squared Euclidean norm.
	L2 float64
}

// Validate checks both weights.
func (h ElasticNet) Validate(_, _ int) error {
	return firstError(nonNegative("ElasticNet.L1", h.L1), nonNegative("ElasticNet.L2", h.L2))
}

// Value returns L1 ‖x‖₁ + (L2/2) ‖x‖².
func (h ElasticNet) Value(x []float64) float64 {
	s, q := 0.0, 0.0
	for _, v := range x {
		s += math.Abs(v)
		q += v * v
	}
	return h.L1*s + h.L2/2*q
}

// ProxCoord returns the soft threshold of u at t·L1, divided by 1 + t·L2.
func (h ElasticNet) ProxCoord(_ int, u, t float64) float64 {
	return soft(u, t*h.L1) / (1 + t*h.L2)
}

// Prox applies ProxCoord to every entry.
func (h ElasticNet) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t, h.Validate(0, 0)) }

// Convex returns true.
func (ElasticNet) Convex() bool { return true }

// LInf is the maximum norm h(x) = Lambda ‖x‖_∞.
type LInf struct {
	// Lambda ≥ 0 is the weight (λ).
	Lambda float64
}

// Validate checks Lambda.
func (h LInf) Validate(_, _ int) error { return nonNegative("LInf.Lambda", h.Lambda) }

// Value returns Lambda max_j |x_j|.
func (h LInf) Value(x []float64) float64 {
	m := 0.0
	for _, v := range x {
		m = max(m, math.Abs(v))
	}
	return h.Lambda * m
}

// Prox subtracts from u its projection onto the l1 ball of radius t·Lambda, by
// Moreau's identity.
func (h LInf) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	if t*h.Lambda == 0 { // a BallL1 of radius 0 would be one of radius 1
		copy(dst, u)
		return
	}
	p := make([]float64, len(u))
	BallL1{Radius: t * h.Lambda}.Prox(p, u, 1)
	for j, v := range u {
		dst[j] = v - p[j]
	}
}

// Convex returns true.
func (LInf) Convex() bool { return true }
