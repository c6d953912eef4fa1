package recipes

import (
	"context"
	"math/rand/v2"

	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
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
	net, err := l.Net(ctx, j.From)
	if err != nil {
		return nil, err
	}
	train, back, err := ranked(j, d)
	if err != nil {
		return nil, err
	}
	var head nn.Module
	if j.Method == LWS {
		head = longtail.NewLWS(net.Head, train.Classes())
	} else {
		head = nn.NewLinear(rand.New(rand.NewPCG(j.Seed, 8)), net.Backbone.Width(), train.Classes())
	}
	params := longtail.Retrain(net, head, longtail.RetrainOptions{})
	s := &lesson{job: *j, net: net, opt: j.Recipe.sgd(params), train: train, group: d.Groups()}
	if s.order, err = longtail.ClassBalanced(train, longtail.SamplerOptions{Seed: j.stream()}); err != nil {
		return nil, err
	}
	if s.loss, err = losses(j, nil); err != nil {
		return nil, err
	}
	s.test = collector(net, d, d.Test, back)
	return s, nil
}

// withoutTraining tests a network in another way.
func (l *Lab) withoutTraining(ctx context.Context, j *Job, d *Data) (Result, error) {
	var r Result
	net, err := l.Net(ctx, j.From)
	if err != nil {
		return r, err
	}
	train, back, err := ranked(j, d)
	if err != nil {
		return r, err
	}
	features, err := eval.Collect(ctx, net.Backbone, d.Test, eval.Options{Transform: d.Pre.Transform()})
	if err != nil {
		return r, err
	}
	var out *eval.Outputs
	switch j.Method {
	case PostHoc:
		out = features.Through(nn.NewSequential(net.Head, longtail.PostHoc(data.ClassCounts(train), j.Tau)))
	case TauNormalized:
		out = features.Through(longtail.TauNormalized(net.Head.(*nn.Linear), j.Tau))
	default:
		known, err := eval.Collect(ctx, net.Backbone, train, eval.Options{Transform: d.Pre.Transform()})
		if err != nil {
			return r, err
		}
		ncm, err := longtail.NewNCM(known, train.Classes(), longtail.NCMOptions{Center: true, Normalize: true, Euclidean: true})
		if err != nil {
			return r, err
		}
		out = features.Through(ncm)
	}
	if back != nil {
		out = out.Through(back)
	}
	r.Report = longtail.Measure(out, d.Groups())
	return r, nil
}
