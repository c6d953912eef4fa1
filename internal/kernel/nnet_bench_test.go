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

func BenchmarkPool(b *testing.B) {
	for _, c := range []struct {
		name                    string
		planes                  int
		in, kernel, stride, pad [3]int
	}{
		{"max2x2/100x128x26x26", 12800, [3]int{1, 26, 26}, [3]int{1, 2, 2}, [3]int{1, 2, 2}, [3]int{}},
		{"max2x2/64x16x28x28", 1024, [3]int{1, 28, 28}, [3]int{1, 2, 2}, [3]int{1, 2, 2}, [3]int{}},
		{"max3x3s2p1/8x64x112x112", 512, [3]int{1, 112, 112}, [3]int{1, 3, 3}, [3]int{1, 2, 2}, [3]int{0, 1, 1}},
		{"max3x3s1p1/8x64x28x28", 512, [3]int{1, 28, 28}, [3]int{1, 3, 3}, [3]int{1, 1, 1}, [3]int{0, 1, 1}},
		{"max1x2x2/8x16x16x32x32", 128, [3]int{16, 32, 32}, [3]int{1, 2, 2}, [3]int{1, 2, 2}, [3]int{}},
		{"max2x2x2/8x32x16x16x16", 256, [3]int{16, 16, 16}, [3]int{2, 2, 2}, [3]int{2, 2, 2}, [3]int{}},
		{"avg2x2/128x16x32x32", 2048, [3]int{1, 32, 32}, [3]int{1, 2, 2}, [3]int{1, 2, 2}, [3]int{}},
	} {
		p := &Pool{Planes: c.planes, In: c.in, Kernel: c.kernel, Stride: c.stride, Padding: c.pad}
		x, dx := benchNormal(p.Planes*volume(p.In)), make([]float32, p.Planes*volume(p.In))
		y := make([]float32, p.Planes*volume(p.Out()))
		codes := make([]uint8, p.CodeLen())
		if c.name[:3] == "avg" {
			b.Run(c.name+"/fwd", func(b *testing.B) {
				for b.Loop() {
					AvgPool(y, x, p)
				}
			})
			b.Run(c.name+"/bwd", func(b *testing.B) {
				for b.Loop() {
					AvgPoolGrad(dx, y, p)
				}
			})
			continue
		}
		b.Run(c.name+"/fwd", func(b *testing.B) {
			for b.Loop() {
				MaxPool(y, codes, x, p)
			}
		})
		b.Run(c.name+"/bwd", func(b *testing.B) {
			for b.Loop() {
				MaxPoolGrad(dx, y, codes, p)
			}
		})
	}
	x, y := benchNormal(128*64*64), make([]float32, 128*64)
	b.Run("gap/128x64x8x8/fwd", func(b *testing.B) {
		for b.Loop() {
			GlobalAvgPool(y, x, 64)
		}
	})
	b.Run("gap/128x64x8x8/bwd", func(b *testing.B) {
		for b.Loop() {
			GlobalAvgPoolGrad(x, y, 64)
		}
	})
}

func BenchmarkSoftmax(b *testing.B) {
	for _, n := range []int{10, 1000} {
		x, y, dy, dx := benchNormal(128*n), make([]float32, 128*n), benchNormal(128*n), make([]float32, 128*n)
		loss, one := make([]float64, 128), []float64{1. / 128}
		ce := &CrossEntropy{Classes: n, Labels: make([]int, 128)}
		run := func(what string, f func()) {
			b.Run(fmt.Sprintf("%s/128x%d", what, n), func(b *testing.B) {
				for b.Loop() {
					f()
				}
			})
		}
		run("softmax/fwd", func() { Softmax(y, x, n) })
		run("softmax/fwdbwd", func() { Softmax(y, x, n); SoftmaxGrad(dx, dy, y, n) })
		run("logsoftmax/fwd", func() { LogSoftmax(y, x, n) })
		run("ce/fwd", func() { ce.Forward(loss, nil, x) })
		run("ce/fwdbwd", func() { ce.Forward(loss, y, x); ce.Grad(y, y, one) })
	}
	x, y, g := benchNormal(512*768), make([]float32, 512*768), benchNormal(768)
	mean, inv := make([]float32, 512), make([]float32, 512)
	dg, db := make([]float32, 768), make([]float32, 768)
	b.Run("ln/512x768/fwd", func(b *testing.B) {
		for b.Loop() {
			LayerNorm(y, x, g, g, mean, inv, 768, 1e-5)
		}
	})
	b.Run("ln/512x768/fwdbwd", func(b *testing.B) {
		for b.Loop() {
			LayerNorm(y, x, g, g, mean, inv, 768, 1e-5)
			LayerNormGrad(y, dg, db, y, x, g, mean, inv, 768)
		}
	})
}

func BenchmarkLayout(b *testing.B) {
	run := func(what string, f func()) {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
	x, y := benchNormal(2048*2048), make([]float32, 2048*2048)
	run("nchw2nhwc/32x64x28x28", func() { Permute(y[:32*64*784], x[:32*64*784], []int{32, 64, 28, 28}, []int{0, 2, 3, 1}) })
	run("transpose/2048", func() { Permute(y, x, []int{2048, 2048}, []int{1, 0}) })
	run("optionA/128x16x32x32", func() {
		out := y[:128*32*256]
		clear(out)
		sub := out[:128*16*256]
		Slice(sub, []int{128, 16, 16, 16}, x[:128*16*1024], []int{128, 16, 32, 32}, []int{0, 0, 0, 0}, []int{1, 1, 2, 2})
	})
	g := &GridSample{N: 32, C: 3, H: 32, W: 32, OutH: 32, OutW: 32}
	run("grid/32x3x32x32/fwd", func() { g.Forward(y[:32*3*1024], x[:32*3*1024], x[32*3*1024:][:32*2*1024]) })
	r := &Resize{Planes: 24, H: 128, W: 128, OutH: 224, OutW: 224}
	run("resize/8x3x128to224/fwd", func() { r.Forward(y[:24*224*224], x[:24*128*128]) })
}
