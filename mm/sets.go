package mm

import (
	"fmt"
	"math"
	"slices"
)

// Box is the set Lo ≤ x_j ≤ Hi in every coordinate.
type Box struct {
	// Lo is the lower bound; it may be −Inf.
	Lo float64
	// Hi is the upper bound; it may be +Inf.
	Hi float64
}

// NonNegative returns the set x ≥ 0, which is Box{0, +Inf}.
func NonNegative() Box { return Box{0, math.Inf(1)} }

// Validate checks that there is a finite number between the bounds.
func (h Box) Validate(_, _ int) error {
	if !(h.Lo <= h.Hi) || math.IsInf(h.Lo, 1) || math.IsInf(h.Hi, -1) {
		return fmt.Errorf("mm: Box from %g to %g is empty", h.Lo, h.Hi)
	}
	return nil
}

// Feasible reports whether every entry is between Lo − tol and Hi + tol.
func (h Box) Feasible(x []float64, tol float64) bool {
	for _, v := range x {
		if !(v >= h.Lo-tol && v <= h.Hi+tol) {
			return false
		}
	}
	return true
}

// Value returns 0 in the box and +Inf outside.
func (h Box) Value(x []float64) float64 { return indicator(h, x) }

// ProxCoord clamps u.
func (h Box) ProxCoord(_ int, u, _ float64) float64 { return max(h.Lo, min(h.Hi, u)) }

// Prox clamps every entry.
func (h Box) Prox(dst, u []float64, t float64) { proxEach(h, dst, u, t, h.Validate(0, 0)) }

// Convex returns true.
func (Box) Convex() bool { return true }

// Ball is the Euclidean ball ‖x‖₂ ≤ Radius round the origin.
type Ball struct {
	// Radius is positive; 0 means 1.
	Radius float64
}

// Validate checks Radius.
func (h Ball) Validate(_, _ int) error { return nonNegative("Ball.Radius", h.Radius) }

func (h Ball) radius() float64 { return orOne(h.Radius) }

func orOne(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}

// Feasible reports whether ‖x‖₂ ≤ Radius + tol.
func (h Ball) Feasible(x []float64, tol float64) bool { return norm(x) <= h.radius()+tol }

// Value returns 0 in the ball and +Inf outside.
func (h Ball) Value(x []float64) float64 { return indicator(h, x) }

// Convex returns true.
func (Ball) Convex() bool { return true }

// Prox projects u onto the ball.
func (h Ball) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	if n := norm(u); n > h.radius() {
		scaleTo(dst, u, h.radius()/n)
		return
	}
	copy(dst, u)
}

// MaximizeLinear writes the point of the boundary in the direction of s.
func (h Ball) MaximizeLinear(dst, s []float64) { toSphere(dst, s, h.radius()) }

// Sphere is the set ‖x‖₂ = Radius, which is not convex.
type Sphere struct {
	// Radius is positive; 0 means 1.
	Radius float64
}

// Validate checks Radius.
func (h Sphere) Validate(_, _ int) error { return nonNegative("Sphere.Radius", h.Radius) }

func (h Sphere) radius() float64 { return orOne(h.Radius) }

// Feasible reports whether ‖x‖₂ is within tol of Radius.
func (h Sphere) Feasible(x []float64, tol float64) bool {
	return math.Abs(norm(x)-h.radius()) <= tol
}

// Value returns 0 on the sphere and +Inf off it.
func (h Sphere) Value(x []float64) float64 { return indicator(h, x) }

// Prox scales u to norm Radius. Every point of the sphere is nearest to the origin;
// Prox then chooses Radius·e₁.
func (h Sphere) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	toSphere(dst, u, h.radius())
}

// Convex returns false.
func (Sphere) Convex() bool { return false }

// MaximizeLinear scales s to norm Radius.
func (h Sphere) MaximizeLinear(dst, s []float64) { toSphere(dst, s, h.radius()) }

func scaleTo(dst, u []float64, s float64) {
	for j, v := range u {
		dst[j] = s * v
	}
}

// toSphere writes r·u/‖u‖ to dst, r·e₁ for u = 0. Extreme vectors are scaled
// first, so that the squares neither overflow nor vanish.
func toSphere(dst, u []float64, r float64) {
	checkLen("Prox", len(dst), len(u))
	n := norm(u)
	if n == 0 {
		clear(dst)
		dst[0] = r
		return
	}
	if math.IsInf(1/n, 0) {
		scaleTo(dst, u, 0x1p600)
		u, n = dst, norm(dst)
	}
	scaleTo(dst, u, r/n)
}

// BallL1 is the l1 ball ‖x‖₁ ≤ Radius round the origin.
type BallL1 struct {
	// Radius is positive; 0 means 1.
	Radius float64
}

// Validate checks Radius.
func (h BallL1) Validate(_, _ int) error { return nonNegative("BallL1.Radius", h.Radius) }

// Feasible reports whether ‖x‖₁ ≤ Radius + tol.
func (h BallL1) Feasible(x []float64, tol float64) bool {
	return L1{Lambda: 1}.Value(x) <= orOne(h.Radius)+tol
}

// Value returns 0 in the ball and +Inf outside.
func (h BallL1) Value(x []float64) float64 { return indicator(h, x) }

// Convex returns true.
func (BallL1) Convex() bool { return true }

// Prox projects u onto the ball: it soft-thresholds at the level that meets Radius.
// Sorting finds the level (Held, Wolfe and Crowder 1974) in time O(p log p).
func (h BallL1) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	r := orOne(h.Radius)
	a := make([]float64, len(u))
	s := 0.0
	for j, v := range u {
		a[j] = math.Abs(v)
		s += a[j]
	}
	if s <= r {
		copy(dst, u)
		return
	}
	level := threshold(a, r)
	for j, v := range u {
		dst[j] = soft(v, level)
	}
}

// threshold returns the level l with Σ max(a_j−l, 0) = r. It sorts a.
func threshold(a []float64, r float64) float64 {
	slices.SortFunc(a, func(x, y float64) int {
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	sum, level := 0.0, 0.0
	for k, v := range a {
		sum += v
		l := (sum - r) / float64(k+1)
		if v <= l {
			break
		}
		level = l
	}
	return level
}

// Simplex is the set x ≥ 0, Σ x_j = Sum.
type Simplex struct {
	// Sum is positive; 0 means 1.
	Sum float64
}

// Validate checks Sum.
func (h Simplex) Validate(_, _ int) error { return nonNegative("Simplex.Sum", h.Sum) }

// Feasible reports whether no entry is below −tol and the sum is within tol·(1+p)
// of Sum.
func (h Simplex) Feasible(x []float64, tol float64) bool {
	s := 0.0
	for _, v := range x {
		if !(v >= -tol) {
			return false
		}
		s += v
	}
	return math.Abs(s-orOne(h.Sum)) <= tol*float64(1+len(x))
}

// Value returns 0 on the simplex and +Inf off it.
func (h Simplex) Value(x []float64) float64 { return indicator(h, x) }

// Convex returns true.
func (Simplex) Convex() bool { return true }

// Prox projects u onto the simplex. Sorting finds the level to subtract (Held, Wolfe
// and Crowder 1974) in time O(p log p).
func (h Simplex) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	level := threshold(slices.Clone(u), orOne(h.Sum))
	for j, v := range u {
		dst[j] = max(v-level, 0)
	}
}

// L1Ball is Lambda ‖x‖₁ on the Euclidean ball ‖x‖₂ ≤ Radius, and +Inf outside: the
// regulariser of this package's sparse PCA.
type L1Ball struct {
	// Lambda ≥ 0 is the weight of the l1 norm (λ).
	Lambda float64
	// Radius is positive; 0 means 1.
	Radius float64
}

// Validate checks both fields.
func (h L1Ball) Validate(_, _ int) error {
	return firstError(nonNegative("L1Ball.Lambda", h.Lambda), nonNegative("L1Ball.Radius", h.Radius))
}

func (h L1Ball) ball() Ball { return Ball{h.Radius} }

// Feasible reports whether ‖x‖₂ ≤ Radius + tol.
func (h L1Ball) Feasible(x []float64, tol float64) bool { return h.ball().Feasible(x, tol) }

// Value returns Lambda ‖x‖₁ in the ball and +Inf outside.
func (h L1Ball) Value(x []float64) float64 {
	return L1{Lambda: h.Lambda}.Value(x) + indicator(h, x)
}

// Prox soft-thresholds every entry at t·Lambda, then projects onto the ball. In
// this order the composition is the exact proximal operator.
func (h L1Ball) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	L1{Lambda: h.Lambda}.Prox(dst, u, t)
	h.ball().Prox(dst, dst, t)
}

// Convex returns true.
func (L1Ball) Convex() bool { return true }

// MaximizeLinear soft-thresholds s at Lambda and scales the result to norm Radius.
// It writes the origin if no entry of s exceeds Lambda in magnitude.
func (h L1Ball) MaximizeLinear(dst, s []float64) {
	L1{Lambda: h.Lambda}.Prox(dst, s, 1)
	if norm(dst) > 0 {
		toSphere(dst, dst, h.ball().radius())
	}
}

// L1Sphere is Lambda ‖x‖₁ on the unit sphere ‖x‖₂ = 1, and +Inf off it. It is not
// convex.
type L1Sphere struct {
	// Lambda ≥ 0 is the weight of the l1 norm (λ).
	Lambda float64
}

// Validate checks Lambda.
func (h L1Sphere) Validate(_, _ int) error { return nonNegative("L1Sphere.Lambda", h.Lambda) }

// Feasible reports whether ‖x‖₂ is within tol of 1.
func (h L1Sphere) Feasible(x []float64, tol float64) bool { return Sphere{}.Feasible(x, tol) }

// Value returns Lambda ‖x‖₁ on the sphere and +Inf off it.
func (h L1Sphere) Value(x []float64) float64 {
	return L1{Lambda: h.Lambda}.Value(x) + indicator(h, x)
}

// Prox soft-thresholds every entry at t·Lambda and scales the result to norm 1. If
// all entries vanish, it writes the signed unit vector of the largest |u_j|, the
// first of equals. Derived here: on the sphere the objective is
// t·Lambda‖x‖₁ − ⟨u,x⟩, and if no entry gains, the point of least loss has one entry.
func (h L1Sphere) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	top := 0
	for j, v := range u {
		if math.Abs(v) > math.Abs(u[top]) {
			top = j
		}
	}
	s := 1.0
	if u[top] < 0 {
		s = -1
	}
	L1{Lambda: h.Lambda}.Prox(dst, u, t)
	if norm(dst) == 0 {
		clear(dst)
		dst[top] = s
		return
	}
	toSphere(dst, dst, 1)
}

// Convex returns false.
func (L1Sphere) Convex() bool { return false }

// MaximizeLinear is Prox at t = 1: on the sphere the two problems are one.
func (h L1Sphere) MaximizeLinear(dst, s []float64) { h.Prox(dst, s, 1) }

// NonNegBall is the set x ≥ 0, ‖x‖₂ ≤ 1, the constraint of non-negative PCA.
type NonNegBall struct{}

// Feasible reports whether no entry is below −tol and ‖x‖₂ ≤ 1 + tol.
func (NonNegBall) Feasible(x []float64, tol float64) bool {
	return NonNegative().Feasible(x, tol) && Ball{}.Feasible(x, tol)
}

// Value returns 0 in the set and +Inf outside.
func (h NonNegBall) Value(x []float64) float64 { return indicator(h, x) }

// Prox replaces negative entries by 0, then projects onto the ball.
func (NonNegBall) Prox(dst, u []float64, t float64) {
	NonNegative().Prox(dst, u, t)
	Ball{}.Prox(dst, dst, t)
}

// Convex returns true.
func (NonNegBall) Convex() bool { return true }

// MaximizeLinear replaces the negative entries of s by 0 and scales the result to
// norm 1. It writes the origin if no entry is positive.
func (NonNegBall) MaximizeLinear(dst, s []float64) {
	NonNegative().Prox(dst, s, 1)
	if norm(dst) > 0 {
		toSphere(dst, dst, 1)
	}
}

// KSparse is the set of vectors with at most K non-zero entries. It is not convex.
type KSparse struct {
	// K ≥ 1 is the number of entries that may differ from 0.
	K int
}

// Validate checks K.
func (h KSparse) Validate(_, _ int) error { return atLeast("KSparse.K", h.K, 1) }

// Feasible reports whether at most K entries exceed tol in magnitude.
func (h KSparse) Feasible(x []float64, tol float64) bool {
	k := 0
	for _, v := range x {
		if math.Abs(v) > tol {
			k++
		}
	}
	return k <= h.K
}

// Value returns 0 in the set and +Inf outside. It counts every entry that is not
// exactly 0.
func (h KSparse) Value(x []float64) float64 {
	if h.Feasible(x, 0) {
		return 0
	}
	return math.Inf(1)
}

// Convex returns false.
func (KSparse) Convex() bool { return false }

// Prox keeps the K entries of largest magnitude, the first of equals, and sets the
// others to 0.
func (h KSparse) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.Validate(0, 0))
	order := make([]int, len(u))
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := math.Abs(u[a]), math.Abs(u[b]); {
		case x > y || math.IsNaN(x) && !math.IsNaN(y): // NaN is kept, to be noticed
			return -1
		case x < y || math.IsNaN(y) && !math.IsNaN(x):
			return 1
		}
		return 0
	})
	copy(dst, u)
	for _, j := range order[min(h.K, len(u)):] {
		dst[j] = 0
	}
}
