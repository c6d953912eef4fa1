package kernel

import (
	"math"
	"unsafe"
)

var genericVec = vecOps{
	maps:    genericMaps,
	reduces: genericReduces,

	find:          genericFind,
	accumulate:    genericAccumulate,
	accumulateMul: genericAccumulateMul,

	sgd:  [numSGDKinds]updateLoop{sgdPlain: genericSGD, sgdMomentum: genericSGDMomentum, sgdNesterov: genericSGDNesterov},
	adam: genericAdam,

	toFloat16:   genericToFloat16,
	fromFloat16: genericFromFloat16,

	philox:  genericPhilox,
	normals: genericNormals,
}

// genericMaps is the reference of every elementwise operation: its formula,
// looped. The few operations that a training step is made of have loops of
// their own below, without a call per element.
var genericMaps = [numMapOps]mapLoop{
	opAdd:          loopAdd,
	opSub:          loopSub,
	opMul:          loopMul,
	opDiv:          loop2(func(a, b float32) float32 { return a / b }),
	opMaximum:      loop2(maximum),
	opMinimum:      loop2(minimum),
	opGreater:      loop2(func(a, b float32) float32 { return mask(a > b) }),
	opGreaterEqual: loop2(func(a, b float32) float32 { return mask(a >= b) }),
	opLess:         loop2(func(a, b float32) float32 { return mask(a < b) }),
	opLessEqual:    loop2(func(a, b float32) float32 { return mask(a <= b) }),

	opAddS:          loopAddS,
	opSubS:          loop1(func(a, s, _ float32) float32 { return a - s }),
	opMulS:          loopMulS,
	opDivS:          loop1(func(a, s, _ float32) float32 { return a / s }),
	opSubFromS:      loop1(func(a, s, _ float32) float32 { return s - a }),
	opDivIntoS:      loop1(func(a, s, _ float32) float32 { return s / a }),
	opMaximumS:      loop1(func(a, s, _ float32) float32 { return maximum(a, s) }),
	opMinimumS:      loop1(func(a, s, _ float32) float32 { return minimum(a, s) }),
	opGreaterS:      loop1(func(a, s, _ float32) float32 { return mask(a > s) }),
	opGreaterEqualS: loop1(func(a, s, _ float32) float32 { return mask(a >= s) }),
	opLessS:         loop1(func(a, s, _ float32) float32 { return mask(a < s) }),
	opLessEqualS:    loop1(func(a, s, _ float32) float32 { return mask(a <= s) }),

	opAxpy:      loopAxpy,
	opAddScaled: loop3(func(_, a, b, s, _, _ float32) float32 { return a + float32(s*b) }),
	opAffine:    loop1(affine),
	opCombine:   loop3(func(_, a, b, s, t, u float32) float32 { return float32(s*a) + float32(float32(t*b)+u) }),
	opAddMul:    loopAddMul,
	opAddDiv:    loop3(func(d, a, b, _, _, _ float32) float32 { return d + a/b }),
	opLerp:      loop3(func(_, a, b, s, _, _ float32) float32 { return a + float32(s*(b-a)) }),

	opExp:        loop1(func(a, _, _ float32) float32 { return float32(math.Exp(float64(a))) }),
	opLog:        loop1(func(a, _, _ float32) float32 { return float32(math.Log(float64(a))) }),
	opTanh:       loop1(func(a, _, _ float32) float32 { return float32(math.Tanh(float64(a))) }),
	opSigmoid:    loop1(func(a, _, _ float32) float32 { return float32(sigmoid(float64(a))) }),
	opSoftplus:   loop1(func(a, _, _ float32) float32 { return float32(softplus(float64(a))) }),
	opGELU:       loop1(func(a, _, _ float32) float32 { return float32(gelu(float64(a))) }),
	opSqrt:       loop1(func(a, _, _ float32) float32 { return float32(math.Sqrt(float64(a))) }),
	opReciprocal: loop1(func(a, _, _ float32) float32 { return 1 / a }),
	opAbs:        loop1(func(a, _, _ float32) float32 { return abs(a) }),
	opSquare:     loop1(func(a, _, _ float32) float32 { return a * a }),
	opSign:       loop1(func(a, _, _ float32) float32 { return sign(a) }),
	opNeg:        loop1(func(a, _, _ float32) float32 { return -a }),
	opClamp:      loop1(func(a, s, t float32) float32 { return clamp(a, s, t) }),
	opReLU:       loopReLU,
	opLeakyReLU: loop1(func(a, s, _ float32) float32 {
		if a > 0 {
			return a
		}
		return s * a
	}),

	opReLUGrad:          loopReLUGrad,
	opReLUGradAcc:       loopGradAcc(reluGrad),
	opLeakyReLUGrad:     loopGrad(leakyReLUGrad),
	opLeakyReLUGradAcc:  loopGradAcc(leakyReLUGrad),
	opTanhGrad:          loopGrad(tanhGrad),
	opTanhGradAcc:       loopGradAcc(tanhGrad),
	opSigmoidGrad:       loopGrad(sigmoidGrad),
	opSigmoidGradAcc:    loopGradAcc(sigmoidGrad),
	opSqrtGrad:          loopGrad(sqrtGrad),
	opSqrtGradAcc:       loopGradAcc(sqrtGrad),
	opSoftplusGrad:      loopGrad(softplusGrad),
	opSoftplusGradAcc:   loopGradAcc(softplusGrad),
	opGELUGrad:          loopGrad(geluGrad),
	opGELUGradAcc:       loopGradAcc(geluGrad),
	opAbsGrad:           loopGrad(absGrad),
	opAbsGradAcc:        loopGradAcc(absGrad),
	opSquareGrad:        loopGrad(squareGrad),
	opSquareGradAcc:     loopGradAcc(squareGrad),
	opClampGrad:         loopGrad(clampGrad),
	opClampGradAcc:      loopGradAcc(clampGrad),
	opReciprocalGrad:    loopGrad(reciprocalGrad),
	opReciprocalGradAcc: loopGradAcc(reciprocalGrad),

	opBitsUniform: loop1(func(a, s, t float32) float32 {
		return s + float32(t*(float32(math.Float32bits(a)>>8)*0x1p-24))
	}),
	opBitsBernoulli: loop1(func(a, s, t float32) float32 {
		if math.Float32bits(a) < math.Float32bits(t) {
			return s
		}
		return 0
	}),
}

// loop1 to loop3 make a loop of a formula.
func loop1(f func(a, s, t float32) float32) mapLoop {
	return func(n int, dst, a, _ *float32, s, t, _ float32) {
		d, x := unsafe.Slice(dst, n), unsafe.Slice(a, n)
		for i := range d {
			d[i] = f(x[i], s, t)
		}
	}
}

func loop2(f func(a, b float32) float32) mapLoop {
	return func(n int, dst, a, b *float32, _, _, _ float32) {
		d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
		for i := range d {
			d[i] = f(x[i], y[i])
		}
	}
}

func loop3(f func(d, a, b, s, t, u float32) float32) mapLoop {
	return func(n int, dst, a, b *float32, s, t, u float32) {
		d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
		for i := range d {
			d[i] = f(d[i], x[i], y[i], s, t, u)
		}
	}
}

func loopGrad(f func(dy, v, s, t float32) float32) mapLoop {
	return loop3(func(_, dy, v, s, t, _ float32) float32 { return f(dy, v, s, t) })
}

func loopGradAcc(f func(dy, v, s, t float32) float32) mapLoop {
	return loop3(func(d, dy, v, s, t, _ float32) float32 { return d + f(dy, v, s, t) })
}

func loopAdd(n int, dst, a, b *float32, _, _, _ float32) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i := range d {
		d[i] = x[i] + y[i]
	}
}

func loopSub(n int, dst, a, b *float32, _, _, _ float32) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i := range d {
		d[i] = x[i] - y[i]
	}
}

func loopMul(n int, dst, a, b *float32, _, _, _ float32) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i := range d {
		d[i] = x[i] * y[i]
	}
}

func loopAddS(n int, dst, a, _ *float32, s, _, _ float32) {
	d, x := unsafe.Slice(dst, n), unsafe.Slice(a, n)
	for i := range d {
		d[i] = x[i] + s
	}
}

func loopMulS(n int, dst, a, _ *float32, s, _, _ float32) {
	d, x := unsafe.Slice(dst, n), unsafe.Slice(a, n)
	for i := range d {
		d[i] = x[i] * s
	}
}

func loopAxpy(n int, dst, a, _ *float32, s, _, _ float32) {
	d, x := unsafe.Slice(dst, n), unsafe.Slice(a, n)
	for i := range d {
		d[i] += float32(s * x[i])
	}
}

func loopAddMul(n int, dst, a, b *float32, _, _, _ float32) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i := range d {
		d[i] += float32(x[i] * y[i])
	}
}

func loopReLU(n int, dst, a, _ *float32, _, _, _ float32) {
	d, x := unsafe.Slice(dst, n), unsafe.Slice(a, n)
	for i := range d {
		d[i] = relu(x[i])
	}
}

func loopReLUGrad(n int, dst, a, b *float32, _, _, _ float32) {
	d, x, y := unsafe.Slice(dst, n), unsafe.Slice(a, n), unsafe.Slice(b, n)
	for i := range d {
		d[i] = reluGrad(x[i], y[i], 0, 0)
	}
}
