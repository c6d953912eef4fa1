package recipes

import (
	"context"
	"fmt"

	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
)

// start is the network that a joint training begins with: a new one, with the backbone of the
// job before it if there is one.
func (l *Lab) start(ctx context.Context, j *Job, d *Data) (*nn.Classifier, error) {
	module, err := blank(j, d)
	if err != nil {
		return nil, err
	}
	net, ok := module.(*nn.Classifier)
	if !ok {
		return nil, fmt.Errorf("method %s takes a network with one classifier", j.Method)
	}
	if j.From != nil {
		before, err := l.Classifier(ctx, j.From)
		if err != nil {
			return nil, err
		}
		net.Backbone = before.Backbone
	}
	if j.Start != "" {
		before, ok := l.starts[j.Start]
		if !ok {
			return nil, fmt.Errorf("%s: the network that it begins with is not there", j.Label())
		}
		net.Backbone = nn.Clone(before).Backbone
	}
	return net, nil
}

// begin is usual with the network that the job begins with.
func (l *Lab) begin(ctx context.Context, j *Job, d *Data) (*nn.Classifier, *lesson, error) {
	net, err := l.start(ctx, j, d)
	if err != nil {
		return nil, nil, err
	}
	s, err := usual(j, d, net)
	return net, s, err
}

// joint trains on all classes at once.
func (l *Lab) joint(ctx context.Context, j *Job, d *Data) (*lesson, error) {
	net, s, err := l.begin(ctx, j, d)
	if err != nil {
		return nil, err
	}
	if j.Method == Resampled {
		if s.order, err = longtail.ClassBalanced(s.train, longtail.SamplerOptions{Seed: j.stream()}); err != nil {
			return nil, err
		}
	}
	if s.loss, err = losses(j, d.Train.Counts); err != nil {
		return nil, err
	}
	if j.Probe > 0 {
		split, err := longtail.SplitByRank(d.Train.Counts, d.Head())
		if err != nil {
			return nil, err
		}
		isHead := func(class int) bool { return split.IsHead(split.Rank[class]) }
		if s.probe, err = prober(net, d, d.Train.Data, isHead, j.Seed); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// usual is a training on all samples as they come.
func usual(j *Job, d *Data, net nn.Module) (*lesson, error) {
	s := &lesson{job: *j, net: net, opt: j.Recipe.sgd(nn.Params(net)), train: d.Train.Data, group: d.Groups(), test: collector(net, d, d.Test, j.then())}
	var err error
	s.order, err = longtail.Instance(s.train, longtail.SamplerOptions{Seed: j.stream()})
	return s, err
}

// losses are the loss of each epoch of a method, by the samples of the classes.
func losses(j *Job, counts []int) (func(epoch int) longtail.Loss, error) {
	always := func(loss longtail.Loss) (func(int) longtail.Loss, error) {
		return func(int) longtail.Loss { return loss }, nil
	}
	switch j.classifier() {
	case CE, Resampled, PhaseOne, CRT, LWS, BBN, RIDE, ProCo: // the last three have losses of their own beside it
		return always(nn.CrossEntropy)
	case MiSLAS:
		return always(longtail.LabelAwareSmoothing(counts, 0.4, 0.1))
	case Focal:
		return always(longtail.Focal(1, longtail.FocalOptions{}))
	case ClassBalanced:
		return always(longtail.CrossEntropy(longtail.EffectiveWeights(counts, 0.9999)))
	case BalancedSoftmax:
		return always(longtail.BalancedSoftmax(counts))
	case LogitAdjustment:
		return always(longtail.LogitAdjustment(counts, j.Tau))
	case LDAM:
		return always(longtail.LDAM(counts, longtail.LDAMOptions{}))
	case LDAMDRW:
		before := longtail.LDAM(counts, longtail.LDAMOptions{})
		start := max(j.Recipe.Epochs*8/10, 1)
		after := longtail.LDAM(counts, longtail.LDAMOptions{Weights: longtail.DRW{Start: start}.Weights(counts, start)})
		return func(epoch int) longtail.Loss {
			if epoch < start {
				return before
			}
			return after
		}, nil
	}
	return nil, fmt.Errorf("there is no method %q", j.Method)
}

// Groups are the classes by shot.
func (d *Data) Groups() longtail.Groups { return longtail.Shots.Groups(d.Train.Counts) }

// Head is the number of many-shot classes: the head, unless a point says otherwise. Where
// all or none are many-shot it is all but one, or one.
func (d *Data) Head() int { return min(max(len(d.Groups().Many), 1), len(d.Train.Counts)-1) }

// prober measures the distortion of the gradients to all parameters, of 1,024 samples
// without random transforms.
func prober(net nn.Module, d *Data, train data.Dataset, isHead func(int) bool, seed uint64) (func(context.Context) (*longtail.Distortion, error), error) {
	at, err := longtail.ProbeSamples(train, 0, seed)
	if err != nil {
		return nil, err
	}
	some := data.Subset(train, at)
	probe := longtail.NewProbe(nn.Params(net), isHead)
	return func(ctx context.Context) (*longtail.Distortion, error) {
		m, ok, err := probe.Measure(ctx, net, some, longtail.ProbeOptions{Transform: d.Pre.Transform()})
		if err != nil || !ok {
			return nil, err
		}
		return &m, nil
	}, nil
}
