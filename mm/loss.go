package mm

import "math"

// A Loss is a function of one prediction m = xᵀθ and its target y. The losses of a
// classifier depend on the margin y·m, with y = ±1.
type Loss interface {
	// Value returns the loss.
	Value(m, y float64) float64
	// Deriv returns the derivative in m.
	Deriv(m, y float64) float64
	// Curvature returns the supremum of the magnitude of the second derivative in m,
	// over all m and, for the losses of a classifier, over y = ±1.
	Curvature() float64
}

// Logistic is the loss log(1+exp(−ym)), y = ±1, of logistic regression. It is
// convex.
type Logistic struct{}

// Value returns log(1+exp(−ym)), without overflow for large margins.
func (Logistic) Value(m, y float64) float64 { return softplus(-y * m) }

// Deriv returns −y/(1+exp(ym)).
func (Logistic) Deriv(m, y float64) float64 { return -y * sigmoid(-y*m) }

// Curvature returns 1/4.
func (Logistic) Curvature() float64 { return 0.25 }

// Squared is the squared error (m−y)²/2 for any real target.
type Squared struct{}

// Value returns (m−y)²/2.
func (Squared) Value(m, y float64) float64 { return (m - y) * (m - y) / 2 }

// Deriv returns m − y.
func (Squared) Deriv(m, y float64) float64 { return m - y }

// Curvature returns 1.
func (Squared) Curvature() float64 { return 1 }

// NegSquare is −m²/2, which is concave. Its mean over the data is the objective of
// PCA (see NewPCA). The target is not used.
type NegSquare struct{}

// Value returns −m²/2.
func (NegSquare) Value(m, _ float64) float64 { return -m * m / 2 }

// Deriv returns −m.
func (NegSquare) Deriv(m, _ float64) float64 { return -m }

// Curvature returns 1.
func (NegSquare) Curvature() float64 { return 1 }

// Tanh is the bounded non-convex loss 1 − tanh(Scale·ym), y = ±1.
type Tanh struct {
	// Scale is positive; 0 means 1.
	Scale float64
}

// Validate checks Scale.
func (l Tanh) Validate(_, _ int) error { return nonNegative("Tanh.Scale", l.Scale) }

func (l Tanh) scale() float64 {
	if l.Scale == 0 {
		return 1
	}
	return l.Scale
}

// Value returns 1 − tanh(Scale·ym), computed as 2/(1+exp(2·Scale·ym)): this form
// does not cancel for large margins.
func (l Tanh) Value(m, y float64) float64 { return 2 * sigmoid(-2*l.scale()*y*m) }

// Deriv returns −y·Scale·(1 − tanh²(Scale·ym)).
func (l Tanh) Deriv(m, y float64) float64 {
	w := l.scale()
	t := math.Tanh(w * y * m)
	return -y * w * (1 - t*t)
}

// Curvature returns 4/(3√3)·Scale².
func (l Tanh) Curvature() float64 { return 4 / (3 * math.Sqrt(3)) * l.scale() * l.scale() }

// SquaredSigmoid is (1 − 1/(1+exp(−ym)))², y = ±1, the squared error of a logistic
// unit. It is bounded and not convex.
type SquaredSigmoid struct{}

// Value returns (1 − 1/(1+exp(−ym)))².
func (SquaredSigmoid) Value(m, y float64) float64 {
	s := sigmoid(-y * m)
	return s * s
}

// Deriv returns the derivative in m.
func (SquaredSigmoid) Deriv(m, y float64) float64 {
	s := sigmoid(-y * m)
	return -2 * y * s * s * sigmoid(y*m)
}

// Curvature returns (39+55√33)/2304 ≈ 0.154059.
func (SquaredSigmoid) Curvature() float64 { return (39 + 55*math.Sqrt(33)) / 2304 }

// LogDifference is log(1+exp(−ym)) − log(1+exp(−ym−1)), y = ±1. It is bounded and
// not convex.
type LogDifference struct{}

// Value returns the loss.
func (LogDifference) Value(m, y float64) float64 { return softplus(-y*m) - softplus(-y*m-1) }

// Deriv returns the derivative in m.
func (LogDifference) Deriv(m, y float64) float64 {
	return -y * (sigmoid(-y*m) - sigmoid(-y*m-1))
}

// Curvature returns 0.092373, which is 0.092372… rounded up.
func (LogDifference) Curvature() float64 { return logDifferenceCurvature }

// The derivative s(1−s) of the sigmoid differs most between two points one apart;
// the maximum has no closed form worth printing. Rounded up.
const logDifferenceCurvature = 0.092373

// Sigmoid is 1/(1+exp(ym)), y = ±1, a smooth form of the zero-one loss. It is bounded
// and not convex.
type Sigmoid struct{}

// Value returns 1/(1+exp(ym)).
func (Sigmoid) Value(m, y float64) float64 { return sigmoid(-y * m) }

// Deriv returns −y·s·(1−s), where s is the value.
func (Sigmoid) Deriv(m, y float64) float64 { return -y * sigmoid(-y*m) * sigmoid(y*m) }

// Curvature returns 1/(6√3).
func (Sigmoid) Curvature() float64 { return 1 / (6 * math.Sqrt(3)) }

// Huber is the loss of a residual r = m−y that is |r| for |r| ≥ Delta and
// r²/(2·Delta) + Delta/2 below: Huber's function, scaled by 1/Delta and raised by
// Delta/2. IRLS minimises it.
type Huber struct {
	// Delta is the residual at which the loss becomes linear, in units of the
	// target. It is positive; 0 means 1e-3.
	Delta float64
}

// Validate checks Delta.
func (l Huber) Validate(_, _ int) error { return nonNegative("Huber.Delta", l.Delta) }

func (l Huber) delta() float64 {
	if l.Delta == 0 {
		return 1e-3
	}
	return l.Delta
}

// Value returns the loss.
func (l Huber) Value(m, y float64) float64 {
	r, d := math.Abs(m-y), l.delta()
	if r >= d {
		return r
	}
	return r*r/(2*d) + d/2
}

// Deriv returns the derivative in m.
func (l Huber) Deriv(m, y float64) float64 {
	r, d := m-y, l.delta()
	return r / max(math.Abs(r), d)
}

// Curvature returns 1/Delta.
func (l Huber) Curvature() float64 { return 1 / l.delta() }

// sigmoid returns 1/(1+exp(−t)) without overflow.
func sigmoid(t float64) float64 {
	if t >= 0 {
		return 1 / (1 + math.Exp(-t))
	}
	e := math.Exp(t)
	return e / (1 + e)
}

// softplus returns log(1+exp(t)) without overflow.
func softplus(t float64) float64 { return math.Log1p(math.Exp(-math.Abs(t))) + max(t, 0) }
