package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/eval"
)

// An arm is an arrangement that was trained: its record, and the classifier trained again.
type arm struct {
	recipes.Arm
	Dagger *longtail.Report `json:"dagger,omitempty"`

	job      *recipes.Job
	net      *nn.Classifier
	features *eval.Outputs // of the test set
}

// compare trains every arrangement and shows what came out.
func compare(ctx context.Context, c *config) error {
	d, err := recipes.Open(c.source)
	if err != nil {
		return err
	}
	r, lab, model := c.recipe(d), c.newLab(d), modelFor(c.model, d)
	fmt.Printf("%s %s (digest %.16s): %d samples of %d classes, imbalance %.4g; %s, %d epochs of batches of %d, %s; tested on %d samples\n",
		d.Name, d.Train.Name, d.Train.Digest, d.Train.Data.Len(), len(d.Train.Counts), longtail.Imbalance(d.Train.Counts), model, r.Epochs, r.Batch, c.method, d.Test.Len())
	var arms []*arm
	for seed := range c.seeds {
		for name := range strings.SplitSeq(c.arrangements, ",") {
			a, err := train(ctx, c, lab, d, model, strings.TrimSpace(name), uint64(seed+1))
			if err != nil {
				return err
			}
			arms = append(arms, a)
		}
	}
	t := table(arms)
	fmt.Printf("\n%s\n%s\n", t, "kNN: "+recipes.Neighbours.String()+", features of the plain training samples.")
	if c.json != "" {
		b, err := json.MarshalIndent(arms, "", " ")
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(c.json, b); err != nil {
			return err
		}
		fmt.Println("wrote", c.json)
	}
	if c.report == "" {
		return nil
	}
	p, err := page(ctx, c, lab, d, model, arms, t)
	if err != nil {
		return err
	}
	if err := p.Write(c.report); err != nil {
		return err
	}
	fmt.Println("wrote", c.report)
	return nil
}

// train trains an arrangement and measures it.
func train(ctx context.Context, c *config, lab *recipes.Lab, d *recipes.Data, model, name string, seed uint64) (*arm, error) {
	before, err := c.alone(d)
	if err != nil {
		return nil, err
	}
	j, err := recipes.Arranged(d, name, model, seed, c.settings(d), c.recipe(d), before)
	if err != nil {
		return nil, err
	}
	if _, err := do(ctx, lab, d, j); err != nil {
		return nil, err
	}
	a := &arm{job: j}
	record, err := lab.Arm(ctx, j)
	if err != nil {
		return nil, err
	}
	a.Arm = *record
	if a.net, err = lab.Classifier(ctx, j); err != nil {
		return nil, err
	}
	if a.features, err = eval.Collect(ctx, a.net.Backbone, d.Test, eval.Options{Transform: d.Pre.Transform()}); err != nil {
		return nil, err
	}
	if c.dagger {
		again, err := do(ctx, lab, d, j.After(recipes.CRT, j.Recipe.StageTwo()))
		if err != nil {
			return nil, err
		}
		a.Dagger = &again.Report
	}
	file, err := lab.File(j)
	if err != nil {
		return nil, err
	}
	fmt.Printf("%s: %.1f %% (%.0f s), %s\n", j.Label(), 100*a.Acc, a.Seconds, file)
	return a, nil
}

// table has a row for each run, and one for its classifier trained again.
func table(arms []*arm) *report.Table {
	t := &report.Table{
		Head: []string{" arrangement", "seed", "all", "many", "medium", "few", "ECE", "kNN", "spread", "rank", "image-steps", "seconds"},
		Help: map[string]string{
			"all": "accuracy on the test set in percent, last epoch", "many": "mean over classes with more than 100 training samples",
			"medium": "mean over classes with 20 to 100", "few": "mean over classes with fewer than 20",
			"ECE": "expected calibration error in percent, 15 bins", "kNN": "accuracy of " + recipes.Neighbours.String(),
			"spread":      "standard deviation of the normalised features by that of evenly spread ones: near 0 after a collapse",
			"rank":        "effective rank of the features",
			"image-steps": "views that were passed forward and back, those of a slow copy counted once", "seconds": "of training",
		},
	}
	percent := func(v *float64) string {
		if v == nil {
			return "–"
		}
		return fmt.Sprintf("%.1f", 100**v)
	}
	row := func(name string, seed uint64, r longtail.Report, rest ...string) {
		t.Rows = append(t.Rows, append([]string{name, fmt.Sprint(seed), percent(&r.Acc), percent(r.Many), percent(r.Medium), percent(r.Few), percent(&r.ECE)}, rest...))
	}
	for _, a := range arms {
		row(a.Arrangement, a.Seed, a.Report, percent(a.KNN), fmt.Sprintf("%.2f", a.Collapse.Std/a.Collapse.Healthy), fmt.Sprintf("%.1f", a.Collapse.Rank),
			fmt.Sprint(a.Images), fmt.Sprintf("%.0f", a.Seconds))
		if a.Dagger != nil {
			row(a.Arrangement+" †", a.Seed, *a.Dagger, "", "", "", "", "")
		}
	}
	return t
}
