package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/ssl"
)

// A study5 is the run of chapter 5.
type study5 struct {
	*study
	second *recipes.Data // CIFAR10-LT beside CIFAR100-LT; nil with other data
	whole  *recipes.Data // balanced, for the methods alone; main for a directory
	method string        // of self-supervision, in the rows
}

// chapter5 does what is missing of the plan, and writes the page after every part of it.
func chapter5(ctx context.Context, c *config) error {
	s, err := openStudy5(c)
	if err != nil {
		return err
	}
	s.describe()
	plan := s.plan()
	if err := s.budget(ctx, plan); err != nil {
		return err
	}
	return s.run(ctx, plan, s.write)
}

func openStudy5(c *config) (*study5, error) {
	base, err := openStudy(c)
	if err != nil {
		return nil, err
	}
	s := &study5{study: base, whole: base.main, method: c.method}
	size := s.main.Test.Shape()[1]
	s.model = cmp.Or(c.victim, networkFor(s.main.Test.Shape()))
	if s.method == "" {
		s.method = "rotation"
		if size > 64 {
			s.method = "moco2"
		}
	}
	if ssl.ViewsOf(s.method) == 0 {
		return nil, fmt.Errorf("-method %s: there are %v", s.method, ssl.Names())
	}
	if !slices.Contains(datasets.Names, c.data) {
		return s, nil
	}
	source := recipes.Source{Data: c.data, Size: c.size, Imbalance: 1}
	if c.data == "cifar100" {
		source.Data = "cifar10"
		if s.second, err = s.open(recipes.Source{Data: source.Data, Size: c.size}); err != nil {
			return nil, err
		}
	}
	s.whole, err = s.open(source)
	return s, err
}

// networkFor is the network that suits pictures of a shape.
func networkFor(shape []int) string {
	switch {
	case shape[0] == 1:
		return recipes.Small
	case shape[1] <= 64:
		return "resnet32"
	}
	return "resnet10"
}

// budget prints what the parts of a plan take. Those of a part whose cells are not known yet,
// because they follow from others, are those of what is known.
func (s *study5) budget(ctx context.Context, plan []part) error {
	fmt.Println("image-steps that are still to be done, in millions:")
	var before []*recipes.Job
	for _, p := range plan {
		jobs, err := p.jobs(ctx)
		note := ""
		if skipped(err) {
			note = "  (follows from the search)"
		} else if err != nil {
			return err
		}
		sum := s.lab.Cost(before...)
		before = append(before, jobs...)
		all := s.lab.Cost(before...)
		fmt.Printf("  %-22s %6.2f  %6.2f in all%s\n", p.name, float64(all-sum)/1e6, float64(all)/1e6, note)
	}
	return nil
}
