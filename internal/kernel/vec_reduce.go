package kernel

import (
	"math"

	"github.com/mettleml/mettle/internal/parallel"
)

// A reduceLoop reduces n > 0 elements to one number. Sums are carried in
// float64, in an order that depends on n alone.
type reduceLoop func(n int, a, b *float32) float64

// A reduceOp names a reduceLoop.
type reduceOp uint8

const (
	opSum        reduceOp = iota
	opSumAbs              // Σ|a|
	opSumSquares          // Σa²
	opDot                 // Σab
	opDist1               // Σ|a-b|
	opDist2               // Σ(a-b)²

	// The rest combine by maximum or minimum; NaN if any element is.
	opMax
	opMin
	opMaxAbs

	numReduceOps
)

// combine joins the results of two chunks.
func (op reduceOp) combine(x, y float64) float64 {
	switch {
	case op < opMax:
		return x + y
	case op == opMin:
		return min(x, y)
	}
	return max(x, y)
}

type reduceTask struct {
	loop    reduceLoop
	a, b    []float32
	partial []float64
}

var reduceTasks freeList[reduceTask]

func (r *reduceTask) Part(i int) {
	lo := i * reduceChunk
	n := min(reduceChunk, len(r.a)-lo)
	r.partial[i] = r.loop(n, &r.a[lo], &r.b[lo])
}

// reduce runs op over a and b, cut at fixed places; 0 if they are empty.
func reduce(op reduceOp, a, b []float32) float64 {
	n := len(a)
	if n == 0 {
		return 0
	}
	loop := Active().vec.reduces[op]
	if n <= reduceChunk {
		return loop(n, &a[0], &b[0])
	}
	r := reduceTasks.get()
	r.loop, r.a, r.b = loop, a, b
	r.partial = grow(r.partial, ceilDiv(n, reduceChunk))
	parallel.Run(len(r.partial), r)
	v := r.partial[0]
	for _, p := range r.partial[1:] {
		v = op.combine(v, p)
	}
	r.a, r.b = nil, nil
	reduceTasks.put(r)
	return v
}

// Sum returns the sum of a, carried in float64 like all sums here.
func Sum(a []float32) float64 { return reduce(opSum, a, a) }

// Mean returns the mean of a, NaN if it is empty.
func Mean(a []float32) float64 { return Sum(a) / float64(len(a)) }

// SumAbs returns the sum of |a|, the L1 norm.
func SumAbs(a []float32) float64 { return reduce(opSumAbs, a, a) }

// SumSquares returns the sum of a².
func SumSquares(a []float32) float64 { return reduce(opSumSquares, a, a) }

// Norm2 returns the Euclidean norm of a. The squares of float32 values neither
// overflow nor underflow in float64.
func Norm2(a []float32) float64 { return math.Sqrt(SumSquares(a)) }

// MaxAbs returns the largest |a|, the L∞ norm: 0 if a is empty, NaN if any
// element is.
func MaxAbs(a []float32) float32 { return float32(reduce(opMaxAbs, a, a)) }

// Dot returns the sum of a*b. It panics with a LengthError if the lengths differ.
func Dot(a, b []float32) float64 {
	checkLen("Dot", len(a), len(b))
	return reduce(opDot, a, b)
}

// Distance1 returns the L1 norm of a-b.
func Distance1(a, b []float32) float64 {
	checkLen("Distance1", len(a), len(b))
	return reduce(opDist1, a, b)
}

// Distance2 returns the Euclidean norm of a-b.
func Distance2(a, b []float32) float64 {
	checkLen("Distance2", len(a), len(b))
	return math.Sqrt(reduce(opDist2, a, b))
}

// MaxOf returns the largest element, NaN if any is. It panics with a
// LengthError if a is empty.
func MaxOf(a []float32) float32 {
	if len(a) == 0 {
		panic(LengthError{"MaxOf", 1, 0})
	}
	return float32(reduce(opMax, a, a))
}

// MinOf returns the smallest element, NaN if any is. It panics with a
// LengthError if a is empty.
func MinOf(a []float32) float32 {
	if len(a) == 0 {
		panic(LengthError{"MinOf", 1, 0})
	}
	return float32(reduce(opMin, a, a))
}

// ArgMax returns the index of the largest element, the first of equal ones. A
// NaN counts as larger than any number, so a poisoned row points at its poison.
// It panics with a LengthError if a is empty.
func ArgMax(a []float32) int {
	m := MaxOf(a)
	return Active().vec.find(len(a), &a[0], m)
}
