package models

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// FlowResNet18 is the temporal stream of a two-stream network (Simonyan and Zisserman,
// 2014; Wang et al., 2016) as a [ResNet18]: it takes the given number of optical flow
// fields, [N, 2, frames, H, W], as channels of one image: first all horizontal components,
// then all vertical ones. 0 frames means 10, and 0 classes means 101. [Inflate] with option
// CrossModal converts weights of a ResNet18 for RGB. Average the logits of both streams.
// 11,281,637 parameters. It panics at a negative number of frames.
func FlowResNet18(seed uint64, frames, classes int) *nn.Classifier {
	if frames < 0 {
		tensor.Panic("models.FlowResNet18", fmt.Sprintf("%d frames", frames))
	}
	c := bigResNet(seed, []int{2, 2, 2, 2}, false, false, or(classes, 101))
	conv1 := nn.NewConv2D(nil, 2*or(frames, 10), 64, 7, nn.ConvOptions{Stride: 2, Padding: 3, NoBias: true})
	nn.KaimingNormalOut(newRand(seed), conv1.Weight)
	first := c.Backbone.Stages[0].Module.(*nn.Sequential)
	first.Layers = append([]nn.Module{stacked{}, conv1}, first.Layers[1:]...)
	first.Names = append([]string{"stack"}, first.Names...)
	return c
}

// stacked makes images [N, C·T, H, W] of clips [N, C, T, H, W].
type stacked struct{}

// Forward returns x in another shape.
func (stacked) Forward(x autograd.Var) autograd.Var {
	return autograd.Reshape(x, x.Dim(0), x.Dim(1)*x.Dim(2), x.Dim(3), x.Dim(4))
}

// Promises: see [nn.Promiser].
func (stacked) Promises(self nn.Module) nn.Promise {
	return nn.Promised[stacked](self, nn.PerExample)
}

// Walk names nothing.
func (stacked) Walk(*nn.Walker) {}
