package ssl

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// LinearProbe trains a linear classifier on frozen features, the usual measure of
// self-supervised ones: by SGD with momentum 0.9 and a learning rate that falls to 0 along
// a cosine. The features, of samples without augmentation, are computed once and
// standardised by the mean and the standard deviation of each column over the training
// features.
type LinearProbe struct {
	Epochs int     `json:"epochs,omitempty"` // 0 means 100
	Batch  int     `json:"batch,omitempty"`  // 0 means 256
	LR     float64 `json:"lr,omitempty"`     // 0 means 0.1
	Decay  float64 `json:"decay,omitempty"`  // of weights; 0 means none
	Seed   uint64  `json:"seed"`

	// Order returns the samples of an epoch, such as longtail.ClassBalanced; nil shuffles.
	Order func(epoch int) []int `json:"-"`
}

func (p LinearProbe) withDefaults() LinearProbe {
	p.Epochs, p.Batch, p.LR = cmp.Or(p.Epochs, 100), cmp.Or(p.Batch, 256), cmp.Or(p.LR, 0.1)
	return p
}

// String returns the protocol, to be stated beside the accuracy.
func (p LinearProbe) String() string {
	p = p.withDefaults()
	return fmt.Sprintf("linear classifier on frozen features without augmentation, standardised; SGD momentum 0.9, rate %g to 0 by a cosine, decay %g, batch %d, %d epochs, last epoch", p.LR, p.Decay, p.Batch, p.Epochs)
}

// Fit returns a head that standardises features [N, d] and classifies them. It is an error
// if the training diverges or the context ends.
func (p LinearProbe) Fit(ctx context.Context, train *eval.Outputs, classes int) (nn.Module, error) {
	const op = "ssl.LinearProbe"
	p = p.withDefaults()
	positive(op, "Epochs", p.Epochs, "Batch", p.Batch, "LR", p.LR)
	n, d := train.Y.Dim(0), train.Y.Dim(1)
	norm := standardizer(train.Y)
	set, err := data.NewTensors(train.Y, train.Labels, classes)
	if err != nil {
		return nil, fmt.Errorf("ssl: linear probe: %w", err)
	}
	loader, err := data.NewLoader(set, data.LoaderOptions{BatchSize: min(p.Batch, n), Shuffle: p.Order == nil, Order: p.Order, Seed: p.Seed, Workers: 1})
	if err != nil {
		return nil, fmt.Errorf("ssl: linear probe: %w", err)
	}
	linear := nn.NewLinear(rand.New(rand.NewPCG(p.Seed, 1)), d, classes)
	head := nn.NewSequential(norm, linear)
	opt := optim.NewSGD(nn.Params(linear), optim.SGDOptions{LR: p.LR, Momentum: 0.9, WeightDecay: p.Decay})
	rate := optim.Cosine(p.LR, 0, p.Epochs*loader.Len())
	tape := autograd.NewTape(autograd.Training, p.Seed)
	for step := 0; step < p.Epochs*loader.Len(); {
		for b, err := range loader.Batches(ctx) {
			if err != nil {
				return nil, err
			}
			tape.Reset()
			opt.SetLR(rate(step))
			step++
			if err := opt.Step(tape.Gradients(nn.CrossEntropy(head.Forward(tape.Input(b.X)), b.Y))); err != nil {
				return nil, fmt.Errorf("ssl: linear probe: %w; try a smaller LR", err)
			}
		}
	}
	return head, nil
}

// standardizer returns a layer that takes the mean of each column of x [n, d] away and divides
// by its standard deviation.
func standardizer(x *tensor.Tensor) *nn.BatchNorm {
	n, d := x.Dim(0), x.Dim(1)
	norm := nn.NewBatchNorm(d)
	norm.Weight, norm.Bias, norm.Batches, norm.Statistics = nil, nil, nil, nn.Frozen
	norm.Eps = 1e-8
	sum, square := make([]float64, d), make([]float64, d)
	for i := range n {
		for j, v := range x.Data()[i*d:][:d] {
			sum[j] += float64(v)
			square[j] += float64(v) * float64(v)
		}
	}
	for j := range d {
		mean := sum[j] / float64(n)
		norm.RunningMean.Data()[j] = float32(mean)
		norm.RunningVar.Data()[j] = float32(max(square[j]/float64(n)-mean*mean, 0))
		if norm.RunningVar.Data()[j] < 1e-10 {
			norm.RunningVar.Data()[j] = 1 // a column that never changes stays out of it
		}
	}
	return norm
}

// An OnlineProbe is a linear classifier that learns from the features of a method's batches
// during training. It sends no gradient into them.
type OnlineProbe struct {
	Head *nn.Linear
	Opt  *optim.SGD
}

// NewOnlineProbe returns a classifier of features of width d, with SGD of momentum 0.9 and
// a learning rate of 0.1 (Opt.SetLR changes it).
func NewOnlineProbe(d, classes int, seed uint64) *OnlineProbe {
	h := nn.NewLinear(rand.New(rand.NewPCG(seed, 1)), d, classes)
	return &OnlineProbe{h, optim.NewSGD(nn.Params(h), optim.SGDOptions{LR: 0.1, Momentum: 0.9})}
}

// Step takes a training step on features [n, d], such as the first of Output.Features,
// before their tape is reset. It returns its accuracy on them before the step.
func (p *OnlineProbe) Step(features autograd.Var, labels []int) (float64, error) {
	logits := p.Head.Forward(autograd.Detach(features))
	right := nn.Accuracy(logits.Value(), labels)
	g := features.Tape().Gradients(nn.CrossEntropy(logits, labels), nn.Sources(p.Head)...)
	if err := p.Opt.Step(g); err != nil {
		return right, fmt.Errorf("ssl: online probe: %w", err)
	}
	return right, nil
}

// Walk names head and opt.
func (p *OnlineProbe) Walk(w *nn.Walker) {
	w.Child("head", p.Head)
	w.Child("opt", p.Opt)
}

// A Quality is the evaluation of features: their accuracies, the protocol, and their
// collapse.
type Quality struct {
	KNN      float64  `json:"knn"` // accuracy
	Linear   float64  `json:"linear"`
	Collapse Collapse `json:"collapse"`
	Protocol string   `json:"protocol"`
}

// MeasureQuality evaluates an encoder. Its features of the training set are the bank of kNN
// and the training data of the linear probe; accuracies are on the test set. Collapse is
// measured on the first 2,000 test features.
func MeasureQuality(ctx context.Context, e nn.Module, train, test data.Dataset, k KNN, p LinearProbe, o eval.Options) (Quality, error) {
	bank, err := eval.Collect(ctx, e, train, o)
	if err != nil {
		return Quality{}, err
	}
	queries, err := eval.Collect(ctx, e, test, o)
	if err != nil {
		return Quality{}, err
	}
	for i, v := range queries.Y.Data() {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return Quality{}, fmt.Errorf("ssl: a feature of test sample %d is %v", i/queries.Y.Dim(1), v)
		}
	}
	head, err := p.Fit(ctx, bank, train.Classes())
	if err != nil {
		return Quality{}, err
	}
	return Quality{
		KNN:      k.Votes(bank, queries, train.Classes()).Accuracy(),
		Linear:   queries.Through(head).Accuracy(),
		Collapse: MeasureCollapse(first(queries.Y, 2000)),
		Protocol: fmt.Sprintf("kNN: %v. Linear: %v. %d training and %d test samples, eval mode.", k, p, train.Len(), test.Len()),
	}, nil
}

// first returns the first n rows of x, or all.
func first(x *tensor.Tensor, n int) *tensor.Tensor { return x.Slice(0, min(n, x.Dim(0))) }
