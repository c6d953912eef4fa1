package mm

import "math"

// FusedLasso is h(x) = L1 ‖x‖₁ + TV Σ_j |x_{j+1} − x_j| (Tibshirani et al. 2005):
// neighbouring parameters tend to be equal.
type FusedLasso struct {
	// TV ≥ 0 is the weight of the total variation.
	TV float64
	// L1 ≥ 0 is the weight of the l1 norm.
	L1 float64
}

// Validate checks both weights.
func (h FusedLasso) Validate(_, _ int) error {
	return firstError(nonNegative("FusedLasso.TV", h.TV), nonNegative("FusedLasso.L1", h.L1))
}

// Value returns L1 ‖x‖₁ + TV Σ |x_{j+1} − x_j|.
func (h FusedLasso) Value(x []float64) float64 {
	s := L1{Lambda: h.L1}.Value(x)
	for j := 1; j < len(x); j++ {
		s += h.TV * math.Abs(x[j]-x[j-1])
	}
	return s
}

// Prox solves the total variation exactly in linear time by dynamic programming
// (Johnson 2013), then soft-thresholds the result. This composition is the exact
// proximal operator.
func (h FusedLasso) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	totalVariation(dst, u, t*h.TV)
	L1{Lambda: h.L1}.Prox(dst, dst, t)
}

// Convex returns true.
func (FusedLasso) Convex() bool { return true }

// totalVariation minimises Σ (x_j−u_j)²/2 + lam Σ |x_{j+1}−x_j| by dynamic
// programming (Johnson 2013): the derivative of the cost-to-come is piecewise
// linear and increasing; passing an edge clips it to [−lam, lam], passing a
// sample adds x−u_j. A deque holds its breakpoints as changes of slope and
// intercept. Going back, each x_j is x_{j+1} clipped to where it was cut.
func totalVariation(dst, u []float64, lam float64) {
	n := len(u)
	if n <= 1 || lam == 0 {
		copy(dst, u)
		return
	}
	type knot struct{ at, slope, icept float64 }
	knots := make([]knot, 2*n)
	lo, hi := n, n-1 // empty deque
	cutLo, cutHi := make([]float64, n-1), make([]float64, n-1)
	for j := range n - 1 {
		// Walk from the left along the pieces until the derivative reaches −lam,
		// from the right until it falls to lam.
		s, c := 1.0, -u[j]
		if j > 0 {
			c -= lam
		}
		for lo <= hi && s*knots[lo].at+c <= -lam {
			s += knots[lo].slope
			c += knots[lo].icept
			lo++
		}
		left := knot{(-lam - c) / s, s, c + lam}
		s, c = 1, -u[j]
		if j > 0 {
			c += lam
		}
		for hi >= lo && s*knots[hi].at+c >= lam {
			s -= knots[hi].slope
			c -= knots[hi].icept
			hi--
		}
		right := knot{(lam - c) / s, -s, -c + lam}
		cutLo[j], cutHi[j] = left.at, right.at
		lo--
		hi++
		knots[lo], knots[hi] = left, right
	}
	s, c := 1.0, -u[n-1]-lam
	for lo <= hi && s*knots[lo].at+c <= 0 {
		s += knots[lo].slope
		c += knots[lo].icept
		lo++
	}
	x := -c / s
	dst[n-1] = x
	for j := n - 2; j >= 0; j-- {
		x = max(cutLo[j], min(cutHi[j], x))
		dst[j] = x
	}
}
