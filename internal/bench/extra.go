package main

import (
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
)

// extraCases keep an eye on what the comparison with PyTorch leaves out.
var extraCases = slices.Concat(matmulExtras(), convExtras())

func convExtras() (cases []benchCase) {
	flat := func(n, c, o, groups, size, k, stride, pad int) kernel.ConvShape {
		return kernel.ConvShape{
			N: n, C: c, O: o, Groups: groups,
			In: [3]int{1, size, size}, Kernel: [3]int{1, k, k}, Stride: [3]int{1, stride, stride}, Pad: [3]int{0, pad, pad},
		}
	}
	for _, c := range []struct {
		name string
		s    kernel.ConvShape
	}{
		{"extra/conv2d/depthwise_64x56x56", flat(8, 64, 64, 64, 56, 3, 1, 1)},
		{"extra/conv2d/5x5s2_32x32x32", flat(32, 32, 64, 1, 32, 5, 2, 2)},
		{"extra/conv2d/4x4s2_64x16x16", flat(64, 64, 128, 1, 16, 4, 2, 1)},
		{"extra/conv2d/1x1s2_64x56x56", flat(8, 64, 128, 1, 56, 1, 2, 0)},
		{"extra/conv2d/batch1_64x56x56", flat(1, 64, 64, 1, 56, 3, 1, 1)},
		{"extra/conv2d/batch1_16x32x32", flat(1, 16, 16, 1, 32, 3, 1, 1)},
		{"extra/conv2d/odd_17x31x31", flat(16, 17, 19, 1, 31, 3, 1, 1)},
		{"extra/conv3d/64x8x28x28", cube(2, 64, 64, [3]int{8, 28, 28})},
		{"extra/conv3d/3x16x112x112", cube(4, 3, 16, [3]int{16, 112, 112})},
	} {
		cases = append(cases, convPair(c.name, c.s)...)
	}
	// A 4x4 stride-2 layer that doubles the size, 128 to 64 channels.
	up := kernel.ConvShape{N: 64, C: 64, O: 128, Out: [3]int{1, 8, 8}, Kernel: [3]int{1, 4, 4}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}}
	up.ResolveTransposed([3]int{})
	const name = "extra/conv2d/transposed4x4s2_128x8x8"
	return append(cases, transposedCase(name+"/fwd", up, false), transposedCase(name+"/fwdbwd", up, true))
}
