package main

import (
	"context"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// longtailCases are the parts of Divide and Retain that take time: a step of phase II
// with student, frozen teacher and memory-retentive loss, the loss alone, an epoch of
// the loader with all of today's augmentations, and herding whole classes.
var longtailCases = []benchCase{
	{name: "longtail/phase2_resnet32_b128", setup: phaseTwo},
	{name: "longtail/retention_128x64/fwdbwd", setup: retention},
	{name: "longtail/loader_21x128", setup: augmented},
	herd("longtail/herd_500x64", 500, 64),
	herd("longtail/herd_5000x512", 5000, 512),
}

func phaseTwo() (func(), map[string]*tensor.Tensor) {
	const classes = 100
	net := models.ResNet32(1, classes)
	teacher := longtail.NewTeacher(net.Backbone)
	opt := optim.NewSGD(nn.Params(net), optim.SGDOptions{LR: 0.01, Momentum: 0.9, WeightDecay: 5e-4})
	tape := autograd.NewTape(autograd.Training, 1)
	x := normal(1, 128, 3, 32, 32)
	labels := make([]int, 128)
	for i := range labels {
		labels[i] = i % classes
	}
	return func() {
		tape.Reset()
		features := net.Backbone.Forward(tape.Input(x))
		ce := nn.CrossEntropy(net.Head.Forward(features), labels)
		step(opt, tape.Gradients(autograd.Add(ce, longtail.Retention{}.Loss(tape.Input(teacher.Of(x)), features))))
	}, nil
}

func retention() (func(), map[string]*tensor.Tensor) {
	old, current := normal(1, 128, 64), autograd.NewParam(normal(2, 128, 64))
	tape := autograd.NewTape(autograd.Training, 1)
	return func() {
		tape.Reset()
		tape.Gradients(longtail.Retention{}.Loss(tape.Input(old), tape.Param(current)))
	}, nil
}

// augmented is an epoch of 21 batches of 128 of the 2,723 pictures that phase II has of
// CIFAR100-LT with 20 exemplars per class.
func augmented() (func(), map[string]*tensor.Tensor) {
	third := []float32{1. / 3, 1. / 3, 1. / 3}
	l, err := data.NewLoader(noise(2723, 32), data.LoaderOptions{BatchSize: 128, Shuffle: true, Seed: 1, DropLast: true, Transform: data.Compose(
		data.RandomCrop{Padding: 4}, data.RandomHorizontalFlip{}, data.AutoAugment{}, data.Normalize{Mean: third, Std: third}, data.Cutout{})})
	if err != nil {
		panic(err)
	}
	return func() {
		for _, err := range l.Batches(context.Background()) {
			if err != nil {
				panic(err)
			}
		}
	}, nil
}

// noise are n pictures of 8 bits, 3 x size x size, of one class.
func noise(n, size int) *data.Images {
	rng := rand.New(rand.NewPCG(1, 1))
	pixels := make([]byte, n*3*size*size)
	for i := range pixels {
		pixels[i] = byte(rng.Uint32())
	}
	d, err := data.NewImages(pixels, make([]int, n), []int{3, size, size}, 1)
	if err != nil {
		panic(err)
	}
	return d
}

// herd orders a whole class.
func herd(name string, n, d int) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		x := normal(1, n, d)
		return func() { longtail.Herd{}.Select(x, n, 0) }, nil
	}}
}
