package main

import (
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// trainCases are whole steps (forward, backward, update) and inferCases whole forward
// passes of networks.
var (
	trainCases = []benchCase{
		classify("train/smallcnn_b64", smallCNN, 64, 1, 28, 28),
		classify("train/net4_b100", net4, 100, 1, 28, 28),
		classify("train/resnet32_b128", resNet32, 128, 3, 32, 32),
		reconstruct("train/meta_mnist_b100", models.MetaAttackerMNIST, 100, 1, 28, 28),
		reconstruct("train/meta_cifar_b64", models.MetaAttackerCIFAR, 64, 3, 32, 32),
		reconstruct("train/meta_mnist_b1", models.MetaAttackerMNIST, 1, 1, 28, 28),
		classify("train/tiny3d_b8_16x32x32", tiny3D, 8, 3, 16, 32, 32),
	}
	inferCases = []benchCase{
		infer("infer/net4_b256", net4, 256, 1, 28, 28),
		infer("infer/net4_b1", net4, 1, 1, 28, 28),
		infer("infer/resnet32_b256", resNet32, 256, 3, 32, 32),
		infer("infer/tiny3d_b4_16x112x112", tiny3D, 4, 3, 16, 112, 112),
	}
)

func net4() nn.Module { return models.Net4(1, 10) }

func resNet32() nn.Module { return models.ResNet32(1, 10) }

func smallCNN() nn.Module {
	r := rand.New(rand.NewPCG(1, 0))
	return nn.NewSequential(
		nn.NewConv2D(r, 1, 16, 3, nn.ConvOptions{Padding: 1}), nn.NewBatchNorm(16), nn.ReLU{}, nn.MaxPool{Kernel: []int{2}},
		nn.NewConv2D(r, 16, 32, 3, nn.ConvOptions{Padding: 1}), nn.NewBatchNorm(32), nn.ReLU{}, nn.MaxPool{Kernel: []int{2}},
		nn.Flatten{}, nn.NewLinear(r, 1568, 10))
}

func tiny3D() nn.Module {
	r := rand.New(rand.NewPCG(1, 0))
	c := nn.ConvOptions{Padding: 1, NoBias: true}
	return nn.NewSequential(
		nn.NewConv3D(r, 3, 16, 3, c), nn.NewBatchNorm(16), nn.ReLU{}, nn.MaxPool{Kernel: []int{1, 2, 2}},
		nn.NewConv3D(r, 16, 32, 3, c), nn.NewBatchNorm(32), nn.ReLU{}, nn.MaxPool{Kernel: []int{2, 2, 2}},
		nn.NewConv3D(r, 32, 64, 3, c), nn.NewBatchNorm(64), nn.ReLU{},
		nn.GlobalAvgPool{}, nn.NewLinear(r, 64, 10))
}

// classify is a step of SGD on the cross-entropy of ten classes.
func classify(name string, model func() nn.Module, shape ...int) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		m := model()
		x := normal(1, shape...)
		labels := make([]int, shape[0])
		for i := range labels {
			labels[i] = i % 10
		}
		opt := optim.NewSGD(nn.Params(m), optim.SGDOptions{LR: 0.1, Momentum: 0.9, WeightDecay: 2e-4})
		tape := autograd.NewTape(autograd.Training, 1)
		return func() {
			tape.Reset()
			step(opt, tape.Gradients(nn.CrossEntropy(m.Forward(tape.Input(x)), labels)))
		}, nil
	}}
}

// reconstruct is a step of Adam on the squared distance to an image.
func reconstruct(name string, model func(seed uint64) *nn.Sequential, shape ...int) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		m := model(1)
		x, target := normal(1, shape...), normal(2, shape...)
		opt := optim.NewAdam(nn.Params(m), optim.AdamOptions{LR: 0.01})
		tape := autograd.NewTape(autograd.Training, 1)
		return func() {
			tape.Reset()
			step(opt, tape.Gradients(nn.MSE(m.Forward(tape.Input(x)), tape.Input(target))))
		}, nil
	}}
}

func step(opt optim.Optimizer, g *autograd.Gradients) {
	if err := opt.Step(g); err != nil {
		panic(err)
	}
}

func infer(name string, model func() nn.Module, shape ...int) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		m := model()
		x := normal(1, shape...)
		tape := autograd.NewTape(autograd.Inference, 0)
		return func() {
			tape.Reset()
			m.Forward(tape.Input(x))
		}, nil
	}}
}

var netCases = slices.Concat(trainCases, inferCases)
