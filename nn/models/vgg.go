package models

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// VGG is a chain of 3x3 convolutions with batch normalisation and pooling (Simonyan
// and Zisserman, 2015), with one linear classifier, as is usual for small images.
// Its children are features and classifier.
type VGG struct {
	Layers     *nn.Sequential
	Classifier *nn.Linear
}

// Features returns what the convolutions make, as vectors.
func (v *VGG) Features(x autograd.Var) autograd.Var {
	return nn.NewSequential(v.Layers, nn.Flatten{}).Forward(x)
}

// Forward returns the logits [N, classes] of images [N, 3, size, size].
func (v *VGG) Forward(x autograd.Var) autograd.Var {
	return nn.NewSequential(v.Layers, nn.Flatten{}, v.Classifier).Forward(x)
}

// Walk names features and classifier.
func (v *VGG) Walk(w *nn.Walker) {
	w.Child("features", v.Layers)
	w.Child("classifier", v.Classifier)
}

// VGG11 takes images of size 32 or 64 (any multiple of 32) and has 9,231,114
// parameters with 10 classes at 32. classes of 0 means 10, 200 for size 64, here and
// in [VGG13], [VGG16] and [VGG19]. It panics if size is not a positive multiple of 32.
func VGG11(seed uint64, size, classes int) *VGG {
	return newVGG(seed, size, classes, []int{1, 1, 2, 2, 2})
}

// VGG13 has 9,416,010 parameters; see [VGG11].
func VGG13(seed uint64, size, classes int) *VGG {
	return newVGG(seed, size, classes, []int{2, 2, 2, 2, 2})
}

// VGG16 has 14,728,266 parameters; see [VGG11].
func VGG16(seed uint64, size, classes int) *VGG {
	return newVGG(seed, size, classes, []int{2, 2, 3, 3, 3})
}

// VGG19 has 20,040,522 parameters; see [VGG11].
func VGG19(seed uint64, size, classes int) *VGG {
	return newVGG(seed, size, classes, []int{2, 2, 4, 4, 4})
}

func newVGG(seed uint64, size, classes int, depths []int) *VGG {
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
	v := &VGG{Layers: nn.NewSequential()}
	in := 3
	for i, depth := range depths {
		out := min(64<<i, 512)
		for range depth {
			c := nn.NewConv2D(nil, in, out, 3, nn.ConvConfig{Padding: 1})
			nn.KaimingNormalOut(r, c.Weight)
			nn.Constant(c.Bias, 0)
			v.Layers.Layers = append(v.Layers.Layers, c, nn.NewBatchNorm(out), nn.ReLU{})
			in = out
		}
		v.Layers.Layers = append(v.Layers.Layers, nn.MaxPool2D(2))
	}
	width := in * (size / 32) * (size / 32)
	v.Classifier = nn.NewLinear(r, width, classes)
	return v
}
