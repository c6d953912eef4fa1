package mm

import (
	"fmt"
	"math"
)

// A ConcavePenalty is a Regularizer Σ_j φ(|x_j|) with φ concave and increasing, which
// the reweighted surrogate linearises.
type ConcavePenalty interface {
	Separable
	// Slope returns a supergradient φ'(r) at r ≥ 0.
	Slope(r float64) float64
}

// L0 is Lambda times the number of non-zeros. The prox is the hard threshold; a
// tie goes to zero.
type L0 struct {
	Lambda float64
}

func (h L0) Value(x []float64) float64 {
	k := 0
	for _, v := range x {
		if v != 0 {
			k++
		}
	}
	return h.Lambda * float64(k)
}

func (h L0) ProxCoord(_ int, u, t float64) float64 {
	if math.Abs(u) > math.Sqrt(2*t*h.Lambda) {
		return u
	}
	return 0
}
func (h L0) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t) }
func (L0) Convex() bool                       { return false }

// MCP is the minimax concave penalty (Zhang 2010), φ(r) = Lambda·r − r²/(2·Gamma) up
// to r = Gamma·Lambda and constant after. Its prox needs t < Gamma.
type MCP struct {
	Lambda, Gamma float64
}

func (h MCP) phi(r float64) float64 {
	if r <= h.Gamma*h.Lambda {
		return h.Lambda*r - r*r/(2*h.Gamma)
	}
	return h.Gamma * h.Lambda * h.Lambda / 2
}
func (h MCP) Slope(r float64) float64 { return max(0, h.Lambda-r/h.Gamma) }

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
func (h MCP) Value(x []float64) float64        { return sumPhi(h.phi, x) }
func (h MCP) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t) }
func (MCP) Convex() bool                       { return false }
func (h MCP) MaxStep() float64                 { return h.Gamma }

// SCAD is the smoothly clipped absolute deviation (Fan and Li 2001) with knots at
// Lambda and A·Lambda, A > 2. Its prox needs t < A−1.
type SCAD struct {
	Lambda, A float64
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

func (h SCAD) Slope(r float64) float64 {
	if r <= h.Lambda {
		return h.Lambda
	}
	return max(0, h.A*h.Lambda-r) / (h.A - 1)
}

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
func (h SCAD) Value(x []float64) float64        { return sumPhi(h.phi, x) }
func (h SCAD) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t) }
func (SCAD) Convex() bool                       { return false }
func (h SCAD) MaxStep() float64                 { return h.A - 1 }

// LogSum is Lambda Σ log(1+|x_j|/Eps).
type LogSum struct {
	Lambda, Eps float64
}

func (h LogSum) phi(r float64) float64   { return h.Lambda * math.Log1p(r/h.Eps) }
func (h LogSum) Slope(r float64) float64 { return h.Lambda / (h.Eps + r) }

// ProxCoord compares zero with the larger root of the stationarity equation.
func (h LogSum) ProxCoord(_ int, u, t float64) float64 {
	a := math.Abs(u)
	d := (a+h.Eps)*(a+h.Eps) - 4*t*h.Lambda
	if d < 0 {
		return 0
	}
	r := max(0, (a-h.Eps+math.Sqrt(d))/2)
	if h.phi(r)+(r-a)*(r-a)/(2*t) < a*a/(2*t) {
		return math.Copysign(r, u)
	}
	return 0
}
func (h LogSum) Value(x []float64) float64        { return sumPhi(h.phi, x) }
func (h LogSum) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t) }
func (LogSum) Convex() bool                       { return false }

// CappedL1 is Lambda Σ min(|x_j|, A).
type CappedL1 struct {
	Lambda, A float64
}

func (h CappedL1) phi(r float64) float64 { return h.Lambda * min(r, h.A) }

func (h CappedL1) Slope(r float64) float64 {
	if r < h.A {
		return h.Lambda
	}
	return 0
}

// ProxCoord compares the best points of the two branches.
func (h CappedL1) ProxCoord(_ int, u, t float64) float64 {
	a := math.Abs(u)
	out := max(a, h.A)
	in := min(h.A, max(a-t*h.Lambda, 0))
	if h.phi(out)+(out-a)*(out-a)/(2*t) < h.phi(in)+(in-a)*(in-a)/(2*t) {
		return math.Copysign(out, u)
	}
	return math.Copysign(in, u)
}
func (h CappedL1) Value(x []float64) float64        { return sumPhi(h.phi, x) }
func (h CappedL1) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t) }
func (CappedL1) Convex() bool                       { return false }

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
