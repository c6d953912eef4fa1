package models

import (
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/nn"
)

// Video networks take clips [N, C, T, H, W], as PyTorch's: data.Preprocess{CTHW: true}
// makes them of [T, C, H, W]. T, H and W may be others than those of the [Spec] unless a
// network says otherwise. classes of 0 means 400 for the large ones, as in Kinetics.
//
// Residual networks with 3-D convolutions (Tran et al., "A closer look at spatiotemporal
// convolutions", 2018) have the names of torchvision.models.video, so that its weights
// load. Their stages are stem and layer1 to layer4.

// R3D18 has 3x3x3 convolutions in all blocks: 33,371,472 parameters with 400 classes and
// 512 features.
func R3D18(seed uint64, classes int) *nn.Classifier {
	return videoResNet(seed, 64, volume, [4]factor{cubic, cubic, cubic, cubic}, or(classes, 400))
}

// MC318 has 3x3x3 convolutions in the first stage and 1x3x3 in the other three:
// 11,695,440 parameters with 400 classes.
func MC318(seed uint64, classes int) *nn.Classifier {
	return videoResNet(seed, 64, volume, [4]factor{cubic, flat2D, flat2D, flat2D}, or(classes, 400))
}

// R2Plus1D18 has a 1x3x3 and a 3x1x1 convolution in place of each 3x3x3 one: 31,505,325
// parameters with 400 classes.
func R2Plus1D18(seed uint64, classes int) *nn.Classifier {
	return videoResNet(seed, 64, split, [4]factor{split, split, split, split}, or(classes, 400))
}

// R3D18Small is [R3D18] with a quarter of the channels, 16 to 128, and a stem of 3x5x5 with
// stride 1x2x2 and a spatial maximum pooling, for clips of 64 pixels or more: 2,077,173
// parameters with 5 classes, which 0 means.
func R3D18Small(seed uint64, classes int) *nn.Classifier {
	return videoResNet(seed, 16, smallVolume, [4]factor{cubic, cubic, cubic, cubic}, or(classes, 5))
}

// TSN18Small is [TSN] over the counterpart of [R3D18Small] for images: 701,589 parameters
// with 5 classes, which 0 means. [Inflate] with [ImageName] converts its weights into
// weights of [R3D18Small].
func TSN18Small(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	conv1 := nn.NewConv2D(nil, 3, 16, 5, nn.ConvOptions{Stride: 2, Padding: 2, NoBias: true})
	nn.KaimingNormalOut(r, conv1.Weight)
	b := &nn.Backbone{Stages: []nn.Stage{stem(conv1, 16, nn.MaxPool{Kernel: []int{3}, Stride: []int{2}, Padding: []int{1}})}}
	in := 16
	for i := range 4 {
		in = layer(b, in, 16<<i, 2, i > 0, func(in, stride int) nn.Module {
			return nn.NewBasicBlock(r, in, 16<<i, stride, nn.Projection)
		})
	}
	b.Pool = mean(in)
	return TSN(&nn.Classifier{Backbone: b, Head: nn.NewLinear(r, in, or(classes, 5)), HeadName: "fc"})
}

// A factor is a way to convolve volumes by 3x3x3, or 3x7x7 in a stem.
type factor uint8

const (
	cubic       factor = iota // one convolution over time and space
	flat2D                    // over space alone
	split                     // over space, then over time
	volume                    // of a stem: 3x7x7
	smallVolume               // of a stem: 3x5x5, and a pooling
)

// plan3D collects layers and their names.
type plan3D struct {
	rng    *rand.Rand
	layers nn.Sequential
}

func (p *plan3D) add(name string, m nn.Module) {
	p.layers.Layers = append(p.layers.Layers, m)
	p.layers.Names = append(p.layers.Names, name)
}

// conv3D returns a convolution without bias that keeps the size but for the stride, with
// He initialisation for the fan-out.
func conv3D(rng *rand.Rand, in, out int, kernel, stride [3]int) *nn.Conv {
	c := nn.NewConv(nil, in, out, nn.ConvAxes{
		Kernel: kernel[:], Stride: stride[:], Padding: []int{kernel[0] / 2, kernel[1] / 2, kernel[2] / 2}, NoBias: true,
	})
	nn.KaimingNormalOut(rng, c.Weight)
	return c
}

// conv adds a convolution in factor f called name.
func (p *plan3D) conv(name string, f factor, in, out, stride, middle int) {
	switch f {
	case cubic:
		p.add(name, conv3D(p.rng, in, out, [3]int{3, 3, 3}, [3]int{stride, stride, stride}))
	case flat2D:
		p.add(name, conv3D(p.rng, in, out, [3]int{1, 3, 3}, [3]int{1, stride, stride}))
	case split:
		p.add(name+".0", conv3D(p.rng, in, middle, [3]int{1, 3, 3}, [3]int{1, stride, stride}))
		p.add(name+".1", nn.NewBatchNorm(middle))
		p.add(name+".2", nn.ReLU{})
		p.add(name+".3", conv3D(p.rng, middle, out, [3]int{3, 1, 1}, [3]int{stride, 1, 1}))
	}
}

// block3D returns a residual block of two convolutions.
func block3D(rng *rand.Rand, f factor, in, out, stride int) *nn.Residual {
	p := &plan3D{rng: rng}
	// As many parameters in two factors as in one convolution of 3x3x3; torchvision has
	// the same number in both convolutions of a block.
	middle := in * out * 27 / (in*9 + 3*out)
	p.conv("conv1.0", f, in, out, stride, middle)
	p.add("conv1.1", nn.NewBatchNorm(out))
	p.add("conv1.2", nn.ReLU{})
	p.conv("conv2.0", f, out, out, 1, middle)
	b := &nn.Residual{Branch: &p.layers, Norm: nn.NewBatchNorm(out), NormName: "conv2.1"}
	if stride != 1 || in != out {
		s := [3]int{stride, stride, stride}
		if f == flat2D {
			s[0] = 1
		}
		b.Shortcut = nn.NewSequential(conv3D(rng, in, out, [3]int{1, 1, 1}, s), nn.NewBatchNorm(out))
	}
	return b
}

// stem3D returns the first stage.
func stem3D(rng *rand.Rand, f factor, out int) nn.Stage {
	p := &plan3D{rng: rng}
	switch f {
	case volume:
		p.add("0", conv3D(rng, 3, out, [3]int{3, 7, 7}, [3]int{1, 2, 2}))
	case smallVolume:
		p.add("0", conv3D(rng, 3, out, [3]int{3, 5, 5}, [3]int{1, 2, 2}))
	case split:
		p.add("0", conv3D(rng, 3, 45, [3]int{1, 7, 7}, [3]int{1, 2, 2}))
		p.add("1", nn.NewBatchNorm(45))
		p.add("2", nn.ReLU{})
		p.add("3", conv3D(rng, 45, out, [3]int{3, 1, 1}, [3]int{1, 1, 1}))
	}
	n := len(p.layers.Layers)
	p.add(fmt.Sprint(n), nn.NewBatchNorm(out))
	p.add(fmt.Sprint(n+1), nn.ReLU{})
	if f == smallVolume {
		p.add(fmt.Sprint(n+2), nn.MaxPool{Kernel: []int{1, 3, 3}, Stride: []int{1, 2, 2}, Padding: []int{0, 1, 1}})
	}
	return nn.Stage{Name: "stem", Width: out, Module: &p.layers}
}

func videoResNet(seed uint64, width int, stem factor, layers [4]factor, classes int) *nn.Classifier {
	r := newRand(seed)
	b := &nn.Backbone{Stages: []nn.Stage{stem3D(r, stem, width)}}
	in := width
	for i, f := range layers {
		in = layer(b, in, width<<i, 2, i > 0, func(in, stride int) nn.Module {
			return block3D(r, f, in, width<<i, stride)
		})
	}
	b.Pool = mean(in)
	head := nn.NewLinear(nil, in, classes)
	nn.Normal(r, head.Weight, 0, 0.01)
	return &nn.Classifier{Backbone: b, Head: head, HeadName: "fc"}
}
