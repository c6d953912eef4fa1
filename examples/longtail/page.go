package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// page is the report: of the methods' first seed where it shows one network.
func (v *comparison) page(ctx context.Context, t *report.Table, sums []longtail.Summary) (*report.Page, error) {
	job := v.runs[0].job
	p := &report.Page{
		Title: "Long-tailed " + v.data.Name,
		Lead: fmt.Sprintf("%d training samples of %d classes, imbalance %.4g (%s, digest %.16s); %s, tested on %d samples. Accuracies in percent, of the last epoch.",
			v.data.Train.Data.Len(), len(v.data.Train.Counts), longtail.Imbalance(v.data.Train.Counts), v.data.Train.Name, v.data.Train.Digest, job.Model, v.data.Test.Len()),
	}
	b, err := longtail.EncodeResults(v.records())
	if err != nil {
		return nil, err
	}
	p.Files = []report.File{report.NewFile("results.json", "application/json", b)}
	p.Summary = v.summary(sums)
	t.Help = map[string]string{
		"all": "accuracy on the test set after the last epoch", "last five": "mean accuracy of the last five epochs", "best*": "accuracy of the best epoch, chosen on the test set",
		"many": "mean accuracy of the classes with more than 100 training samples", "medium": "of those with 20 to 100", "few": "of those with fewer than 20",
		"ECE": "expected calibration error: how far confidence is from accuracy, 15 bins", "image-steps": "samples passed forward and back, over all stages", "seconds": "of training, mean over seeds",
	}
	p.Sections = append(p.Sections, report.Section{Title: "By groups of classes", Table: t, Text: []string{
		fmt.Sprintf("Groups by training samples: %s. Image-steps are samples that were passed forward and back, over all stages of a method.", v.data.Groups().Rule.Name),
		"* best: the epoch was chosen on the test set, so the number is too good; it is shown because some papers report it. Epochs between are not all tested.",
	}})
	first := v.runs[:len(v.methods)] // the first seed's
	p.Sections = append(p.Sections, v.bars(first), v.reliability(first), learning(first))
	for _, r := range first {
		if s, ok := distortion(r); ok {
			p.Sections = append(p.Sections, s...)
		}
	}
	confusion, err := v.confusion(ctx, first)
	if err != nil {
		return nil, err
	}
	p.Sections = append(p.Sections, confusion)
	facts := []report.Fact{{Name: "Recipe", Value: fmt.Sprintf("%+v", v.c.recipe(v.data))}, {Name: "Stamp", Value: fmt.Sprintf("%+v", longtail.Here())},
		{Name: "Normalisation", Value: fmt.Sprintf("%+v", v.data.Pre)}}
	p.Sections = append(p.Sections, report.Section{Title: "How the numbers came about", Folded: true, Facts: facts})
	return p, nil
}

// summary says what came out: the best method overall, and for the few-shot classes.
func (v *comparison) summary(sums []longtail.Summary) []string {
	best := slices.MaxFunc(sums, func(a, b longtail.Summary) int { return cmp.Compare(a.Balanced.Mean, b.Balanced.Mean) })
	say := []string{fmt.Sprintf("%s has the highest mean accuracy over classes: %s (in percent).", best.Method, best.Balanced.Percent())}
	rare := func(s longtail.Summary) *longtail.Spread {
		if s.Few != nil {
			return s.Few
		}
		return s.Medium
	}
	var of []longtail.Summary
	for _, s := range sums {
		if rare(s) != nil {
			of = append(of, s)
		}
	}
	if len(of) > 1 {
		order := func(a, b longtail.Summary) int { return cmp.Compare(rare(a).Mean, rare(b).Mean) }
		least, most := slices.MinFunc(of, order), slices.MaxFunc(of, order)
		say = append(say, fmt.Sprintf("The rarest group of classes is best served by %s (%s) and worst by %s (%s).", most.Method, rare(most).Percent(), least.Method, rare(least).Percent()))
	}
	if n := len(best.Seeds); n < 3 {
		say = append(say, fmt.Sprintf("Seeds per method: %d. Differences below a point or two say little; -seeds 3 tells more.", n))
	}
	return say
}

// bars has the accuracy on each class, the largest class first, and how many samples it
// has.
func (v *comparison) bars(runs []run1) report.Section {
	counts := v.data.Train.Counts
	split, err := longtail.SplitByRank(counts, 1)
	if err != nil {
		return report.Section{}
	}
	c := &report.Chart{Title: "Accuracy by class", X: "class, by its number of training samples", Y: "accuracy, %", YMax: 100}
	share := report.Series{Name: "samples, % of the largest", Step: true}
	for rank, class := range split.Class {
		share.X, share.Y = append(share.X, float64(rank)), append(share.Y, 100*float64(counts[class])/float64(counts[split.Class[0]]))
	}
	close := func(s report.Series) report.Series { // the last step has a width too
		n := len(s.X)
		s.X, s.Y = append(s.X, float64(n)), append(s.Y, s.Y[n-1])
		return s
	}
	c.Series = append(c.Series, close(share))
	for _, r := range runs {
		s := report.Series{Name: r.method, Step: true}
		for rank, class := range split.Class {
			s.X, s.Y = append(s.X, float64(rank)), append(s.Y, 100*r.record.PerClass[class])
		}
		c.Series = append(c.Series, close(s))
	}
	return report.Section{Title: "By class", Chart: c}
}

func (v *comparison) reliability(runs []run1) report.Section {
	c := &report.Chart{Title: "Reliability", X: "confidence", Y: "accuracy", YMax: 1, Series: []report.Series{{Name: "calibrated", X: []float64{0, 1}, Y: []float64{0, 1}}}}
	for _, r := range runs {
		s := report.Series{Name: fmt.Sprintf("%s, ECE %.1f %%", r.method, 100*r.record.ECE)}
		for _, b := range r.record.Bins {
			if b.Count >= max(v.data.Test.Len()/1000, 1) { // fewer say nothing
				s.X, s.Y = append(s.X, b.Confidence), append(s.Y, b.Accuracy)
			}
		}
		c.Series = append(c.Series, s)
	}
	return report.Section{Title: "Calibration", Chart: c, Text: []string{"Below the diagonal a network is surer than it is right. Test samples are as many of every class, so a network that learned the imbalance is sure of the wrong classes."}}
}

// learning has the test accuracy while the last stage trains.
func learning(runs []run1) report.Section {
	c := &report.Chart{Title: "Test accuracy in the last stage of training", X: "part of its epochs, %", Y: "accuracy, %"}
	for _, r := range runs {
		s := report.Series{Name: r.method}
		for _, p := range r.result.Curve {
			if p.Test != nil {
				s.X, s.Y = append(s.X, 100*float64(p.Epoch)/float64(r.record.Epochs)), append(s.Y, 100*p.Test.Acc)
			}
		}
		if len(s.X) > 0 {
			c.Series = append(c.Series, s)
		}
	}
	return report.Section{Title: "Training", Chart: c}
}

// distortion are the curves of figure 4.2.
func distortion(r run1) ([]report.Section, bool) {
	cos := &report.Chart{Title: "Cosines of the angles to the overall gradient", X: "epoch", Y: "cosine"}
	norm := &report.Chart{Title: "Norms of the contributions", X: "epoch", Y: "norm"}
	names := []string{"head", "tail", "overall"}
	of := func(d *longtail.Distortion) ([]float64, []float64) {
		return []float64{d.CosHead, d.CosTail}, []float64{d.Head, d.Tail, d.Overall}
	}
	for i, name := range names {
		var a, b report.Series
		a.Name, b.Name = name, name
		for _, p := range r.result.Curve {
			if p.Distortion == nil {
				continue
			}
			c, n := of(p.Distortion)
			if i < len(c) {
				a.X, a.Y = append(a.X, float64(p.Epoch)), append(a.Y, c[i])
			}
			b.X, b.Y = append(b.X, float64(p.Epoch)), append(b.Y, n[i])
		}
		if len(b.X) == 0 {
			return nil, false
		}
		if i < 2 {
			cos.Series = append(cos.Series, a)
		}
		norm.Series = append(norm.Series, b)
	}
	what := r.method
	if r.job.Method == recipes.PhaseTwo {
		what += ", phase II"
	}
	return []report.Section{
		{Title: "Gradient distortion: " + what, Chart: cos, Text: []string{"Gradients of head and tail samples to all parameters, of 1,024 training samples with their class frequencies and without random transforms."}},
		{Title: "Gradient norms: " + what, Chart: norm},
	}, true
}

// confusion has a picture for each method.
func (v *comparison) confusion(ctx context.Context, runs []run1) (report.Section, error) {
	s := report.Section{Title: "Confusion", Text: []string{"A row is a true class, a column what it was taken for, both by number of training samples, the largest first. White is all of a class."}}
	tile := report.Tile{}
	for _, r := range runs {
		out, err := v.lab.Outputs(ctx, r.job)
		if err != nil {
			return s, err
		}
		pic, err := heat(out, v.data.Train.Counts)
		if err != nil {
			return s, err
		}
		p, err := report.NewPicture(r.method, pic)
		if err != nil {
			return s, err
		}
		tile.Pictures = append(tile.Pictures, p)
	}
	s.Tiles = []report.Tile{tile}
	if len(v.data.Train.Counts) > 20 {
		return s, nil
	}
	out, err := v.lab.Outputs(ctx, runs[0].job)
	if err != nil {
		return s, err
	}
	s.Table = numbers(runs[0].method, out, v.data.Test)
	return s, nil
}

// heat is a confusion as a picture, a pixel for each pair of classes.
func heat(out *eval.Outputs, counts []int) (*tensor.Tensor, error) {
	split, err := longtail.SplitByRank(counts, 1)
	if err != nil {
		return nil, err
	}
	table := out.Confusion()
	x := tensor.New(1, len(counts), len(counts))
	for r, class := range split.Class {
		sum := 0
		for _, n := range table[class] {
			sum += n
		}
		for c, other := range split.Class {
			x.Data()[r*len(counts)+c] = float32(table[class][other]) / float32(max(sum, 1))
		}
	}
	return x, nil
}

// numbers is a confusion as a table.
func numbers(method string, out *eval.Outputs, d data.Dataset) *report.Table {
	names := data.ClassNames(d)
	if names == nil {
		names = data.ClassNumbers(d.Classes())
	}
	t := &report.Table{Head: append([]string{" " + method}, names...)}
	for class, row := range out.Confusion() {
		cells := []string{names[class]}
		for _, n := range row {
			cells = append(cells, fmt.Sprint(n))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}
