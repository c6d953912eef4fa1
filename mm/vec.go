package mm

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

func dot(a, b []float64) float64 { return floats.Dot(a, b) }

func axpy(dst []float64, s float64, x []float64) { floats.AddScaled(dst, s, x) }

func norm(a []float64) float64 { return floats.Norm(a, 2) }

func sqNorm(a []float64) float64 { return floats.Dot(a, a) }

func distance(a, b []float64) float64 { return math.Sqrt(sqDistance(a, b)) }

func sqDistance(a, b []float64) float64 {
	b = b[:len(a)]
	s := 0.0
	for i, v := range a {
		d := v - b[i]
		s += d * d
	}
	return s
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func allFinite(x []float64) bool {
	for _, v := range x {
		if !finite(v) {
			return false
		}
	}
	return true
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// ceilPow returns ⌈n^e⌉ within [1, n], forgiving the rounding of exact powers.
func ceilPow(n int, e float64) int {
	return min(n, max(1, int(math.Ceil(math.Pow(float64(n), e)-1e-9))))
}
