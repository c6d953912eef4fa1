package longtail_test

import (
	"context"
	"fmt"
	"iter"
	"log"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// A step of BBN takes a batch from each of two loaders, whose epochs are equally long.
func ExampleBBN() {
	ctx := context.Background()
	n, err := longtail.Exponential{Imbalance: 100}.Counts(classes, 300)
	if err != nil {
		log.Fatal(err)
	}
	train := clouds(n, 7)
	var loaders []*data.Loader
	for _, sampler := range []func(data.Dataset, longtail.SamplerOptions) (longtail.Order, error){longtail.Instance, longtail.Reversed} {
		order, err := sampler(train, longtail.SamplerOptions{Seed: 1})
		if err != nil {
			log.Fatal(err)
		}
		l, err := data.NewLoader(train, data.LoaderOptions{BatchSize: 32, DropLast: true, Order: order})
		if err != nil {
			log.Fatal(err)
		}
		loaders = append(loaders, l)
	}
	// For images of 32 pixels there is BBNResNet32.
	net := longtail.Fork(longtail.ForkPoint{Stage: "bn1"}, network(1, classes), network(2, classes))
	opt := optim.NewSGD(nn.Params(net), optim.SGDOptions{LR: 0.1, Momentum: 0.9, WeightDecay: 2e-4})
	tape := autograd.NewTape(autograd.Training, 1)
	const epochs = 20
	for epoch := range epochs {
		alpha := longtail.Cumulative(epoch, epochs)
		next, stop := iter.Pull2(loaders[1].Batches(ctx))
		for usual, err := range loaders[0].Batches(ctx) {
			if err != nil {
				log.Fatal(err)
			}
			reversed, err, _ := next()
			if err != nil {
				log.Fatal(err)
			}
			z1 := net.Branch(0).Forward(tape.Input(usual.X))
			z2 := net.Branch(1).Forward(tape.Input(reversed.X))
			loss := longtail.BBN(nn.CrossEntropy, alpha, z1, usual.Y, z2, reversed.Y)
			if err := opt.Step(tape.Gradients(loss)); err != nil {
				log.Fatal(err)
			}
			tape.Reset()
		}
		stop()
	}
	usual, err := report(ctx, net.Branch(0), n)
	if err != nil {
		log.Fatal(err)
	}
	reversed, err := report(ctx, net.Branch(1), n)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("many-shot classes are the first branch's:", *usual.Many > *reversed.Many+0.1)
	fmt.Println("few-shot classes are the second branch's:", *reversed.Few > *usual.Few+0.1)
	// Output:
	// many-shot classes are the first branch's: true
	// few-shot classes are the second branch's: true
}

// MiSLAS (Zhong et al., 2021) trains with mixup first. Its second stage shows samples of
// all classes equally often, smooths the labels of large classes more, and trains scales of
// the classes fast and the classifier slowly, while the backbone only moves its batch
// statistics.
func ExampleRetrain_miSLAS() {
	ctx := context.Background()
	n, err := longtail.Exponential{Imbalance: 100}.Counts(classes, 300)
	if err != nil {
		log.Fatal(err)
	}
	train := clouds(n, 7)

	// Stage one: mixup, samples as they come.
	net := network(1, classes)
	order, err := longtail.Instance(train, longtail.SamplerOptions{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	one, err := newRun(net, train, order, 0.1, 1)
	if err != nil {
		log.Fatal(err)
	}
	mixed := tensor.New(32, 16)
	err = one.train(ctx, 40, func(b data.Batch, _, _ autograd.Var) autograd.Var {
		copy(mixed.Data(), b.X.Data())
		pairs := data.Mixup{}.Mix(mixed, b.Y, 1, one.tape.Step())
		return longtail.Mixed(nn.CrossEntropy, net.Forward(one.tape.Input(mixed)), pairs)
	})
	if err != nil {
		log.Fatal(err)
	}
	before, err := report(ctx, net, n)
	if err != nil {
		log.Fatal(err)
	}

	// Stage two: scales at the full rate, the classifier at a fifth of it.
	head := longtail.NewLWS(net.Head, classes)
	nn.SetFrozen(head.Head, false)
	longtail.Retrain(net, head, longtail.RetrainOptions{ShiftStatistics: true})
	if order, err = longtail.ClassBalanced(train, longtail.SamplerOptions{Seed: 2}); err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(train, data.LoaderOptions{BatchSize: 32, DropLast: true, Order: order})
	if err != nil {
		log.Fatal(err)
	}
	opt := optim.Join(
		optim.NewSGD([]*autograd.Param{head.Scale}, optim.SGDOptions{LR: 0.1, Momentum: 0.9, WeightDecay: 5e-4}),
		optim.NewSGD(nn.Params(head.Head), optim.SGDOptions{LR: 0.2 * 0.1, Momentum: 0.9, WeightDecay: 5e-4}))
	loss := longtail.LabelAwareSmoothing(n, 0.4, 0.1)
	schedule := optim.Cosine(0.1, 0, 10)
	tape := autograd.NewTape(autograd.Training, 2)
	for epoch := range 10 {
		opt.SetLR(schedule(epoch))
		for b, err := range loader.Batches(ctx) {
			if err != nil {
				log.Fatal(err)
			}
			if err := opt.Step(tape.Gradients(loss(net.Forward(tape.Input(b.X)), b.Y))); err != nil {
				log.Fatal(err)
			}
			tape.Reset()
		}
	}
	after, err := report(ctx, net, n)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("few-shot classes gain more than 10 points:", *after.Few > *before.Few+0.1)
	fmt.Println("all classes gain:", after.Acc > before.Acc)
	// Output:
	// few-shot classes gain more than 10 points: true
	// all classes gain: true
}
