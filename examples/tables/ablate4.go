package main

import (
	"context"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/longtail"
)

// An ablation is a row of table 4.8 or 4.9, or a point of figure 4.7 or 4.8.
type ablation struct {
	table, title string
	x            float64 // of a figure
	change       func(*recipes.Second)
}

// ablated are the changes. All go on from the phase I of 200 epochs, with a bank of 20
// per class and the other settings that were chosen, and take the same image-steps.
func ablated() []ablation {
	list := []ablation{{table: "4.8", title: "herding (default)", change: func(*recipes.Second) {}}}
	for _, r := range []string{"random", "nearest", "remaining", "selected", "k-center", "k-medoids"} {
		list = append(list, ablation{table: "4.8", title: r, change: func(t *recipes.Second) { t.Rule = r }})
	}
	variants := []longtail.Variant{longtail.Graph, longtail.Attended, longtail.Relation, longtail.Distances, longtail.Features}
	list = append(list, ablation{table: "4.9", title: "without", change: func(t *recipes.Second) { t.Retention, t.Lambda, t.Distill = nil, 0, 0 }})
	for _, v := range variants {
		list = append(list, ablation{table: "4.9", title: "variant " + v.String(), change: func(t *recipes.Second) {
			t.Retention, t.Lambda, t.Distill = &longtail.Retention{Variant: v}, 1, 0
		}})
	}
	list = append(list, ablation{table: "4.9", title: "logits (LwF)", change: func(t *recipes.Second) { t.Retention, t.Lambda, t.Distill = nil, 0, 1 }})
	for _, m := range []int{5, 10, 20, 50, 100, 200} {
		list = append(list, ablation{table: "f4.7", x: float64(m), change: func(t *recipes.Second) { t.PerClass = m }})
	}
	for _, lambda := range []float64{0.1, 0.5, 1, 2, 5, 10} {
		list = append(list, ablation{table: "f4.8", x: lambda, change: func(t *recipes.Second) { t.Retention, t.Lambda, t.Distill = &longtail.Retention{}, lambda, 0 }})
	}
	return list
}

// ablationSteps are the image-steps of phase II in them, for each of the 10,847 samples of
// the set with imbalance 100.
const ablationSteps = 16

// ablation is the job of a row.
func (s *study) ablation(ctx context.Context, a ablation, seed uint64) (*recipes.Job, error) {
	best, decay, err := s.chosen(ctx)
	if err != nil {
		return nil, err
	}
	d := s.main
	c := best.setting
	c.Two.PerClass = 20
	a.change(&c.Two)
	images := max(ablationSteps*s.epochs()/200, 1) * recipes.PoolSize(d.Train.Counts, 1, recipes.All)
	return c.PhaseTwo(d, s.phaseOne(d, seed, decay), recipes.Standard(s.epochs(), decay), images), nil
}

func (s *study) ablations(ctx context.Context, seed uint64) ([]*recipes.Job, error) {
	var list []*recipes.Job
	for _, a := range ablated() {
		j, err := s.ablation(ctx, a, seed)
		if err != nil {
			return nil, err
		}
		list = append(list, j)
	}
	return list, nil
}

// parted are the points of figure 4.6, in hundredths of the classes.
var parted = []int{10, 20, 35, 50, 69, 85}

// hundredths is so many hundredths of the classes, at least one.
func hundredths(k, classes int) int { return max(k*classes/100, 1) }

// points sweeps the disentanglement point, with the image-steps of the search.
func (s *study) points(ctx context.Context) ([]*recipes.Job, error) {
	best, decay, err := s.chosen(ctx)
	if err != nil {
		return nil, err
	}
	var list []*recipes.Job
	for _, k := range parted {
		c := best.setting
		c.Point = hundredths(k, len(s.main.Train.Counts))
		list = append(list, s.dual(s.main, 1, c, s.proxyEpochs(), decay))
	}
	return list, nil
}
