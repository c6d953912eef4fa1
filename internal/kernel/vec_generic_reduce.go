package kernel

import (
	"math"
	"unsafe"
)

var genericReduces = [numReduceOps]reduceLoop{
	opSum:        sumOf(func(a, _ float64) float64 { return a }),
	opSumAbs:     sumOf(func(a, _ float64) float64 { return math.Abs(a) }),
	opSumSquares: sumOf(func(a, _ float64) float64 { return a * a }),
	opDot:        sumOf(func(a, b float64) float64 { return a * b }),
	opDist1:      sumOf(func(a, b float64) float64 { return math.Abs(a - b) }),
	opDist2:      sumOf(func(a, b float64) float64 { return (a - b) * (a - b) }),
	opMax:        extremeOf(maximum, func(a float32) float32 { return a }),
	opMin:        extremeOf(minimum, func(a float32) float32 { return a }),
	opMaxAbs:     extremeOf(maximum, abs),
}

// sumOf makes a loop that adds f over the elements, in four interleaved sums.
func sumOf(f func(a, b float64) float64) reduceLoop {
	return func(n int, a, b *float32) float64 {
		x, y := unsafe.Slice(a, n), unsafe.Slice(b, n)
		var sums [4]float64
		for i := range x {
			sums[i%4] += f(float64(x[i]), float64(y[i]))
		}
		return (sums[0] + sums[1]) + (sums[2] + sums[3])
	}
}

// extremeOf makes a loop that folds f over the elements by pick.
func extremeOf(pick func(a, b float32) float32, f func(a float32) float32) reduceLoop {
	return func(n int, a, _ *float32) float64 {
		x := unsafe.Slice(a, n)
		m := f(x[0])
		for _, v := range x {
			m = pick(m, f(v))
		}
		return float64(m)
	}
}

func genericFind(n int, a *float32, v float32) int {
	for i, x := range unsafe.Slice(a, n) {
		if x == v || x != x && v != v {
			return i
		}
	}
	return n
}

func genericAccumulate(rows, n, stride int, acc *float64, a *float32) {
	d := unsafe.Slice(acc, n)
	for r := range rows {
		x := unsafe.Slice(elem(a, r*stride), n)
		for i := range d {
			d[i] += float64(x[i])
		}
	}
}

func genericAccumulateMul(rows, n, stride int, acc *float64, a, b *float32) {
	d := unsafe.Slice(acc, n)
	for r := range rows {
		x, y := unsafe.Slice(elem(a, r*stride), n), unsafe.Slice(elem(b, r*stride), n)
		for i := range d {
			d[i] += float64(x[i]) * float64(y[i])
		}
	}
}
