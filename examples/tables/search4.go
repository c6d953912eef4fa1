package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/longtail"
)

// An arm is a setting that is tried.
type arm4 struct {
	title   string
	setting recipes.Dual
	job     *recipes.Job
}

// searches are the rounds of the search. Each changes what the winner of those before it
// had, and keeps the best on held-out data. All arms take the same image-steps.
var searches = []func(best recipes.Dual, classes int) []arm4{
	func(b recipes.Dual, classes int) []arm4 { // bank, sampler and loss
		var list []arm4
		for _, m := range []int{20, 100, recipes.All} {
			for _, how := range [][2]string{{"balanced", "ce"}, {"instance", recipes.BalancedSoftmax}} {
				c := b
				c.Two.PerClass, c.Two.Sampler, c.Two.Loss = m, how[0], how[1]
				name := fmt.Sprint(m)
				if m == recipes.All {
					name = "all"
				}
				list = append(list, arm4{title: fmt.Sprintf("bank of %s per class, %s sampling, %s", name, how[0], how[1]), setting: c})
			}
		}
		return list
	},
	func(b recipes.Dual, classes int) []arm4 { // what retains
		none := b
		none.Two.Retention, none.Two.Lambda = nil, 0
		list := []arm4{{title: "no retention", setting: none}}
		for _, v := range []longtail.Variant{longtail.Features, longtail.Relation} {
			c := b
			c.Two.Retention = &longtail.Retention{Variant: v}
			list = append(list, arm4{title: "variant " + v.String(), setting: c})
		}
		c := none
		c.Two.Distill = 1
		list = append(list, arm4{title: "logits (LwF)", setting: c})
		c = b
		c.Two.Distill = 1
		return append(list, arm4{title: "graph and logits", setting: c})
	},
	func(b recipes.Dual, classes int) []arm4 { // how strongly
		var list []arm4
		for _, f := range []float64{0.3, 3} {
			c := b
			c.Two.Lambda, c.Two.Distill = f*b.Two.Lambda, f*b.Two.Distill
			list = append(list, arm4{title: fmt.Sprintf("%g times as strongly", f), setting: c})
		}
		return list
	},
	func(b recipes.Dual, classes int) []arm4 { // the point
		var list []arm4
		for _, k := range []int{20, 50, 69, 85} {
			c := b
			c.Point = hundredths(k, classes)
			list = append(list, arm4{title: fmt.Sprintf("%d head classes", c.Point), setting: c})
		}
		return list
	},
	func(b recipes.Dual, classes int) []arm4 { // the two phases' shares, and the rate of the second
		var list []arm4
		for _, v := range []struct{ share, rate float64 }{{0.3, 0}, {0.7, 0}, {b.Share, 0.03}, {0.7, 0.03}, {0.8, 0.01}} {
			c := b
			c.Share, c.LR = v.share, v.rate
			title := fmt.Sprintf("%g of the steps in phase I", c.Share)
			if c.LR > 0 {
				title += fmt.Sprintf(", rate %g in phase II", c.LR)
			}
			list = append(list, arm4{title: title, setting: c})
		}
		return list
	},
	func(b recipes.Dual, classes int) []arm4 { // statistics, rows
		frozen, rows := b, b
		frozen.Two.Statistics, frozen.LR = "frozen", 0.01 // what is not normalised anew diverges at a high rate
		rows.Two.Rows = "imprint"
		return []arm4{{title: "frozen statistics, rate 0.01", setting: frozen}, {title: "imprinted rows", setting: rows}}
	},
	func(b recipes.Dual, classes int) []arm4 { // retention again: what was chosen since may need it
		var list []arm4
		for _, lambda := range []float64{0.3, 1} {
			graph, logits := b, b
			graph.Two.Retention, graph.Two.Lambda, graph.Two.Distill = &longtail.Retention{}, lambda, 0
			logits.Two.Retention, logits.Two.Lambda, logits.Two.Distill = nil, 0, lambda
			list = append(list, arm4{title: fmt.Sprintf("graph, λ %g", lambda), setting: graph},
				arm4{title: fmt.Sprintf("logits (LwF), λ %g", lambda), setting: logits})
		}
		return list
	},
}

// search returns the arms of a round, with those that won before as the first.
func (s *study) search(ctx context.Context, round int) ([]arm4, error) {
	decay, err := s.decay(ctx)
	if err != nil {
		return nil, err
	}
	best := arm4{title: "literal", setting: recipes.Literal}
	best.job = s.dual(s.held, 1, best.setting, s.proxyEpochs(), decay)
	for i := 0; ; i++ {
		arms := []arm4{best}
		for _, a := range searches[i](best.setting, len(s.held.Train.Counts)) {
			a.job = s.dual(s.held, 1, a.setting, s.proxyEpochs(), decay)
			if !slices.ContainsFunc(arms, func(b arm4) bool { return a.job.ID() == b.job.ID() }) {
				arms = append(arms, a)
			}
		}
		if i == round {
			return arms, nil
		}
		if best, err = s.winner(ctx, arms); err != nil {
			return nil, err
		}
	}
}

func (s *study) winner(ctx context.Context, arms []arm4) (arm4, error) {
	var jobs []*recipes.Job
	for _, a := range arms {
		jobs = append(jobs, a.job)
	}
	j, _, err := s.best(ctx, jobs)
	if err != nil {
		return arm4{}, err
	}
	for _, a := range arms {
		if a.job == j {
			return a, nil
		}
	}
	panic("unreachable")
}

// chosen is the setting that the whole search ends with.
func (s *study) chosen(ctx context.Context) (arm4, float64, error) {
	decay, err := s.decay(ctx)
	if err != nil {
		return arm4{}, 0, err
	}
	arms, err := s.search(ctx, len(searches)-1)
	if err != nil {
		return arm4{}, 0, err
	}
	best, err := s.winner(ctx, arms)
	return best, decay, err
}

// dual is Divide and Retain with the image-steps of a joint training of so many epochs.
func (s *study) dual(d *recipes.Data, seed uint64, c recipes.Dual, epochs int, decay float64) *recipes.Job {
	return c.Jobs(d, s.model, seed, recipes.Standard(epochs, decay))
}

// reference is balanced softmax at the search's budget, which the arms have to beat.
func (s *study) reference(decay float64) []*recipes.Job {
	j := s.held.Job(s.model, recipes.BalancedSoftmax, 1, recipes.Standard(s.proxyEpochs(), decay))
	return []*recipes.Job{&j}
}

// modern are the strongest rival and the chosen setting with today's augmentations.
func (s *study) modern(ctx context.Context) ([]*recipes.Job, error) {
	best, decay, err := s.chosen(ctx)
	if err != nil {
		return nil, err
	}
	d := s.main
	r := recipes.Standard(s.epochs(), decay)
	r.Augment = "autoaugment"
	rival := d.Job(s.model, recipes.BalancedSoftmax, 1, r)
	return []*recipes.Job{best.setting.Jobs(d, s.model, 1, r), &rival}, nil
}

// ours is Divide and Retain with what was chosen, with a new classifier on top, and as the
// literal reading has it.
func (s *study) ours(d *recipes.Data, seed uint64) func(context.Context) ([]*recipes.Job, error) {
	return func(ctx context.Context) ([]*recipes.Job, error) {
		best, decay, err := s.chosen(ctx)
		if err != nil {
			return nil, err
		}
		j := s.dual(d, seed, best.setting, s.epochs(), decay)
		j.Probe = 5
		list := []*recipes.Job{j, j.After(recipes.CRT, j.Recipe.StageTwo())}
		if d == s.main {
			list = append(list, s.dual(d, seed, recipes.Literal, s.epochs(), decay))
		}
		return list, nil
	}
}
