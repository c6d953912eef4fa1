package mm

import (
	"fmt"
	"math"
)

// A ConcavePenalty is a Regularizer Σ_j φ(|x_j|) with φ concave and increasing. The
// surrogate family Reweighted linearises it.
type ConcavePenalty interface {
	Separable
	// Slope returns a supergradient of φ at r ≥ 0.
	Slope(r float64) float64
}

// L0 is Lambda times the number of non-zero parameters.
type L0 struct {
	// Lambda ≥ 0 is the cost of one non-zero parameter (λ).
	Lambda float64
}

// Validate checks Lambda.
func (h L0) Validate(_, _ int) error { return nonNegative("L0.Lambda", h.Lambda) }

// Value returns Lambda times the number of non-zero entries.
func (h L0) Value(x []float64) float64 {
	k := 0
	for _, v := range x {
		if v != 0 {
			k++
		}
	}
	return h.Lambda * float64(k)
}

// ProxCoord is the hard threshold: u where |u| > √(2t·Lambda), and 0 elsewhere, ties
// included.
func (h L0) ProxCoord(_ int, u, t float64) float64 {
	if math.Abs(u) <= math.Sqrt(2*t*h.Lambda) {
		return 0
	}
	return u
}

// Prox applies ProxCoord to every entry.
func (h L0) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t, h.Validate(0, 0)) }

// Convex returns false.
func (L0) Convex() bool { return false }

// MCP is the minimax concave penalty (Zhang 2010, "Nearly unbiased variable
// selection under minimax concave penalty"): φ(r) = Lambda·r − r²/(2·Gamma) up to
// r = Gamma·Lambda, and constant beyond. Its proximal operator needs t < Gamma.
type MCP struct {
	// Lambda ≥ 0 is the slope at 0 (λ).
	Lambda float64
	// Gamma > 0 says how far the penalty goes on growing (γ).
	Gamma float64
}

// Validate checks both fields.
func (h MCP) Validate(_, _ int) error {
	return firstError(nonNegative("MCP.Lambda", h.Lambda), positive("MCP.Gamma", h.Gamma))
}

func (h MCP) phi(r float64) float64 {
	if r <= h.Gamma*h.Lambda {
		return h.Lambda*r - r*r/(2*h.Gamma)
	}
	return h.Gamma * h.Lambda * h.Lambda / 2
}

// Slope returns max(0, Lambda − r/Gamma).
func (h MCP) Slope(r float64) float64 { return max(0, h.Lambda-r/h.Gamma) }

// ProxCoord returns the firm threshold of u. It panics unless t < Gamma.
func (h MCP) ProxCoord(_ int, u, t float64) float64 {
	checkStep(h, t)
	switch a := math.Abs(u); {
	case a <= t*h.Lambda:
		return 0
	case a <= h.Gamma*h.Lambda:
		return sign(u) * (a - t*h.Lambda) / (1 - t/h.Gamma)
	}
	return u
}

// Value returns Σ φ(|x_j|).
func (h MCP) Value(x []float64) float64 { return sumPhi(h.phi, x) }

// Prox applies ProxCoord to every entry. It panics unless t < Gamma.
func (h MCP) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t, h.Validate(0, 0)) }

// Convex returns false.
func (MCP) Convex() bool { return false }

// MaxStep returns Gamma.
func (h MCP) MaxStep() float64 { return h.Gamma }

// SCAD is the smoothly clipped absolute deviation (Fan and Li 2001): φ has slope
// Lambda up to r = Lambda, a slope that falls linearly to 0 at r = A·Lambda, and is
// constant beyond. Its proximal operator needs t < A − 1.
type SCAD struct {
	// Lambda ≥ 0 is the slope at 0 (λ).
	Lambda float64
	// A > 2 is the second knot over Lambda (a). Fan and Li recommend 3.7.
	A float64
}

// Validate checks both fields.
func (h SCAD) Validate(_, _ int) error {
	if !(h.A > 2) || math.IsInf(h.A, 1) {
		return fmt.Errorf("mm: SCAD.A is %g, want a finite number > 2", h.A)
	}
	return nonNegative("SCAD.Lambda", h.Lambda)
}

func (h SCAD) phi(r float64) float64 {
	l, a := h.Lambda, h.A
	switch {
	case r <= l:
		return l * r
	case r <= a*l:
		return (2*a*l*r - r*r - l*l) / (2 * (a - 1))
	}
	return l * l * (a + 1) / 2
}

// Slope returns Lambda for r ≤ Lambda and max(0, A·Lambda − r)/(A − 1) beyond.
func (h SCAD) Slope(r float64) float64 {
	if r <= h.Lambda {
		return h.Lambda
	}
	return max(0, h.A*h.Lambda-r) / (h.A - 1)
}

// ProxCoord returns the minimiser for one entry, in closed form. It panics unless
// t < A − 1.
func (h SCAD) ProxCoord(_ int, u, t float64) float64 {
	checkStep(h, t)
	switch a := math.Abs(u); {
	case a <= (1+t)*h.Lambda:
		return soft(u, t*h.Lambda)
	case a <= h.A*h.Lambda:
		return ((h.A-1)*u - sign(u)*t*h.A*h.Lambda) / (h.A - 1 - t)
	}
	return u
}

// Value returns Σ φ(|x_j|).
func (h SCAD) Value(x []float64) float64 { return sumPhi(h.phi, x) }

// Prox applies ProxCoord to every entry. It panics unless t < A − 1.
func (h SCAD) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t, h.Validate(0, 0)) }

// Convex returns false.
func (SCAD) Convex() bool { return false }

// MaxStep returns A − 1.
func (h SCAD) MaxStep() float64 { return h.A - 1 }

// LogSum is Lambda Σ log(1 + |x_j|/Eps), the penalty of reweighted l1 minimisation
// (Candès, Wakin and Boyd 2008).
type LogSum struct {
	// Lambda ≥ 0 is the weight (λ).
	Lambda float64
	// Eps > 0 is the magnitude at which the logarithm begins to flatten (ε).
	Eps float64
}

// Validate checks both fields.
func (h LogSum) Validate(_, _ int) error {
	return firstError(nonNegative("LogSum.Lambda", h.Lambda), positive("LogSum.Eps", h.Eps))
}

func (h LogSum) phi(r float64) float64 { return h.Lambda * math.Log1p(r/h.Eps) }

// Slope returns Lambda/(Eps + r).
func (h LogSum) Slope(r float64) float64 { return h.Lambda / (h.Eps + r) }

// ProxCoord returns the better of zero and the larger root of the stationarity
// equation.
func (h LogSum) ProxCoord(_ int, u, t float64) float64 {
	a := math.Abs(u)
	d := (a+h.Eps)*(a+h.Eps) - 4*t*h.Lambda
	if d < 0 {
		return 0
	}
	r := max(0, (a-h.Eps+math.Sqrt(d))/2)
	if h.phi(r)+(r-a)*(r-a)/(2*t) >= a*a/(2*t) {
		return 0
	}
	return math.Copysign(r, u)
}

// Value returns Lambda Σ log(1 + |x_j|/Eps).
func (h LogSum) Value(x []float64) float64 { return sumPhi(h.phi, x) }

// Prox applies ProxCoord to every entry.
func (h LogSum) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t, h.Validate(0, 0)) }

// Convex returns false.
func (LogSum) Convex() bool { return false }

// CappedL1 is Lambda Σ min(|x_j|, A) (Zhang 2010, "Analysis of multi-stage convex
// relaxation for sparse regularization").
type CappedL1 struct {
	// Lambda ≥ 0 is the slope below the cap (λ).
	Lambda float64
	// A > 0 is the magnitude from which the penalty is constant.
	A float64
}

// Validate checks both fields.
func (h CappedL1) Validate(_, _ int) error {
	return firstError(nonNegative("CappedL1.Lambda", h.Lambda), positive("CappedL1.A", h.A))
}

func (h CappedL1) phi(r float64) float64 { return h.Lambda * min(r, h.A) }

// Slope returns Lambda for r < A and 0 from there on.
func (h CappedL1) Slope(r float64) float64 {
	if r < h.A {
		return h.Lambda
	}
	return 0
}

// ProxCoord returns the better of the best points of the two branches.
func (h CappedL1) ProxCoord(_ int, u, t float64) float64 {
	a := math.Abs(u)
	out := max(a, h.A)
	in := min(h.A, max(a-t*h.Lambda, 0))
	if h.phi(out)+(out-a)*(out-a)/(2*t) < h.phi(in)+(in-a)*(in-a)/(2*t) {
		return math.Copysign(out, u)
	}
	return math.Copysign(in, u)
}

// Value returns Lambda Σ min(|x_j|, A).
func (h CappedL1) Value(x []float64) float64 { return sumPhi(h.phi, x) }

// Prox applies ProxCoord to every entry.
func (h CappedL1) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t, h.Validate(0, 0)) }

// Convex returns false.
func (CappedL1) Convex() bool { return false }

func sumPhi(phi func(float64) float64, x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += phi(math.Abs(v))
	}
	return s
}

func checkStep(h StepLimiter, t float64) {
	if !(t < h.MaxStep()) {
		panic(Error(fmt.Sprintf("prox of %T: step %g is not below %g", h, t, h.MaxStep())))
	}
}
