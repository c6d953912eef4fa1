package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/examples/internal/report"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/eval/tsne"
	"github.com/mettleml/mettle/tensor"
)

// page is the report; charts and pictures are of the first seed.
func page(ctx context.Context, d *recipes.Data, r recipe, model string, arms []*arm, t *report.Table) (*report.Page, error) {
	var first []*arm
	for _, a := range arms {
		if a.Seed == 1 {
			first = append(first, a)
		}
	}
	p := &report.Page{
		Title: "Self-supervision beside the classifier of " + d.Name,
		Lead: fmt.Sprintf("%d training samples of %d classes, imbalance %.4g (%s, digest %.16s); %s, %s, %d epochs, tested on %d samples.",
			d.Train.Data.Len(), len(d.Train.Counts), longtail.Imbalance(d.Train.Counts), d.Train.Name, d.Train.Digest, model, r.Method, r.Epochs, d.Test.Len()),
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
	p.Sections = append(p.Sections, pictures, report.Section{Title: "How the numbers came about", Facts: []report.Fact{
		{Name: "Recipe", Value: fmt.Sprintf("%+v", r)}, {Name: "kNN", Value: neighbours.String()}, {Name: "Stamp", Value: fmt.Sprintf("%+v", longtail.Here())},
	}})
	return p, nil
}

// reliability is figure 5.7.
func reliability(arms []*arm) report.Section {
	c := &report.Chart{Title: "Reliability", X: "confidence", Y: "accuracy", YMax: 1, Series: []report.Series{{Name: "calibrated", X: []float64{0, 1}, Y: []float64{0, 1}}}}
	for _, a := range arms {
		s := report.Series{Name: fmt.Sprintf("%s, ECE %.1f %%", a.Arrangement, 100*a.ECE)}
		for _, b := range a.logits.Calibration(15).Bins {
			if b.Count > 0 {
				s.X, s.Y = append(s.X, b.Confidence), append(s.Y, b.Accuracy)
			}
		}
		c.Series = append(c.Series, s)
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
		add := func(c *report.Chart, of func(e epoch) float64) {
			s := report.Series{Name: a.Arrangement}
			for _, e := range a.Curve {
				if v := of(e); v != 0 {
					s.X, s.Y = append(s.X, float64(e.Epoch)), append(s.Y, v)
				}
			}
			if len(s.X) > 0 {
				c.Series = append(c.Series, s)
			}
		}
		add(classes, func(e epoch) float64 { return e.Class })
		add(method, func(e epoch) float64 { return e.SSL })
		add(spread, func(e epoch) float64 { return e.Collapse.Std / max(e.Collapse.Healthy, 1e-9) })
		add(rank, func(e epoch) float64 { return e.Collapse.Rank })
	}
	var list []report.Section
	for _, c := range []*report.Chart{classes, method, spread, rank} {
		if len(c.Series) > 0 {
			list = append(list, report.Section{Title: c.Title, Chart: c})
		}
	}
	return list
}

// colours tell ten classes apart; later ones repeat them, darker.
var colours = [10][3]float32{{.20, .40, .80}, {.85, .37, .01}, {.11, .62, .47}, {.70, .21, .50}, {.54, .42, 0},
	{.37, .73, .90}, {.90, .67, .01}, {.45, .45, .45}, {.78, .12, .12}, {.30, .15, .55}}

// embeddings are figure 5.6: the features of up to 2,000 test samples in the plane.
func embeddings(ctx context.Context, arms []*arm) (report.Section, error) {
	s := report.Section{Title: "Features in the plane", Text: []string{
		"t-SNE of the backbone's features of 2,000 test samples, a colour for each class. That there are clusters means something; their sizes and distances do not."}}
	tile := report.Tile{}
	for _, a := range arms {
		f := sample(a.features, 2000)
		o := tsne.Options{}
		if n := f.Y.Dim(0); float64(n-1) < 90 {
			o.Perplexity = float64(n-1) / 3
		}
		e, err := tsne.Embed(ctx, f.Y, o)
		if errors.Is(err, context.Canceled) {
			return s, err
		}
		if err != nil {
			s.Text = append(s.Text, fmt.Sprintf("%s: %v", a.Arrangement, err))
			continue
		}
		pic, err := report.NewPicture(fmt.Sprintf("%s, divergence %.2f", a.Arrangement, e.KL), scatter(e.Y, f.Labels))
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

// scatter draws points [N, 2] on white.
func scatter(y *tensor.Tensor, labels []int) *tensor.Tensor {
	const side, dot = 420, 3
	img := tensor.New(3, side, side)
	img.Fill(1)
	lo, hi := y.Data()[0], y.Data()[0]
	for _, v := range y.Data() {
		lo, hi = min(lo, v), max(hi, v)
	}
	scale := float32(side-2*dot-1) / max(hi-lo, 1e-9)
	for i, label := range labels {
		px, py := int((y.At(i, 0)-lo)*scale), int((y.At(i, 1)-lo)*scale)
		shade := 1 / float32(1+label/10)
		for c := range 3 {
			for dy := range dot {
				for dx := range dot {
					img.Data()[(c*side+py+dy+1)*side+px+dx+1] = colours[label%10][c] * shade
				}
			}
		}
	}
	return img
}
