package recipes

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// Rules are the ways to fill the exemplar bank, by their names in [Second.Rule].
var Rules = map[string]longtail.Rule{
	"":          longtail.Herd{},
	"herd":      longtail.Herd{},
	"remaining": longtail.Herd{Prototype: longtail.Remaining},
	"selected":  longtail.Herd{Prototype: longtail.Selected},
	"nearest":   longtail.Nearest{},
	"random":    longtail.Random{},
	"k-center":  longtail.KCenter{},
	"k-medoids": longtail.KMedoids{},
}

// phaseOne trains on the head classes alone.
func (l *Lab) phaseOne(j *Job, d *Data) (*lesson, error) {
	split, err := longtail.SplitByRank(d.Train.Counts, j.Point)
	if err != nil {
		return nil, err
	}
	net, err := blank(j, d)
	if err != nil {
		return nil, err
	}
	s := &lesson{job: *j, net: net, opt: j.Recipe.sgd(nn.Params(net)), train: split.Head(d.Train.Data)}
	s.group = longtail.Shots.Groups(data.ClassCounts(s.train))
	if s.order, err = longtail.Instance(s.train, longtail.SamplerOptions{Seed: j.stream()}); err != nil {
		return nil, err
	}
	if s.loss, err = losses(j, nil); err != nil {
		return nil, err
	}
	s.test = collector(net, d, split.Head(d.Test), nil)
	return s, nil
}

// phaseTwo grows the network of phase I to all classes, and trains it on the exemplar
// bank and the tail under retention.
func (l *Lab) phaseTwo(ctx context.Context, j *Job, d *Data) (*lesson, error) {
	split, err := longtail.SplitByRank(d.Train.Counts, j.Point)
	if err != nil {
		return nil, err
	}
	net, err := l.Classifier(ctx, j.From)
	if err != nil {
		return nil, err
	}
	two := j.Two
	features, err := eval.Collect(ctx, net.Backbone, split.Ranked(d.Train.Data), eval.Options{Transform: d.Pre.Transform()})
	if err != nil {
		return nil, err
	}
	bank, err := longtail.NewBank(features, split, longtail.BankOptions{Rule: Rules[two.Rule], PerClass: two.PerClass, Whole: true, Seed: j.Seed})
	if err != nil {
		return nil, err
	}
	pool := split.Pool(d.Train.Data, bank)
	counts := data.ClassCounts(pool)

	old := longtail.NewTeacher(net.Backbone)
	oldHead := longtail.NewTeacher(net.Head)
	if net.Head, err = grow(j, net, features, split, len(counts)); err != nil {
		return nil, err
	}
	if two.Statistics == "frozen" {
		nn.SetStatistics(net, nn.Frozen)
	}
	s := &lesson{job: *j, net: net, train: pool, group: d.Groups()}
	s.result.Bank, s.result.Pool = bank.Len(), pool.Len()
	if s.order, err = sampler(two, pool, j.stream()); err != nil {
		return nil, err
	}
	var classify longtail.Loss = nn.CrossEntropy
	if two.Loss == BalancedSoftmax {
		classify = longtail.BalancedSoftmax(counts)
	}
	s.loss = func(int) longtail.Loss { return classify }
	if two.Lambda > 0 || two.Distill > 0 {
		s.retain = func(x *tensor.Tensor, features, logits autograd.Var) autograd.Var {
			before := old.Of(x)
			var sum autograd.Var
			if two.Lambda > 0 {
				sum = autograd.Scale(two.Retention.Loss(onTape(features, before), features), float32(two.Lambda))
			}
			if two.Distill > 0 {
				d := autograd.Scale(longtail.Distill(onTape(logits, oldHead.Of(before)), logits, 2), float32(two.Distill))
				if two.Lambda > 0 {
					d = autograd.Add(sum, d)
				}
				sum = d
			}
			return sum
		}
	}
	if rate := cmp.Or(two.Backbone, 1); rate == 1 {
		s.opt = j.Recipe.sgd(nn.Params(net))
	} else {
		slow := j.Recipe
		slow.LR *= rate
		s.opt = optim.Join(j.Recipe.sgd(nn.Params(net.Head)), slow.sgd(nn.Params(net.Backbone)))
	}
	s.test = collector(net, d, d.Test, split.ByClass())
	if j.Probe > 0 {
		s.probe, err = prober(net, d, split.Ranked(d.Train.Data), split.IsHead, j.Seed)
	}
	return s, err
}

// onTape puts what a teacher made on the tape of v.
func onTape(v autograd.Var, t *tensor.Tensor) autograd.Var { return v.Tape().Input(t) }

// grow is the classifier of phase II.
func grow(j *Job, net *nn.Classifier, features *eval.Outputs, split *longtail.Split, classes int) (nn.Module, error) {
	o := longtail.GrowOptions{Seed: j.stream()}
	switch j.Two.Rows {
	case "zero":
		o.Rows = longtail.ZeroRows
	case "imprint":
		o.Rows = longtail.ImprintRows
		means, err := longtail.ClassMeans(features, classes)
		if err != nil {
			return nil, err
		}
		o.Means = means.Slice(split.Point, classes)
	}
	return longtail.Grow(net.Head.(*nn.Linear), classes, o), nil
}

// sampler is the order of phase II.
func sampler(two *Second, pool data.Dataset, seed uint64) (longtail.Order, error) {
	o := longtail.SamplerOptions{Seed: seed, WithReplacement: two.Replace}
	switch two.Sampler {
	case "square-root":
		return longtail.SquareRoot(pool, o)
	case "instance":
		return longtail.Instance(pool, o)
	}
	return longtail.ClassBalanced(pool, o)
}

// check returns an error if an option has a value that it cannot have.
func (s *Second) check() error {
	if _, ok := Rules[s.Rule]; !ok {
		return fmt.Errorf("rule %q for the bank: there are %v", s.Rule, slices.Sorted(maps.Keys(Rules)))
	}
	for _, o := range []struct {
		name, value string
		values      []string
	}{
		{"sampler", s.Sampler, []string{"balanced", "square-root", "instance"}},
		{"loss", s.Loss, []string{CE, BalancedSoftmax}},
		{"new rows", s.Rows, []string{"", "zero", "imprint"}},
		{"statistics", s.Statistics, []string{"", "frozen"}},
	} {
		if !slices.Contains(o.values, o.value) {
			return fmt.Errorf("%s %q of phase II: there are %v", o.name, o.value, o.values)
		}
	}
	return nil
}
