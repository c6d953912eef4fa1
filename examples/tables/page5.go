package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/longtail"
)

// A sheet5 is the page of chapter 5 as it is written, of what was done so far.
type sheet5 struct {
	sheet         // whose lab does nothing
	s     *study5 // whose lab measures networks that are there
}

// write writes the page, its figures and the records of all results.
func (s *study5) write(ctx context.Context) error {
	shelf := *s.study
	shelf.lab = s.lab.Shelf()
	h := &sheet5{s: s, sheet: sheet{study: &shelf}}
	h.head()
	for _, part := range []func(context.Context) error{h.table55, h.figure55, h.table58, h.figure57, h.figure56, h.figure51, h.methods, h.table59, h.searched, h.figure54, h.filters} {
		if err := part(ctx); err != nil && !skipped(err) {
			return err
		} else if err != nil {
			h.WriteString("Not run yet.\n\n")
		}
	}
	records, err := h.arms(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(s.c.out, s.name())
	if err := atomicfile.WriteJSON(path+".json", records); err != nil {
		return err
	}
	return atomicfile.WriteFile(path+".md", []byte(h.String()))
}

// arms are the records of everything in the plan that is done.
func (h *sheet5) arms(ctx context.Context) ([]*recipes.Arm, error) {
	list := []*recipes.Arm{}
	seen := map[string]bool{}
	for _, p := range h.s.plan() {
		jobs, err := p.jobs(ctx)
		if err != nil {
			continue
		}
		for _, j := range jobs {
			if id := j.ID(); !seen[id] {
				seen[id] = true
				a, err := h.s.lab.Arm(ctx, j)
				if skipped(err) {
					continue
				}
				if err != nil {
					return nil, err
				}
				list = append(list, a)
			}
		}
	}
	return list, nil
}

// head says how the numbers came about.
func (h *sheet5) head() {
	d := h.main
	g := d.Groups()
	fmt.Fprintf(h, "# Chapter 5 on %s\n\n", d.Name)
	h.say(fmt.Sprintf("Made by `go run ./examples/tables%s` on %s.", settings(), time.Now().Format("2 January 2006")))
	h.say("Of the chapter the headings, the captions and the abstract are known. The arrangements follow the captions of figures 5.2 and 5.3; filter, weights, default method and estimator are a reconstruction of ours (package ssl).")
	stamp := longtail.Here()
	for _, f := range [][2]string{
		{"machine", machine()},
		{"program", fmt.Sprintf("%s, %s, kernels %s, version %s", stamp.Go, stamp.Arch, stamp.Kernel, stamp.Module)},
		{"training set", fmt.Sprintf("%s, digest %.16s: %d samples of %d classes, imbalance %.4g; %d many-shot, %d medium-shot, %d few-shot (%s)", d.Train.Name, d.Train.Digest,
			d.Train.Data.Len(), len(d.Train.Counts), longtail.Imbalance(d.Train.Counts), len(g.Many), len(g.Medium), len(g.Few), g.Rule.Name)},
		{"test set", fmt.Sprintf("%d samples, digest %s", d.Test.Len(), d.Which)},
		{"network", h.model},
		{"method", fmt.Sprintf("%s, unless a row says otherwise", h.s.method)},
		{"recipe, of all rows", fmt.Sprintf("%d epochs of the classifier in batches of 128, SGD with momentum 0.9, rate %g along a cosine after %g epochs of warm-up, weight decay 5e-4, padded crops and flips. SSL as initialisation has as many epochs of pre-training before, by package ssl's recipe", h.s.epochs(), h.s.recipe(d, 1).LR, float64(h.s.epochs())/40)},
		{"image-steps", "views passed forward and back, over all stages; those of a slow copy count once. Every classifier sees as many samples"},
		{"†", "one more training of the classifier on frozen features, balanced over classes (cRT), ten epochs"},
		{"numbers", "of the last epoch, in percent; several seeds: the mean, and the range of two or the standard deviation of more. The gain is that over the base of the same seed, with the same recipe"},
		{"kNN", recipes.Neighbours.String() + ", features of the plain training samples"},
		{"thesis", "its numbers are not known; the column is blank"},
	} {
		fmt.Fprintf(h, "- **%s**: %s\n", f[0], f[1])
	}
}

// A line5 is a row of a comparison.
type line5 struct {
	title string
	job   func(seed uint64) *recipes.Job
}

// lines are the rows of arms, each followed by that of its dagger.
func (h *sheet5) lines(d *recipes.Data, epochs int, arms ...arm5) []line5 {
	var list []line5
	for _, a := range arms {
		job := func(seed uint64) *recipes.Job { return h.s.job(d, a, h.s.method, seed, epochs) }
		list = append(list, line5{a.title, job})
		if !a.plain {
			list = append(list, line5{a.title + " †", func(seed uint64) *recipes.Job { return again(job(seed)) }})
		}
	}
	return list
}

// compare sets rows as a table, with their gain over the job of a base.
func (h *sheet5) compare(ctx context.Context, rows []line5, base func(seed uint64) *recipes.Job) error {
	t := &report.Table{Head: []string{" arrangement", "seeds", "all", "gain", "many", "medium", "few", "ECE", "kNN", "M image-steps", "thesis"}}
	for _, l := range rows {
		sum, rec, err := h.row(func(seed uint64) (*recipes.Job, error) { return l.job(seed), nil })
		if skipped(err) {
			continue
		}
		if err != nil {
			return err
		}
		var gains, near []float64
		for _, seed := range sum.Seeds {
			j := l.job(seed)
			if b, err := h.s.lab.Kept(base(seed)); err == nil {
				r, err := h.s.lab.Kept(j)
				if err != nil {
					return err
				}
				gains = append(gains, r.Report.Acc-b.Report.Acc)
			}
			q, err := h.s.lab.Quality(ctx, j)
			if skipped(err) {
				continue
			}
			if err != nil {
				return err
			}
			near = append(near, q.KNN)
		}
		t.Rows = append(t.Rows, []string{l.title, fmt.Sprint(len(sum.Seeds)), sum.Acc.Percent(), signed(gains), spread(sum.Many), spread(sum.Medium), spread(sum.Few),
			sum.ECE.Percent(), over(near), fmt.Sprintf("%.2f", float64(rec.Images)/1e6), ""})
	}
	if t.Rows == nil {
		return cells.ErrNotRun
	}
	h.table(t)
	return nil
}

// over is the spread of what was measured.
func over(v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	return longtail.SpreadOf(v...).Percent()
}

// signed is the spread of differences in points.
func signed(v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	s := longtail.SpreadOf(v...)
	switch {
	case s.N == 1:
		return fmt.Sprintf("%+.1f", 100*s.Mean)
	case s.N == 2:
		return fmt.Sprintf("%+.1f (%+.1f to %+.1f)", 100*s.Mean, 100*s.Min, 100*s.Max)
	}
	return fmt.Sprintf("%+.1f ± %.1f", 100*s.Mean, 100**s.Std)
}
