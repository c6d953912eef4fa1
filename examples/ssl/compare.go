package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/examples/internal/report"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/ssl"
)

// A result is what is kept of a run: the fields of the program longtail, and these.
type result struct {
	longtail.Result
	Arrangement string           `json:"arrangement"`
	KNN         float64          `json:"knn"` // accuracy of kNN on the features of the backbone
	Protocol    string           `json:"knn_protocol"`
	Collapse    ssl.Collapse     `json:"collapse"`         // of these features, on the test set
	Dagger      *longtail.Report `json:"dagger,omitempty"` // with the classifier trained again
	Curve       []epoch          `json:"curve"`
}

// An arm is an arrangement that was trained.
type arm struct {
	result
	logits   *eval.Outputs
	features *eval.Outputs // of the test set
}

// neighbours is the protocol of the table.
var neighbours = ssl.KNN{K: 20, T: 0.1}

// compare trains every arrangement and shows what came out.
func compare(ctx context.Context, c *config) error {
	d, err := recipes.Open(c.source)
	if err != nil {
		return err
	}
	r := c.recipe(d)
	model := modelFor(c.model, d)
	fmt.Printf("%s %s (digest %.16s): %d samples of %d classes, imbalance %.4g; %s, %d epochs of batches of %d, %s; tested on %d samples\n",
		d.Name, d.Train.Name, d.Train.Digest, d.Train.Data.Len(), len(d.Train.Counts), longtail.Imbalance(d.Train.Counts), model, r.Epochs, r.Batch, r.Method, d.Test.Len())
	var arms []*arm
	for seed := range c.seeds {
		for name := range strings.SplitSeq(c.arrangements, ",") {
			a, err := train(ctx, c, d, r, model, strings.TrimSpace(name), uint64(seed+1))
			if err != nil {
				return err
			}
			arms = append(arms, a)
		}
	}
	t := table(arms)
	fmt.Printf("\n%s\n%s\n", t, "kNN: "+neighbours.String()+", features of the plain training samples.")
	if c.json != "" {
		var list []result
		for _, a := range arms {
			list = append(list, a.result)
		}
		b, err := json.MarshalIndent(list, "", " ")
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
	p, err := page(ctx, d, r, model, arms, t)
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
func train(ctx context.Context, c *config, d *recipes.Data, r recipe, model, name string, seed uint64) (*arm, error) {
	classes := d.Train.Data.Classes()
	net, err := network(model, seed, classes)
	if err != nil {
		return nil, err
	}
	if name == base {
		r.Method, r.Temperature, r.Queue, r.Lambda, r.Beta, r.MI, r.Attach, r.Filter, r.Share = "", 0, 0, 0, 0, "", "", "", false
	}
	epochs, before := r.Epochs, 0
	if name == ssl.Initial.String() {
		epochs, before = 2*r.Epochs, r.Epochs
	}
	var list []data.Transform
	if !r.Share {
		list = append(list, weakView(d))
	}
	if name != base {
		list = append(list, views(d, r.Method)...)
	}
	l, err := data.NewLoader(d.Train.Data, data.LoaderOptions{BatchSize: r.Batch, Shuffle: true, DropLast: true, Seed: seed, Views: list})
	if err != nil {
		return nil, err
	}
	options := map[string]any{"arrangement": name, "recipe": r}
	which := longtail.Recipe{Method: name, Data: d.Name, Test: "test", TestDigest: d.Which, Model: model, Seed: seed, Epochs: epochs, BatchSize: r.Batch, Options: options}.On(d.Train)
	label := fmt.Sprintf("%s-%s-%d", d.Name, name, seed)
	trees := map[string]nn.Tree{"net": net}
	var h *ssl.Heterotopic
	if name != base {
		label = fmt.Sprintf("%s-%s-%s-%d", d.Name, name, r.Method, seed)
		if h, err = heterotopic(net, name, r, d.Train.Data.Len(), epochs*l.Len(), before*l.Len(), seed); err != nil {
			return nil, err
		}
		trees["net"] = h
	}
	label = filepath.Base(label) // of a directory's name the last part
	path := filepath.Join(c.out, label)
	s := newSession(label, path+".checkpoint", which, l, r, epochs, before, seed, trees)
	s.step = func(t *autograd.Tape, b data.Batch, e *epoch) (autograd.Var, error) {
		if h == nil {
			loss := nn.CrossEntropy(net.Forward(t.Input(b.X)), b.Y)
			e.Class = loss.Scalar()
			return loss, nil
		}
		out, err := h.Loss(t, b)
		if err != nil {
			return out.Loss, err
		}
		value := func(v autograd.Var) float64 {
			if v.IsZero() {
				return 0
			}
			return v.Scalar()
		}
		e.Class, e.SSL, e.MI = value(out.Class), value(out.SSL.Loss), value(out.MI)
		s.measure(out.SSL, e)
		return out.Loss, nil
	}
	if h != nil {
		s.after = h.Update
	}
	if err := s.train(ctx); err != nil {
		return nil, err
	}
	if err := save(path+".safetensors", trees["net"], model, classes); err != nil {
		return nil, err
	}
	if h != nil {
		net = h.Strip()
	}
	return judge(ctx, c, d, r, net, which, name, s, int64(len(list))*int64(epochs*l.Len()*r.Batch))
}

// judge measures a network that was trained.
func judge(ctx context.Context, c *config, d *recipes.Data, r recipe, net *nn.Classifier, which longtail.Recipe, name string, s *session, images int64) (*arm, error) {
	o := eval.Options{Transform: d.Pre.Transform()}
	a := &arm{}
	var err error
	if a.features, err = eval.Collect(ctx, net.Backbone, d.Test, o); err != nil {
		return nil, err
	}
	bank, err := eval.Collect(ctx, net.Backbone, d.Train.Data, o)
	if err != nil {
		return nil, err
	}
	a.logits = a.features.Through(net.Head)
	groups := longtail.Shots.Groups(d.Train.Counts)
	measured := longtail.Measure(a.logits, groups)
	last := s.History[len(s.History)-1]
	var history longtail.History
	history.Add(longtail.Epoch{Epoch: which.Epochs, Loss: last.Loss, Acc: measured.Acc})
	a.Result, err = which.Finish(measured, history, longtail.Cost{Steps: which.Epochs * s.loader.Len(), Images: images, Seconds: s.Seconds})
	if err != nil {
		return nil, err
	}
	a.Arrangement, a.Curve, a.Protocol = name, s.History, neighbours.String()
	a.KNN = neighbours.Votes(bank, a.features, d.Train.Data.Classes()).Accuracy()
	a.Collapse = ssl.MeasureCollapse(a.features.Y.Slice(0, min(2000, a.features.Y.Dim(0))))
	if c.dagger {
		again, err := retrained(ctx, net, d, r, which.Seed)
		if err != nil {
			return nil, err
		}
		m := longtail.Measure(a.features.Through(again.Head), groups)
		a.Dagger = &m
	}
	fmt.Printf("%s: %.1f %% (%.0f s)\n", s.what, 100*a.Acc, s.Seconds)
	return a, nil
}

// table has a row for each run, and one for its classifier trained again.
func table(arms []*arm) *report.Table {
	t := &report.Table{
		Head: []string{" arrangement", "seed", "all", "many", "medium", "few", "ECE", "kNN", "spread", "rank", "image-steps", "seconds"},
		Help: map[string]string{
			"all": "accuracy on the test set in percent, last epoch", "many": "mean over classes with more than 100 training samples",
			"medium": "mean over classes with 20 to 100", "few": "mean over classes with fewer than 20",
			"ECE": "expected calibration error in percent, 15 bins", "kNN": "accuracy of " + neighbours.String(),
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
		row(a.Arrangement, a.Seed, a.Report, percent(&a.KNN), fmt.Sprintf("%.2f", a.Collapse.Std/a.Collapse.Healthy), fmt.Sprintf("%.1f", a.Collapse.Rank),
			fmt.Sprint(a.Images), fmt.Sprintf("%.0f", a.Seconds))
		if a.Dagger != nil {
			row(a.Arrangement+" †", a.Seed, *a.Dagger, "", "", "", "", "")
		}
	}
	return t
}
