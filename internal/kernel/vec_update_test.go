package kernel

import (
	"math"
	"slices"
	"testing"
)

// TestUpdates compares every set with the formulas in float64, at lengths
// 0..257 and any alignment, and with itself element by element.
func TestUpdates(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		sgd := []SGD{
			{LR: 0.1},
			{LR: 0.1, WeightDecay: 0.01},
			{LR: 0.1, Momentum: 0.9, Dampening: 0.3, WeightDecay: 0.01},
			{LR: 0.1, Momentum: 0.9, Dampening: 0.3, First: true},
			{LR: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 0.01},
		}
		adam := []Adam{
			{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Bias1: 0.1, Bias2: 0.001},
			{LR: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-3, Bias1: 0.5, Bias2: 0.3, WeightDecay: 0.1},
			{LR: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-3, Bias1: 0.5, Bias2: 0.3, WeightDecay: 0.1, Decoupled: true},
		}
		for n := range 258 {
			p, g, m, v := normal(rng, n), normal(rng, n), normal(rng, n), normal(rng, n)
			Square(v, v)
			check := func(what any, update func(p, g, m, v []float32), formula func(p, g, m, v float64) (float64, float64, float64)) {
				t.Helper()
				var x [4][]float32
				var intact [4]func() bool
				for i, from := range [][]float32{p, g, m, v} {
					x[i], intact[i] = field(n, rng.Intn(16))
					copy(x[i], from)
				}
				update(x[0], x[1], x[2], x[3])
				for i := range x {
					if !intact[i]() {
						t.Fatalf("%+v, %d parameters: wrote outside", what, n)
					}
				}
				if sameBits(x[1], g) >= 0 {
					t.Fatalf("%+v, %d parameters: changed the gradient", what, n)
				}
				for i := range n {
					wp, wm, wv := formula(float64(p[i]), float64(g[i]), float64(m[i]), float64(v[i]))
					for k, pair := range [][2]float64{{float64(x[0][i]), wp}, {float64(x[2][i]), wm}, {float64(x[3][i]), wv}} {
						if math.Abs(pair[0]-pair[1]) > 1e-6*(1+math.Abs(pair[1])) {
							t.Fatalf("%+v, element %d of %d: array %d is %v, want %v", what, i, n, k, pair[0], pair[1])
						}
					}
					one := [4][]float32{{p[i]}, {g[i]}, {m[i]}, {v[i]}}
					update(one[0], one[1], one[2], one[3])
					for k := range one {
						if one[k][0] != x[k][i] {
							t.Fatalf("%+v, element %d of %d: array %d is %v, alone %v", what, i, n, k, x[k][i], one[k][0])
						}
					}
				}
			}
			for _, o := range sgd {
				check(o, func(p, g, m, _ []float32) { SGDStep(p, g, m, o) }, func(p, g, m, v float64) (float64, float64, float64) {
					g += o.WeightDecay * p
					if o.Momentum == 0 {
						return p - o.LR*g, m, v
					}
					damp := o.Dampening
					if o.First {
						damp = 0
					}
					m = o.Momentum*m + (1-damp)*g
					if o.Nesterov {
						return p - o.LR*(g+o.Momentum*m), m, v
					}
					return p - o.LR*m, m, v
				})
			}
			for _, o := range adam {
				check(o, func(p, g, m, v []float32) { AdamStep(p, g, m, v, o) }, func(p, g, m, v float64) (float64, float64, float64) {
					if o.Decoupled {
						p -= o.LR * o.WeightDecay * p
					} else {
						g += o.WeightDecay * p
					}
					m = o.Beta1*m + (1-o.Beta1)*g
					v = o.Beta2*v + (1-o.Beta2)*g*g
					return p - o.LR/o.Bias1*m/(math.Sqrt(v/o.Bias2)+o.Eps), m, v
				})
			}
		}
	})
}

func TestUpdatesSameBits(t *testing.T) {
	const n = 3*lightChunk + 5
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		p, g, m, v := normal(rng, n), normal(rng, n), normal(rng, n), normal(rng, n)
		Abs(v, v)
		checkSameBits(t, "updates", 2*n, func(out []float32) {
			m, v := slices.Clone(m), slices.Clone(v)
			copy(out, p)
			AdamStep(out[:n], g, m, v, Adam{LR: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Bias1: 0.1, Bias2: 0.01})
			copy(out[n:], p)
			SGDStep(out[n:], g, m, SGD{LR: 0.01, Momentum: 0.9, Nesterov: true})
		})
	})
}
