package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/longtail"
)

// table41 compares a network of the head classes with one of all classes, on the head.
func (h *sheet) table41(ctx context.Context) error {
	h.heading("Table 4.1: Model-head and Model-all on head classes")
	decay, err := h.decay(ctx)
	if err != nil {
		return err
	}
	h.say("Model-all knows more classes to choose from; masked, it chooses among the head classes too, which is the fair comparison.")
	t := &report.Table{Head: []string{" seed", "head classes", "Model-head", "Model-all, masked", "Model-all", "thesis: Model-head", "thesis: Model-all"}}
	for seed := uint64(1); seed <= 2; seed++ {
		a, err := h.heads(ctx, h.phaseOne(h.main, seed, decay), h.rivals(h.main, seed, decay)[0])
		if errors.Is(err, cells.ErrNotRun) {
			continue
		}
		if err != nil {
			return err
		}
		t.Rows = append(t.Rows, []string{fmt.Sprint(seed), fmt.Sprint(h.main.Head()), hundred(a.ModelHead), hundred(a.ModelAllMasked), hundred(a.ModelAll), "", ""})
	}
	if t.Rows == nil {
		return cells.ErrNotRun
	}
	h.table(t)
	return nil
}

// A modelPair is the key of a row of table 4.1.
type modelPair struct{ One, All *recipes.Job }

// heads compares two networks, and keeps the answer.
func (s *study) heads(ctx context.Context, one, all *recipes.Job) (longtail.HeadAccuracies, error) {
	for _, j := range []*recipes.Job{one, all} {
		if _, err := s.lab.Kept(j); err != nil {
			return longtail.HeadAccuracies{}, cells.ErrNotRun
		}
	}
	store := cells.Store{Dir: s.lab.Store().Dir}
	return cells.Get(store, s.main.Name+"-heads", modelPair{one, all}, func() (longtail.HeadAccuracies, error) {
		split, err := longtail.SplitByRank(s.main.Train.Counts, one.Point)
		if err != nil {
			return longtail.HeadAccuracies{}, err
		}
		a, err := s.lab.Outputs(ctx, one)
		if err != nil {
			return longtail.HeadAccuracies{}, err
		}
		b, err := s.lab.Outputs(ctx, all)
		if err != nil {
			return longtail.HeadAccuracies{}, err
		}
		return longtail.CompareHead(a, b, split), nil
	})
}

// table45 has the overall accuracy for each imbalance.
func (h *sheet) table45(ctx context.Context) error {
	h.heading("Table 4.5: overall accuracy by imbalance")
	sets := append([]*recipes.Data{h.main}, h.others...)
	t := &report.Table{Head: []string{" method"}}
	for _, d := range sets {
		t.Head = append(t.Head, fmt.Sprintf("imbalance %.4g", longtail.Imbalance(d.Train.Counts)), "thesis")
	}
	all, err := h.rows(ctx, h.main)
	if err != nil {
		return err
	}
	for _, l := range all {
		row, any := []string{l.title}, false
		for _, d := range sets {
			list, err := h.rows(ctx, d)
			if err != nil {
				return err
			}
			cell := "–"
			for _, m := range list {
				if m.title == l.title {
					if sum, _, err := h.row(m.job); err == nil {
						cell, any = sum.Acc.Percent(), true
					}
				}
			}
			row = append(row, cell, "")
		}
		if any {
			t.Rows = append(t.Rows, row)
		}
	}
	if t.Rows == nil {
		return cells.ErrNotRun
	}
	h.table(t)
	return nil
}

// table47 has the accuracy on head and tail classes.
func (h *sheet) table47(ctx context.Context) error {
	h.heading("Table 4.7: head and tail")
	rows, err := h.rows(ctx, h.main)
	if err != nil {
		return err
	}
	split, err := longtail.SplitByRank(h.main.Train.Counts, h.main.Head())
	if err != nil {
		return err
	}
	h.say(fmt.Sprintf("Means over the %d head classes and the %d tail classes, of the first seed. The thesis has Places-LT and ImageNet-LT here.", split.Point, len(split.Class)-split.Point))
	t := &report.Table{Head: []string{" method", "head", "tail", "thesis: head", "thesis: tail"}}
	for _, l := range rows {
		_, rec, err := h.row(l.job)
		if err != nil {
			continue
		}
		mean := func(classes []int) string {
			sum := 0.0
			for _, c := range classes {
				sum += rec.PerClass[c]
			}
			return hundred(sum / float64(len(classes)))
		}
		t.Rows = append(t.Rows, []string{l.title, mean(split.HeadClasses()), mean(split.TailClasses()), "", ""})
	}
	if t.Rows == nil {
		return cells.ErrNotRun
	}
	h.table(t)
	return nil
}

func (h *sheet) table48(ctx context.Context) error {
	h.heading("Table 4.8: how the bank is filled")
	return h.ablated(ctx, "4.8")
}

func (h *sheet) table49(ctx context.Context) error {
	h.heading("Table 4.9: with and without the memory-retentive loss")
	return h.ablated(ctx, "4.9")
}

// ablated is a table of ablations.
func (h *sheet) ablated(ctx context.Context, table string) error {
	h.say(fmt.Sprintf("All go on from a phase I of %d epochs with 20 exemplars per class and the other settings that were chosen, for %d more epochs' worth of image-steps.", h.epochs(), max(ablationSteps*h.epochs()/200, 1)))
	var rows []line4
	for _, a := range ablated() {
		if a.table == table {
			rows = append(rows, line4{a.title, func(seed uint64) (*recipes.Job, error) { return h.ablation(ctx, a, seed) }})
		}
	}
	return h.compare(rows)
}

// figure42 has the gradients of a joint training and of phase II.
func (h *sheet) figure42(ctx context.Context) error {
	h.heading("Figure 4.2: gradients of head and tail")
	decay, err := h.decay(ctx)
	if err != nil {
		return err
	}
	h.say("Gradients to all parameters of 1,024 training samples with their class frequencies, without random transforms, by epoch: g_h and g_t are the contributions of head and tail, and add up to the overall gradient. In the other convention their means are compared, and the order of the norms can turn.")
	ce := h.rivals(h.main, 1, decay)[0]
	if err := h.distorted("joint training", "figure4.2", ce); err != nil {
		return err
	}
	jobs, err := h.ours(h.main, 1)(ctx)
	if err != nil {
		return err
	}
	return h.distorted("phase II", "figure4.2-phase2", jobs[0])
}

func (h *sheet) distorted(what, file string, j *recipes.Job) error {
	r, err := h.lab.Kept(j)
	if err != nil {
		return err
	}
	cos := &report.Chart{Title: "Cosines to the overall gradient, " + what, X: "epoch", Y: "cosine", Series: []report.Series{{Name: "head"}, {Name: "tail"}}}
	norm := &report.Chart{Title: "Norms of the contributions, " + what, X: "epoch", Y: "norm", Series: []report.Series{{Name: "head"}, {Name: "tail"}, {Name: "overall"}}}
	add := func(s *report.Series, epoch int, v float64) { s.X, s.Y = append(s.X, float64(epoch)), append(s.Y, v) }
	var all longtail.Distortions
	for _, p := range r.Curve {
		if d := p.Distortion; d != nil {
			all.Add(*d, true)
			add(&cos.Series[0], p.Epoch, d.CosHead)
			add(&cos.Series[1], p.Epoch, d.CosTail)
			add(&norm.Series[0], p.Epoch, d.Head)
			add(&norm.Series[1], p.Epoch, d.Tail)
			add(&norm.Series[2], p.Epoch, d.Overall)
		}
	}
	if all.List == nil {
		return cells.ErrNotRun
	}
	if err := h.chart(file+"-cosines", cos); err != nil {
		return err
	}
	if err := h.chart(file+"-norms", norm); err != nil {
		return err
	}
	s := all.Stats()
	t := &report.Table{Head: []string{" " + what, "mean", "standard deviation"}}
	for _, l := range []struct {
		name string
		m    longtail.Moments
	}{{"cosine of head and overall", s.CosHead}, {"cosine of tail and overall", s.CosTail}, {"θ1, head, radians", s.AngleHead}, {"θ2, tail, radians", s.AngleTail},
		{"norm of the head's contribution", s.Head}, {"norm of the tail's contribution", s.Tail}, {"norm of the head's mean", s.HeadMean}, {"norm of the tail's mean", s.TailMean}, {"overall norm", s.Overall}} {
		t.Rows = append(t.Rows, []string{l.name, three(l.m.Mean), three(l.m.Std)})
	}
	h.table(t)
	return nil
}

// figure46 has the accuracy over the disentanglement point.
func (h *sheet) figure46(ctx context.Context) error {
	h.heading("Figure 4.6: the disentanglement point")
	jobs, err := h.points(ctx)
	if err != nil {
		return err
	}
	h.say(fmt.Sprintf("Both phases together take the image-steps of %d epochs, less than elsewhere: the runs rank the points.", h.proxyEpochs()))
	var x []float64
	for _, j := range jobs {
		x = append(x, float64(j.Point))
	}
	return h.curve("figure4.6", "Accuracy by the number of head classes", "head classes", x, func(i int, seed uint64) (*recipes.Job, error) { return jobs[i], nil })
}

func (h *sheet) figure47(ctx context.Context) error {
	h.heading("Figure 4.7: the size of the bank")
	return h.swept(ctx, "f4.7", "figure4.7", "Accuracy by the size of the bank", "exemplars per head class")
}

func (h *sheet) figure48(ctx context.Context) error {
	h.heading("Figure 4.8: λ")
	return h.swept(ctx, "f4.8", "figure4.8", "Accuracy by λ, variant graph", "λ")
}

// swept is a figure of ablations.
func (h *sheet) swept(ctx context.Context, table, file, title, axis string) error {
	var x []float64
	var list []ablation
	for _, a := range ablated() {
		if a.table == table {
			x, list = append(x, a.x), append(list, a)
		}
	}
	return h.curve(file, title, axis, x, func(i int, seed uint64) (*recipes.Job, error) { return h.ablation(ctx, list[i], seed) })
}

// curve draws accuracies over x, and sets them as a table.
func (h *sheet) curve(file, title, axis string, x []float64, job func(i int, seed uint64) (*recipes.Job, error)) error {
	c := &report.Chart{Title: title, X: axis, Y: "accuracy, %", LogX: true, Series: []report.Series{{Name: "all"}, {Name: "many"}, {Name: "medium"}, {Name: "few"}}}
	var rows []line4
	for i := range x {
		j := func(seed uint64) (*recipes.Job, error) { return job(i, seed) }
		rows = append(rows, line4{fmt.Sprint(x[i]), j})
		sum, _, err := h.row(j)
		if errors.Is(err, cells.ErrNotRun) {
			continue
		}
		if err != nil {
			return err
		}
		for k, s := range []*longtail.Spread{&sum.Acc, sum.Many, sum.Medium, sum.Few} {
			if s != nil {
				c.Series[k].X, c.Series[k].Y = append(c.Series[k].X, x[i]), append(c.Series[k].Y, 100*s.Mean)
			}
		}
	}
	if len(c.Series[0].X) == 0 {
		return cells.ErrNotRun
	}
	if err := h.chart(file, c); err != nil {
		return err
	}
	return h.compare(rows)
}

// searched has the rounds of the search, on held-out data.
func (h *sheet) searched(ctx context.Context) error {
	h.heading("The search")
	decay, err := h.decay(ctx)
	if err != nil {
		return err
	}
	h.say(fmt.Sprintf("On held-out data, every run with the image-steps of %d epochs of the smaller training set. The first arm of a round is the winner of those before it.", h.proxyEpochs()))
	rows := []line4{{"balanced softmax", func(uint64) (*recipes.Job, error) { return h.reference(decay)[0], nil }}}
	if err := h.tried(rows); err != nil && !errors.Is(err, cells.ErrNotRun) {
		return err
	}
	for i := range searches {
		arms, err := h.search(ctx, i)
		if err != nil {
			return err
		}
		rows := make([]line4, len(arms))
		for k, a := range arms {
			rows[k] = line4{a.title, func(uint64) (*recipes.Job, error) { return a.job, nil }}
		}
		fmt.Fprintf(h, "Round %d:\n\n", i+1)
		if err := h.tried(rows); err != nil {
			return err
		}
	}
	return nil
}

func (h *sheet) tried(rows []line4) error {
	t := &report.Table{Head: []string{" arm", "all", "many", "medium", "few", "M image-steps"}}
	for _, l := range rows {
		j, err := l.job(1)
		if err != nil {
			return err
		}
		r, err := h.lab.Kept(j)
		var diverged *recipes.DivergedError
		if errors.As(err, &diverged) {
			t.Rows = append(t.Rows, []string{l.title, "diverged", "", "", "", ""})
		}
		if err != nil {
			continue
		}
		rec, err := h.lab.Record(j, r)
		if err != nil {
			return err
		}
		group := func(v *float64) string {
			if v == nil {
				return "–"
			}
			return hundred(*v)
		}
		t.Rows = append(t.Rows, []string{l.title, hundred(rec.Acc), group(rec.Many), group(rec.Medium), group(rec.Few), fmt.Sprintf("%.2f", float64(rec.Images)/1e6)})
	}
	if t.Rows == nil {
		return cells.ErrNotRun
	}
	h.table(t)
	return nil
}
