package kernel

import (
	"fmt"
	"math/rand"
	"testing"
)

// index returns the multi-index of the i-th element of shape.
func index(shape []int, i int) []int {
	at := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		at[d], i = i%shape[d], i/shape[d]
	}
	return at
}

// offset is the inverse of index.
func offset(shape, at []int) (i int) {
	for d, n := range shape {
		i = i*n + at[d]
	}
	return i
}

func count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func randomShape(rng *rand.Rand) []int {
	shape := make([]int, rng.Intn(5))
	for i := range shape {
		shape[i] = rng.Intn(7)
		if rng.Intn(4) == 0 {
			shape[i] = 1 + rng.Intn(40)
		}
	}
	return shape
}

// checkMoved fails unless y, of the given shape, holds at each index the element
// of x that from names, or the filler where from returns -1.
func checkMoved(t *testing.T, what string, y guardedSlice, shape []int, x []float32, filler float32, from func(at []int) int) {
	t.Helper()
	for i, v := range y.v {
		want := filler
		if j := from(index(shape, i)); j >= 0 {
			want = x[j]
		}
		if v != want {
			t.Fatalf("%s: element %v is %v, want %v", what, index(shape, i), v, want)
		}
	}
	y.check(t, what)
}

func TestPermuteRandom(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 300 {
			shape := randomShape(rng)
			perm := rng.Perm(len(shape))
			x := normal(rng, count(shape))
			y := guarded(len(x))
			out := make([]int, len(shape))
			for i, p := range perm {
				out[i] = shape[p]
			}
			Permute(y.v, x, shape, perm)
			checkMoved(t, fmt.Sprintf("Permute %v by %v", shape, perm), y, out, x, 0, func(at []int) int {
				from := make([]int, len(at))
				for i, p := range perm {
					from[p] = at[i]
				}
				return offset(shape, from)
			})
		}
	})
}

func TestSliceRandom(t *testing.T) {
	rng := newRand(t)
	for range 300 {
		shape := randomShape(rng)
		n, start, step := make([]int, len(shape)), make([]int, len(shape)), make([]int, len(shape))
		for i, size := range shape {
			step[i] = 1 + rng.Intn(3)
			n[i] = rng.Intn((size+step[i]-1)/step[i] + 1)
			if n[i] > 0 {
				start[i] = rng.Intn(size - (n[i]-1)*step[i])
			}
			if n[i] > 0 && rng.Intn(3) == 0 {
				start[i] += (n[i] - 1) * step[i]
				step[i] = -step[i]
			}
		}
		what := fmt.Sprintf("Slice %v of %v from %v by %v", n, shape, start, step)
		x := normal(rng, count(shape))
		y := guarded(count(n))
		Slice(y.v, n, x, shape, start, step)
		from := func(at []int) int {
			to := make([]int, len(at))
			for i := range at {
				to[i] = start[i] + at[i]*step[i]
			}
			return offset(shape, to)
		}
		checkMoved(t, what, y, n, x, 0, from)

		back := guarded(len(x))
		want := make([]float32, len(x))
		for i := range back.v {
			back.v[i], want[i] = float32(i), float32(i)
		}
		add := rng.Intn(2) == 0
		for i, v := range y.v {
			if j := from(index(n, i)); add {
				want[j] += v
			} else {
				want[j] = v
			}
		}
		SetSlice(back.v, shape, y.v, n, start, step, add)
		checkMoved(t, "Set"+what, back, shape, want, 0, func(at []int) int { return offset(shape, at) })
	}
}

func TestPadRandom(t *testing.T) {
	rng := newRand(t)
	for range 300 {
		shape := randomShape(rng)
		before, after, out := make([]int, len(shape)), make([]int, len(shape)), make([]int, len(shape))
		for i, n := range shape {
			for {
				before[i], after[i] = rng.Intn(9)-4, rng.Intn(9)-4
				if out[i] = n + before[i] + after[i]; out[i] >= 0 {
					break
				}
			}
		}
		x := normal(rng, count(shape))
		y := guarded(count(out))
		Pad(y.v, x, shape, before, after, 7)
		checkMoved(t, fmt.Sprintf("Pad %v by %v, %v", shape, before, after), y, out, x, 7, func(at []int) int {
			from := make([]int, len(at))
			for i := range at {
				if from[i] = at[i] - before[i]; from[i] < 0 || from[i] >= shape[i] {
					return -1
				}
			}
			return offset(shape, from)
		})
	}
}

func TestRollRandom(t *testing.T) {
	rng := newRand(t)
	for range 200 {
		shape := randomShape(rng)
		x := normal(rng, count(shape))
		y := guarded(len(x))
		shift := make([]int, len(shape))
		for i := range shift {
			shift[i] = rng.Intn(41) - 20
		}
		Roll(y.v, x, shape, shift)
		checkMoved(t, fmt.Sprintf("Roll %v by %v", shape, shift), y, shape, x, 0, func(at []int) int {
			for i, n := range shape {
				at[i] = ((at[i]-shift[i])%n + n) % n
			}
			return offset(shape, at)
		})
	}
}

func TestRot90(t *testing.T) {
	x := []float32{1, 2, 3, 4, 5, 6} // [2, 3]
	for turns, want := range [][]float32{{1, 2, 3, 4, 5, 6}, {3, 6, 2, 5, 1, 4}, {6, 5, 4, 3, 2, 1}, {4, 1, 5, 2, 6, 3}} {
		for _, k := range []int{turns, turns - 4, turns + 8} {
			y, back := make([]float32, 6), make([]float32, 6)
			Rot90(y, x, 1, 2, 3, k)
			if sameBits(y, want) >= 0 {
				t.Errorf("%d turns: %v, want %v", k, y, want)
			}
			h, w := 2, 3
			if turns%2 == 1 {
				h, w = 3, 2
			}
			Rot90(back, y, 1, h, w, -k)
			if sameBits(back, x) >= 0 {
				t.Errorf("%d turns and back: %v", k, back)
			}
		}
	}
	rng := newRand(t)
	many, once, four := normal(rng, 5*33*18), make([]float32, 5*33*18), make([]float32, 5*33*18)
	copy(four, many)
	h, w := 33, 18
	for range 4 {
		Rot90(once, four, 5, h, w, 1)
		copy(four, once)
		h, w = w, h
	}
	if i := sameBits(four, many); i >= 0 {
		t.Errorf("four turns change element %d", i)
	}
}

func TestGatherScatter(t *testing.T) {
	rng := newRand(t)
	for range 100 {
		rows, n := 1+rng.Intn(9), rng.Intn(70)
		index := make([]int, rng.Intn(30))
		for i := range index {
			index[i] = rng.Intn(rows)
		}
		x := normal(rng, rows*n)
		y, table := guarded(len(index)*n), guarded(rows*n)
		GatherRows(y.v, x, index, n)
		copy(table.v, x)
		want := append([]float32(nil), x...)
		for i, r := range index {
			for j := range n {
				if y.v[i*n+j] != x[r*n+j] {
					t.Fatalf("row %d gathered from %d: element %d is %v, want %v", i, r, j, y.v[i*n+j], x[r*n+j])
				}
				want[r*n+j] += y.v[i*n+j]
			}
		}
		ScatterAddRows(table.v, y.v, index, n)
		if i := sameBits(table.v, want); i >= 0 {
			t.Fatalf("scattered element %d is %v, want %v", i, table.v[i], want[i])
		}
		y.check(t, "GatherRows")
		table.check(t, "ScatterAddRows")
	}
}
