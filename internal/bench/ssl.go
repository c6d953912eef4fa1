package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval/tsne"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/ssl"
	"github.com/mettleml/mettle/tensor"
)

// sslCases are steps of self-supervised methods, what makes their views, and t-SNE.
// peers/selfsup.py has them in PyTorch, torchvision and scikit-learn.
var sslCases = []benchCase{
	sslStep("ssl/simclr_resnet32_b128", func(e ssl.Encoder) ssl.Method { return ssl.NewSimCLR(e, ssl.SimCLROptions{}) }),
	sslStep("ssl/moco2_resnet32_b128", func(e ssl.Encoder) ssl.Method { return ssl.NewMoCo(e, ssl.MoCoOptions{Queue: 4096}) }),
	sslStep("ssl/byol_resnet32_b128", func(e ssl.Encoder) ssl.Method { return ssl.NewBYOL(e, ssl.BYOLOptions{}) }),
	sslStep("ssl/simsiam_resnet32_b128", func(e ssl.Encoder) ssl.Method { return ssl.NewSimSiam(e, ssl.SimSiamOptions{}) }),
	sslStep("ssl/barlow_resnet32_b128", func(e ssl.Encoder) ssl.Method { return ssl.NewBarlow(e, ssl.BarlowOptions{}) }),
	augment("ssl/augment_simclr_32_b128", 128, 32, ssl.CIFARViews()),
	augment("ssl/augment_simclr_224_b8", 8, 224, ssl.SimCLRViews(224, 1)),
	embed("ssl/tsne_2000x250", 2000),
	embed("ssl/tsne_10000x250", 10000),
}

// sslStep is a whole step on two views of 128 images: forward, backward, update.
func sslStep(name string, method func(e ssl.Encoder) ssl.Method) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		const n = 128
		e := models.ResNet32(1, 10).Backbone
		m := method(e)
		b := data.Batch{X: normal(1, 2*n, 3, 32, 32), Y: make([]int, n)}
		opt := optim.NewSGD(ssl.Trainable(e, m), optim.SGDOptions{LR: 0.03, Momentum: 0.9, WeightDecay: 5e-4})
		tape := autograd.NewTape(autograd.Training, 1)
		return func() {
			if _, err := ssl.Step(tape, m, opt, b); err != nil {
				panic(err)
			}
		}, nil
	}}
}

// augment makes two views of n images of 8 bits, on one core.
func augment(name string, n, size int, v ssl.Views) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		set, rng := noise(n, size), rand.New(rand.NewPCG(1, 0))
		views := v.Normalized([]float32{0.5}, []float32{0.25}).Transforms(3, 2)
		raw, out := tensor.New(3, size, size), tensor.New(3, size, size)
		return func() {
			for i := range n {
				if err := set.Read(i, raw); err != nil {
					panic(err)
				}
				for _, t := range views {
					t.Apply(out, raw, rng)
				}
			}
		}, nil
	}}
}

// embed is t-SNE of n points about ten centres in 64 dimensions.
func embed(name string, n int) benchCase {
	return benchCase{name: name, setup: func() (func(), map[string]*tensor.Tensor) {
		x, centres := normal(1, n, 64), normal(2, 10, 64)
		for i := range x.Data() {
			x.Data()[i] += 2 * centres.Data()[i/64%10*64+i%64]
		}
		return func() {
			if _, err := tsne.Embed(context.Background(), x, tsne.Options{Iterations: 250}); err != nil {
				panic(fmt.Sprint(name, ": ", err))
			}
		}, nil
	}}
}
