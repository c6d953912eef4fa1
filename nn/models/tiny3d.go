package models

import (
	"github.com/mettleml/mettle/nn"
)

// Small networks for clips, which a processor trains in minutes. Stages are stage1 to
// stage3; each is a convolution, batch normalisation and ReLU, and but for the last a
// maximum pooling. classes of 0 means 10.

// Tiny3D has three 3x3x3 convolutions of 8, 16 and 32 channels for clips of any size from
// [N, 3, 2, 4, 4]: 18,370 parameters with 10 classes and 32 features.
func Tiny3D(seed uint64, classes int) *nn.Classifier {
	return tiny(seed, 3, cubic, or(classes, 10))
}

// TinyFlow is [Tiny3D] for optical flow [N, 2, T, H, W], the horizontal and the vertical
// displacement in pixels from each frame to the next: a small temporal stream of a
// two-stream network (Simonyan and Zisserman, 2014). 18,154 parameters with 10 classes.
func TinyFlow(seed uint64, classes int) *nn.Classifier {
	return tiny(seed, 2, cubic, or(classes, 10))
}

// Tiny2Plus1D is [Tiny3D] with each convolution in two factors, 1x3x3 and 3x1x1: 10,562 parameters.
func Tiny2Plus1D(seed uint64, classes int) *nn.Classifier {
	return tiny(seed, 3, split, or(classes, 10))
}

// TinyTSN is [TSN] over a counterpart of [Tiny3D] with 3x3 convolutions: it sees frames and
// no motion. 6,418 parameters.
func TinyTSN(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	b := &nn.Backbone{}
	in := 3
	for i, out := range tinyWidths {
		c := nn.NewConv2D(nil, in, out, 3, nn.ConvOptions{Padding: 1, NoBias: true})
		nn.KaimingNormalOut(r, c.Weight)
		layers := []nn.Module{c, nn.NewBatchNorm(out), nn.ReLU{}}
		if i < len(tinyWidths)-1 {
			layers = append(layers, halve)
		}
		b.Stages = append(b.Stages, nn.Stage{Name: tinyStages[i], Width: out, Module: nn.NewSequential(layers...)})
		in = out
	}
	b.Pool = mean(in)
	return TSN(&nn.Classifier{Backbone: b, Head: nn.NewLinear(r, in, or(classes, 10)), HeadName: "fc"})
}

var (
	tinyWidths = [...]int{8, 16, 32}
	tinyStages = [...]string{"stage1", "stage2", "stage3"}
)

func tiny(seed uint64, channels int, f factor, classes int) *nn.Classifier {
	r := newRand(seed)
	b := &nn.Backbone{}
	in := channels
	for i, out := range tinyWidths {
		p := &plan3D{rng: r}
		p.conv("0", f, in, out, 1, out)
		p.add("1", nn.NewBatchNorm(out))
		p.add("2", nn.ReLU{})
		switch i {
		case 0:
			p.add("3", nn.MaxPool{Kernel: []int{1, 2, 2}})
		case 1:
			p.add("3", nn.MaxPool{Kernel: []int{2}})
		}
		b.Stages = append(b.Stages, nn.Stage{Name: tinyStages[i], Width: out, Module: &p.layers})
		in = out
	}
	b.Pool = mean(in)
	return &nn.Classifier{Backbone: b, Head: nn.NewLinear(r, in, classes), HeadName: "fc"}
}
