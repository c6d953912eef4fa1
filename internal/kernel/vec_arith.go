package kernel

// The functions of this file are elementwise: every slice has the length of
// dst (else a LengthError panic), and dst may be the same slice as any source
// but may not overlap one otherwise. They are shared among workers if long.

// Add sets dst = a + b.
func Add(dst, a, b []float32) { map2("Add", opAdd, dst, a, b, 0, 0, 0) }

// Sub sets dst = a - b.
func Sub(dst, a, b []float32) { map2("Sub", opSub, dst, a, b, 0, 0, 0) }

// Mul sets dst = a * b.
func Mul(dst, a, b []float32) { map2("Mul", opMul, dst, a, b, 0, 0, 0) }

// Div sets dst = a / b.
func Div(dst, a, b []float32) { map2("Div", opDiv, dst, a, b, 0, 0, 0) }

// Maximum sets dst to the larger of a and b, NaN if either is.
func Maximum(dst, a, b []float32) { map2("Maximum", opMaximum, dst, a, b, 0, 0, 0) }

// Minimum sets dst to the smaller of a and b, NaN if either is.
func Minimum(dst, a, b []float32) { map2("Minimum", opMinimum, dst, a, b, 0, 0, 0) }

// AddScalar sets dst = a + s.
func AddScalar(dst, a []float32, s float32) { map1("AddScalar", opAddS, dst, a, s, 0) }

// Scale sets dst = a * s.
func Scale(dst, a []float32, s float32) { map1("Scale", opMulS, dst, a, s, 0) }

// DivScalar sets dst = a / s.
func DivScalar(dst, a []float32, s float32) { map1("DivScalar", opDivS, dst, a, s, 0) }

// SubFromScalar sets dst = s - a.
func SubFromScalar(dst []float32, s float32, a []float32) {
	map1("SubFromScalar", opSubFromS, dst, a, s, 0)
}

// DivIntoScalar sets dst = s / a.
func DivIntoScalar(dst []float32, s float32, a []float32) {
	map1("DivIntoScalar", opDivIntoS, dst, a, s, 0)
}

// MaximumScalar sets dst to the larger of a and s, NaN if either is.
func MaximumScalar(dst, a []float32, s float32) { map1("MaximumScalar", opMaximumS, dst, a, s, 0) }

// MinimumScalar sets dst to the smaller of a and s, NaN if either is.
func MinimumScalar(dst, a []float32, s float32) { map1("MinimumScalar", opMinimumS, dst, a, s, 0) }

// Axpy does dst += s * a.
func Axpy(dst []float32, s float32, a []float32) { map1("Axpy", opAxpy, dst, a, s, 0) }

// AddScaled sets dst = a + s*b.
func AddScaled(dst, a []float32, s float32, b []float32) {
	map2("AddScaled", opAddScaled, dst, a, b, s, 0, 0)
}

// Affine sets dst = s*a + t.
func Affine(dst []float32, s float32, a []float32, t float32) {
	map1("Affine", opAffine, dst, a, s, t)
}

// AffineReLU sets dst = max(s*a+t, 0), NaN where that is.
func AffineReLU(dst []float32, s float32, a []float32, t float32) {
	map1("AffineReLU", opAffineReLU, dst, a, s, t)
}

// Combine sets dst = s*a + t*b + u.
func Combine(dst []float32, s float32, a []float32, t float32, b []float32, u float32) {
	map2("Combine", opCombine, dst, a, b, s, t, u)
}

// AddMul does dst += a * b.
func AddMul(dst, a, b []float32) { map2("AddMul", opAddMul, dst, a, b, 0, 0, 0) }

// AddScaledMul does dst += s * a * b.
func AddScaledMul(dst []float32, s float32, a, b []float32) {
	map2("AddScaledMul", opAddMulS, dst, a, b, s, 0, 0)
}

// AddMul3 does dst += a * b * c.
func AddMul3(dst, a, b, c []float32) { map3("AddMul3", opAddMul3, dst, a, b, c) }

// MulAdd sets dst = a*b + c.
func MulAdd(dst, a, b, c []float32) { map3("MulAdd", opMulAdd, dst, a, b, c) }

// AddDiv does dst += a / b.
func AddDiv(dst, a, b []float32) { map2("AddDiv", opAddDiv, dst, a, b, 0, 0, 0) }

// SubMulDiv does dst -= a * b / c: with a = dy, b the quotient and c its divisor,
// the gradient to the divisor.
func SubMulDiv(dst, a, b, c []float32) { map3("SubMulDiv", opSubMulDiv, dst, a, b, c) }

// Lerp sets dst = a + s*(b-a). With dst = a and s = 1-decay it is an
// exponential moving average of b.
func Lerp(dst, a, b []float32, s float32) { map2("Lerp", opLerp, dst, a, b, s, 0, 0) }

// AddReLU sets dst = max(a+b, 0), NaN where a+b is.
func AddReLU(dst, a, b []float32) { map2("AddReLU", opAddReLU, dst, a, b, 0, 0, 0) }

// Greater sets dst to 1 where a > b, to 0 elsewhere. Comparisons with NaN are
// false, as Go's are, except NotEqual.
func Greater(dst, a, b []float32) { map2("Greater", opGreater, dst, a, b, 0, 0, 0) }

// GreaterEqual sets dst to 1 where a >= b, to 0 elsewhere.
func GreaterEqual(dst, a, b []float32) { map2("GreaterEqual", opGreaterEqual, dst, a, b, 0, 0, 0) }

// Less sets dst to 1 where a < b, to 0 elsewhere.
func Less(dst, a, b []float32) { map2("Less", opLess, dst, a, b, 0, 0, 0) }

// LessEqual sets dst to 1 where a <= b, to 0 elsewhere.
func LessEqual(dst, a, b []float32) { map2("LessEqual", opLessEqual, dst, a, b, 0, 0, 0) }

// Equal sets dst to 1 where a == b, to 0 elsewhere.
func Equal(dst, a, b []float32) { map2("Equal", opEqual, dst, a, b, 0, 0, 0) }

// NotEqual sets dst to 1 where a != b, to 0 elsewhere.
func NotEqual(dst, a, b []float32) { map2("NotEqual", opNotEqual, dst, a, b, 0, 0, 0) }

// GreaterScalar sets dst to 1 where a > s, to 0 elsewhere.
func GreaterScalar(dst, a []float32, s float32) { map1("GreaterScalar", opGreaterS, dst, a, s, 0) }

// GreaterEqualScalar sets dst to 1 where a >= s, to 0 elsewhere.
func GreaterEqualScalar(dst, a []float32, s float32) {
	map1("GreaterEqualScalar", opGreaterEqualS, dst, a, s, 0)
}

// LessScalar sets dst to 1 where a < s, to 0 elsewhere.
func LessScalar(dst, a []float32, s float32) { map1("LessScalar", opLessS, dst, a, s, 0) }

// LessEqualScalar sets dst to 1 where a <= s, to 0 elsewhere.
func LessEqualScalar(dst, a []float32, s float32) {
	map1("LessEqualScalar", opLessEqualS, dst, a, s, 0)
}

// EqualScalar sets dst to 1 where a == s, to 0 elsewhere.
func EqualScalar(dst, a []float32, s float32) { map1("EqualScalar", opEqualS, dst, a, s, 0) }

// NotEqualScalar sets dst to 1 where a != s, to 0 elsewhere.
func NotEqualScalar(dst, a []float32, s float32) { map1("NotEqualScalar", opNotEqualS, dst, a, s, 0) }

// Select sets dst = a where mask is not 0 (NaN is not 0), = b elsewhere.
func Select(dst, mask, a, b []float32) { map3("Select", opSelect, dst, mask, a, b) }
