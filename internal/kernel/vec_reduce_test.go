package kernel

import (
	"math"
	"slices"
	"testing"
)

// reduceNaive is every reduction in plain float64.
func reduceNaive(op reduceOp, a, b []float32) float64 {
	var sum float64
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		switch op {
		case opSum:
			sum += x
		case opSumAbs:
			sum += math.Abs(x)
		case opSumSquares:
			sum += x * x
		case opDot:
			sum += x * y
		case opDist1:
			sum += math.Abs(x - y)
		case opDist2:
			sum += (x - y) * (x - y)
		case opMax:
			hi = max(hi, x)
		case opMin:
			lo = min(lo, x)
		case opMaxAbs:
			hi = max(hi, math.Abs(x))
		}
	}
	switch {
	case op == opMin:
		return lo
	case op >= opMax:
		return hi
	}
	return sum
}

func TestReductions(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for op := range numReduceOps {
			for n := 1; n <= 257; n++ {
				a, b := normal(rng, n), normal(rng, n)
				if n%16 == 0 {
					a[rng.Intn(n)] = float32(math.Inf(1 - n/16%2*2))
				}
				got, want := reduce(op, a, b), reduceNaive(op, a, b)
				if !(math.Abs(got-want) <= 1e-13*float64(n)) && got != want && !(got != got && want != want) {
					t.Fatalf("reduction %d of %d numbers: %v, want %v", op, n, got, want)
				}
				a[rng.Intn(n)] = float32(math.NaN())
				if got := reduce(op, a, b); got == got {
					t.Fatalf("reduction %d of %d numbers with a NaN: %v", op, n, got)
				}
			}
			if got := reduce(op, nil, nil); got != 0 {
				t.Errorf("reduction %d of nothing: %v", op, got)
			}
		}
	})
}

// TestReductionsStayInside puts NaN next to the numbers on both sides.
func TestReductionsStayInside(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for op := range numReduceOps {
			for n := 1; n < 100; n++ {
				whole := [2][]float32{normal(rng, n+64), normal(rng, n+64)}
				for _, w := range whole {
					for i := range w {
						if i < 32 || i >= n+32 {
							w[i] = float32(math.NaN())
						}
					}
				}
				if got := reduce(op, whole[0][32:n+32], whole[1][32:n+32]); got != got {
					t.Fatalf("reduction %d of %d numbers read outside", op, n)
				}
			}
		}
	})
}

func TestReductionsSameBits(t *testing.T) {
	const n = 3*reduceChunk + 41
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		a, b := normal(rng, n), normal(rng, n)
		moved := misaligned(n, 5)
		copy(moved, a)
		checkSameBits(t, "reductions", 2*int(numReduceOps), func(out []float32) {
			for op := range numReduceOps {
				v := reduce(op, a, b)
				if m := reduce(op, moved, b); m != v {
					t.Errorf("reduction %d: %v, at another alignment %v", op, v, m)
				}
				if want := reduceNaive(op, a, b); math.Abs(v-want) > 1e-12*n {
					t.Errorf("reduction %d: %v, want %v", op, v, want)
				}
				bits := math.Float64bits(v)
				out[2*op] = math.Float32frombits(uint32(bits))
				out[2*op+1] = math.Float32frombits(uint32(bits >> 32))
			}
		})
	})
}

func TestSumIsExactEnough(t *testing.T) {
	// A float32 sum would stop at 2^24.
	x := slices.Repeat([]float32{1}, 1<<24+3)
	eachSet(t, func(t *testing.T) {
		if got := Sum(x); got != 1<<24+3 {
			t.Errorf("sum of 2^24+3 ones: %v", got)
		}
	})
}

func TestNorms(t *testing.T) {
	a, b := []float32{3, -4, 0}, []float32{0, 0, 12}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"Mean", Mean(a), -1.0 / 3},
		{"SumAbs", SumAbs(a), 7},
		{"Norm2", Norm2(a), 5},
		{"MaxAbs", float64(MaxAbs(a)), 4},
		{"Dot", Dot(a, b), 0},
		{"Distance1", Distance1(a, b), 19},
		{"Distance2", Distance2(a, b), 13},
		{"MaxOf", float64(MaxOf(a)), 3},
		{"MinOf", float64(MinOf(a)), -4},
		{"huge norm", Norm2([]float32{3e38, 4e38 / 2}), math.Hypot(float64(float32(3e38)), float64(float32(4e38/2)))},
		{"MaxAbs of nothing", float64(MaxAbs(nil)), 0},
	} {
		if math.Abs(c.got-c.want) > 1e-15*math.Abs(c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if !math.IsNaN(Mean(nil)) {
		t.Error("the mean of nothing is a number")
	}
}

func TestArgMax(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachSet(t, func(t *testing.T) {
		for _, c := range []struct {
			x   []float32
			max int
		}{
			{[]float32{7}, 0},
			{[]float32{1, 3, 3, 1, 0, 0}, 1},
			{[]float32{-1, -inf, inf, inf, -inf}, 2},
			{[]float32{1, nan, 9, nan}, 1},
			{[]float32{inf, 2, nan}, 2},
		} {
			// Also behind a row of numbers that decide nothing.
			for _, lead := range []int{0, 1, 15, 16, 31, 64, 100} {
				x := append(slices.Repeat([]float32{0.5}, lead), c.x...)
				if c.max == 0 && lead > 0 {
					continue
				}
				if got := ArgMax(x); got != lead+c.max {
					t.Errorf("ArgMax(%v behind %d) = %d", c.x, lead, got-lead)
				}
			}
		}
		rng := newRand(t)
		for n := 1; n < 300; n++ {
			x := normal(rng, n)
			want := 0
			for i, v := range x {
				if v > x[want] {
					want = i
				}
			}
			if got := ArgMax(x); got != want {
				t.Fatalf("ArgMax of %d numbers: %d, want %d", n, got, want)
			}
			if got := Active().vec.find(n, &x[0], 77); got != n {
				t.Fatalf("found 77 among %d numbers at %d", n, got)
			}
		}
	})
}
