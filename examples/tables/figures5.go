package main

import (
	"cmp"
	"context"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/ssl"
	"github.com/mettleml/mettle/tensor"
)

// picture writes pixels beside the page.
func (h *sheet5) picture(name string, x *tensor.Tensor) (file string, err error) {
	file = h.name() + "-" + name + ".png"
	return file, atomicfile.Write(filepath.Join(h.c.out, file), func(w io.Writer) error { return png.Encode(w, x.ToImage()) })
}

// A reconstructed is what is kept of a reconstruction: no pixels.
type reconstructed struct {
	MSE, Explained float64
	Width          int
}

// figure51 has pictures that are made again from features.
func (h *sheet5) figure51(ctx context.Context) error {
	h.heading("Figure 5.1: pictures from features")
	base := h.base(h.main, h.s.epochs())(1)
	alone := h.s.job(h.main, initial, h.s.method, 1, h.s.epochs()).From
	for _, j := range []*recipes.Job{base, alone} {
		if _, err := h.lab.Kept(j); err != nil {
			return err
		}
	}
	how := ssl.Reconstruction{}
	key := struct {
		Figure, How string
		Base, SSL   *recipes.Job
	}{"5.1", how.String(), base, alone}
	file := h.name() + "-figure5.1.png"
	store := h.s.lab.Store()
	if _, err := os.Stat(filepath.Join(h.c.out, file)); err != nil && !store.Cached { // the numbers do not have the pictures
		name, err := cells.Name(h.main.Name+"-figure5.1", key)
		if err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(store.Dir, name+".json")); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	titles := []string{"(b) classification, after pooling", "(c) self-supervision, after pooling", "(d) self-supervision, after its projector"}
	list, err := cells.Get(store, h.main.Name+"-figure5.1", key, func() ([]reconstructed, error) {
		b, err := h.s.lab.Classifier(ctx, base)
		if err != nil {
			return nil, err
		}
		c, m, err := h.s.lab.Method(alone)
		if err != nil {
			return nil, err
		}
		modules := []nn.Module{b.Backbone, c.Backbone}
		if p, ok := m.(ssl.Projecting); ok {
			modules = append(modules, p.Projection())
		}
		var list []reconstructed
		var rows []*tensor.Tensor
		for _, module := range modules {
			r, err := recipes.Reconstruct(ctx, module, h.main, how)
			if err != nil {
				return nil, err
			}
			if rows == nil {
				rows = append(rows, r.Shown)
			}
			list, rows = append(list, reconstructed{r.MSE, r.Explained, r.Width}), append(rows, r.Made)
		}
		_, err = h.picture("figure5.1", report.Montage(rows, 3))
		return list, err
	})
	if err != nil {
		return err
	}
	h.say(fmt.Sprintf("Test pictures, and what decoders make of the features of them, are in %s: pixels of the data set, which are for its user alone and belong in no repository. A %v; it learned on up to 5,000 training pictures, the numbers are on up to 1,000 test pictures. Explained is the share of the variance about the mean training picture.", file, how))
	t := &report.Table{Head: []string{" features", "width", "mean squared error", "explained, %"}}
	for i, r := range list {
		t.Rows = append(t.Rows, []string{titles[i], fmt.Sprint(r.Width), fmt.Sprintf("%.4f", r.MSE), hundred(r.Explained)})
	}
	h.table(t)
	return nil
}

// figure54 has the accuracy over the two weights.
func (h *sheet5) figure54(ctx context.Context) error {
	h.heading("Figure 5.4: λ")
	h.say(fmt.Sprintf("The figure's λ may be the weight of the self-supervised loss or that of mutual information: here are both. On held-out samples, %d epochs; the rows are in the search below.", h.s.proxy()))
	jobs, tried := h.s.tries()[1:], h.s.tried()
	normal := h.main.SelfSupervised(h.s.method, 1)
	drawn := false
	for _, w := range []struct {
		axis, name string
		at         float64
	}{{"λ", "lambda", normal.Lambda}, {"β", "beta", normal.Beta}} {
		axis := w.axis
		tried[0].axis, tried[0].x = axis, w.at // as it is, that one is on both
		c := &report.Chart{Title: "Accuracy on held-out samples by " + axis, X: axis, Y: "accuracy, %", LogX: true, Series: []report.Series{{Name: "all"}, {Name: "many"}, {Name: "medium"}, {Name: "few"}}}
		var of []int
		for i, t := range tried {
			if t.axis == axis {
				of = append(of, i)
			}
		}
		slices.SortFunc(of, func(a, b int) int { return cmp.Compare(tried[a].x, tried[b].x) })
		for _, i := range of {
			r, err := h.lab.Kept(jobs[i])
			if skipped(err) {
				continue
			}
			if err != nil {
				return err
			}
			for k, v := range []*float64{&r.Report.Acc, r.Report.Many, r.Report.Medium, r.Report.Few} {
				if v != nil {
					c.Series[k].X, c.Series[k].Y = append(c.Series[k].X, tried[i].x), append(c.Series[k].Y, 100**v)
				}
			}
		}
		if len(c.Series[0].X) == 0 {
			continue
		}
		drawn = true
		if err := h.chart("figure5.4-"+w.name, c); err != nil {
			return err
		}
	}
	if !drawn {
		return cells.ErrNotRun
	}
	return nil
}

// figure55 has base and ensemble by the number of samples of a class.
func (h *sheet5) figure55(ctx context.Context) error {
	h.heading("Figure 5.5: with and without the ensemble, by class")
	counts := h.main.Train.Counts
	order := make([]int, len(counts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return counts[b] - counts[a] })
	bins := min(10, len(order))
	c := &report.Chart{Title: "Accuracy by class, from the largest to the smallest", X: "rank of the class, means of a tenth", Y: "accuracy, %"}
	rows := h.lines(h.main, h.s.epochs(), first...)
	for _, l := range rows {
		line := report.Series{Name: l.title}
		for b := range bins {
			lo, hi := b*len(order)/bins, (b+1)*len(order)/bins
			var all []float64
			for seed := uint64(1); seed <= seeds; seed++ {
				r, err := h.lab.Kept(l.job(seed))
				if skipped(err) {
					continue
				}
				if err != nil {
					return err
				}
				for _, class := range order[lo:hi] {
					all = append(all, 100*r.Report.PerClass[class])
				}
			}
			if all != nil {
				line.X, line.Y = append(line.X, float64(lo+hi+1)/2), append(line.Y, longtail.SpreadOf(all...).Mean)
			}
		}
		c.Series = append(c.Series, line)
	}
	if len(c.Series[0].X) == 0 {
		return cells.ErrNotRun
	}
	h.say("Means over seeds.")
	return h.chart("figure5.5", c)
}

// A plane is an embedding that is kept.
type plane struct {
	Points []float32
	Labels []int
	KL     float64
}

// figure56 has the test features in the plane.
func (h *sheet5) figure56(ctx context.Context) error {
	d := h.main
	if h.s.second != nil {
		d = h.s.second
	}
	h.heading("Figure 5.6: features of " + d.Name + " in the plane")
	h.say("t-SNE of the backbone's features of up to 2,000 test samples, a colour for each class, ten colours that later classes have darker; seed 1. That there are clusters means something, their sizes and distances do not.")
	drawn := false
	for _, a := range first {
		j := h.s.job(d, a, h.s.method, 1, h.s.epochs())
		if _, err := h.lab.Kept(j); skipped(err) {
			continue
		}
		key := struct {
			Figure string
			Job    *recipes.Job
		}{"5.6", j}
		p, err := cells.Get(h.s.lab.Store(), j.Label()+"-figure5.6", key, func() (plane, error) {
			net, err := h.s.lab.Classifier(ctx, j)
			if err != nil {
				return plane{}, err
			}
			f, err := eval.Collect(ctx, net.Backbone, recipes.Some(d.Test, 2000), eval.Options{Transform: d.Pre.Transform()})
			if err != nil {
				return plane{}, err
			}
			e, err := recipes.Embed(ctx, f)
			if err != nil {
				return plane{}, err
			}
			return plane{e.Y.Data(), f.Labels, e.KL}, nil
		})
		if skipped(err) {
			continue
		}
		if err != nil {
			return err
		}
		drawn = true
		file, err := h.picture("figure5.6-"+strings.ReplaceAll(a.title, " ", "-"), report.Scatter(tensor.FromSlice(p.Points, len(p.Labels), 2), p.Labels))
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s, divergence %.3f:\n\n![%s](%s)\n\n", a.title, p.KL, a.title, file)
	}
	if !drawn {
		return cells.ErrNotRun
	}
	return nil
}

// figure57 has reliability graphs of the first seed.
func (h *sheet5) figure57(ctx context.Context) error {
	h.heading("Figure 5.7: reliability")
	h.say("15 bins of equal width; below the diagonal a network is surer than it is right. The first seed, before and after.")
	c := &report.Chart{Title: "Reliability", X: "confidence", Y: "accuracy", YMax: 1, Series: []report.Series{{Name: "calibrated", X: []float64{0, 1}, Y: []float64{0, 1}}}}
	t := &report.Table{Head: []string{" arrangement", "ECE, %", "MCE, %", "NLL", "Brier"}}
	for _, l := range h.lines(h.main, h.s.epochs(), first...) {
		j := l.job(1)
		if _, err := h.lab.Kept(j); skipped(err) {
			continue
		}
		key := struct {
			Figure string
			Bins   int
			Job    *recipes.Job
		}{"5.7", 15, j}
		m, err := cells.Get(h.s.lab.Store(), j.Label()+"-figure5.7", key, func() (eval.Calibration, error) {
			out, err := h.s.lab.Outputs(ctx, j)
			if err != nil {
				return eval.Calibration{}, err
			}
			return out.Calibration(15), nil
		})
		if skipped(err) {
			continue
		}
		if err != nil {
			return err
		}
		c.Series = append(c.Series, report.Calibrated(fmt.Sprintf("%s, ECE %.1f %%", l.title, 100*m.ECE), m.Bins))
		t.Rows = append(t.Rows, []string{l.title, hundred(m.ECE), hundred(m.MCE), three(m.NLL), three(m.Brier)})
	}
	if t.Rows == nil {
		return cells.ErrNotRun
	}
	if err := h.chart("figure5.7", c); err != nil {
		return err
	}
	h.table(t)
	return nil
}
