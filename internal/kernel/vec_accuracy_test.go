package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// ulps returns the distance of got from want in units of the last place of
// want's nearest float32.
func ulps(got float32, want float64) float64 {
	if math.IsNaN(want) || math.IsNaN(float64(got)) {
		if math.IsNaN(want) && math.IsNaN(float64(got)) {
			return 0
		}
		return math.Inf(1)
	}
	w := float32(want)
	if got == w {
		return 0
	}
	if math.IsInf(float64(w), 0) || math.IsInf(float64(got), 0) {
		// One step from the largest finite number to Inf is one unit.
		if abs(got) == math.MaxFloat32 || abs(w) == math.MaxFloat32 {
			return 1
		}
		return math.Inf(1)
	}
	_, exp := math.Frexp(float64(w))
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(exp-24, -149))
}

// TestFunctionAccuracy walks through all float32 values in a prime stride.
func TestFunctionAccuracy(t *testing.T) {
	fns := []struct {
		name string
		op   mapOp
		f    func(float64) float64
		ulps float64
	}{
		{"exp", opExp, math.Exp, 1},
		{"log", opLog, math.Log, 1},
		{"tanh", opTanh, math.Tanh, 2.5},
		{"sigmoid", opSigmoid, sigmoid, 2.5},
		{"softplus", opSoftplus, softplus, 3},
		{"gelu", opGELU, gelu, 3.5},
	}
	const stride = 1021
	start := rand.Uint32N(stride)
	t.Logf("start %d", start)
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-126, -0x1p-126,
		1, -1, 88.72283, 88.72284, -87.33654, -87.33655, -103.27893, -103.97208, -103.9721, 9.01, -9.01, 20, -20, -14.2, 13}
	eachSet(t, func(t *testing.T) {
		x, y := make([]float32, 4096), make([]float32, 4096)
		for _, fn := range fns {
			var worst float64
			var at float32
			check := func(x []float32) {
				Active().vec.maps[fn.op](len(x), &y[0], &x[0], &y[0], 0, 0, 0)
				for i, v := range x {
					if u := ulps(y[i], fn.f(float64(v))); u > worst {
						worst, at = u, v
					}
				}
			}
			check(special)
			n := 0
			for b := uint64(start); b < 1<<32; b += stride {
				x[n] = math.Float32frombits(uint32(b))
				if n++; n == len(x) {
					check(x)
					n = 0
				}
			}
			t.Logf("%s: at most %.2f units at %g", fn.name, worst, at)
			if worst > fn.ulps {
				t.Errorf("%s: off by %.2f units in the last place at %g (%#x), want at most %g", fn.name, worst, at, math.Float32bits(at), fn.ulps)
			}
		}
	})
}
