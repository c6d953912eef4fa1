package attackpage

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/tensor"
)

// Page is the report.
func (f *Findings) Page() (*report.Page, error) {
	records, err := f.recordsJSON()
	if err != nil {
		return nil, err
	}
	each := f.each()
	pg := &report.Page{
		Title: "Probing " + f.Victim.Name,
		Lead: fmt.Sprintf("%d images, %s, at most %d queries an image, %s.", len(f.Samples), f.Goal, f.Budget,
			time.Now().Format("2 January 2006")),
		Summary: f.inWords(),
		Files:   []report.File{report.NewFile("records.json", "application/json", records), report.NewFile("records.csv", "text/csv", each.CSV())},
	}
	if f.Robust != nil {
		pg.Sections = append(pg.Sections, f.robustSection())
	}
	notes := append(slices.Clone(f.Notes), f.Remarks()...)
	for i, t := range f.Tables() {
		s := report.Section{Title: t.Title, Table: t.Table, Text: t.Text}
		if i == 0 {
			s.Text = append(s.Text, notes...)
		}
		pg.Sections = append(pg.Sections, s)
	}
	within := f.within()
	pg.Sections = append(pg.Sections,
		report.Section{Title: "Success against queries", Chart: f.successCurves(within), Text: []string{
			fmt.Sprintf("Share of the images with a success within an L2 distance of %.3g, against queries spent (as figure 2.1 of the thesis, which has no limit on the distance).", within)}},
		report.Section{Title: "Distance against queries", Chart: f.distanceCurves(within), Text: []string{
			"Median over the images of the L2 distance of the nearest success so far, from where half of them have one that is not far away."}},
	)
	tiles, err := f.gallery()
	if err != nil {
		return nil, err
	}
	pg.Sections = append(pg.Sections, report.Section{Title: "Images", Tiles: tiles, Text: []string{
		"The original, what was added to it, and the sum, with the victim's answers. In what was added grey is nothing; brightness goes with the square root of a change, so that small changes beside a large one are seen. A click enlarges a picture."}},
		report.Section{Title: "Each image", Folded: true, Table: each},
		report.Section{Title: "Protocol", Facts: f.protocol()},
		report.Section{Title: "Settings of the attacks", Folded: true, Table: f.settings()})
	return pg, nil
}

// robustSection is a row for each attack of autoattack.
func (f *Findings) robustSection() report.Section {
	r := f.Robust
	t := &report.Table{Head: []string{" after", "attacked", "broken", "robust accuracy"},
		Rows: [][]string{{"none (clean)", "", "", fmt.Sprintf("%.2f %%", 100*r.Clean)}}}
	for _, s := range r.Attacks {
		t.Rows = append(t.Rows, []string{s.Attack, fmt.Sprint(s.Attacked), fmt.Sprint(s.Broken), fmt.Sprintf("%.2f %%", 100*s.Robust)})
	}
	return report.Section{Title: fmt.Sprintf("Robust accuracy, %v of %.4g", r.Norm, r.Eps), Table: t, Text: []string{fmt.Sprintf(
		"Of %d samples, the share that the victim gets right and that no attack so far has broken (AutoAttack, version %s; 95 %% interval %.1f to %.1f %%). An attack sees only what those before it left standing.",
		r.Samples, r.Version, 100*r.RobustCI.Lo, 100*r.RobustCI.Hi)}}
}

// Remarks are what else there is to say about rows.
func (f *Findings) Remarks() []string {
	var all []string
	for _, r := range f.Results {
		var o struct { // of the options, what the authors' count follows from
			Coordinates, Groups, First, Interval int
			Central                              bool
		}
		if kind(r) != "meta" || json.Unmarshal(r.Options, &o) != nil {
			continue
		}
		a := attack.Meta{Coordinates: o.Coordinates, Groups: o.Groups, First: o.First, Interval: o.Interval, Central: o.Central}
		var sum, n float64
		for _, rec := range r.Records {
			if rec.Success {
				sum += float64(a.AuthorsCount(rec.First.Queries))
				n++
			}
		}
		if n > 0 {
			all = append(all, fmt.Sprintf("%s: by the count of the authors' code, which leaves out the step that succeeds, %.0f queries.", r.Attack, sum/n))
		}
	}
	return all
}

// kind is the attack's name without what tells it from others of its kind.
func kind(r *attack.Result) string {
	name, _, _ := strings.Cut(r.Attack, "-")
	return name
}

func (f *Findings) protocol() []report.Fact {
	return []report.Fact{
		{Name: "victim", Value: fmt.Sprintf("%s, %d classes, %s, samples of %v with pixels in [0,1]", f.Victim.Name, f.Victim.Classes, f.Victim.Scores, f.Victim.Shape)},
		{Name: "images", Value: f.Images},
		{Name: "goal", Value: map[string]string{"untargeted": "any class but the true one", "targeted": "the class after the true one, the first after the last"}[f.Goal]},
		{Name: "what is a query", Value: "one image through the victim, whatever is read from the answer; counted before it is sent, success checks included, the check of the clean image and the verification apart"},
		{Name: "budget", Value: fmt.Sprintf("%d queries an image and attack; the attack is cut off there", f.Budget)},
		{Name: "queries in all", Value: f.Spent},
		{Name: "verified", Value: "a separate pass over the best success, as float32 and rounded to 8 bits"},
		{Name: "intervals", Value: "95 %: Wilson's for rates, 1.96 standard errors for mean distances, the same on the logarithmic scale for mean queries"},
		{Name: "seed", Value: fmt.Sprint(f.Seed)},
		{Name: "program", Value: fmt.Sprintf("Mettle, kernels %s, %s, %s", f.Platform.Kernel, f.Platform.Go, f.Platform.Arch)},
	}
}

// shown is how many images of each attack the gallery has.
const shown = 3

func (f *Findings) gallery() ([]report.Tile, error) {
	shape := f.Victim.Shape
	if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 {
		return nil, nil
	}
	var tiles []report.Tile
	for _, r := range f.Results {
		n := 0
		for _, rec := range r.Records {
			if rec.Adversarial == nil || n == shown {
				continue
			}
			n++
			clean := f.Samples[rec.Index].X
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
