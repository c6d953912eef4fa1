package recipes

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/optim"
)

// ranked returns the training set with the labels that a network counts by, and what
// brings its logits back to the order of classes.
func ranked(j *Job, d *Data) (data.Dataset, nn.Module, error) {
	two := j
	for two != nil && two.Method != PhaseTwo {
		two = two.From
	}
	if two == nil {
		return d.Train.Data, nil, nil
	}
	split, err := longtail.SplitByRank(d.Train.Counts, two.Point)
	if err != nil {
		return nil, nil, err
	}
	return split.Ranked(d.Train.Data), split.ByClass(), nil
}

// retrain trains a new classifier on a frozen backbone, or factors of the old one's
// logits, with samples balanced over classes.
func (l *Lab) retrain(ctx context.Context, j *Job, d *Data) (*lesson, error) {
	net, err := l.Classifier(ctx, j.From)
	if err != nil {
		return nil, err
	}
	train, back, err := ranked(j, d)
	if err != nil {
		return nil, err
	}
	var head nn.Module
	if j.Method == CRT {
		head = nn.NewLinear(rand.New(rand.NewPCG(j.Seed, 8)), net.Backbone.Width(), train.Classes())
	} else {
		head = longtail.NewLWS(net.Head, train.Classes())
	}
	params := longtail.Retrain(net, head, longtail.RetrainOptions{ShiftStatistics: j.Method == MiSLAS})
	s := &lesson{job: *j, net: net, opt: j.Recipe.sgd(params), train: train, group: d.Groups()}
	if lws, ok := head.(*longtail.LWS); ok && j.Method == MiSLAS { // the classifier learns too, at a fifth of the rate
		nn.SetFrozen(lws.Head, false)
		slow := j.Recipe
		slow.LR *= 0.2
		s.opt = optim.Join(j.Recipe.sgd([]*autograd.Param{lws.Scale}), slow.sgd(nn.Params(lws.Head)))
	}
	if s.order, err = longtail.ClassBalanced(train, longtail.SamplerOptions{Seed: j.stream()}); err != nil {
		return nil, err
	}
	if s.loss, err = losses(j, data.ClassCounts(train)); err != nil {
		return nil, err
	}
	s.test = collector(net, d, d.Test, back)
	return s, nil
}

// withoutTraining tests a network in another way.
func (l *Lab) withoutTraining(ctx context.Context, j *Job, d *Data) (Result, error) {
	out, err := l.outputs(ctx, j, d)
	if err != nil {
		return Result{}, err
	}
	return Result{Report: longtail.Measure(out, d.Groups())}, nil
}

// Outputs are the logits of the test set by the network of a job, in the order of classes;
// of phase I those of the head classes, by rank, and of a Pretrain the votes of kNN.
func (l *Lab) Outputs(ctx context.Context, j *Job) (*eval.Outputs, error) {
	d, err := l.dataOf(j)
	if err != nil {
		return nil, err
	}
	return l.outputs(ctx, j, d)
}

func (l *Lab) outputs(ctx context.Context, j *Job, d *Data) (*eval.Outputs, error) {
	from := j
	if !j.trains() {
		from = j.From
	}
	net, err := l.Net(ctx, from)
	if err != nil {
		return nil, err
	}
	test := d.Test
	if j.Method == PhaseOne {
		split, err := longtail.SplitByRank(d.Train.Counts, j.Point)
		if err != nil {
			return nil, err
		}
		test = split.Head(test)
	}
	train, back, err := ranked(j, d)
	if err != nil {
		return nil, err
	}
	c, ok := net.(*nn.Classifier)
	if !ok && j.trains() {
		return collector(net, d, test, nil)(ctx)
	}
	if !ok {
		return nil, fmt.Errorf("%s takes a network with one classifier, and %s has several", j.Method, from.Method)
	}
	if j.Method == Pretrain {
		return votes(ctx, c, d)
	}
	features, err := eval.Collect(ctx, c.Backbone, test, eval.Options{Transform: d.Pre.Transform()})
	if err != nil {
		return nil, err
	}
	head := c.Head
	switch j.Method {
	case PostHoc:
		head = nn.NewSequential(head, longtail.PostHoc(data.ClassCounts(train), j.Tau))
	case TauNormalized:
		l, ok := head.(*nn.Linear)
		if !ok {
			return nil, fmt.Errorf("%s takes a network with a linear classifier, and %s has none", j.Method, from.Method)
		}
		head = longtail.TauNormalized(l, j.Tau)
	case NCM:
		known, err := eval.Collect(ctx, c.Backbone, train, eval.Options{Transform: d.Pre.Transform()})
		if err != nil {
			return nil, err
		}
		if head, err = longtail.NewNCM(known, train.Classes(), longtail.NCMOptions{Center: true, Normalize: true, Euclidean: true}); err != nil {
			return nil, err
		}
	}
	out := features.Through(head)
	if then := j.then(); then != nil {
		out = out.Through(then)
	}
	if back != nil {
		out = out.Through(back)
	}
	return out, nil
}
