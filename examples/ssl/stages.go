package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/ssl"
)

// seed is that of the stages, which train one network.
const seed = 1

// pretrain trains a backbone by a method alone, with a linear classifier that learns beside it
// from its features.
func pretrain(ctx context.Context, c *config) error {
	d, err := recipes.Open(c.source)
	if err != nil {
		return err
	}
	r, err := c.alone(d)
	if err != nil {
		return err
	}
	lab, model := c.newLab(d), modelFor(c.model, d)
	j := recipes.Pretrained(d, model, seed, c.settings(d), r)
	result, err := do(ctx, lab, d, j)
	if err != nil {
		return err
	}
	net, err := lab.Classifier(ctx, j)
	if err != nil {
		return err
	}
	file := cmp.Or(c.file, filepath.Join(c.out, fmt.Sprintf("%s-%s.safetensors", filepath.Base(d.Name), c.method)))
	if err := recipes.WriteNetwork(file, net, model, d.Test.Classes()); err != nil {
		return err
	}
	last := result.Curve[len(result.Curve)-1]
	fmt.Printf("wrote %s; loss %.3f, a linear classifier learned beside it gets %.1f %% of the augmented training samples\n", file, last.Loss, 100*last.Right)
	return quality(ctx, d, net)
}

// quality prints how good the features of a network are, by which protocol.
func quality(ctx context.Context, d *recipes.Data, net *nn.Classifier) error {
	q, err := ssl.MeasureQuality(ctx, net.Backbone, d.Train.Data, d.Test, recipes.Neighbours, ssl.LinearProbe{}, eval.Options{Transform: d.Pre.Transform()})
	if err != nil {
		return err
	}
	fmt.Printf("kNN %.1f %%, linear %.1f %%; spread %.2f of a healthy one, effective rank %.1f of %d, mean cosine %.2f\n%s\n",
		100*q.KNN, 100*q.Linear, q.Collapse.Std/q.Collapse.Healthy, q.Collapse.Rank, q.Collapse.MaxRank, q.Collapse.Cosine, q.Protocol)
	return nil
}

// probe judges the features of a network in a file.
func probe(ctx context.Context, c *config) error {
	if c.file == "" {
		return fmt.Errorf("-stage probe: -file names the network")
	}
	d, err := recipes.Open(c.source)
	if err != nil {
		return err
	}
	net, _, _, err := recipes.ReadNetwork(c.file, seed)
	if err != nil {
		return err
	}
	return quality(ctx, d, net)
}

// finetune trains a classifier that begins with the backbone of a file.
func finetune(ctx context.Context, c *config) error {
	if c.from == "" {
		return fmt.Errorf("-stage finetune: -from names the network to begin with")
	}
	d, err := recipes.Open(c.source)
	if err != nil {
		return err
	}
	before, model, _, err := recipes.ReadNetwork(c.from, seed)
	if err != nil {
		return err
	}
	lab := c.newLab(d)
	j := d.Job(model, recipes.CE, seed, c.recipe(d))
	j.Start = lab.Start(before)
	r, err := do(ctx, lab, d, &j)
	if err != nil {
		return err
	}
	net, err := lab.Classifier(ctx, &j)
	if err != nil {
		return err
	}
	fmt.Printf("test accuracy %.1f %%, mean over classes %.1f %%\n", 100*r.Report.Acc, 100*r.Report.Balanced)
	file := cmp.Or(c.file, filepath.Join(c.out, filepath.Base(d.Name)+"-finetuned.safetensors"))
	if err := recipes.WriteNetwork(file, net, model, d.Test.Classes()); err != nil {
		return err
	}
	fmt.Println("wrote", file)
	return nil
}

// strip writes the classifier of a file without what is self-supervised.
func strip(c *config) error {
	if c.from == "" || c.file == "" {
		return fmt.Errorf("-stage strip: -from names the file to read and -file that to write")
	}
	net, model, classes, err := recipes.ReadNetwork(c.from, seed)
	if err != nil {
		return err
	}
	if err := recipes.WriteNetwork(c.file, net, model, classes); err != nil {
		return err
	}
	fmt.Printf("wrote %s: %d parameters\n", c.file, nn.Count(net))
	return nil
}
