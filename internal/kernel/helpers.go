package kernel

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/mettleml/mettle/internal/parallel"
)

// This file holds what kernels of several families use: checks of lengths, and
// small arithmetic of sizes, parts and slices. Working memory is in scratch.go.

// A LengthError is the panic of a kernel whose slices do not fit each other.
type LengthError struct {
	Op         string
	Want, Have int
}

func (e LengthError) Error() string {
	return fmt.Sprintf("kernel: %s: slice of length %d where %d is needed", e.Op, e.Have, e.Want)
}

// checkLen panics with a LengthError unless every length is n.
func checkLen(op string, n int, lens ...int) {
	for _, l := range lens {
		if l != n {
			panic(LengthError{op, n, l})
		}
	}
}

// need panics with a LengthError if got, the length of the argument called name
// of operation op, is not what the shape asks for.
func need(op, name string, got, want int) {
	if got != want {
		panic(LengthError{op + ": " + name, want, got})
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// floorDiv returns the quotient rounded down, and the remainder in [0, b).
func floorDiv(a, b int) (q, r int) {
	q, r = a/b, a%b
	if r < 0 {
		q, r = q-1, r+b
	}
	return q, r
}

// volume returns the product of the sizes of the three dimensions.
func volume(v [3]int) int { return v[0] * v[1] * v[2] }

// partSize is the number of elements a part of memory-bound work should hold:
// enough to pay for handing it to another worker, small enough for a core's
// second-level cache.
const partSize = 32 << 10

// cut returns how many of n items, each of size elements, make a part, and how
// many parts that gives.
func cut(n, size int) (per, parts int) {
	per = max(1, partSize/max(size, 1))
	return per, ceilDiv(n, per)
}

// cutAt returns where piece i begins when n is cut into pieces that differ by one
// at most.
func cutAt(n, pieces, i int) int { return n * i / pieces }

// runPooled runs v as a task of so many parts, without allocating.
func runPooled[T any, P interface {
	*T
	parallel.Task
}](free *freeList[T], parts int, v T) {
	t := free.get()
	*t = v
	parallel.Run(parts, P(t))
	var zero T
	*t = zero
	free.put(t)
}

// elem returns the address of p[i].
func elem[T any](p *T, i int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), uintptr(i)*unsafe.Sizeof(*p)))
}

// grow returns a slice of length n, s itself if it is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// fill sets every number of y to v.
func fill(y []float32, v float32) {
	if v == 0 {
		clear(y)
		return
	}
	for i := range y {
		y[i] = v
	}
}

// noReLU is the floor of a loop that may apply a ReLU, where it shall not: no
// number is at or below it.
var noReLU = float32(math.NaN())

// reluFloor returns the number below which a loop cuts off.
func reluFloor(relu bool) float32 {
	if relu {
		return 0
	}
	return noReLU
}
