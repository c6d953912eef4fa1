package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/ssl"
)

// pretrain trains a backbone by a method alone, with a linear classifier that learns beside it
// from its features.
func pretrain(ctx context.Context, c *config) error {
	d, err := recipes.Open(c.source)
	if err != nil {
		return err
	}
	r := c.recipe(d)
	model := modelFor(c.model, d)
	classes := d.Train.Data.Classes()
	const seed = 1
	net, err := network(model, seed, classes)
	if err != nil {
		return err
	}
	l, err := data.NewLoader(d.Train.Data, data.LoaderOptions{BatchSize: r.Batch, Shuffle: true, DropLast: true, Seed: seed, Views: views(d, r.Method)})
	if err != nil {
		return err
	}
	m, err := ssl.New(r.Method, net.Backbone, r.settings(d.Train.Data.Len(), r.Epochs*l.Len(), seed))
	if err != nil {
		return err
	}
	online := ssl.NewOnlineProbe(net.Backbone.Width(), classes, seed)
	file := cmp.Or(c.file, filepath.Join(c.out, fmt.Sprintf("%s-%s.safetensors", filepath.Base(d.Name), r.Method)))
	settings := map[string]any{"stage": c.stage, "model": model, "data": d.Train.Digest, "recipe": r, "seed": seed}
	s := newSession("pretrain "+r.Method, file+".checkpoint", settings, l, r, r.Epochs, 0, seed,
		map[string]nn.Tree{"net": net.Backbone, "method": m, "online": online})
	s.run.Trees["head"] = net.Head // is not trained, and is kept as it is
	var out ssl.Output
	s.step = func(t *autograd.Tape, b data.Batch, e *epoch) (autograd.Var, error) {
		var err error
		if out, err = m.Loss(t, b); err != nil {
			return out.Loss, err
		}
		e.SSL = out.Loss.Scalar()
		s.measure(out, e)
		return out.Loss, nil
	}
	s.extra = func(b data.Batch, e *epoch) (err error) {
		e.Online, err = online.Step(out.Features[0], b.Y)
		return err
	}
	s.after = m.Update
	if err := s.train(ctx); err != nil {
		return err
	}
	if err := save(file, net, model, classes); err != nil {
		return err
	}
	last := s.History[len(s.History)-1]
	fmt.Printf("wrote %s; loss %.3f, a linear classifier learned beside it gets %.1f %% of the augmented training samples\n", file, last.Loss, 100*last.Online)
	return quality(ctx, d, net)
}

// quality prints how good the features of a network are, by which protocol.
func quality(ctx context.Context, d *recipes.Data, net *nn.Classifier) error {
	q, err := ssl.MeasureQuality(ctx, net.Backbone, d.Train.Data, d.Test, neighbours, ssl.LinearProbe{}, eval.Options{Transform: d.Pre.Transform()})
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
	net, _, _, err := load(c.file, 1)
	if err != nil {
		return err
	}
	return quality(ctx, d, net)
}

// finetune trains a classifier that begins with the network of a file.
func finetune(ctx context.Context, c *config) error {
	if c.from == "" {
		return fmt.Errorf("-stage finetune: -from names the network to begin with")
	}
	d, err := recipes.Open(c.source)
	if err != nil {
		return err
	}
	r := c.recipe(d)
	classes := d.Train.Data.Classes()
	const seed = 1
	net, model, had, err := load(c.from, seed)
	if err != nil {
		return err
	}
	if had != classes {
		net.Head = nn.NewLinear(rand.New(rand.NewPCG(seed, 2)), net.Backbone.Width(), classes)
	}
	l, err := data.NewLoader(d.Train.Data, data.LoaderOptions{BatchSize: r.Batch, Shuffle: true, DropLast: true, Seed: seed, Transform: weakView(d)})
	if err != nil {
		return err
	}
	file := cmp.Or(c.file, filepath.Join(c.out, filepath.Base(d.Name)+"-finetuned.safetensors"))
	settings := map[string]any{"stage": c.stage, "from": nn.Digest(net), "data": d.Train.Digest, "recipe": r, "seed": seed}
	s := newSession("finetune", file+".checkpoint", settings, l, r, r.Epochs, 0, seed, map[string]nn.Tree{"net": net})
	s.step = func(t *autograd.Tape, b data.Batch, e *epoch) (autograd.Var, error) {
		loss := nn.CrossEntropy(net.Forward(t.Input(b.X)), b.Y)
		e.Class = loss.Scalar()
		return loss, nil
	}
	if err := s.train(ctx); err != nil {
		return err
	}
	out, err := eval.Collect(ctx, net, d.Test, eval.Options{Transform: d.Pre.Transform()})
	if err != nil {
		return err
	}
	fmt.Printf("test accuracy %.1f %%, mean over classes %.1f %%\n", 100*out.Accuracy(), 100*out.BalancedAccuracy())
	if err := save(file, net, model, classes); err != nil {
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
	net, model, classes, err := load(c.from, 1)
	if err != nil {
		return err
	}
	if err := save(c.file, net, model, classes); err != nil {
		return err
	}
	fmt.Printf("wrote %s: %d parameters\n", c.file, nn.Count(net))
	return nil
}
