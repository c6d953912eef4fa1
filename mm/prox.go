package mm

import "math"

// A Regularizer is the part h of an objective that is reached by its proximal
// operator only; it may be non-smooth, non-convex and infinite off a set.
type Regularizer interface {
	// Value returns h(x), +Inf outside its domain (beyond a tolerance of 1e-9).
	Value(x []float64) float64
	// Prox writes argmin_x h(x) + ‖x−u‖²/(2t) to dst, which may be u. Where h is
	// not convex the minimiser may not be unique: one is chosen, always the same.
	Prox(dst, u []float64, t float64)
	// Convex reports whether h is convex. If not, step rules that average
	// iterates are refused and theorem C takes the place of theorem A.
	Convex() bool
}

// A Constraint is a Regularizer with a restricted domain.
type Constraint interface {
	// Feasible reports whether x is within tol of the domain, measured by the
	// quantity that defines it (a norm, a bound, a sum).
	Feasible(x []float64, tol float64) bool
}

// Separable is a Regularizer that treats each coordinate on its own. It has a
// prox in any diagonal metric and can be applied lazily to sparse rows.
type Separable interface {
	Regularizer
	// ProxCoord returns the proximal point of u for coordinate j alone.
	ProxCoord(j int, u, t float64) float64
}

// A StepLimiter is a Regularizer whose prox needs t < MaxStep. Minimize returns
// an error for a larger step; Prox panics.
type StepLimiter interface {
	MaxStep() float64
}

// A LinearMaximizer solves argmax_x ⟨s,x⟩ − h(x), which the linear surrogates of a
// concave f ask for.
type LinearMaximizer interface {
	MaximizeLinear(dst, s []float64)
}

// Feasible reports whether x is in the domain of h, within tol.
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

func proxEach(h Separable, dst, u []float64, t float64) {
	checkLen("Prox", len(dst), len(u))
	for j, v := range u {
		dst[j] = h.ProxCoord(j, v, t)
	}
}

func soft(u, t float64) float64 {
	switch {
	case u > t:
		return u - t
	case u < -t:
		return u + t
	}
	return 0
}

// Zero is h = 0.
type Zero struct{}

func (Zero) Value([]float64) float64 { return 0 }
func (Zero) Prox(dst, u []float64, _ float64) {
	checkLen("Prox", len(dst), len(u))
	copy(dst, u)
}
func (Zero) Convex() bool                          { return true }
func (Zero) ProxCoord(_ int, u, _ float64) float64 { return u }

// L1 is Lambda Σ Weights_j |x_j|; nil Weights are ones. Its prox is the soft
// threshold.
type L1 struct {
	Lambda  float64
	Weights []float64
}

func (h L1) at(j int) float64 {
	if h.Weights == nil {
		return h.Lambda
	}
	return h.Lambda * h.Weights[j]
}

func (h L1) Value(x []float64) float64 {
	s := 0.0
	for j, v := range x {
		s += h.at(j) * math.Abs(v)
	}
	return s
}

func (h L1) ProxCoord(j int, u, t float64) float64 { return soft(u, t*h.at(j)) }
func (L1) Convex() bool                            { return true }

func (h L1) Prox(dst, u []float64, t float64) {
	if h.Weights != nil {
		proxEach(h, dst, u, t)
		return
	}
	checkLen("Prox", len(dst), len(u))
	t *= h.Lambda
	for j, v := range u {
		dst[j] = soft(v, t)
	}
}

// Ridge is (Lambda/2) ‖x‖².
type Ridge struct {
	Lambda float64
}

func (h Ridge) Value(x []float64) float64             { return h.Lambda / 2 * sqNorm(x) }
func (h Ridge) ProxCoord(_ int, u, t float64) float64 { return u / (1 + t*h.Lambda) }
func (h Ridge) Prox(dst, u []float64, t float64)      { proxEach(h, dst, u, t) }
func (Ridge) Convex() bool                            { return true }

// ElasticNet is L1 ‖x‖₁ + (L2/2) ‖x‖².
type ElasticNet struct {
	L1, L2 float64
}

func (h ElasticNet) Value(x []float64) float64 {
	s, q := 0.0, 0.0
	for _, v := range x {
		s += math.Abs(v)
		q += v * v
	}
	return h.L1*s + h.L2/2*q
}

func (h ElasticNet) ProxCoord(_ int, u, t float64) float64 {
	return soft(u, t*h.L1) / (1 + t*h.L2)
}
func (h ElasticNet) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t) }
func (ElasticNet) Convex() bool                       { return true }

// GroupLasso is L1 ‖x‖₁ + Lambda Σ_g Weights_g ‖x_g‖₂ over groups of indices that do
// not overlap; indices in no group are penalised by L1 alone. Nil Groups is one
// group of everything, nil Weights are ones. The prox soft-thresholds, then
// shrinks each group, which is exact.
type GroupLasso struct {
	Lambda  float64
	L1      float64
	Groups  [][]int
	Weights []float64
}

func (h GroupLasso) each(p int, f func(w float64, group []int)) {
	if h.Groups == nil {
		g := make([]int, p)
		for j := range g {
			g[j] = j
		}
		f(h.Lambda, g)
		return
	}
	for k, g := range h.Groups {
		w := h.Lambda
		if h.Weights != nil {
			w *= h.Weights[k]
		}
		f(w, g)
	}
}

func (h GroupLasso) Value(x []float64) float64 {
	v := L1{Lambda: h.L1}.Value(x)
	h.each(len(x), func(w float64, g []int) { v += w * groupNorm(x, g) })
	return v
}

func (h GroupLasso) Prox(dst, u []float64, t float64) {
	L1{Lambda: h.L1}.Prox(dst, u, t)
	h.each(len(u), func(w float64, g []int) {
		n := groupNorm(dst, g)
		s := 0.0
		if n > t*w {
			s = 1 - t*w/n
		}
		for _, j := range g {
			dst[j] *= s
		}
	})
}

func (GroupLasso) Convex() bool { return true }

func groupNorm(x []float64, g []int) float64 {
	s := 0.0
	for _, j := range g {
		s += x[j] * x[j]
	}
	return math.Sqrt(s)
}

// LInf is Lambda ‖x‖_∞. By Moreau's identity its prox subtracts a projection onto
// an l1 ball.
type LInf struct {
	Lambda float64
}

func (h LInf) Value(x []float64) float64 {
	m := 0.0
	for _, v := range x {
		m = max(m, math.Abs(v))
	}
	return h.Lambda * m
}

func (h LInf) Prox(dst, u []float64, t float64) {
	if t*h.Lambda == 0 { // a BallL1 of radius 0 would be one of radius 1
		Zero{}.Prox(dst, u, t)
		return
	}
	checkLen("Prox", len(dst), len(u))
	p := make([]float64, len(u))
	BallL1{Radius: t * h.Lambda}.Prox(p, u, 1)
	for j, v := range u {
		dst[j] = v - p[j]
	}
}

func (LInf) Convex() bool { return true }

// FusedLasso is L1 ‖x‖₁ + TV Σ |x_{j+1} − x_j|. Its prox is that of the total
// variation, found exactly in linear time, followed by a soft threshold.
type FusedLasso struct {
	TV, L1 float64
}

func (h FusedLasso) Value(x []float64) float64 {
	s := L1{Lambda: h.L1}.Value(x)
	for j := 1; j < len(x); j++ {
		s += h.TV * math.Abs(x[j]-x[j-1])
	}
	return s
}

func (h FusedLasso) Prox(dst, u []float64, t float64) {
	totalVariation(dst, u, t*h.TV)
	L1{Lambda: h.L1}.Prox(dst, dst, t)
}

func (FusedLasso) Convex() bool { return true }

// totalVariation minimises Σ (x_j−u_j)²/2 + lam Σ |x_{j+1}−x_j| by dynamic
// programming (Johnson 2013): the derivative of the cost-to-come is piecewise
// linear and increasing; passing an edge clips it to [−lam, lam], passing a
// sample adds x−u_j. A deque holds its breakpoints as changes of slope and
// intercept. Going back, each x_j is x_{j+1} clipped to where it was cut.
func totalVariation(dst, u []float64, lam float64) {
	n := len(u)
	checkLen("Prox", len(dst), n)
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
