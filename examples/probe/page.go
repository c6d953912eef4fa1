package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/report"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// table is the protocol's result, a row an attack (thesis tables 2.4 and 2.5).
func (p *probe) table() *report.Table {
	t := &report.Table{Head: []string{" attack", "n", "success", "[95 %]", "queries", "[95 %]", "median", "mean, all", "median, all",
		"best L2", "[95 %]", "Linf", "L0", "at query", "verified", "8 bits", "s"}}
	for _, r := range p.results {
		s := r.Summary()
		won := func(text string) string { // an average over successes
			if s.SuccessRate == 0 {
				return "–"
			}
			return text
		}
		t.Rows = append(t.Rows, []string{
			s.Attack, fmt.Sprint(s.Samples), percent(s.SuccessRate), between(s.SuccessCI, func(v float64) string { return whole(100 * v) }),
			won(whole(s.QueriesMean)), won(between(s.QueriesCI, whole)), won(whole(s.QueriesMedian)), whole(s.QueriesMeanAll), whole(s.QueriesMedianAll),
			won(two(s.L2Mean)), won(between(s.L2CI, two)), won(two(s.LinfMean)), won(whole(s.L0Mean)), won(whole(s.BestQueries)),
			percent(s.VerifiedRate), percent(s.Verified8Rate), fmt.Sprintf("%.1f", s.Seconds)})
	}
	return t
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
func whole(v float64) string   { return fmt.Sprintf("%.0f", v) }
func two(v float64) string     { return fmt.Sprintf("%.2f", v) }

func between(i attack.Interval, f func(float64) string) string {
	return f(i.Lo) + "–" + f(i.Hi)
}

// page is the report.
func (p *probe) page() (*report.Page, error) {
	pg := &report.Page{
		Title: "Probing " + p.victim.Name,
		Lead: fmt.Sprintf("%d images, %s, at most %d queries an image, %s.", len(p.samples), p.c.goal, p.c.budget,
			time.Now().Format("2 January 2006")),
	}
	result := append(slices.Clone(p.notes),
		"Queries are counted up to the first success, over successes; “mean, all” and “median, all” count a failure as the budget. Distances are of the best success in the attack's norm, found “at query”; L0 is the number of values that differ. “s” is seconds of work, summed over images that may have been attacked at a time. An attack on labels begins with a success far away and comes nearer: compare it by its distance, or by the curves.")
	result = append(result, p.remarks()...)
	if p.robust != nil {
		pg.Sections = append(pg.Sections, p.robustSection())
	}
	pg.Sections = append(pg.Sections,
		report.Section{Title: "Result", Table: p.table(), Text: result},
		report.Section{Title: "Success against queries", Chart: p.successCurves(), Text: []string{
			fmt.Sprintf("Share of the images with a success within an L2 distance of %g, against queries spent (as figure 2.1 of the thesis, which has no limit on the distance).", p.c.within)}},
		report.Section{Title: "Distance against queries", Chart: p.distanceCurves(), Text: []string{
			"Median over the images of the L2 distance of the nearest success so far, from where half of them have one that is not far away."}},
	)
	tiles, err := p.gallery()
	if err != nil {
		return nil, err
	}
	pg.Sections = append(pg.Sections, report.Section{Title: "Images", Tiles: tiles, Text: []string{
		"The original, what was added to it (grey is nothing, scaled to its largest value), and the sum, with the victim's answers."}})
	pg.Sections = append(pg.Sections, report.Section{Title: "Protocol", Facts: p.protocol()})
	return pg, nil
}

// robustSection is a row for each attack of autoattack.
func (p *probe) robustSection() report.Section {
	r := p.robust
	t := &report.Table{Head: []string{" after", "attacked", "broken", "robust accuracy"},
		Rows: [][]string{{"none (clean)", "", "", fmt.Sprintf("%.2f %%", 100*r.Clean)}}}
	for _, s := range r.Attacks {
		t.Rows = append(t.Rows, []string{s.Attack, fmt.Sprint(s.Attacked), fmt.Sprint(s.Broken), fmt.Sprintf("%.2f %%", 100*s.Robust)})
	}
	return report.Section{Title: fmt.Sprintf("Robust accuracy, %v of %.4g", r.Norm, r.Eps), Table: t, Text: []string{fmt.Sprintf(
		"Of %d samples, the share that the victim gets right and that no attack so far has broken (AutoAttack, version %s; 95 %% interval %.1f to %.1f %%). An attack sees only what those before it left standing.",
		r.Samples, r.Version, 100*r.RobustCI.Lo, 100*r.RobustCI.Hi)}}
}

// remarks are what else there is to say about a row.
func (p *probe) remarks() []string {
	var all []string
	for _, r := range p.results {
		a, err := attack.PresetOf[attack.Meta](p.preset)
		if r.Attack != "meta" || err != nil {
			continue
		}
		var sum, n float64
		for _, rec := range r.Records {
			if rec.Success {
				sum += float64(a.AuthorsCount(rec.First.Queries))
				n++
			}
		}
		if n > 0 {
			all = append(all, fmt.Sprintf("meta: by the count of the authors' code, which leaves out the step that succeeds, %.0f queries.", sum/n))
		}
	}
	return all
}

func (p *probe) protocol() []report.Fact {
	facts := []report.Fact{
		{Name: "victim", Value: fmt.Sprintf("%s, %d classes, %s, samples of %v with pixels in [0,1]", p.victim.Name, p.victim.Classes, p.victim.Scores, p.victim.Shape)},
		{Name: "images", Value: fmt.Sprintf("%d of %s, the same for every attack, all classified rightly when clean; the victim was right on %d of the %d it was asked about to find them", len(p.samples), p.c.data, len(p.samples), p.look.Tried)},
		{Name: "goal", Value: map[string]string{"untargeted": "any class but the true one", "targeted": "the class after the true one, the first after the last"}[p.c.goal]},
		{Name: "what is a query", Value: "one image through the victim, whatever is read from the answer; counted before it is sent, success checks included, the check of the clean image and the verification apart"},
		{Name: "budget", Value: fmt.Sprintf("%d queries an image and attack; the attack is cut off there", p.c.budget)},
		{Name: "queries in all", Value: p.spent()},
		{Name: "verified", Value: "a separate pass over the best success, as float32 and rounded to 8 bits"},
		{Name: "intervals", Value: "95 %: Wilson's for rates, 1.96 standard errors for mean distances, the same on the logarithmic scale for mean queries"},
		{Name: "seed", Value: fmt.Sprint(p.c.seed)},
		{Name: "program", Value: fmt.Sprintf("Mettle, kernels %s, %s %s/%s", kernel.Active().Name, runtime.Version(), runtime.GOOS, runtime.GOARCH)},
	}
	for _, r := range p.results {
		facts = append(facts, report.Fact{Name: r.Attack, Value: fmt.Sprintf("%s %s", r.Norm, r.Options)})
	}
	return facts
}

// successCurves are the shares of images with a success within the limit.
func (p *probe) successCurves() *report.Chart {
	c := &report.Chart{Title: fmt.Sprintf("success within L2 %g", p.c.within), X: "queries", Y: "share of images", LogX: true, YMax: 1}
	for _, r := range p.results {
		var at []float64
		for _, rec := range r.Records {
			for _, q := range rec.Trace {
				if q.L2 <= p.c.within {
					at = append(at, float64(max(q.Queries, 1)))
					break
				}
			}
		}
		slices.Sort(at)
		s := report.Series{Name: r.Attack, Step: true, X: []float64{1}, Y: []float64{0}}
		for i, q := range at {
			s.X = append(s.X, q)
			s.Y = append(s.Y, float64(i+1)/float64(len(r.Records)))
		}
		s.X = append(s.X, float64(p.c.budget))
		s.Y = append(s.Y, s.Y[len(s.Y)-1])
		c.Series = append(c.Series, s)
	}
	return c
}

// maxDistance is where the distance curves begin, in multiples of -within: what lies
// farther is not worth the space.
const maxDistance = 2

// distanceCurves are the medians of the distance reached.
func (p *probe) distanceCurves() *report.Chart {
	c := &report.Chart{Title: "median distance of the nearest success", X: "queries", Y: "L2", LogX: true}
	for _, r := range p.results {
		s := report.Series{Name: r.Attack, Step: true}
		for q := 1.0; q < float64(p.c.budget)*1.08; q *= 1.08 {
			d := make([]float64, len(r.Records))
			for i := range r.Records {
				d[i] = math.Inf(1)
				if pt, ok := r.Records[i].At(int(q), attack.L2); ok {
					d[i] = pt.L2
				}
			}
			slices.Sort(d)
			if m := d[len(d)/2]; m <= maxDistance*p.c.within {
				s.X = append(s.X, min(q, float64(p.c.budget)))
				s.Y = append(s.Y, m)
			}
		}
		c.Series = append(c.Series, s)
	}
	return c
}

// shown is how many images of each attack the gallery has.
const shown = 3

func (p *probe) gallery() ([]report.Tile, error) {
	shape := p.victim.Shape
	if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 {
		return nil, nil
	}
	var tiles []report.Tile
	for _, r := range p.results {
		n := 0
		for _, rec := range r.Records {
			if rec.Adversarial == nil || n == shown {
				continue
			}
			n++
			clean := p.samples[rec.Index].X
			adv := rec.Adversarial.Tensor()
			t := report.Tile{Title: fmt.Sprintf("%s: %d → %d, L2 %.2f at query %d", r.Attack, rec.Label, rec.Answer, rec.Best.L2, rec.Best.Queries)}
			for _, x := range []struct {
				caption string
				x       *tensor.Tensor
			}{{fmt.Sprintf("original: %d", rec.Label), clean}, {"added", difference(adv, clean)}, {fmt.Sprintf("answer: %d", rec.Answer), adv}} {
				pic, err := report.NewPicture(x.caption, x.x)
				if err != nil {
					return nil, err
				}
				t.Pictures = append(t.Pictures, pic)
			}
			tiles = append(tiles, t)
		}
	}
	return tiles, nil
}

// difference shows a - b on grey.
func difference(a, b *tensor.Tensor) *tensor.Tensor {
	d := tensor.New(a.Shape()...)
	var most float32
	for i, v := range a.Data() {
		d.Data()[i] = v - b.Data()[i]
		most = max(most, d.Data()[i], -d.Data()[i])
	}
	for i, v := range d.Data() {
		d.Data()[i] = 0.5 + v/max(2*most, 1e-6)
	}
	return d
}
