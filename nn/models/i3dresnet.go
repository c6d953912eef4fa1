package models

import (
	"math/rand/v2"

	"github.com/mettleml/mettle/nn"
)

// I3DResNet50 is [ResNet50] inflated for clips, in the style 3-1-1: every second bottleneck
// begins with a convolution over 3 frames and one position, and the others see one frame.
// It is the I3D of the Motion-Excited Sampler's experiments (GluonCV's i3d_resnet50_v1).
// The first convolution is 5x7x7 with stride 2, and two poolings halve the time again, so
// clips need at least 8 frames. The experiments use [N, 3, 32, 224, 224]. 28,043,472
// parameters with 400 classes, 2048 features. Its names are those of [ResNet50]; [Inflate]
// converts [ResNet50]'s weights.
func I3DResNet50(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	conv1 := conv3D(r, 3, 64, [3]int{5, 7, 7}, [3]int{2, 2, 2})
	first := stem(conv1, 64, nn.MaxPool{Kernel: []int{1, 3, 3}, Stride: []int{2}, Padding: []int{0, 1, 1}})
	b := &nn.Backbone{Stages: []nn.Stage{first}}
	in := 64
	for i, inflated := range []string{"111", "1010", "101010", "010"} {
		width, at := 64<<i, 0
		in = layer(b, in, 4*width, len(inflated), i > 0, func(in, stride int) nn.Module {
			time := 1
			if inflated[at] == '1' {
				time = 3
			}
			at++
			return bottleneck3D(r, in, width, stride, time)
		})
		if i == 0 {
			first := b.Stages[len(b.Stages)-1].Module.(*nn.Sequential)
			first.Layers = append(first.Layers, nn.MaxPool{Kernel: []int{2, 1, 1}})
		}
	}
	b.Pool = nn.Stage{Name: "avgpool", Width: in, Module: nn.NewSequential(nn.GlobalAvgPool{}, nn.Dropout{P: 0.5})}
	head := nn.NewLinear(nil, in, or(classes, 400))
	nn.Normal(r, head.Weight, 0, 0.01)
	return &nn.Classifier{Backbone: b, Head: head, HeadName: "fc"}
}

// bottleneck3D is a bottleneck whose first convolution sees so many frames.
func bottleneck3D(rng *rand.Rand, in, width, stride, time int) *nn.Bottleneck {
	out := 4 * width
	space := [3]int{1, stride, stride}
	b := &nn.Bottleneck{
		Conv1: conv3D(rng, in, width, [3]int{time, 1, 1}, one), BN1: nn.NewBatchNorm(width),
		Conv2: conv3D(rng, width, width, [3]int{1, 3, 3}, space), BN2: nn.NewBatchNorm(width),
		Conv3: conv3D(rng, width, out, one, one), BN3: nn.NewBatchNorm(out),
	}
	if stride != 1 || in != out {
		b.Downsample = nn.NewSequential(conv3D(rng, in, out, one, space), nn.NewBatchNorm(out))
	}
	return b
}
