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

// Axpy does dst += s * a.
func Axpy(dst []float32, s float32, a []float32) { map1("Axpy", opAxpy, dst, a, s, 0) }

// Affine sets dst = s*a + t.
func Affine(dst []float32, s float32, a []float32, t float32) {
	map1("Affine", opAffine, dst, a, s, t)
}

// Combine sets dst = s*a + t*b + u.
func Combine(dst []float32, s float32, a []float32, t float32, b []float32, u float32) {
	map2("Combine", opCombine, dst, a, b, s, t, u)
}

// AddMul does dst += a * b.
func AddMul(dst, a, b []float32) { map2("AddMul", opAddMul, dst, a, b, 0, 0, 0) }

// Lerp sets dst = a + s*(b-a). With dst = a and s = 1-decay it is an
// exponential moving average of b.
func Lerp(dst, a, b []float32, s float32) { map2("Lerp", opLerp, dst, a, b, s, 0, 0) }
