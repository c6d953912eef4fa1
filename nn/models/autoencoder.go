package models

import (
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
)

// AutoEncoder maps an image to a small code and the code to an image. Its children are
// encoder and decoder.
type AutoEncoder struct {
	Encoder, Decoder *nn.Sequential
}

// Forward returns the image of the code of x, in the shape of x.
func (a *AutoEncoder) Forward(x autograd.Var) autograd.Var {
	return a.Decoder.Forward(a.Encoder.Forward(x))
}

// Walk names encoder and decoder.
func (a *AutoEncoder) Walk(w *nn.Walker) {
	w.Child("encoder", a.Encoder)
	w.Child("decoder", a.Decoder)
}

// AutoZOOMMNIST is the auto-encoder of AutoZOOM (Tu et al., 2019) for
// [N, 1, H, W] with even H and W; the code of a 28x28 image is [1, 14, 14]. 610
// parameters.
func AutoZOOMMNIST(seed uint64) *AutoEncoder { return autoEncoder(seed, 1, 1) }

// AutoZOOMCIFAR is the auto-encoder of AutoZOOM for [N, 3, H, W] with H and W multiples of
// 4; the code of a 32x32 image is [3, 8, 8]. 6,406 parameters.
func AutoZOOMCIFAR(seed uint64) *AutoEncoder { return autoEncoder(seed, 3, 2) }

// autoEncoder halves the sides mode times.
func autoEncoder(seed uint64, channels, mode int) *AutoEncoder {
	const width = 16
	r := newRand(seed)
	conv := func(in, out int) nn.Module { return nn.NewConv2D(r, in, out, 3, nn.ConvOptions{Padding: 1}) }
	half := func(resize nn.Module) *nn.Sequential {
		s, in := nn.NewSequential(), channels
		for range mode {
			s.Layers = append(s.Layers, conv(in, width), nn.ReLU{}, resize)
			in = width
		}
		s.Layers = append(s.Layers, conv(in, channels))
		return s
	}
	return &AutoEncoder{Encoder: half(nn.MaxPool{Kernel: []int{2}}), Decoder: half(double{})}
}

// double enlarges images to twice their sides by repeating pixels.
type double struct{}

func (double) Forward(x autograd.Var) autograd.Var {
	return autograd.ResizeNearest(x, 2*x.Dim(2), 2*x.Dim(3))
}

func (double) Walk(*nn.Walker) {}

func (double) Promises(self nn.Module) nn.Promise { return nn.Promised[double](self, nn.PerExample) }
