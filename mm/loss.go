package mm

import "math"

// A Loss is a function of one prediction m = xᵀθ and its target y.
type Loss interface {
	Value(m, y float64) float64
	// Deriv returns the derivative in m.
	Deriv(m, y float64) float64
	// Curvature returns sup |second derivative in m|, over m and over y = ±1 for
	// the losses of a classifier.
	Curvature() float64
}

// Logistic is log(1+exp(−ym)), y = ±1: convex, curvature 1/4.
type Logistic struct{}

func (Logistic) Value(m, y float64) float64 { return softplus(-y * m) }
func (Logistic) Deriv(m, y float64) float64 { return -y * sigmoid(-y*m) }
func (Logistic) Curvature() float64         { return 0.25 }

// Squared is (m−y)²/2.
type Squared struct{}

func (Squared) Value(m, y float64) float64 { return (m - y) * (m - y) / 2 }
func (Squared) Deriv(m, y float64) float64 { return m - y }
func (Squared) Curvature() float64         { return 1 }

// NegSquare is −m²/2, whose sum over the data is the objective of PCA: concave.
// The target is not used.
type NegSquare struct{}

func (NegSquare) Value(m, _ float64) float64 { return -m * m / 2 }
func (NegSquare) Deriv(m, _ float64) float64 { return -m }
func (NegSquare) Curvature() float64         { return 1 }

// Tanh is 1 − tanh(Scale·ym), y = ±1, a bounded non-convex loss. A zero Scale is
// 1. Curvature 4/(3√3)·Scale².
type Tanh struct {
	Scale float64
}

func (l Tanh) scale() float64 {
	if l.Scale == 0 {
		return 1
	}
	return l.Scale
}

// Value computes 2/(1+exp(2·Scale·ym)), which does not cancel for large margins.
func (l Tanh) Value(m, y float64) float64 { return 2 * sigmoid(-2*l.scale()*y*m) }

func (l Tanh) Deriv(m, y float64) float64 {
	w := l.scale()
	t := math.Tanh(w * y * m)
	return -y * w * (1 - t*t)
}

func (l Tanh) Curvature() float64 { return 4 / (3 * math.Sqrt(3)) * l.scale() * l.scale() }

// SquaredSigmoid is (1 − 1/(1+exp(−ym)))², y = ±1: bounded and non-convex, the
// squared error of a logistic unit. Curvature (39+55√33)/2304.
type SquaredSigmoid struct{}

func (SquaredSigmoid) Value(m, y float64) float64 {
	s := sigmoid(-y * m)
	return s * s
}

func (SquaredSigmoid) Deriv(m, y float64) float64 {
	s := sigmoid(-y * m)
	return -2 * y * s * s * sigmoid(y*m)
}

func (SquaredSigmoid) Curvature() float64 { return (39 + 55*math.Sqrt(33)) / 2304 }

// LogDifference is log(1+exp(−ym)) − log(1+exp(−ym−1)), y = ±1: bounded and
// non-convex. Curvature 0.092372…
type LogDifference struct{}

func (LogDifference) Value(m, y float64) float64 { return softplus(-y*m) - softplus(-y*m-1) }

func (LogDifference) Deriv(m, y float64) float64 {
	return -y * (sigmoid(-y*m) - sigmoid(-y*m-1))
}

func (LogDifference) Curvature() float64 { return logDifferenceCurvature }

// The derivative s(1−s) of the sigmoid differs most between two points one apart;
// the maximum has no closed form worth printing. Rounded up.
const logDifferenceCurvature = 0.092373

// Sigmoid is 1/(1+exp(ym)), y = ±1: bounded and non-convex, a smooth zero-one
// loss. Curvature 1/(6√3).
type Sigmoid struct{}

func (Sigmoid) Value(m, y float64) float64 { return sigmoid(-y * m) }
func (Sigmoid) Deriv(m, y float64) float64 { return -y * sigmoid(-y*m) * sigmoid(y*m) }
func (Sigmoid) Curvature() float64         { return 1 / (6 * math.Sqrt(3)) }

// Huber is |r| for |r| ≥ Delta and r²/(2·Delta) + Delta/2 below, r = m−y: the
// least-deviations loss that iteratively reweighted least squares with a floor
// Delta really minimises. A zero Delta is 1e-3. Curvature 1/Delta.
type Huber struct {
	Delta float64
}

func (l Huber) delta() float64 {
	if l.Delta == 0 {
		return 1e-3
	}
	return l.Delta
}

func (l Huber) Value(m, y float64) float64 {
	r, d := math.Abs(m-y), l.delta()
	if r >= d {
		return r
	}
	return r*r/(2*d) + d/2
}

func (l Huber) Deriv(m, y float64) float64 {
	r, d := m-y, l.delta()
	return r / max(math.Abs(r), d)
}

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
