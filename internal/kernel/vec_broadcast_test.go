package kernel

import (
	"errors"
	"fmt"
	"math"
	"math/rand"
	"testing"
)

// broadcastAt returns the element of x, of shape xShape, at a flat index of
// shape: numpy's rule spelled out.
func broadcastAt(x []float32, xShape, shape []int, flat int) float32 {
	off, stride := 0, 1
	for i := 1; i <= len(shape); i++ {
		k := flat % axis(shape, i)
		flat /= axis(shape, i)
		if n := axis(xShape, i); n != 1 {
			off += k * stride
			stride *= n
		}
	}
	return x[off]
}

// randomShapes returns a shape and two that broadcast to it.
func randomShapes(rng *rand.Rand) (shape, a, b []int) {
	for range 1 + rng.Intn(5) {
		n := [...]int{1, 2, 3, 4, 7, 17, 40}[rng.Intn(7)]
		if size(shape)*n < 4000 {
			shape = append(shape, n)
		}
	}
	operand := func() []int {
		var s []int
		for _, n := range shape[rng.Intn(len(shape)+1)/2*rng.Intn(2):] {
			if rng.Intn(3) == 0 {
				n = 1
			}
			s = append(s, n)
		}
		return s
	}
	return shape, operand(), operand()
}

func TestBroadcast(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 150 {
			shape, aShape, bShape := randomShapes(rng)
			a, b := normal(rng, size(aShape)), normal(rng, size(bShape))
			before := normal(rng, size(shape))
			for op := range numBinaryOps {
				dst := append([]float32(nil), before...)
				Broadcast(op, dst, shape, a, aShape, b, bShape)
				for i, got := range dst {
					x, y := broadcastAt(a, aShape, shape, i), broadcastAt(b, bShape, shape, i)
					want := []float32{before[i]}
					Active().vec.maps[binaryForms[op].vv](1, &want[0], &x, &y, 0, 0, 0)
					if got != want[0] {
						t.Fatalf("operation %d, shapes %v, %v to %v: element %d is %v, want %v", op, aShape, bShape, shape, i, got, want[0])
					}
				}
			}
		}
	})
}

func TestBroadcastInPlace(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		shape, bias := []int{3, 5, 7}, []int{5, 1}
		x, b := normal(rng, 105), normal(rng, 5)
		want := make([]float32, 105)
		Broadcast(OpSub, want, shape, b, bias, x, shape)
		Broadcast(OpSub, x, shape, b, bias, x, shape)
		if i := sameBits(x, want); i >= 0 {
			t.Errorf("element %d is %v in place, %v aside", i, x[i], want[i])
		}
	})
}

func TestBroadcastSameBits(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, c := range [][3][]int{
			{{64, 33, 60}, {64, 33, 60}, {33, 1}},
			{{1000, 130}, {1000, 1}, {130}},
			{{3, 70000}, {3, 70000}, {70000}},
			{{200001}, {200001}, {1}},
		} {
			a, b := normal(rng, size(c[1])), normal(rng, size(c[2]))
			checkSameBits(t, fmt.Sprint(c), size(c[0]), func(out []float32) {
				Broadcast(OpMul, out, c[0], a, c[1], b, c[2])
			})
		}
	})
}

func TestBroadcastPanics(t *testing.T) {
	wants := func(want string, f func()) {
		t.Helper()
		defer func() {
			err, _ := recover().(error)
			var length LengthError
			var shape *BroadcastError
			if !errors.As(err, &length) && !errors.As(err, &shape) || err.Error() != want {
				t.Errorf("panic %v, want %q", err, want)
			}
		}()
		f()
	}
	x := make([]float32, 12)
	wants("kernel: Broadcast: shape [3] does not broadcast to [3 4]", func() {
		Broadcast(OpAdd, x, []int{3, 4}, x, []int{3, 4}, x[:3], []int{3})
	})
	wants("kernel: Broadcast: shape [2 3 4] does not broadcast to [3 4]", func() {
		Broadcast(OpAdd, x, []int{3, 4}, x, []int{2, 3, 4}, x, []int{3, 4})
	})
	wants("kernel: Broadcast: slice of length 11 where 12 is needed", func() {
		Broadcast(OpAdd, x[:11], []int{3, 4}, x, []int{3, 4}, x[:4], []int{4})
	})
	wants("kernel: Add: slice of length 5 where 12 is needed", func() { Add(x, x, x[:5]) })
	wants("kernel: Dot: slice of length 3 where 2 is needed", func() { Dot(x[:2], x[:3]) })
}

func TestSumTo(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 200 {
			shape, to, _ := randomShapes(rng)
			testSumTo(t, rng, shape, to)
		}
		// Each way of sharing the work.
		for _, c := range [][2][]int{
			{{70001}, {1}},
			{{3, 70001}, {3, 1}},
			{{50, 3000}, {3000}},
			{{5000, 30}, {30}},
			{{5000, 30}, {5000, 1}},
			{{40, 16, 200}, {16, 1}},
			{{40, 2000, 3}, {40, 1, 3}},
			{{300, 3, 7, 11}, {3, 1, 11}},
			{{2, 3, 0}, {3, 1}},
			{{0, 3}, {3}},
		} {
			testSumTo(t, rng, c[0], c[1])
		}
	})
}

func testSumTo(t *testing.T, rng *rand.Rand, shape, to []int) {
	t.Helper()
	n, outs := size(shape), size(to)
	a, b := normal(rng, n), normal(rng, n)
	where := make([]float32, outs)
	for i := range where {
		where[i] = float32(i)
	}
	sums, products := make([]float64, outs), make([]float64, outs)
	for i := range n {
		k := int(broadcastAt(where, to, shape, i))
		sums[k] += float64(a[i])
		products[k] += float64(a[i]) * float64(b[i])
	}
	got := make([]float32, 3*outs)
	run := func(out []float32) {
		SumTo(out[:outs], to, a, shape, false)
		SumMulTo(out[outs:2*outs], to, a, b, shape, false)
		copy(out[2*outs:], where)
		SumTo(out[2*outs:], to, a, shape, true)
	}
	run(got)
	for k := range sums {
		for j, want := range []float64{sums[k], products[k], sums[k] + float64(where[k])} {
			if v := float64(got[j*outs+k]); math.Abs(v-want) > 1e-6*(1+math.Abs(want)+float64(where[k])) {
				t.Fatalf("%v to %v: sum %d of kind %d is %v, want %v", shape, to, k, j, v, want)
			}
		}
	}
	checkSameBits(t, fmt.Sprint(shape, to), 3*outs, run)
}

// TestSumToAnyBatch adds up each sample of a batch with the bits that it has
// alone.
func TestSumToAnyBatch(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, sample := range [][2][]int{
			{{70001}, {1}},
			{{5000, 30}, {1, 30}},
			{{30, 5000}, {1, 5000}},
			{{17, 5, 900}, {1, 5, 1}},
			{{16, 49}, {16, 1}},
		} {
			const batch = 7
			shape := append([]int{batch}, sample[0]...)
			to := append([]int{batch}, sample[1]...)
			n, outs := size(sample[0]), size(sample[1])
			x := normal(rng, batch*n)
			all, alone := make([]float32, batch*outs), make([]float32, outs)
			SumTo(all, to, x, shape, false)
			for i := range batch {
				SumTo(alone, sample[1], x[i*n:(i+1)*n], sample[0], false)
				if k := sameBits(alone, all[i*outs:(i+1)*outs]); k >= 0 {
					t.Errorf("%v to %v: sum %d of sample %d is %v in a batch, %v alone", sample[0], sample[1], k, i, all[i*outs+k], alone[k])
				}
			}
		}
	})
}
