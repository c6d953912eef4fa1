package kernel

import (
	"hash/crc32"
	"math"
	"testing"
)

// specials32 and specials64 put what arithmetic may trip over among numbers.
func specials32(x []float32) {
	for i, v := range []float32{float32(math.NaN()), 0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), 1e-45} {
		if k := 5*i + 2; k < len(x) {
			x[k] = v
		}
	}
}

func specials64(x []float64) {
	for i, v := range []float64{math.NaN(), 0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), 5e-324, -1e-300} {
		if k := 5*i + 1; k < len(x) {
			x[k] = v
		}
	}
}

func same32(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if g := got[i]; math.Float32bits(g) != math.Float32bits(w) && !(g != g && w != w) {
			t.Fatalf("%s[%d] of %d is %g, want %g", what, i, len(want), g, w)
		}
	}
}

// TestProbes compares the steps of an attack with their formulas, bit for bit.
func TestProbes(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, n := range []int{0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 117, 1000} {
			x, du, dd, lo, hi := normal(rng, n), normal(rng, n), normal(rng, n), normal(rng, n), normal(rng, n)
			v, e := make([]float64, n), make([]float64, n)
			for i := range n {
				hi[i] = lo[i] + hi[i]*hi[i]
				v[i], e[i] = rng.NormFloat64(), rng.NormFloat64()
			}
			specials32(du)
			specials64(v)
			up, down := misaligned(n, 3), misaligned(n, 5)
			ProbePair(up, down, x, du, dd, 0, 1)
			wantUp, wantDown := make([]float32, n), make([]float32, n)
			for i := range n {
				wantUp[i], wantDown[i] = clamp(x[i]+du[i], 0, 1), clamp(x[i]+dd[i], 0, 1)
			}
			same32(t, "up", up, wantUp)
			same32(t, "down", down, wantDown)

			DisplacePair(up, down, v, e, 0.7, 1.3, -2.1, 0.1)
			for i := range n {
				wantUp[i] = float32(float64(0.7*v[i]) + float64(1.3*e[i]))
				wantDown[i] = float32(float64(-2.1*v[i]) - float64(0.1*e[i]))
			}
			same32(t, "du", up, wantUp)
			same32(t, "dd", down, wantDown)

			SignSteps(up, v, -0.25)
			for i := range n {
				wantUp[i] = 0
				if v[i] > 0 {
					wantUp[i] = -0.25
				} else if v[i] < 0 {
					wantUp[i] = 0.25
				}
			}
			same32(t, "signs", up, wantUp)

			for i := range n {
				wantUp[i] = clamp(x[i]+du[i], lo[i], hi[i])
			}
			BoxStep(x, du, lo, hi)
			same32(t, "x", x, wantUp)

			want := make([]float64, n)
			for i := range n {
				want[i] = v[i] + float64(0.37*e[i])
			}
			Climb(v, e, 0.37)
			for i, w := range want {
				if g := v[i]; math.Float64bits(g) != math.Float64bits(w) && !(g != g && w != w) {
					t.Fatalf("v[%d] of %d is %g, want %g", i, n, g, w)
				}
			}
		}
	})
}

// TestChecksum compares sums with those of the standard library.
func TestChecksum(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		b := make([]byte, 70000)
		rng.Read(b)
		for _, n := range []int{0, 1, 255, 256, 511, 512, 513, 768, 1024, 1279, 4096, 65537} {
			for _, at := range []int{0, 1, 63} {
				if got, want := Checksum(b[at:][:n]), crc32.Checksum(b[at:][:n], castagnoli); got != want {
					t.Fatalf("the sum of %d bytes is %x, want %x", n, got, want)
				}
			}
		}
	})
}
