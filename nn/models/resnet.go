package models

import (
	"fmt"

	"github.com/mettleml/mettle/nn"
)

// Residual networks (He et al., 2016) have the stages stem (conv1, bn1, ReLU and perhaps
// a maximum pooling), layer1, layer2 and so on, and the mean over positions as pooling.
// The head is called fc in networks for large images and linear in those for small
// ones.

// ResNet20 for [N, 3, 32, 32] has parameter-free shortcuts (option A) and 269,722
// parameters with 10 classes. classes of 0 means 10, here and in [ResNet32],
// [ResNet44] and [ResNet56]. Its stages are stem, layer1, layer2 and layer3; it has 64
// features.
func ResNet20(seed uint64, classes int) *nn.Classifier { return cifarResNet(seed, 3, classes) }

// ResNet32 has 464,154 parameters with 10 classes; see [ResNet20].
func ResNet32(seed uint64, classes int) *nn.Classifier { return cifarResNet(seed, 5, classes) }

// ResNet44 has 658,586 parameters with 10 classes; see [ResNet20].
func ResNet44(seed uint64, classes int) *nn.Classifier { return cifarResNet(seed, 7, classes) }

// ResNet56 has 853,018 parameters with 10 classes; see [ResNet20].
func ResNet56(seed uint64, classes int) *nn.Classifier { return cifarResNet(seed, 9, classes) }

func cifarResNet(seed uint64, blocks, classes int) *nn.Classifier {
	r := newRand(seed)
	conv1 := nn.NewConv2D(nil, 3, 16, 3, nn.ConvOptions{Padding: 1, NoBias: true})
	b := &nn.Backbone{Stages: []nn.Stage{stem(conv1, 16)}}
	in := 16
	for i, out := range []int{16, 32, 64} {
		in = layer(b, in, out, blocks, i > 0, func(in, stride int) nn.Module {
			return nn.NewBasicBlock(r, in, out, stride, nn.ZeroPad)
		})
	}
	b.Pool = mean(in)
	n := &nn.Classifier{Backbone: b, Head: nn.NewLinear(r, in, or(classes, 10)), HeadName: "linear"}
	// As in the usual CIFAR networks: normal by the fan-in, the classifier too.
	for _, p := range nn.Params(n) {
		if len(p.Shape()) > 1 {
			nn.KaimingNormal(r, p)
		}
	}
	return n
}

// stem is the first stage: conv1, bn1, ReLU and what follows.
func stem(conv1 *nn.Conv, width int, after ...nn.Module) nn.Stage {
	layers := append([]nn.Module{conv1, nn.NewBatchNorm(width), nn.ReLU{}}, after...)
	names := []string{"conv1", "bn1", "relu", "maxpool"}[:len(layers)]
	return nn.Stage{Name: "stem", Width: width, Module: &nn.Sequential{Layers: layers, Names: names}, Inline: true}
}

// layer appends a stage of count blocks, which has out channels, and returns these. The
// first block halves the image if asked to.
func layer(b *nn.Backbone, in, out, count int, half bool, block func(in, stride int) nn.Module) int {
	s := nn.NewSequential()
	for k := range count {
		stride := 1
		if half && k == 0 {
			stride = 2
		}
		s.Layers = append(s.Layers, block(in, stride))
		in = out
	}
	b.Stages = append(b.Stages, nn.Stage{Name: fmt.Sprintf("layer%d", len(b.Stages)), Width: out, Module: s})
	return out
}

// mean is the pooling of a map with so many channels to as many features.
func mean(width int) nn.Stage {
	return nn.Stage{Name: "avgpool", Width: width, Module: nn.GlobalAvgPool{}}
}

// ResNet10 for [N, 3, 224, 224] has one basic block in each of four stages:
// 5,418,792 parameters with 1000 classes. classes of 0 means 1000, here and in
// [ResNet18], [ResNet34], [ResNet50] and [ResNet152]. Stages are stem and layer1 to
// layer4; it has 512 features.
func ResNet10(seed uint64, classes int) *nn.Classifier {
	return bigResNet(seed, []int{1, 1, 1, 1}, false, false, or(classes, 1000))
}

// ResNet18 has 11,689,512 parameters; see [ResNet10].
func ResNet18(seed uint64, classes int) *nn.Classifier {
	return bigResNet(seed, []int{2, 2, 2, 2}, false, false, or(classes, 1000))
}

// ResNet34 has 21,797,672 parameters; see [ResNet10].
func ResNet34(seed uint64, classes int) *nn.Classifier {
	return bigResNet(seed, []int{3, 4, 6, 3}, false, false, or(classes, 1000))
}

// ResNet50 has bottleneck blocks, 25,557,032 parameters and 2048 features; see
// [ResNet10].
func ResNet50(seed uint64, classes int) *nn.Classifier {
	return bigResNet(seed, []int{3, 4, 6, 3}, true, false, or(classes, 1000))
}

// ResNet152 has bottleneck blocks, 60,192,808 parameters and 2048 features; see
// [ResNet10].
func ResNet152(seed uint64, classes int) *nn.Classifier {
	return bigResNet(seed, []int{3, 8, 36, 3}, true, false, or(classes, 1000))
}

// ResNet18Small is [ResNet18] for images of 32 or 64 pixels: its stem is a 3x3
// convolution without stride or pooling. 11,173,962 parameters with 10 classes,
// which 0 means.
func ResNet18Small(seed uint64, classes int) *nn.Classifier {
	return bigResNet(seed, []int{2, 2, 2, 2}, false, true, or(classes, 10))
}

// ResNet34Small is [ResNet34] with the stem of [ResNet18Small]: 21,282,122
// parameters with 10 classes, which 0 means.
func ResNet34Small(seed uint64, classes int) *nn.Classifier {
	return bigResNet(seed, []int{3, 4, 6, 3}, false, true, or(classes, 10))
}

func bigResNet(seed uint64, blocks []int, bottleneck, small bool, classes int) *nn.Classifier {
	r := newRand(seed)
	b, head := &nn.Backbone{}, "fc"
	if small {
		conv1 := nn.NewConv2D(nil, 3, 64, 3, nn.ConvOptions{Padding: 1, NoBias: true})
		nn.KaimingNormalOut(r, conv1.Weight)
		b.Stages = append(b.Stages, stem(conv1, 64))
		head = "linear"
	} else {
		conv1 := nn.NewConv2D(nil, 3, 64, 7, nn.ConvOptions{Stride: 2, Padding: 3, NoBias: true})
		nn.KaimingNormalOut(r, conv1.Weight)
		b.Stages = append(b.Stages, stem(conv1, 64, nn.MaxPool{Kernel: []int{3}, Stride: []int{2}, Padding: []int{1}}))
	}
	in := 64
	for i, count := range blocks {
		width := 64 << i
		if bottleneck {
			in = layer(b, in, 4*width, count, i > 0, func(in, stride int) nn.Module {
				return nn.NewBottleneck(r, in, width, stride)
			})
		} else {
			in = layer(b, in, width, count, i > 0, func(in, stride int) nn.Module {
				return nn.NewBasicBlock(r, in, width, stride, nn.Projection)
			})
		}
	}
	b.Pool = mean(in)
	return &nn.Classifier{Backbone: b, Head: nn.NewLinear(r, in, classes), HeadName: head}
}
