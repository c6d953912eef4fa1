package kernel

import (
	"fmt"
	"math/rand"
	"testing"
)

// The shapes that decide a training step, as PyTorch's counterparts were timed.

func benchNormal(n int) []float32 { return normal(rand.New(rand.NewSource(1)), n) }

func BenchmarkBatchNorm(b *testing.B) {
	for _, s := range [][]int{{128, 16, 32, 32}, {128, 32, 16, 16}, {128, 64, 8, 8}, {100, 16, 28, 28}, {8, 16, 16, 32, 32}, {128, 512}} {
		bn := &BatchNorm{N: s[0], C: s[1], S: 1, Eps: 1e-5, Momentum: 0.1}
		name := fmt.Sprint(s[0], "x", s[1])
		for _, n := range s[2:] {
			bn.S *= n
			name += fmt.Sprint("x", n)
		}
		n := bn.N * bn.C * bn.S
		x, y, r, dy, dx, dr := benchNormal(n), benchNormal(n), benchNormal(n), benchNormal(n), benchNormal(n), benchNormal(n)
		bn.Gamma, bn.Beta, bn.Mean, bn.InvStd = benchNormal(bn.C), benchNormal(bn.C), make([]float32, bn.C), make([]float32, bn.C)
		bn.RunningMean, bn.RunningVar = make([]float32, bn.C), make([]float32, bn.C)
		g := &BatchNormGrads{DX: dx, DGamma: make([]float32, bn.C), DBeta: make([]float32, bn.C)}
		run := func(what string, f func()) {
			b.Run(name+"/"+what, func(b *testing.B) {
				b.SetBytes(int64(4 * n))
				for b.Loop() {
					f()
				}
			})
		}
		run("fwd", func() { bn.Train(y, x, nil) })
		run("infer", func() { bn.Infer(y, x, nil) })
		run("fwdbwd", func() { bn.Train(y, x, nil); bn.TrainGrad(g, dy, x, nil) })
		bn.PostReLU = true
		run("relu/fwdbwd", func() { bn.Train(y, x, nil); bn.TrainGrad(g, dy, x, nil) })
		g.DR = dr
		run("addrelu/fwdbwd", func() { bn.Train(y, x, r); bn.TrainGrad(g, dy, x, y) })
	}
}
