package models

import (
	"fmt"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// VGG is a chain of 3x3 convolutions with batch normalisation and pooling (Simonyan
// and Zisserman, 2015), with one linear head, as is usual for small images. Its stages,
// block1 to block5, end with a pooling each; their layers are numbered through, as
// features.0 and so on. The head is called classifier.

// VGG11 takes images of size 32 or 64 (any multiple of 32) and has 9,231,114 parameters
// with 10 classes at 32. 0 classes means 10, or 200 for size 64, here and in [VGG13],
// [VGG16] and [VGG19]. It panics if size is not a positive multiple of 32.
func VGG11(seed uint64, size, classes int) *nn.Classifier {
	return newVGG(seed, size, classes, []int{1, 1, 2, 2, 2})
}

// VGG13 has 9,416,010 parameters; see [VGG11].
func VGG13(seed uint64, size, classes int) *nn.Classifier {
	return newVGG(seed, size, classes, []int{2, 2, 2, 2, 2})
}

// VGG16 has 14,728,266 parameters; see [VGG11].
func VGG16(seed uint64, size, classes int) *nn.Classifier {
	return newVGG(seed, size, classes, []int{2, 2, 3, 3, 3})
}

// VGG19 has 20,040,522 parameters; see [VGG11].
func VGG19(seed uint64, size, classes int) *nn.Classifier {
	return newVGG(seed, size, classes, []int{2, 2, 4, 4, 4})
}

func newVGG(seed uint64, size, classes int, depths []int) *nn.Classifier {
	if size < 32 || size%32 != 0 {
		tensor.Panic("models.VGG", fmt.Sprintf("images of size %d, not a positive multiple of 32", size))
	}
	r := newRand(seed)
	if classes == 0 {
		classes = 10
		if size == 64 {
			classes = 200
		}
	}
	b := &nn.Backbone{}
	in, number := 3, 0
	for i, depth := range depths {
		out := min(64<<i, 512)
		block := &nn.Sequential{}
		add := func(layers ...nn.Module) {
			for _, l := range layers {
				block.Layers = append(block.Layers, l)
				block.Names = append(block.Names, fmt.Sprintf("features.%d", number))
				number++
			}
		}
		for range depth {
			c := nn.NewConv2D(nil, in, out, 3, nn.ConvOptions{Padding: 1})
			nn.KaimingNormalOut(r, c.Weight)
			nn.Constant(c.Bias, 0)
			add(c, nn.NewBatchNorm(out), nn.ReLU{})
			in = out
		}
		add(nn.MaxPool{Kernel: []int{2}})
		b.Stages = append(b.Stages, nn.Stage{Name: fmt.Sprintf("block%d", i+1), Width: out, Module: block, Inline: true})
	}
	width := in * (size / 32) * (size / 32)
	b.Pool = nn.Stage{Name: "flatten", Width: width, Module: nn.Flatten{}}
	return &nn.Classifier{Backbone: b, Head: nn.NewLinear(r, width, classes), HeadName: "classifier"}
}
