package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/longtail"
)

// A sheet is the page of a study as it is written, of what was done so far.
type sheet struct {
	*study
	strings.Builder
	records []longtail.Result
}

func (s *study) name() string { return fmt.Sprintf("chapter%d-%s", s.c.chapter, s.main.Name) }

// write writes the page, its figures and the records of all results.
func (s *study) write(ctx context.Context) error {
	cached := *s
	cached.lab = s.lab.Shelf()
	h := &sheet{study: &cached}
	h.head(ctx)
	for _, part := range []func(context.Context) error{h.comparison, h.table41, h.table45, h.table47, h.table48, h.table49,
		h.figure42, h.figure46, h.figure47, h.figure48, h.searched} {
		if err := part(ctx); err != nil && !errors.Is(err, cells.ErrNotRun) {
			return err
		} else if err != nil {
			h.WriteString("Not run yet.\n\n")
		}
	}
	if err := h.collect(ctx); err != nil {
		return err
	}
	path := filepath.Join(s.c.out, s.name())
	b, err := longtail.EncodeResults(h.records)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(path+".json", b); err != nil {
		return err
	}
	return atomicfile.WriteFile(path+".md", []byte(h.String()))
}

// collect takes the records of everything in the plan that is done.
func (h *sheet) collect(ctx context.Context) error {
	seen := map[string]bool{}
	add := func(j *recipes.Job) error {
		r, err := h.lab.Kept(j)
		if err != nil || j.Method == recipes.PhaseOne { // that one knows the head only
			return nil
		}
		rec, err := h.lab.Record(j, r)
		if err != nil {
			return err
		}
		if id := j.ID(); !seen[id] {
			seen[id] = true
			h.records = append(h.records, rec)
		}
		return nil
	}
	for _, p := range h.plan() {
		jobs, err := p.jobs(ctx)
		if err != nil {
			continue
		}
		for _, j := range jobs {
			if err := add(j); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *sheet) heading(title string) { fmt.Fprintf(h, "\n## %s\n\n", title) }

func (h *sheet) say(s string) { fmt.Fprintf(h, "%s\n\n", s) }

func (h *sheet) table(t *report.Table) { fmt.Fprintf(h, "%s\n", t.Markdown()) }

// chart writes a figure beside the page and shows it there.
func (h *sheet) chart(name string, c *report.Chart) error {
	file := h.name() + "-" + name + ".svg"
	fmt.Fprintf(h, "![%s](%s)\n\n", c.Title, file)
	return c.Write(filepath.Join(h.c.out, file))
}

// head says how the numbers came about.
func (h *sheet) head(ctx context.Context) {
	d := h.main
	g := d.Groups()
	fmt.Fprintf(h, "# Chapter 4 on %s\n\n", d.Name)
	h.say(fmt.Sprintf("Made by `go run ./examples/tables%s` on %s.", settings(), time.Now().Format("2 January 2006")))
	decay := "not chosen yet"
	if v, err := h.decay(ctx); err == nil {
		decay = fmt.Sprintf("%g, the better of %g and %g on held-out data (cross-entropy and its adjustment, %d epochs)", v, decays[0], decays[1], h.pilotEpochs())
	}
	stamp := longtail.Here()
	for _, f := range [][2]string{
		{"machine", machine()},
		{"program", fmt.Sprintf("%s, %s, kernels %s, version %s", stamp.Go, stamp.Arch, stamp.Kernel, stamp.Module)},
		{"training set", fmt.Sprintf("%s, digest %.16s: %d samples of %d classes, imbalance %.4g; %d many-shot, %d medium-shot, %d few-shot (%s)", d.Train.Name, d.Train.Digest,
			d.Train.Data.Len(), len(d.Train.Counts), longtail.Imbalance(d.Train.Counts), len(g.Many), len(g.Medium), len(g.Few), g.Rule.Name)},
		{"test set", fmt.Sprintf("%d samples, digest %s", d.Test.Len(), d.Which)},
		{"held out", fmt.Sprintf("every choice was made on %d samples, as many of each class, that were taken from the training set before the profile; the networks that chose had %d training samples", h.held.Test.Len(), h.held.Train.Data.Len())},
		{"network", h.model},
		{"recipe, of all rows", fmt.Sprintf("%d epochs of batches of 128, SGD with momentum 0.9, rate 0.1 after %g epochs of warm-up, a hundredth after 0.8 and 0.9 of the epochs, padded crops and flips", h.epochs(), float64(h.epochs())/40)},
		{"weight decay", decay},
		{"budget", "image-steps: samples passed forward and back, over all stages. Divide and Retain has as many as a joint training; cRT and LWS have ten more epochs for the classifier"},
		{"numbers", "of the last epoch, in percent; several seeds: the mean, and the range of two or the standard deviation of more. best* is the best epoch among those tested, chosen on the test set"},
		{"thesis", "its numbers are not known; the column is blank"},
	} {
		fmt.Fprintf(h, "- **%s**: %s\n", f[0], f[1])
	}
}

// seeds are the most that a row has.
const seeds = 3

// row is the summary of one job over seeds, of those that are done.
func (h *sheet) row(job func(seed uint64) (*recipes.Job, error)) (*longtail.Summary, *longtail.Result, error) {
	var list []longtail.Result
	for seed := uint64(1); seed <= seeds; seed++ {
		j, err := job(seed)
		if err != nil {
			return nil, nil, err
		}
		r, err := h.lab.Kept(j)
		var diverged *recipes.DivergedError
		if errors.Is(err, cells.ErrNotRun) || errors.As(err, &diverged) || err == nil && j.Seed != seed {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		rec, err := h.lab.Record(j, r)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, rec)
	}
	if len(list) == 0 {
		return nil, nil, cells.ErrNotRun
	}
	sums, err := longtail.Summarize(list)
	if err != nil {
		return nil, nil, err
	}
	return &sums[0], &list[0], nil
}

// spread shows a number that there may not be.
func spread(s *longtail.Spread) string {
	if s == nil {
		return "–"
	}
	return s.Percent()
}

// A line4 is a row of a comparison.
type line4 struct {
	title string
	job   func(seed uint64) (*recipes.Job, error)
}

// rows are the rivals, in the order of the table, and Divide and Retain.
func (h *sheet) rows(ctx context.Context, d *recipes.Data) ([]line4, error) {
	decay, err := h.decay(ctx)
	if err != nil {
		return nil, err
	}
	var list []line4
	for i, j := range h.rivals(d, 1, decay) {
		list = append(list, line4{rival(j), func(seed uint64) (*recipes.Job, error) { return h.rivals(d, seed, decay)[i], nil }})
	}
	ours := h.ours(d, 1)
	if jobs, err := ours(ctx); err == nil {
		for i, title := range []string{"Divide and Retain", "Divide and Retain, then cRT", "Divide and Retain, literal"}[:len(jobs)] {
			list = append(list, line4{title, func(seed uint64) (*recipes.Job, error) {
				jobs, err := h.ours(d, seed)(ctx)
				if err != nil {
					return nil, err
				}
				return jobs[i], nil
			}})
		}
	}
	if d != h.main {
		return list, nil
	}
	once := func(title string, j *recipes.Job) {
		list = append(list, line4{title, func(uint64) (*recipes.Job, error) { return j, nil }})
	}
	if jobs, err := h.modern(ctx); err == nil {
		once("Divide and Retain, AutoAugment and Cutout", jobs[0])
		once("balanced softmax, AutoAugment and Cutout", jobs[1])
	}
	for _, j := range h.further(decay) {
		once(rival(j), j)
	}
	return list, nil
}

// rival is how a table calls a method.
func rival(j *recipes.Job) string {
	name := map[string]string{recipes.CE: "cross-entropy", recipes.PostHoc: "logit adjustment, post hoc", recipes.TauNormalized: "τ-normalised",
		recipes.NCM: "nearest class mean", recipes.CRT: "cRT", recipes.LWS: "LWS", recipes.BalancedSoftmax: "balanced softmax", recipes.LDAMDRW: "LDAM-DRW",
		recipes.MiSLAS: "MiSLAS", recipes.BBN: "BBN, twice the steps", recipes.RIDE: "RIDE, 3 experts", recipes.ProCo: "ProCo, AutoAugment and Cutout, thrice the steps"}[j.Method]
	if j.Tau != 0 {
		name += fmt.Sprintf(", τ %g", j.Tau)
	}
	return cmp.Or(name, j.Method)
}

func (h *sheet) comparison(ctx context.Context) error {
	h.heading("All methods")
	rows, err := h.rows(ctx, h.main)
	if err != nil {
		return err
	}
	if best, _, err := h.chosen(ctx); err == nil {
		h.say("Divide and Retain is as the search below chose it: " + inWords(best.setting) + ".")
	}
	return h.compare(rows)
}

func (h *sheet) compare(rows []line4) error {
	t := &report.Table{Head: []string{" method", "seeds", "all", "last five", "best*", "many", "medium", "few", "ECE", "M image-steps", "thesis"}}
	for _, l := range rows {
		sum, rec, err := h.row(l.job)
		if errors.Is(err, cells.ErrNotRun) {
			continue
		}
		if err != nil {
			return err
		}
		t.Rows = append(t.Rows, []string{l.title, fmt.Sprint(len(sum.Seeds)), sum.Acc.Percent(), spread(sum.AccLast5), sum.AccBest.Percent(), spread(sum.Many), spread(sum.Medium), spread(sum.Few),
			sum.ECE.Percent(), fmt.Sprintf("%.2f", float64(rec.Images)/1e6), ""})
	}
	if t.Rows == nil {
		return cells.ErrNotRun
	}
	h.table(t)
	return nil
}

// inWords says a setting in words.
func inWords(c recipes.Dual) string {
	bank := fmt.Sprintf("%d exemplars per class", c.Two.PerClass)
	if c.Two.PerClass == recipes.All {
		bank = "all of the head in the bank"
	}
	point := "the many-shot classes as head"
	if c.Point > 0 {
		point = fmt.Sprintf("%d head classes", c.Point)
	}
	parts := []string{fmt.Sprintf("%g of the image-steps in phase I", c.Share), point, bank, c.Two.Sampler + " sampling", c.Two.Loss}
	if c.Two.Lambda > 0 {
		parts = append(parts, fmt.Sprintf("variant %v with λ %.3g", c.Two.Retention.Variant, c.Two.Lambda))
	}
	if c.Two.Distill > 0 {
		parts = append(parts, fmt.Sprintf("logits held (LwF) by a factor of %.3g", c.Two.Distill))
	}
	if c.Two.Lambda == 0 && c.Two.Distill == 0 {
		parts = append(parts, "no retention")
	}
	if c.LR > 0 {
		parts = append(parts, fmt.Sprintf("rate %g", c.LR))
	}
	if c.Two.Statistics != "" {
		parts = append(parts, c.Two.Statistics+" batch statistics")
	}
	if c.Two.Rows != "" {
		parts = append(parts, c.Two.Rows+" rows")
	}
	return strings.Join(parts, ", ")
}
