package longtail_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

const classes = 10

// clouds returns Gaussian clouds in 16 dimensions, so many samples of each class.
func clouds(counts []int, seed uint64) data.Dataset {
	centres := rand.New(rand.NewPCG(1, 1)) // the same for every seed
	rng := rand.New(rand.NewPCG(seed, 2))
	var x []float32
	var y []int
	for c, n := range counts {
		var centre [16]float64
		for j := range centre {
			centre[j] = 0.8 * centres.NormFloat64()
		}
		for range n {
			for _, v := range centre {
				x = append(x, float32(v+rng.NormFloat64()))
			}
			y = append(y, c)
		}
	}
	d, err := data.NewTensors(tensor.FromSlice(x, len(y), 16), y, len(counts))
	if err != nil {
		log.Fatal(err)
	}
	return d
}

// network is a perceptron with 32 features.
func network(seed uint64, classes int) *nn.Classifier {
	rng := rand.New(rand.NewPCG(seed, 3))
	return &nn.Classifier{
		Backbone: &nn.Backbone{
			Stages: []nn.Stage{{Name: "fc1", Width: 48, Module: nn.NewLinear(rng, 16, 48)}, {Name: "bn1", Width: 48, Module: nn.NewBatchNorm(48)}},
			Pool:   nn.Stage{Name: "fc2", Width: 32, Module: nn.NewSequential(nn.ReLU{}, nn.NewLinear(rng, 48, 32), nn.Tanh{})},
		},
		Head: nn.NewLinear(rng, 32, classes), HeadName: "fc3",
	}
}

// A run is one of the two phases, or a joint training.
type run struct {
	net    *nn.Classifier
	tape   *autograd.Tape
	opt    *optim.SGD
	loader *data.Loader
	lr     float64
	stop   func(step int) error // if not nil, is asked after each step
}

func newRun(net *nn.Classifier, d data.Dataset, order longtail.Order, lr float64, seed uint64) (*run, error) {
	loader, err := data.NewLoader(d, data.LoaderOptions{BatchSize: 32, DropLast: true, Order: order})
	opt := optim.NewSGD(nn.Params(net), optim.SGDOptions{LR: lr, Momentum: 0.9, WeightDecay: 5e-4})
	return &run{net: net, tape: autograd.NewTape(autograd.Training, seed), opt: opt, loader: loader, lr: lr}, err
}

// train goes on from where the loader is to the end of n epochs, by the loss that it is
// given of features, logits and labels.
func (r *run) train(ctx context.Context, n int, loss func(b data.Batch, features, logits autograd.Var) autograd.Var) error {
	schedule := optim.Cosine(r.lr, 0, n*r.loader.Len())
	epoch, batch := r.loader.Position()
	for step := epoch*r.loader.Len() + batch; step < n*r.loader.Len(); {
		for batch, err := range r.loader.Batches(ctx) {
			if err != nil {
				return err
			}
			r.opt.SetLR(schedule(step))
			features := r.net.Backbone.Forward(r.tape.Input(batch.X))
			g := r.tape.Gradients(loss(batch, features, r.net.Head.Forward(features)))
			if err := r.opt.Step(g); err != nil {
				return err // the loss is not finite
			}
			r.tape.Reset()
			if step++; r.stop != nil {
				if err := r.stop(step); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// divideAndRetain trains in two phases and returns a network whose logits are by class.
func divideAndRetain(ctx context.Context, train data.Dataset, seed uint64) (nn.Module, error) {
	counts, err := longtail.Counts(train)
	if err != nil {
		return nil, err
	}
	split, err := longtail.SplitByCount(counts, 60)
	if err != nil {
		return nil, err
	}

	// Phase I: the head alone.
	head := split.Head(train)
	order, err := longtail.Instance(head, longtail.SamplerOptions{Seed: seed})
	if err != nil {
		return nil, err
	}
	net := network(seed, split.Point)
	one, err := newRun(net, head, order, 0.1, seed)
	if err != nil {
		return nil, err
	}
	err = one.train(ctx, 20, func(b data.Batch, _, logits autograd.Var) autograd.Var {
		return nn.CrossEntropy(logits, b.Y)
	})
	if err != nil {
		return nil, err
	}

	// Between the phases: a bank of the head, a teacher, a head for all classes.
	features, err := eval.Collect(ctx, net.Backbone, split.Ranked(train), eval.Options{})
	if err != nil {
		return nil, err
	}
	bank, err := longtail.NewBank(features, split, longtail.BankOptions{PerClass: 40})
	if err != nil {
		return nil, err
	}
	teacher := longtail.NewTeacher(net.Backbone)
	net.Head = longtail.Grow(net.Head.(*nn.Linear), len(counts), longtail.GrowOptions{Seed: seed})

	// Phase II: the bank and the tail.
	pool := split.Pool(train, bank)
	if order, err = longtail.ClassBalanced(pool, longtail.SamplerOptions{Seed: seed + 1}); err != nil {
		return nil, err
	}
	two, err := newRun(net, pool, order, 0.02, seed+1)
	if err != nil {
		return nil, err
	}
	retention := longtail.Retention{}
	const lambda = 1
	err = two.train(ctx, 30, func(b data.Batch, features, logits autograd.Var) autograd.Var {
		old := two.tape.Input(teacher.Of(b.X))
		return autograd.Add(nn.CrossEntropy(logits, b.Y), autograd.Scale(retention.Loss(old, features), lambda))
	})
	return nn.NewSequential(net, split.ByClass()), err
}

// joint trains on all classes at once.
func joint(ctx context.Context, train data.Dataset, loss longtail.Loss, seed uint64) (*nn.Classifier, error) {
	order, err := longtail.Instance(train, longtail.SamplerOptions{Seed: seed})
	if err != nil {
		return nil, err
	}
	net := network(seed, classes)
	r, err := newRun(net, train, order, 0.1, seed)
	if err != nil {
		return nil, err
	}
	return net, r.train(ctx, 20, func(b data.Batch, _, logits autograd.Var) autograd.Var { return loss(logits, b.Y) })
}

func report(ctx context.Context, net nn.Module, counts []int) (longtail.Report, error) {
	even := make([]int, len(counts))
	for c := range even {
		even[c] = 100
	}
	out, err := eval.Collect(ctx, net, clouds(even, 99), eval.Options{})
	if err != nil {
		return longtail.Report{}, err
	}
	return longtail.Measure(out, longtail.Shots.Groups(counts)), nil
}

// Clouds with imbalance 100 are learned by cross-entropy, and by Divide and Retain.
func Example() {
	ctx := context.Background()
	counts, err := longtail.Exponential{Imbalance: 100}.Counts(classes, 300)
	if err != nil {
		log.Fatal(err)
	}
	train := clouds(counts, 7)
	plain, err := joint(ctx, train, nn.CrossEntropy, 1)
	if err != nil {
		log.Fatal(err)
	}
	dual, err := divideAndRetain(ctx, train, 1)
	if err != nil {
		log.Fatal(err)
	}
	before, err := report(ctx, plain, counts)
	if err != nil {
		log.Fatal(err)
	}
	after, err := report(ctx, dual, counts)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("samples:", counts)
	fmt.Println("few-shot classes gain more than 10 points:", *after.Few > *before.Few+0.1)
	fmt.Println("all classes gain:", after.Acc > before.Acc)
	// Output:
	// samples: [300 179 107 64 38 23 13 8 5 3]
	// few-shot classes gain more than 10 points: true
	// all classes gain: true
}
