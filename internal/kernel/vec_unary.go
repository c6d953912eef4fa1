package kernel

// The functions of this file are elementwise: every slice has the length of
// dst (else a LengthError panic), and dst may be the same slice as any source
// but may not overlap one otherwise. They are shared among workers if long.
//
// A gradient function sets dx = dy * f'(x), or adds that to dx if accumulate is
// set. Which of x and y = f(x) it takes is said by its parameter.

// Exp sets dst = e^a.
func Exp(dst, a []float32) { map1("Exp", opExp, dst, a, 0, 0) }

// Log sets dst to the natural logarithm of a: -Inf at ±0, NaN below 0.
func Log(dst, a []float32) { map1("Log", opLog, dst, a, 0, 0) }

// Tanh sets dst to the hyperbolic tangent of a.
func Tanh(dst, a []float32) { map1("Tanh", opTanh, dst, a, 0, 0) }

// Sigmoid sets dst = 1/(1+e^-a).
func Sigmoid(dst, a []float32) { map1("Sigmoid", opSigmoid, dst, a, 0, 0) }

// Softplus sets dst = log(1+e^a).
func Softplus(dst, a []float32) { map1("Softplus", opSoftplus, dst, a, 0, 0) }

// GELU sets dst = a * Φ(a), Φ the distribution function of the standard normal
// (the exact form, by erf).
func GELU(dst, a []float32) { map1("GELU", opGELU, dst, a, 0, 0) }

// Sqrt sets dst to the square root of a, correctly rounded.
func Sqrt(dst, a []float32) { map1("Sqrt", opSqrt, dst, a, 0, 0) }

// Reciprocal sets dst = 1/a.
func Reciprocal(dst, a []float32) { map1("Reciprocal", opReciprocal, dst, a, 0, 0) }

// Abs sets dst = |a|.
func Abs(dst, a []float32) { map1("Abs", opAbs, dst, a, 0, 0) }

// Square sets dst = a*a.
func Square(dst, a []float32) { map1("Square", opSquare, dst, a, 0, 0) }

// Sign sets dst to 1, -1, or a itself where it is ±0 or NaN.
func Sign(dst, a []float32) { map1("Sign", opSign, dst, a, 0, 0) }

// Neg sets dst = -a.
func Neg(dst, a []float32) { map1("Neg", opNeg, dst, a, 0, 0) }

// Clamp sets dst to a limited to [lo, hi]; NaN stays NaN.
func Clamp(dst, a []float32, lo, hi float32) { map1("Clamp", opClamp, dst, a, lo, hi) }

// ReLU sets dst = max(a, 0); NaN stays NaN.
func ReLU(dst, a []float32) { map1("ReLU", opReLU, dst, a, 0, 0) }

// LeakyReLU sets dst = a where a > 0, slope*a elsewhere.
func LeakyReLU(dst, a []float32, slope float32) { map1("LeakyReLU", opLeakyReLU, dst, a, slope, 0) }

// grad runs op, or the accumulating form that follows it.
func grad(name string, op mapOp, dx, dy, v []float32, s, t float32, accumulate bool) {
	if accumulate {
		op++
	}
	map2(name, op, dx, dy, v, s, t, 0)
}

// ReLUGrad passes dy where xy > 0 or is NaN; xy is x or y.
func ReLUGrad(dx, dy, xy []float32, accumulate bool) {
	grad("ReLUGrad", opReLUGrad, dx, dy, xy, 0, 0, accumulate)
}

// LeakyReLUGrad passes dy where xy > 0, slope*dy elsewhere; xy is x, or y if
// slope > 0.
func LeakyReLUGrad(dx, dy, xy []float32, slope float32, accumulate bool) {
	grad("LeakyReLUGrad", opLeakyReLUGrad, dx, dy, xy, slope, 0, accumulate)
}

// TanhGrad is dy * (1-y²).
func TanhGrad(dx, dy, y []float32, accumulate bool) {
	grad("TanhGrad", opTanhGrad, dx, dy, y, 0, 0, accumulate)
}

// SigmoidGrad is dy * y*(1-y).
func SigmoidGrad(dx, dy, y []float32, accumulate bool) {
	grad("SigmoidGrad", opSigmoidGrad, dx, dy, y, 0, 0, accumulate)
}

// ExpGrad is dy * y.
func ExpGrad(dx, dy, y []float32, accumulate bool) {
	if accumulate {
		AddMul(dx, dy, y)
	} else {
		Mul(dx, dy, y)
	}
}

// LogGrad is dy / x.
func LogGrad(dx, dy, x []float32, accumulate bool) {
	op := opDiv
	if accumulate {
		op = opAddDiv
	}
	map2("LogGrad", op, dx, dy, x, 0, 0, 0)
}

// SqrtGrad is dy / (2y).
func SqrtGrad(dx, dy, y []float32, accumulate bool) {
	grad("SqrtGrad", opSqrtGrad, dx, dy, y, 0, 0, accumulate)
}

// SoftplusGrad is dy * sigmoid(x).
func SoftplusGrad(dx, dy, x []float32, accumulate bool) {
	grad("SoftplusGrad", opSoftplusGrad, dx, dy, x, 0, 0, accumulate)
}

// GELUGrad is dy * (Φ(x) + x*φ(x)), φ the density of the standard normal.
func GELUGrad(dx, dy, x []float32, accumulate bool) {
	grad("GELUGrad", opGELUGrad, dx, dy, x, 0, 0, accumulate)
}

// AbsGrad is dy * Sign(x): 0 at 0.
func AbsGrad(dx, dy, x []float32, accumulate bool) {
	grad("AbsGrad", opAbsGrad, dx, dy, x, 0, 0, accumulate)
}

// SquareGrad is dy * 2x.
func SquareGrad(dx, dy, x []float32, accumulate bool) {
	grad("SquareGrad", opSquareGrad, dx, dy, x, 0, 0, accumulate)
}

// ClampGrad passes dy where lo <= x <= hi and 0 elsewhere.
func ClampGrad(dx, dy, x []float32, lo, hi float32, accumulate bool) {
	grad("ClampGrad", opClampGrad, dx, dy, x, lo, hi, accumulate)
}

// ReciprocalGrad is -dy * y².
func ReciprocalGrad(dx, dy, y []float32, accumulate bool) {
	grad("ReciprocalGrad", opReciprocalGrad, dx, dy, y, 0, 0, accumulate)
}
