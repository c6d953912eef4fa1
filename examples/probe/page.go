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

// page is the report.
func (p *probe) page() (*report.Page, error) {
	records, err := p.recordsJSON()
	if err != nil {
		return nil, err
	}
	each := p.each()
	pg := &report.Page{
		Title: "Probing " + p.victim.Name,
		Lead: fmt.Sprintf("%d images, %s, at most %d queries an image, %s.", len(p.samples), p.c.goal, p.c.budget,
			time.Now().Format("2 January 2006")),
		Summary: p.inWords(),
		Files:   []report.File{report.NewFile("records.json", "application/json", records), report.NewFile("records.csv", "text/csv", each.CSV())},
	}
	if p.robust != nil {
		pg.Sections = append(pg.Sections, p.robustSection())
	}
	notes := append(slices.Clone(p.notes), p.remarks()...)
	for i, t := range p.tables() {
		s := report.Section{Title: t.title, Table: t.table, Text: t.text}
		if i == 0 {
			s.Text = append(s.Text, notes...)
		}
		pg.Sections = append(pg.Sections, s)
	}
	within := p.within()
	pg.Sections = append(pg.Sections,
		report.Section{Title: "Success against queries", Chart: p.successCurves(within), Text: []string{
			fmt.Sprintf("Share of the images with a success within an L2 distance of %.3g, against queries spent (as figure 2.1 of the thesis, which has no limit on the distance).", within)}},
		report.Section{Title: "Distance against queries", Chart: p.distanceCurves(within), Text: []string{
			"Median over the images of the L2 distance of the nearest success so far, from where half of them have one that is not far away."}},
	)
	tiles, err := p.gallery()
	if err != nil {
		return nil, err
	}
	pg.Sections = append(pg.Sections, report.Section{Title: "Images", Tiles: tiles, Text: []string{
		"The original, what was added to it, and the sum, with the victim's answers. In what was added grey is nothing; brightness goes with the square root of a change, so that small changes beside a large one are seen. A click enlarges a picture."}},
		report.Section{Title: "Each image", Folded: true, Table: each},
		report.Section{Title: "Protocol", Facts: p.protocol()},
		report.Section{Title: "Settings of the attacks", Folded: true, Table: p.settings()})
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
	return []report.Fact{
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

// difference shows a - b on grey, on a scale of square roots up to the largest.
func difference(a, b *tensor.Tensor) *tensor.Tensor {
	d := tensor.New(a.Shape()...)
	var most float32
	for i, v := range a.Data() {
		d.Data()[i] = v - b.Data()[i]
		most = max(most, d.Data()[i], -d.Data()[i])
	}
	for i, v := range d.Data() {
		share := float64(v) / float64(max(most, 1e-6))
		d.Data()[i] = float32(0.5 + math.Copysign(math.Sqrt(math.Abs(share)), share)/2)
	}
	return d
}
