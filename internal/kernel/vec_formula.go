package kernel

import "math"

// Formulas of single elements, in the form in which every set computes them.
// Products that are added to something are rounded first, lest a compiler fuse
// them in one place and not in another.

func mask(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

func maximum(a, b float32) float32 {
	if a > b || a != a {
		return a
	}
	return b
}

func minimum(a, b float32) float32 {
	if a < b || a != a {
		return a
	}
	return b
}

func abs(a float32) float32 {
	return math.Float32frombits(math.Float32bits(a) &^ (1 << 31))
}

func sign(a float32) float32 {
	switch {
	case a > 0:
		return 1
	case a < 0:
		return -1
	}
	return a
}

func relu(a float32) float32 {
	if a < 0 {
		return 0
	}
	return a
}

func clamp(a, lo, hi float32) float32 {
	if a < lo {
		a = lo
	}
	if a > hi {
		a = hi
	}
	return a
}

func affine(a, s, t float32) float32 { return float32(s*a) + t }

// sigmoid is written so that neither tail cancels or overflows.
func sigmoid(a float64) float64 {
	z := math.Exp(-math.Abs(a))
	if a < 0 {
		return z / (1 + z)
	}
	return 1 / (1 + z)
}

func softplus(a float64) float64 {
	z := math.Log1p(math.Exp(-math.Abs(a)))
	if a > 0 {
		return a + z
	}
	return z
}

// normalCDF is Φ, by erfc so that the lower tail keeps its digits.
func normalCDF(a float64) float64 { return 0.5 * math.Erfc(-a/math.Sqrt2) }

func gelu(a float64) float64 {
	if a < -40 { // Φ is 0 there; -Inf * 0 would be NaN
		return math.Copysign(0, -1)
	}
	return a * normalCDF(a)
}

func geluSlope(a float64) float64 {
	if math.Abs(a) > 40 {
		return normalCDF(a)
	}
	return normalCDF(a) + a*math.Exp(-a*a/2)/math.Sqrt(2*math.Pi)
}

func reluGrad(dy, v, _, _ float32) float32 {
	if v <= 0 {
		return 0
	}
	return dy
}

func leakyReLUGrad(dy, v, s, _ float32) float32 {
	if v > 0 {
		return dy
	}
	return s * dy
}

func tanhGrad(dy, y, _, _ float32) float32 { return dy * (1 - float32(y*y)) }

func sigmoidGrad(dy, y, _, _ float32) float32 { return float32(dy*y) * (1 - y) }

func sqrtGrad(dy, y, _, _ float32) float32 { return float32(0.5*dy) / y }

func softplusGrad(dy, x, _, _ float32) float32 { return dy * float32(sigmoid(float64(x))) }

func geluGrad(dy, x, _, _ float32) float32 { return dy * float32(geluSlope(float64(x))) }

func absGrad(dy, x, _, _ float32) float32 { return dy * sign(x) }

func squareGrad(dy, x, _, _ float32) float32 { return dy * float32(2*x) }

func clampGrad(dy, x, lo, hi float32) float32 {
	if x >= lo && x <= hi {
		return dy
	}
	return 0
}

func reciprocalGrad(dy, y, _, _ float32) float32 { return -dy * float32(y*y) }
