package main

import (
	"context"

	"github.com/mettleml/mettle/examples/internal/recipes"
)

// A part is some cells of the plan, in the order in which they are worth most. Which
// they are may follow from cells that came before.
type part struct {
	name string
	jobs func(context.Context) ([]*recipes.Job, error)
}

// standard is the recipe of all rows, that of LDAM-DRW's program.
func standard(epochs int, decay float64) recipes.Recipe {
	return recipes.Recipe{Epochs: epochs, Batch: 128, LR: 0.1, Momentum: 0.9, Decay: decay, Schedule: "multistep", WarmUp: float64(epochs) / 40, Augment: "crop-flip"}
}

// after is a job without training that begins with the network of another.
func after(from *recipes.Job, method string, tau float64) *recipes.Job {
	j := recipes.Job{Data: from.Data, Subset: from.Subset, Digest: from.Digest, Test: from.Test, Model: from.Model, Method: method, Seed: from.Seed, Tau: tau, From: from}
	return &j
}

const pilotEpochs = 30

var decays = []float64{2e-4, 5e-4}

func (s *study) plan() []part {
	return []part{{"pilot", s.pilot}}
}

// pilot compares weight decays on held-out data: of cross-entropy, and of its network
// adjusted to balance.
func (s *study) pilot(context.Context) ([]*recipes.Job, error) {
	var list []*recipes.Job
	for _, decay := range decays {
		j := s.held.Job(s.model, recipes.CE, 1, standard(pilotEpochs, decay))
		list = append(list, &j)
		for _, tau := range []float64{0.5, 1, 1.5, 2} {
			list = append(list, after(&j, recipes.PostHoc, tau))
		}
	}
	return list, nil
}
