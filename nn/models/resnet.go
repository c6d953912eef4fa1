package models

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
)

// A ResNet is a residual network (He et al., 2016): a stem, stages of residual
// blocks, the mean over positions, and a linear classifier.
type ResNet struct {
	Stem       *nn.Sequential   // conv1, bn1, ReLU and perhaps a maximum pooling
	Stages     []*nn.Sequential // layer1, layer2, ...
	Classifier *nn.Linear
	Width      int // of the features
	Head       string
}

// FeatureMap returns what the last stage makes: [N, Width, H', W'].
func (n *ResNet) FeatureMap(x autograd.Var) autograd.Var { return n.chain().Forward(x) }

// Features returns the means of the feature map: [N, Width].
func (n *ResNet) Features(x autograd.Var) autograd.Var {
	return n.chain(nn.GlobalAvgPool{}).Forward(x)
}

// Forward returns the logits [N, classes] of images [N, 3, H, W].
func (n *ResNet) Forward(x autograd.Var) autograd.Var {
	return n.chain(nn.GlobalAvgPool{}, n.Classifier).Forward(x)
}

// chain returns the stem, the stages and what follows them as one module.
func (n *ResNet) chain(after ...nn.Module) *nn.Sequential {
	c := nn.NewSequential(n.Stem)
	for _, s := range n.Stages {
		c.Layers = append(c.Layers, s)
	}
	c.Layers = append(c.Layers, after...)
	return c
}

// Walk names conv1, bn1, layer1 and so on, and the classifier: fc in networks for
// large images, linear in those for small ones.
func (n *ResNet) Walk(w *nn.Walker) {
	w.Child("conv1", n.Stem.Layers[0])
	w.Child("bn1", n.Stem.Layers[1])
	for i, s := range n.Stages {
		w.Child(fmt.Sprintf("layer%d", i+1), s)
	}
	w.Child(n.Head, n.Classifier)
}

// ResNet20 for [N, 3, 32, 32] has parameter-free shortcuts (option A) and 269,722
// parameters with 10 classes. classes of 0 means 10, here and in [ResNet32],
// [ResNet44] and [ResNet56].
func ResNet20(seed uint64, classes int) *ResNet { return cifarResNet(seed, 3, classes) }

// ResNet32 has 464,154 parameters with 10 classes; see [ResNet20].
func ResNet32(seed uint64, classes int) *ResNet { return cifarResNet(seed, 5, classes) }

// ResNet44 has 658,586 parameters with 10 classes; see [ResNet20].
func ResNet44(seed uint64, classes int) *ResNet { return cifarResNet(seed, 7, classes) }

// ResNet56 has 853,018 parameters with 10 classes; see [ResNet20].
func ResNet56(seed uint64, classes int) *ResNet { return cifarResNet(seed, 9, classes) }

func cifarResNet(seed uint64, blocks, classes int) *ResNet {
	r := newRand(seed)
	conv1 := nn.NewConv2D(nil, 3, 16, 3, nn.ConvConfig{Padding: 1, NoBias: true})
	n := &ResNet{Stem: nn.NewSequential(conv1, nn.NewBatchNorm(16), nn.ReLU{}), Head: "linear", Width: 64}
	in := 16
	for i, out := range []int{16, 32, 64} {
		s := nn.NewSequential()
		for k := range blocks {
			stride := 1
			if i > 0 && k == 0 {
				stride = 2
			}
			s.Layers = append(s.Layers, nn.NewBasicBlock(r, in, out, stride, nn.ZeroPad))
			in = out
		}
		n.Stages = append(n.Stages, s)
	}
	n.Classifier = nn.NewLinear(r, 64, or(classes, 10))
	// As in the usual CIFAR networks: normal by the fan-in, the classifier too.
	for _, p := range nn.Params(n) {
		if len(p.Shape()) > 1 {
			nn.KaimingNormal(r, p)
		}
	}
	return n
}

// ResNet10 for [N, 3, 224, 224] has one basic block in each of four stages:
// 5,418,792 parameters with 1000 classes. classes of 0 means 1000, here and in
// [ResNet18], [ResNet34], [ResNet50] and [ResNet152].
func ResNet10(seed uint64, classes int) *ResNet {
	return bigResNet(seed, []int{1, 1, 1, 1}, false, false, or(classes, 1000))
}

// ResNet18 has 11,689,512 parameters; see [ResNet10].
func ResNet18(seed uint64, classes int) *ResNet {
	return bigResNet(seed, []int{2, 2, 2, 2}, false, false, or(classes, 1000))
}

// ResNet34 has 21,797,672 parameters; see [ResNet10].
func ResNet34(seed uint64, classes int) *ResNet {
	return bigResNet(seed, []int{3, 4, 6, 3}, false, false, or(classes, 1000))
}

// ResNet50 has bottleneck blocks and 25,557,032 parameters; see [ResNet10].
func ResNet50(seed uint64, classes int) *ResNet {
	return bigResNet(seed, []int{3, 4, 6, 3}, true, false, or(classes, 1000))
}

// ResNet152 has bottleneck blocks and 60,192,808 parameters; see [ResNet10].
func ResNet152(seed uint64, classes int) *ResNet {
	return bigResNet(seed, []int{3, 8, 36, 3}, true, false, or(classes, 1000))
}

// ResNet18Small is [ResNet18] for images of 32 or 64 pixels: its stem is a 3x3
// convolution without stride or pooling. 11,173,962 parameters with 10 classes,
// which 0 means.
func ResNet18Small(seed uint64, classes int) *ResNet {
	return bigResNet(seed, []int{2, 2, 2, 2}, false, true, or(classes, 10))
}

// ResNet34Small is [ResNet34] with the stem of [ResNet18Small]: 21,282,122
// parameters with 10 classes, which 0 means.
func ResNet34Small(seed uint64, classes int) *ResNet {
	return bigResNet(seed, []int{3, 4, 6, 3}, false, true, or(classes, 10))
}

func bigResNet(seed uint64, blocks []int, bottleneck, small bool, classes int) *ResNet {
	r := newRand(seed)
	n := &ResNet{Head: "fc"}
	if small {
		conv1 := nn.NewConv2D(nil, 3, 64, 3, nn.ConvConfig{Padding: 1, NoBias: true})
		n.Stem = nn.NewSequential(conv1, nn.NewBatchNorm(64), nn.ReLU{})
		nn.KaimingNormalOut(r, conv1.Weight)
		n.Head = "linear"
	} else {
		conv1 := nn.NewConv2D(nil, 3, 64, 7, nn.ConvConfig{Stride: 2, Padding: 3, NoBias: true})
		n.Stem = nn.NewSequential(conv1, nn.NewBatchNorm(64), nn.ReLU{},
			nn.MaxPool{Options: autograd.PoolOptions{Kernel: []int{3}, Stride: []int{2}, Padding: []int{1}}})
		nn.KaimingNormalOut(r, conv1.Weight)
	}
	in := 64
	for i, count := range blocks {
		width := 64 << i
		s := nn.NewSequential()
		for k := range count {
			stride := 1
			if i > 0 && k == 0 {
				stride = 2
			}
			if bottleneck {
				s.Layers = append(s.Layers, nn.NewBottleneck(r, in, width, stride))
				in = 4 * width
			} else {
				s.Layers = append(s.Layers, nn.NewBasicBlock(r, in, width, stride, nn.Projection))
				in = width
			}
		}
		n.Stages = append(n.Stages, s)
	}
	n.Width = in
	n.Classifier = nn.NewLinear(r, in, classes)
	return n
}
