package models

import (
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
)

// TSN makes a temporal segment network (Wang et al., 2016) from a network for images: every
// frame of a clip [N, C, T, H, W] goes through net, and features are the means over frames.
// With an affine head, such as [nn.Linear], the logits are the means of the frames' logits,
// the paper's average consensus. The order of the frames does not matter, and T is
// arbitrary: the paper trains with 3 segments and tests with more.
//
// The result shares the parameters of net and has their names, so it loads weights for
// images. Its stages are those of net, with outputs [N, T, C, ...].
func TSN(net *nn.Classifier) *nn.Classifier {
	b := &nn.Backbone{Pool: net.Backbone.Pool}
	for i, s := range net.Backbone.Stages {
		s.Module = &frames{Net: s.Module, First: i == 0}
		b.Stages = append(b.Stages, s)
	}
	b.Pool.Module = &frames{Net: b.Pool.Module, First: len(b.Stages) == 0, Mean: true}
	return &nn.Classifier{Backbone: b, Head: net.Head, HeadName: net.HeadName}
}

// frames applies a network for images to the frames of clips [N, T, C, ...].
type frames struct {
	Net   nn.Module
	First bool // clips are [N, C, T, H, W]
	Mean  bool // of what comes out over the frames
}

// Forward applies the network to N·T images.
func (f *frames) Forward(x autograd.Var) autograd.Var {
	in := x
	if f.First {
		in = autograd.PermuteCopy(x, 0, 2, 1, 3, 4)
	}
	n, t := in.Dim(0), in.Dim(1)
	images := autograd.Reshape(in, append([]int{n * t}, in.Shape()[2:]...)...)
	y := f.Net.Forward(images)
	z := autograd.Reshape(y, append([]int{n, t}, y.Shape()[1:]...)...)
	if f.Mean {
		z = autograd.MeanAxes(z, 1)
	}
	if nn.Together(f.Net)&nn.KeepsNothing != 0 { // the memory of a view goes when all have been freed
		if images.Free(); y != images {
			y.Free()
		}
		if in != x {
			in.Free()
		}
	}
	return z
}

// Promises: see [nn.Promiser].
func (f *frames) Promises(self nn.Module) nn.Promise {
	return nn.Promised[*frames](self, nn.Together(f.Net))
}

// Walk names what the network holds.
func (f *frames) Walk(w *nn.Walker) { w.Child("", f.Net) }
