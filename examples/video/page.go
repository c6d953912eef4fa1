package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
	"github.com/mettleml/mettle/video/motion"
)

// table has a row for each attack (thesis tables 3.2 to 3.4).
func (e *experiment) table() *report.Table {
	t := &report.Table{Head: []string{" attack", "n", "success", "[95 %]", "queries", "[95 %]", "median", "mean, all", "L2", "Linf", "verified", "8 bits", "s"},
		Help: map[string]string{"n": "clips attacked", "queries": "mean up to the first success, over successes", "mean, all": "mean queries, a failure counting as the budget",
			"L2": "mean distance of the successes, over the whole clip", "verified": "successes that a separate pass confirms", "8 bits": "those that are left when pixels are rounded to 8 bits", "s": "seconds of work"}}
	whole := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	percent := func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
	for _, r := range e.results {
		s := r.Summary()
		won := func(text string) string { // an average over successes
			if s.SuccessRate == 0 {
				return "–"
			}
			return text
		}
		t.Rows = append(t.Rows, []string{
			r.Attack, fmt.Sprint(s.Samples), percent(s.SuccessRate), whole(100*s.SuccessCI.Lo) + "–" + whole(100*s.SuccessCI.Hi),
			won(whole(s.QueriesMean)), won(whole(s.QueriesCI.Lo) + "–" + whole(s.QueriesCI.Hi)), won(whole(s.QueriesMedian)), whole(s.QueriesMeanAll),
			won(fmt.Sprintf("%.2f", s.L2Mean)), won(fmt.Sprintf("%.3f", s.LinfMean)), percent(s.VerifiedRate), percent(s.Verified8Rate), fmt.Sprintf("%.1f", s.Seconds)})
	}
	return t
}

// rows are the results as probe's -json has them.
func (e *experiment) rows() []attack.Summary {
	rows := []attack.Summary{}
	for _, r := range e.results {
		s := r.Summary()
		s.Attack = r.Attack
		rows = append(rows, s)
	}
	return rows
}

// summary says in words what came out.
func (e *experiment) summary() []string {
	rows := slices.DeleteFunc(e.rows(), func(s attack.Summary) bool { return s.SuccessRate == 0 })
	if len(rows) == 0 {
		return []string{fmt.Sprintf("No attack succeeded within %d queries per clip.", e.c.budget), e.motionUse() + "."}
	}
	best := slices.MinFunc(rows, func(a, b attack.Summary) int { return cmp.Compare(a.QueriesMeanAll, b.QueriesMeanAll) })
	return []string{
		fmt.Sprintf("%s needs the fewest queries: %.0f on average, where a failure counts as the budget of %d. It succeeds on %.0f %% of the clips.", best.Attack, best.QueriesMeanAll, e.c.budget, 100*best.SuccessRate),
		e.motionUse() + "."}
}

func (e *experiment) page() (*report.Page, error) {
	pg := &report.Page{
		Title: "Attacks on " + e.victim.Name,
		Lead:  fmt.Sprintf("%d clips, %s, at most %d queries per clip, %s.", len(e.samples), e.c.goal, e.c.budget, time.Now().Format("2 January 2006")),
	}
	pg.Summary = e.summary()
	rows, err := json.MarshalIndent(e.rows(), "", "  ")
	if err != nil {
		return nil, err
	}
	pg.Files = []report.File{report.NewFile("rows.json", "application/json", rows)}
	pg.Sections = append(pg.Sections,
		report.Section{Title: "Result", Table: e.table(), Text: append(slices.Clone(e.notes),
			"Queries are counted up to the first success, over successes; “mean, all” counts a failure as the budget. Every success is verified by a separate pass, as it is and rounded to 8 bits.")},
		report.Section{Title: "Success against queries", Chart: e.successCurves(), Text: []string{"Share of the clips with a success, against queries spent."}})
	if c := e.lossCurves(); len(c.Series) > 0 {
		pg.Sections = append(pg.Sections, report.Section{Title: "Loss against queries", Chart: c, Text: []string{
			"Mean over the clips of 1 - p₂, one less the second largest probability, where the attack stands (figure 3.1 of the thesis); of Square, where it would go. A clip that is done stays where it was."}})
	}
	tiles, err := e.gallery()
	if err != nil {
		return nil, err
	}
	pg.Sections = append(pg.Sections, report.Section{Title: "Clips", Tiles: tiles, Text: []string{
		"The original, its motion from frame to frame and the motion maps that the sampler follows (red moves right, yellow down, cyan left, violet up), what was added (grey is nothing, scaled to its largest value), and the sum, with the victim's answers."}})
	facts := []report.Fact{
		{Name: "victim", Value: fmt.Sprintf("%s, %d classes, %s, clips of %v with pixels in [0,1]; right on %d of the %d clips it was asked about", e.victim.Name, e.victim.Classes, e.victim.Scores, e.victim.Shape, e.look.Right, e.look.Tried)},
		{Name: "motion", Value: e.motionUse()},
		{Name: "what is a query", Value: "one clip through the victim, whatever is read from the answer; counted before it is sent, success checks included, the check of the clean clip and the verification apart"},
		{Name: "seed", Value: fmt.Sprint(e.c.seed)},
		{Name: "program", Value: fmt.Sprintf("Mettle, kernels %s, %s %s/%s", kernel.Active().Name, runtime.Version(), runtime.GOOS, runtime.GOARCH)},
	}
	for _, r := range e.results {
		facts = append(facts, report.Fact{Name: r.Attack, Value: string(r.Options)})
	}
	pg.Sections = append(pg.Sections, report.Section{Title: "Protocol", Folded: true, Facts: facts})
	return pg, nil
}

// successCurves are the shares of clips with a success.
func (e *experiment) successCurves() *report.Chart {
	c := &report.Chart{Title: "success", X: "queries", Y: "share of clips", LogX: true, YMax: 1}
	for _, r := range e.results {
		var at []int
		for _, rec := range r.Records {
			if rec.Success {
				at = append(at, rec.First.Queries)
			}
		}
		c.Series = append(c.Series, report.Successes(r.Attack, at, len(r.Records), e.c.budget))
	}
	return c
}

// lossCurves are the mean losses. What a journal answered has none.
func (e *experiment) lossCurves() *report.Chart {
	c := &report.Chart{Title: "mean loss", X: "queries", Y: "1 - p₂", LogX: true}
	for i, r := range e.results {
		if len(e.curves[i].traces) < len(r.Records) {
			continue
		}
		s := report.Series{Name: r.Attack, Step: true}
		for q := 1.0; q < float64(e.c.budget); q *= 1.1 {
			s.X, s.Y = append(s.X, q), append(s.Y, e.curves[i].mean(int(q)))
		}
		c.Series = append(c.Series, s)
	}
	return c
}

// shown is how many clips the gallery has, each with the successes of all attacks.
const shown = 3

func (e *experiment) gallery() ([]report.Tile, error) {
	if ch := e.victim.Shape[1]; ch != 1 && ch != 3 {
		return nil, nil
	}
	var tiles []report.Tile
	for i := range min(shown, len(e.samples)) {
		s := e.samples[i]
		label := className(e.classes, s.Label)
		t := report.Tile{Title: "clip " + s.Name}
		add := func(caption string, x *tensor.Tensor) error {
			p, err := report.NewAnimation(caption, x)
			t.Pictures = append(t.Pictures, p)
			return err
		}
		steps, maps, err := motionOf(s.X, e.c.block)
		if err != nil {
			return nil, err
		}
		if err := add(label, s.X); err != nil {
			return nil, err
		}
		if err := add("motion", steps); err != nil {
			return nil, err
		}
		if err := add("motion maps", maps); err != nil {
			return nil, err
		}
		tiles = append(tiles, t)
		for _, r := range e.results {
			rec := r.Records[i]
			if rec.Adversarial == nil {
				continue
			}
			adv := rec.Adversarial.Tensor()
			t = report.Tile{Title: fmt.Sprintf("clip %s, %s: query %d", s.Name, r.Attack, rec.Best.Queries)}
			if err := add("added", report.Difference(adv, s.X)); err != nil {
				return nil, err
			}
			if err := add(className(e.classes, rec.Answer), adv); err != nil {
				return nil, err
			}
			tiles = append(tiles, t)
		}
	}
	return tiles, nil
}

// motionOf draws the motion of each frame against the one before, and the maps that attacks
// follow by default.
func motionOf(clip *tensor.Tensor, block int) (steps, maps *tensor.Tensor, err error) {
	f, err := motion.NewFrames(clip)
	if err != nil {
		return nil, nil, err
	}
	own := video.Motion{}
	if m, ok := fit(video.MotionExcited{}, block, clip.Shape()).(video.MotionExcited); ok && m.Noise != nil {
		own = m.Noise.(video.Sparked).Map.(video.Motion)
	}
	e := own.Estimator
	if e == nil {
		e = motion.BlockMatch{}
	}
	seq := motion.NewSequence(f, e)
	steps, maps = tensor.New(f.T, 3, f.H, f.W), tensor.New(f.T, 3, f.H, f.W)
	list := seq.Maps(motion.Fixed{})
	for t := range f.T {
		if t == 0 {
			for i := range steps.Index(0).Data() {
				steps.Index(0).Data()[i] = 1
			}
		} else {
			steps.Index(t).CopyFrom(tensor.FromImage(seq.Field(t).Color(4)))
		}
		maps.Index(t).CopyFrom(tensor.FromImage(motion.MapAt(list, t).Field.Color(16)))
	}
	return steps, maps, nil
}
