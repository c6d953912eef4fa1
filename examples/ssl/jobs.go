package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/examples/internal/recipes"
)

// recipe is how classifiers are trained on the data, as the flags say.
func (c *config) recipe(d *recipes.Data) recipes.Recipe {
	r := recipes.Recipe{
		Epochs: cmp.Or(c.epochs, recipes.Suit(d, 30, 200)), Batch: min(cmp.Or(c.batch, recipes.Suit(d, 64, 128)), d.Train.Data.Len()),
		LR: cmp.Or(c.lr, recipes.Suit(d, 0.05, 0.1)), Momentum: 0.9, Decay: 5e-4, Schedule: "cosine", Augment: "crop-flip",
	}
	r.WarmUp = float64(max(r.Epochs/20, 1))
	if c.decay != suits {
		r.Decay = c.decay
	}
	if !d.Flip {
		r.Augment = "crop"
	}
	return r
}

// alone is how the method is trained alone: as long as a classifier, and at its own rate and
// decay unless the flags say them.
func (c *config) alone(d *recipes.Data) (recipes.Recipe, error) {
	r := c.recipe(d)
	a, err := recipes.Alone(c.method, r.Epochs, r.Batch)
	a.LR = cmp.Or(c.lr, a.LR)
	if c.decay != suits {
		a.Decay = c.decay
	}
	return a, err
}

// settings are those of the method for the data, as the flags say.
func (c *config) settings(d *recipes.Data) recipes.SelfSupervised {
	s := d.SelfSupervised(c.method, c.recipe(d).Batch)
	s.Random = c.random
	s.Temperature, s.Lambda, s.Beta = max(c.temperature, 0), c.lambda, c.beta
	s.MI, s.Minimize, s.Attach, s.Filter, s.Share = c.mi, c.minimize, c.attach, c.filter, c.share
	if c.queue > 0 && s.Queue > 0 {
		s.Queue = c.queue
	}
	return s
}

// newLab is where jobs on the data are done, told on a line.
func (c *config) newLab(d *recipes.Data) *recipes.Lab {
	lab := &recipes.Lab{Dir: c.out}
	lab.Use(d)
	line := cli.NewLine(10 * time.Second)
	lab.Tell = func(j *recipes.Job, p recipes.Progress) {
		switch {
		case p.Step == p.Steps:
			line.End()
		case line.Due():
			line.Print(fmt.Sprintf("%s: epoch %d/%d, loss %.3f", j.Label(), p.Epoch, p.Epochs, p.Loss))
		}
	}
	return lab
}

// do does a job, and says so if its features have collapsed.
func do(ctx context.Context, lab *recipes.Lab, d *recipes.Data, j *recipes.Job) (*recipes.Result, error) {
	if err := j.Check(d); err != nil {
		return nil, err
	}
	r, err := lab.Result(ctx, j)
	if err != nil {
		return nil, err
	}
	for _, p := range r.Curve {
		if p.Branch != nil && p.Branch.Warning != "" {
			fmt.Printf("%s: epoch %d: warning: %s\n", j.Label(), p.Epoch, p.Branch.Warning)
			break
		}
	}
	return r, nil
}
