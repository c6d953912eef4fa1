package main

import (
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// convCases are the convolutions that PyTorch is timed on.
var convCases = func() (cases []benchCase) {
	for _, c := range []struct {
		name                          string
		n, c, size, o, kernel, stride int
	}{
		{"conv2d/16x32x32", 128, 16, 32, 16, 3, 1},
		{"conv2d/32x16x16", 128, 32, 16, 32, 3, 1},
		{"conv2d/64x8x8", 128, 64, 8, 64, 3, 1},
		{"conv2d/64x56x56", 8, 64, 56, 64, 3, 1},
		{"conv2d/256x14x14", 8, 256, 14, 256, 3, 1},
		{"conv2d/256x56x56_1x1", 4, 256, 56, 64, 1, 1},
		{"conv2d/3x224x224_7x7s2", 8, 3, 224, 64, 7, 2},
	} {
		p := c.kernel / 2
		s := kernel.ConvShape{
			N: c.n, C: c.c, O: c.o,
			In: [3]int{1, c.size, c.size}, Kernel: [3]int{1, c.kernel, c.kernel},
			Stride: [3]int{1, c.stride, c.stride}, Pad: [3]int{0, p, p},
		}
		cases = append(cases, convPair(c.name, s)...)
	}
	conv3d := cube(2, 64, 64, [3]int{8, 28, 28})
	return append(cases, convCase("conv3d/64x8x28x28/fwd", conv3d, false))
}()

// cube is a 3x3x3 convolution with stride 1 that keeps the size.
func cube(n, c, o int, in [3]int) kernel.ConvShape {
	return kernel.ConvShape{N: n, C: c, O: o, In: in, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}}
}

// convPair times the forward pass alone and with both gradients.
func convPair(name string, s kernel.ConvShape) []benchCase {
	return []benchCase{convCase(name+"/fwd", s, false), convCase(name+"/fwdbwd", s, true)}
}

func convCase(name string, s kernel.ConvShape, backward bool) benchCase {
	s.Resolve()
	flops := convFlops(&s)
	if backward {
		flops *= 3
	}
	return benchCase{name, flops, func() (func(), map[string]*tensor.Tensor) {
		arrays := convArrays(&s)
		x, w, y := arrays["x"].Data(), arrays["w"].Data(), arrays["y"].Data()
		if !backward {
			return func() { kernel.ConvForward(&s, y, x, w, nil, kernel.ActNone) }, arrays
		}
		dy := normal(3, arrays["y"].Shape()...)
		dx, dw := tensor.New(arrays["x"].Shape()...), tensor.New(arrays["w"].Shape()...)
		arrays["dy"], arrays["dx"], arrays["dw"] = dy, dx, dw
		return func() {
			kernel.ConvForward(&s, y, x, w, nil, kernel.ActNone)
			kernel.ConvBackwardData(&s, dx.Data(), dy.Data(), w)
			kernel.ConvBackwardWeights(&s, dw.Data(), dy.Data(), x)
		}, arrays
	}}
}

// transposedCase times a transposed convolution, forward alone or with both
// gradients. s is the convolution whose gradient to data it is, resolved.
func transposedCase(name string, s kernel.ConvShape, backward bool) benchCase {
	flops := convFlops(&s)
	if backward {
		flops *= 3
	}
	return benchCase{name, flops, func() (func(), map[string]*tensor.Tensor) {
		// Here x is the result and y the input, so they trade names in the dump.
		a := convArrays(&s)
		in, w, out := normal(1, a["y"].Shape()...), a["w"], a["x"]
		arrays := map[string]*tensor.Tensor{"x": in, "w": w, "y": out}
		if !backward {
			return func() {
				kernel.ConvTransposeForward(&s, out.Data(), in.Data(), w.Data(), nil, kernel.ActNone)
			}, arrays
		}
		dOut := normal(3, out.Shape()...)
		dIn, dw := tensor.New(in.Shape()...), tensor.New(w.Shape()...)
		arrays["dy"], arrays["dx"], arrays["dw"] = dOut, dIn, dw
		return func() {
			kernel.ConvTransposeForward(&s, out.Data(), in.Data(), w.Data(), nil, kernel.ActNone)
			kernel.ConvForward(&s, dIn.Data(), dOut.Data(), w.Data(), nil, kernel.ActNone)
			kernel.ConvBackwardWeights(&s, dw.Data(), in.Data(), dOut.Data())
		}, arrays
	}}
}

func convArrays(s *kernel.ConvShape) map[string]*tensor.Tensor {
	spatial := func(a, b int, size [3]int) []int {
		if s.In[0] == 1 && s.Kernel[0] == 1 { // 2-D
			return []int{a, b, size[1], size[2]}
		}
		return []int{a, b, size[0], size[1], size[2]}
	}
	return map[string]*tensor.Tensor{
		"x": normal(1, spatial(s.N, s.C, s.In)...),
		"w": normal(2, spatial(s.O, s.C/s.Groups, s.Kernel)...),
		"y": tensor.New(spatial(s.N, s.O, s.Out)...),
	}
}

// convFlops counts the operations of one pass, products with padding included.
func convFlops(s *kernel.ConvShape) float64 {
	return 2 * float64(s.YLen()) * float64(s.C/s.Groups) * float64(s.Kernel[0]*s.Kernel[1]*s.Kernel[2])
}
