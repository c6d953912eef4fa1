package mm

import (
	"math"
	"slices"
)

// Box is the set Lo ≤ x ≤ Hi in every coordinate. NonNegative is Box{0, +Inf}.
type Box struct {
	Lo, Hi float64
}

// NonNegative is the set x ≥ 0.
func NonNegative() Box { return Box{0, math.Inf(1)} }

func (h Box) Feasible(x []float64, tol float64) bool {
	for _, v := range x {
		if !(v >= h.Lo-tol && v <= h.Hi+tol) {
			return false
		}
	}
	return true
}

func (h Box) Value(x []float64) float64             { return indicator(h, x) }
func (h Box) ProxCoord(_ int, u, _ float64) float64 { return max(h.Lo, min(h.Hi, u)) }
func (h Box) Prox(dst, u []float64, t float64)      { proxEach(h, dst, u, t) }
func (Box) Convex() bool                            { return true }

// Ball is the Euclidean ball of the given radius, 1 if zero, round the origin.
type Ball struct {
	Radius float64
}

func (h Ball) radius() float64 { return orOne(h.Radius) }

func orOne(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}

func (h Ball) Feasible(x []float64, tol float64) bool { return norm(x) <= h.radius()+tol }
func (h Ball) Value(x []float64) float64              { return indicator(h, x) }
func (Ball) Convex() bool                             { return true }

func (h Ball) Prox(dst, u []float64, _ float64) {
	checkLen("Prox", len(dst), len(u))
	if n := norm(u); n > h.radius() {
		scaleTo(dst, u, h.radius()/n)
		return
	}
	copy(dst, u)
}

// MaximizeLinear returns the boundary point in the direction of s.
func (h Ball) MaximizeLinear(dst, s []float64) { toSphere(dst, s, h.radius()) }

// Sphere is the set ‖x‖₂ = Radius (1 if zero), not convex. The projection of the
// origin, which every point of the sphere is, is taken to be Radius·e₁.
type Sphere struct {
	Radius float64
}

func (h Sphere) radius() float64 { return orOne(h.Radius) }

func (h Sphere) Feasible(x []float64, tol float64) bool {
	return math.Abs(norm(x)-h.radius()) <= tol
}
func (h Sphere) Value(x []float64) float64        { return indicator(h, x) }
func (h Sphere) Prox(dst, u []float64, _ float64) { toSphere(dst, u, h.radius()) }
func (Sphere) Convex() bool                       { return false }
func (h Sphere) MaximizeLinear(dst, s []float64)  { toSphere(dst, s, h.radius()) }

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

// BallL1 is the set ‖x‖₁ ≤ Radius, 1 if the field is zero.
type BallL1 struct {
	Radius float64
}

func (h BallL1) Feasible(x []float64, tol float64) bool {
	return L1{Lambda: 1}.Value(x) <= orOne(h.Radius)+tol
}
func (h BallL1) Value(x []float64) float64 { return indicator(h, x) }
func (BallL1) Convex() bool                { return true }

// Prox projects by a soft threshold at the level that meets the radius, found by
// sorting (Held, Wolfe and Crowder 1974): O(p log p).
func (h BallL1) Prox(dst, u []float64, _ float64) {
	checkLen("Prox", len(dst), len(u))
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

// Simplex is the set x ≥ 0, Σ x_j = Sum, 1 if the field is zero.
type Simplex struct {
	Sum float64
}

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
func (h Simplex) Value(x []float64) float64 { return indicator(h, x) }
func (Simplex) Convex() bool                { return true }

func (h Simplex) Prox(dst, u []float64, _ float64) {
	checkLen("Prox", len(dst), len(u))
	level := threshold(slices.Clone(u), orOne(h.Sum))
	for j, v := range u {
		dst[j] = max(v-level, 0)
	}
}

// L1Ball is Lambda ‖x‖₁ on the Euclidean ball of the given radius (1 if zero): the
// default form of sparse PCA. Soft threshold, then projection; exact in this
// order.
type L1Ball struct {
	Lambda, Radius float64
}

func (h L1Ball) ball() Ball { return Ball{h.Radius} }

func (h L1Ball) Feasible(x []float64, tol float64) bool { return h.ball().Feasible(x, tol) }
func (h L1Ball) Value(x []float64) float64 {
	return L1{Lambda: h.Lambda}.Value(x) + indicator(h, x)
}

func (h L1Ball) Prox(dst, u []float64, t float64) {
	L1{Lambda: h.Lambda}.Prox(dst, u, t)
	h.ball().Prox(dst, dst, t)
}
func (L1Ball) Convex() bool { return true }

// MaximizeLinear: the soft-thresholded direction at full radius, or the origin
// when no entry of s exceeds Lambda.
func (h L1Ball) MaximizeLinear(dst, s []float64) {
	L1{Lambda: h.Lambda}.Prox(dst, s, 1)
	if norm(dst) > 0 {
		toSphere(dst, dst, h.ball().radius())
	}
}

// L1Sphere is Lambda ‖x‖₁ on the unit sphere. Its prox normalises the soft
// threshold; when that is zero it is the signed unit vector of the largest |u_j|,
// the first of them (derived here: on the sphere the objective is
// t·Lambda‖x‖₁ − ⟨u,x⟩, and among vectors with nothing to gain the one with the
// least loss has a single entry).
type L1Sphere struct {
	Lambda float64
}

func (h L1Sphere) Feasible(x []float64, tol float64) bool { return Sphere{}.Feasible(x, tol) }
func (h L1Sphere) Value(x []float64) float64 {
	return L1{Lambda: h.Lambda}.Value(x) + indicator(h, x)
}
func (h L1Sphere) Prox(dst, u []float64, t float64) {
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
func (L1Sphere) Convex() bool                      { return false }
func (h L1Sphere) MaximizeLinear(dst, s []float64) { h.Prox(dst, s, 1) }

// NonNegBall is the set x ≥ 0, ‖x‖₂ ≤ 1 of non-negative PCA. Clamp, then scale.
type NonNegBall struct{}

func (NonNegBall) Feasible(x []float64, tol float64) bool {
	return NonNegative().Feasible(x, tol) && Ball{}.Feasible(x, tol)
}
func (h NonNegBall) Value(x []float64) float64 { return indicator(h, x) }
func (NonNegBall) Prox(dst, u []float64, t float64) {
	NonNegative().Prox(dst, u, t)
	Ball{}.Prox(dst, dst, t)
}
func (NonNegBall) Convex() bool { return true }
func (NonNegBall) MaximizeLinear(dst, s []float64) {
	NonNegative().Prox(dst, s, 1)
	if norm(dst) > 0 {
		toSphere(dst, dst, 1)
	}
}

// KSparse is the set of vectors with at most K non-zeros, not convex. The prox
// keeps the K largest magnitudes, the first of equals.
type KSparse struct {
	K int
}

func (h KSparse) Feasible(x []float64, tol float64) bool {
	k := 0
	for _, v := range x {
		if math.Abs(v) > tol {
			k++
		}
	}
	return k <= h.K
}
func (h KSparse) Value(x []float64) float64 {
	if h.Feasible(x, 0) {
		return 0
	}
	return math.Inf(1)
}
func (KSparse) Convex() bool { return false }

func (h KSparse) Prox(dst, u []float64, _ float64) {
	checkLen("Prox", len(dst), len(u))
	order := make([]int, len(u))
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := math.Abs(u[a]), math.Abs(u[b]); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	copy(dst, u)
	for _, j := range order[min(h.K, len(u)):] {
		dst[j] = 0
	}
}
