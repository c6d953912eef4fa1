package main

import (
	"math/rand/v2"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// layerExtras are the layers that neither multiply nor convolve, and plain
// arithmetic on arrays that no cache holds.
func layerExtras() []benchCase {
	return []benchCase{
		maxPoolCase("extra/pool/max3s2_64x112x112/fwd", false),
		maxPoolCase("extra/pool/max3s2_64x112x112/fwdbwd", true),
		avgPoolCase("extra/pool/avg2_64x56x56/fwd", 2, 2, 0, false),
		avgPoolCase("extra/pool/avg2_64x56x56/fwdbwd", 2, 2, 0, true),
		avgPoolCase("extra/pool/avg3s1_64x56x56/fwd", 3, 1, 1, false),
		avgPoolCase("extra/pool/avg3s1_64x56x56/fwdbwd", 3, 1, 1, true),
		gridCase("extra/grid/16x112x112/fwd", false),
		gridCase("extra/grid/16x112x112/fwdbwd", true),
		resizeCase("extra/resize/bilinear2_64x56x56/fwd", false),
		resizeCase("extra/resize/bilinear2_64x56x56/fwdbwd", true),
		batchNormCase("extra/norm/batch_64x32x32/fwd", false),
		batchNormCase("extra/norm/batch_64x32x32/fwdbwd", true),
		rowsCase("extra/rows/softmax_128x1000/fwd", func(y, x []float32) { kernel.Softmax(y, x, 1000) }),
		rowsCase("extra/rows/logsoftmax_128x1000/fwd", func(y, x []float32) { kernel.LogSoftmax(y, x, 1000) }),
		crossEntropyCase("extra/rows/crossentropy_128x1000/fwdbwd"),
		arrayCase("extra/array/add", func(y, a, b []float32) { kernel.Add(y, a, b) }),
		arrayCase("extra/array/relu", func(y, a, _ []float32) { kernel.ReLU(y, a) }),
		arrayCase("extra/array/exp", func(y, a, _ []float32) { kernel.Exp(y, a) }),
		arrayCase("extra/array/sum", func(y, a, _ []float32) { y[0] = float32(kernel.Sum(a)) }),
	}
}

func maxPoolCase(name string, backward bool) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		p := kernel.Pool{
			Planes: 8 * 64, In: [3]int{1, 112, 112},
			Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Padding: [3]int{0, 1, 1},
		}
		x, y := normal(1, 8, 64, 112, 112), tensor.New(8, 64, 56, 56)
		if !backward {
			return func() { kernel.MaxPool(y.Data(), nil, x.Data(), &p) }, map[string]*tensor.Tensor{"x": x, "y": y}
		}
		codes := make([]uint8, p.CodeLen())
		dy, dx := normal(3, 8, 64, 56, 56), tensor.New(8, 64, 112, 112)
		return func() {
			kernel.MaxPool(y.Data(), codes, x.Data(), &p)
			kernel.MaxPoolGrad(dx.Data(), dy.Data(), codes, &p)
		}, map[string]*tensor.Tensor{"x": x, "y": y, "dy": dy, "dx": dx}
	}}
}

func avgPoolCase(name string, k, stride, pad int, backward bool) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		p := kernel.Pool{
			Planes: 8 * 64, In: [3]int{1, 56, 56},
			Kernel: [3]int{1, k, k}, Stride: [3]int{1, stride, stride}, Padding: [3]int{0, pad, pad}, CountPad: true,
		}
		out := p.Out()
		x, y := normal(1, 8, 64, 56, 56), tensor.New(8, 64, out[1], out[2])
		if !backward {
			return func() { kernel.AvgPool(y.Data(), x.Data(), &p) }, map[string]*tensor.Tensor{"x": x, "y": y}
		}
		dy, dx := normal(3, y.Shape()...), tensor.New(8, 64, 56, 56)
		return func() {
			kernel.AvgPool(y.Data(), x.Data(), &p)
			kernel.AvgPoolGrad(dx.Data(), dy.Data(), &p)
		}, map[string]*tensor.Tensor{"x": x, "y": y, "dy": dy, "dx": dx}
	}}
}

// gridCase samples at points near those of the image.
func gridCase(name string, backward bool) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		const n, c, size = 8, 16, 112
		g := kernel.GridSample{N: n, C: c, H: size, W: size, OutH: size, OutW: size}
		x, y, grid := normal(1, n, c, size, size), tensor.New(n, c, size, size), tensor.New(n, size, size, 2)
		r := rand.New(rand.NewPCG(2, 0))
		for i := range grid.Data() {
			at := i / 2 % size
			if i%2 == 1 {
				at = i / 2 / size % size
			}
			grid.Data()[i] = (float32(2*at+1)+2*r.Float32())/size - 1
		}
		arrays := map[string]*tensor.Tensor{"x": x, "grid": grid, "y": y}
		if !backward {
			return func() { g.Forward(y.Data(), x.Data(), grid.Data()) }, arrays
		}
		dy, dx, dgrid := normal(3, y.Shape()...), tensor.New(x.Shape()...), tensor.New(grid.Shape()...)
		arrays["dy"], arrays["dx"], arrays["dgrid"] = dy, dx, dgrid
		return func() {
			g.Forward(y.Data(), x.Data(), grid.Data())
			g.GradInput(dx.Data(), dy.Data(), grid.Data())
			g.GradGrid(dgrid.Data(), dy.Data(), x.Data(), grid.Data())
		}, arrays
	}}
}

func resizeCase(name string, backward bool) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		r := kernel.Resize{Planes: 8 * 64, H: 56, W: 56, OutH: 112, OutW: 112}
		x, y := normal(1, 8, 64, 56, 56), tensor.New(8, 64, 112, 112)
		if !backward {
			return func() { r.Forward(y.Data(), x.Data()) }, map[string]*tensor.Tensor{"x": x, "y": y}
		}
		dy, dx := normal(3, y.Shape()...), tensor.New(x.Shape()...)
		return func() {
			r.Forward(y.Data(), x.Data())
			r.Grad(dx.Data(), dy.Data())
		}, map[string]*tensor.Tensor{"x": x, "y": y, "dy": dy, "dx": dx}
	}}
}

func batchNormCase(name string, backward bool) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		const n, c, size = 32, 64, 32
		x, y := normal(1, n, c, size, size), tensor.New(n, c, size, size)
		ones := func() []float32 {
			v := make([]float32, c)
			for i := range v {
				v[i] = 1
			}
			return v
		}
		b := kernel.BatchNorm{
			N: n, C: c, S: size * size, Eps: 1e-5, Momentum: 0.1, Gamma: ones(), Beta: make([]float32, c),
			RunningMean: make([]float32, c), RunningVar: ones(), Mean: make([]float32, c), InvStd: make([]float32, c),
		}
		if !backward {
			return func() { b.Train(y.Data(), x.Data(), nil) }, map[string]*tensor.Tensor{"x": x, "y": y}
		}
		dy, dx := normal(3, y.Shape()...), tensor.New(x.Shape()...)
		grads := kernel.BatchNormGrads{DX: dx.Data(), DGamma: make([]float32, c), DBeta: make([]float32, c)}
		return func() {
			b.Train(y.Data(), x.Data(), nil)
			b.TrainGrad(&grads, dy.Data(), x.Data(), nil)
		}, map[string]*tensor.Tensor{"x": x, "y": y, "dy": dy, "dx": dx}
	}}
}

func rowsCase(name string, op func(y, x []float32)) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		x, y := normal(1, 128, 1000), tensor.New(128, 1000)
		return func() { op(y.Data(), x.Data()) }, map[string]*tensor.Tensor{"x": x, "y": y}
	}}
}

func crossEntropyCase(name string) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		const rows, classes = 128, 1000
		x, dx := normal(1, rows, classes), tensor.New(rows, classes)
		ce := kernel.CrossEntropy{Classes: classes, Labels: make([]int, rows)}
		for i := range ce.Labels {
			ce.Labels[i] = i
		}
		loss, mean := make([]float64, rows), []float64{1. / rows}
		return func() {
			ce.Forward(loss, dx.Data(), x.Data())
			ce.Grad(dx.Data(), dx.Data(), mean)
		}, map[string]*tensor.Tensor{"x": x, "dx": dx}
	}}
}

func arrayCase(name string, op func(y, a, b []float32)) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		const n = 8_600_000
		a, b, y := normal(1, n), normal(2, n), tensor.New(n)
		return func() { op(y.Data(), a.Data(), b.Data()) }, map[string]*tensor.Tensor{"a": a, "b": b, "y": y}
	}}
}
