package main

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
)

// extraCases keep an eye on shapes and layers beside the main ones.
var extraCases = slices.Concat(matmulExtras(), convExtras(), metaLayers(), layerExtras())

// flat is a 2-D convolution of square images.
func flat(n, c, o, groups, size, k, stride, pad int) kernel.ConvShape {
	return kernel.ConvShape{
		N: n, C: c, O: o, Groups: groups,
		In: [3]int{1, size, size}, Kernel: [3]int{1, k, k}, Stride: [3]int{1, stride, stride}, Pad: [3]int{0, pad, pad},
	}
}

// flatTransposed is a transposed convolution of square images from c to o channels.
func flatTransposed(n, c, o, size, k, stride, pad int) kernel.ConvShape {
	s := kernel.ConvShape{
		N: n, C: o, O: c,
		Out: [3]int{1, size, size}, Kernel: [3]int{1, k, k}, Stride: [3]int{1, stride, stride}, Pad: [3]int{0, pad, pad},
	}
	s.ResolveTransposed([3]int{})
	return s
}

func convExtras() (cases []benchCase) {
	for _, c := range []struct {
		name string
		s    kernel.ConvShape
	}{
		{"conv2d/depthwise_64x56x56", flat(8, 64, 64, 64, 56, 3, 1, 1)},
		{"conv2d/depthwise_128x14x14", flat(8, 128, 128, 128, 14, 3, 1, 1)},
		{"conv2d/depthwise_256x7x7", flat(8, 256, 256, 256, 7, 3, 1, 1)},
		{"conv2d/depthwise_s2_64x56x56", flat(8, 64, 64, 64, 56, 3, 2, 1)},
		{"conv2d/3x3s2_32x32x32", flat(100, 32, 64, 1, 32, 3, 2, 1)},
		{"conv2d/5x5s2_32x32x32", flat(32, 32, 64, 1, 32, 5, 2, 2)},
		{"conv2d/4x4s2_64x16x16", flat(64, 64, 128, 1, 16, 4, 2, 1)},
		{"conv2d/1x1s2_64x56x56", flat(8, 64, 128, 1, 56, 1, 2, 0)},
		{"conv2d/1x1_512x7x7", flat(8, 512, 128, 1, 7, 1, 1, 0)},
		{"conv2d/1x1_512x7x7_b1", flat(1, 512, 128, 1, 7, 1, 1, 0)},
		{"conv2d/batch1_64x56x56", flat(1, 64, 64, 1, 56, 3, 1, 1)},
		{"conv2d/batch1_16x32x32", flat(1, 16, 16, 1, 32, 3, 1, 1)},
		{"conv2d/odd_17x31x31", flat(16, 17, 19, 1, 31, 3, 1, 1)},
		{"conv3d/64x8x28x28", cube(2, 64, 64, [3]int{8, 28, 28})},
		{"conv3d/3x16x112x112", cube(4, 3, 16, [3]int{16, 112, 112})},
	} {
		cases = append(cases, convPair("extra/"+c.name, c.s)...)
	}
	// A 4x4 stride-2 layer that doubles the size, 128 to 64 channels.
	return append(cases, transposedPair("extra/conv2d/transposed4x4s2_128x8x8", flatTransposed(64, 128, 64, 8, 4, 2, 1))...)
}

// metaLayers are the layers of the two meta attackers but the first and the last,
// in a batch and for one image.
func metaLayers() (cases []benchCase) {
	type layer struct{ c, o, size, k, pad int } // of stride 2
	for _, net := range []struct {
		name     string
		batch    int
		down, up []layer
	}{
		{"mnist", 100,
			[]layer{{16, 32, 28, 4, 1}, {32, 64, 14, 4, 1}, {64, 64, 7, 4, 1}},
			[]layer{{64, 32, 3, 3, 0}, {32, 16, 7, 4, 1}, {16, 8, 14, 4, 1}}},
		{"cifar", 64,
			[]layer{{32, 64, 32, 4, 1}, {64, 128, 16, 4, 1}, {128, 256, 8, 4, 1}},
			[]layer{{256, 128, 4, 4, 1}, {128, 64, 8, 4, 1}, {64, 32, 16, 4, 1}}},
	} {
		for _, batch := range []int{net.batch, 1} {
			prefix := fmt.Sprintf("extra/meta/%s_b%d", net.name, batch)
			for _, l := range net.down {
				name := fmt.Sprintf("%s/conv%dx%ds2_%dx%dx%d", prefix, l.k, l.k, l.c, l.size, l.size)
				cases = append(cases, convPair(name, flat(batch, l.c, l.o, 1, l.size, l.k, 2, l.pad))...)
			}
			for _, l := range net.up {
				name := fmt.Sprintf("%s/transposed%dx%ds2_%dx%dx%d", prefix, l.k, l.k, l.c, l.size, l.size)
				cases = append(cases, transposedPair(name, flatTransposed(batch, l.c, l.o, l.size, l.k, 2, l.pad))...)
			}
		}
	}
	return cases
}

// transposedPair is convPair of a transposed convolution.
func transposedPair(name string, s kernel.ConvShape) []benchCase {
	return []benchCase{transposedCase(name+"/fwd", s, false), transposedCase(name+"/fwdbwd", s, true)}
}
