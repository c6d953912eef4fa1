package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/ssl"
	"github.com/mettleml/mettle/tensor"
)

// page is the report; charts and pictures are of the first seed.
func page(ctx context.Context, c *config, lab *recipes.Lab, d *recipes.Data, model string, arms []*arm, t *report.Table) (*report.Page, error) {
	r := c.recipe(d)
	var first []*arm
	for _, a := range arms {
		if a.Seed == 1 {
			first = append(first, a)
		}
	}
	p := &report.Page{
		Title: "Self-supervision beside the classifier of " + d.Name,
		Lead: fmt.Sprintf("%d training samples of %d classes, imbalance %.4g (%s, digest %.16s); %s, %s, %d epochs, tested on %d samples.",
			d.Train.Data.Len(), len(d.Train.Counts), longtail.Imbalance(d.Train.Counts), d.Train.Name, d.Train.Digest, model, c.method, r.Epochs, d.Test.Len()),
		Sections: []report.Section{{Title: "By groups of classes", Table: t, Text: []string{
			"† is the same features with a classifier that was trained again, balanced over classes (cRT). All networks are tested without what is self-supervised.",
			"The text of the thesis's chapter 5 is not known: the arrangements follow the captions of figures 5.2 and 5.3, and what these leave open is ours (package ssl).",
		}}},
	}
	if len(first) > 1 {
		a, b := first[0], first[len(first)-1]
		p.Summary = []string{fmt.Sprintf("Of the test images %s takes %.1f %% for what they are, and %s %.1f %%.", a.Arrangement, 100*a.Acc, b.Arrangement, 100*b.Acc),
			"This is one run of each unless the table has several seeds: a difference of a point or two says nothing yet."}
	}
	p.Sections = append(p.Sections, reliability(first))
	p.Sections = append(p.Sections, monitors(first)...)
	pictures, err := embeddings(ctx, first)
	if err != nil {
		return nil, err
	}
	again, err := reconstructions(ctx, lab, d, first)
	if err != nil {
		return nil, err
	}
	p.Sections = append(p.Sections, pictures, again, report.Section{Title: "How the numbers came about", Facts: []report.Fact{
		{Name: "Recipe", Value: fmt.Sprintf("%+v", r)}, {Name: "Method", Value: fmt.Sprintf("%+v", c.settings(d))}, {Name: "kNN", Value: recipes.Neighbours.String()}, {Name: "Stamp", Value: fmt.Sprintf("%+v", longtail.Here())},
	}})
	return p, nil
}

// reliability is figure 5.7.
func reliability(arms []*arm) report.Section {
	c := &report.Chart{Title: "Reliability", X: "confidence", Y: "accuracy", YMax: 1, Series: []report.Series{{Name: "calibrated", X: []float64{0, 1}, Y: []float64{0, 1}}}}
	for _, a := range arms {
		c.Series = append(c.Series, report.Calibrated(fmt.Sprintf("%s, ECE %.1f %%", a.Arrangement, 100*a.ECE), a.features.Through(a.net.Head).Calibration(15).Bins))
	}
	return report.Section{Title: "Calibration", Chart: c, Text: []string{"Below the diagonal a network is surer than it is right."}}
}

// monitors are the curves of training: losses, and whether the specific features collapse.
func monitors(arms []*arm) []report.Section {
	classes := &report.Chart{Title: "Loss of the classifier", X: "epoch", Y: "cross-entropy"}
	method := &report.Chart{Title: "Loss of the method", X: "epoch", Y: "loss"}
	spread := &report.Chart{Title: "Spread of the specific features", X: "epoch", Y: "of that of evenly spread ones"}
	rank := &report.Chart{Title: "Effective rank of the specific features", X: "epoch", Y: "dimensions"}
	for _, a := range arms {
		add := func(c *report.Chart, of func(p recipes.Point) float64) {
			s := report.Series{Name: a.Arrangement}
			for _, p := range a.Curve {
				if v := of(p); v != 0 {
					s.X, s.Y = append(s.X, float64(p.Epoch)), append(s.Y, v)
				}
			}
			if len(s.X) > 0 {
				c.Series = append(c.Series, s)
			}
		}
		of := func(f func(b *recipes.Branch) float64) func(p recipes.Point) float64 {
			return func(p recipes.Point) float64 {
				if p.Branch == nil {
					return 0
				}
				return f(p.Branch)
			}
		}
		collapse := func(f func(c *ssl.Collapse) float64) func(p recipes.Point) float64 {
			return of(func(b *recipes.Branch) float64 {
				if b.Collapse == nil {
					return 0
				}
				return f(b.Collapse)
			})
		}
		add(classes, func(p recipes.Point) float64 {
			if p.Branch == nil {
				return p.Loss
			}
			return p.Branch.Class
		})
		add(method, of(func(b *recipes.Branch) float64 { return b.SSL }))
		add(spread, collapse(func(c *ssl.Collapse) float64 { return c.Std / c.Healthy }))
		add(rank, collapse(func(c *ssl.Collapse) float64 { return c.Rank }))
	}
	var list []report.Section
	for _, c := range []*report.Chart{classes, method, spread, rank} {
		if len(c.Series) > 0 {
			list = append(list, report.Section{Title: c.Title, Chart: c})
		}
	}
	return list
}

// embeddings are figure 5.6: the features of up to 2,000 test samples in the plane.
func embeddings(ctx context.Context, arms []*arm) (report.Section, error) {
	s := report.Section{Title: "Features in the plane", Text: []string{
		"t-SNE of the backbone's features of 2,000 test samples, a colour for each class. That there are clusters means something; their sizes and distances do not."}}
	tile := report.Tile{}
	for _, a := range arms {
		f := sample(a.features, 2000)
		e, err := recipes.Embed(ctx, f)
		if errors.Is(err, context.Canceled) {
			return s, err
		}
		if err != nil {
			s.Text = append(s.Text, fmt.Sprintf("%s: %v", a.Arrangement, err))
			continue
		}
		pic, err := report.NewPicture(fmt.Sprintf("%s, divergence %.2f", a.Arrangement, e.KL), report.Scatter(e.Y, f.Labels))
		if err != nil {
			return s, err
		}
		tile.Pictures = append(tile.Pictures, pic)
	}
	s.Tiles = []report.Tile{tile}
	return s, nil
}

// sample returns n of the outputs or all, evenly over their order.
func sample(o *eval.Outputs, n int) *eval.Outputs {
	total, d := o.Y.Dim(0), o.Y.Dim(1)
	n = min(n, total)
	s := &eval.Outputs{Y: tensor.New(n, d)}
	for i := range n {
		at := i * total / n
		copy(s.Y.Data()[i*d:][:d], o.Y.Data()[at*d:][:d])
		s.Labels = append(s.Labels, o.Labels[at])
	}
	return s
}

// reconstructions are figure 5.1: test pictures, and what decoders make of their features.
func reconstructions(ctx context.Context, lab *recipes.Lab, d *recipes.Data, arms []*arm) (report.Section, error) {
	how := ssl.Reconstruction{Epochs: 15}
	s := report.Section{Title: "Pictures from features", Text: []string{
		"What a decoder makes of the frozen features of test pictures: what it shows the features hold. A network that classifies need not hold more than the class; the features before a projector and after it differ. In percent the share of the variance about the mean picture that the decoder explains.",
		fmt.Sprintf("A %v; it learned on up to 5,000 training pictures and is judged on up to 1,000 test pictures.", how)}}
	type row struct {
		title    string
		features nn.Module
	}
	var rows []row
	for _, a := range arms {
		rows = append(rows, row{a.Arrangement + ", backbone", a.net.Backbone})
		if a.job.SSL == nil {
			continue
		}
		_, m, err := lab.Method(a.job)
		if err != nil {
			return s, err
		}
		if p, ok := m.(ssl.Projecting); ok {
			rows = append(rows, row{a.Arrangement + ", behind the filter", p.Projection().Encoder}, row{a.Arrangement + ", behind the projector", p.Projection()})
		}
	}
	show := func(title string, x *tensor.Tensor) error {
		tile := report.Tile{Title: title}
		for i := range x.Dim(0) {
			pic, err := report.NewPicture("", x.Index(i))
			if err != nil {
				return err
			}
			tile.Pictures = append(tile.Pictures, pic)
		}
		s.Tiles = append(s.Tiles, tile)
		return nil
	}
	for i, row := range rows {
		r, err := recipes.Reconstruct(ctx, row.features, d, how)
		if err != nil {
			return s, err
		}
		if i == 0 {
			if err := show("test pictures", r.Shown); err != nil {
				return s, err
			}
		}
		if err := show(fmt.Sprintf("%s, %d features: %.1f %%", row.title, r.Width, 100*r.Explained), r.Made); err != nil {
			return s, err
		}
	}
	return s, nil
}
