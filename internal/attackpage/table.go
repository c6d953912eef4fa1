package attackpage

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/report"
)

// A Titled table is one with what is said of it.
type Titled struct {
	Title string
	Table *report.Table
	Text  []string
}

// Tables are the protocol's result: one table for attacks on scores or with gradients,
// which look for a first success, and one for attacks on labels, which begin with a
// success far away and come nearer.
func (f *Findings) Tables() []Titled {
	var all []Titled
	if t := f.table(); len(t.Rows) > 0 {
		all = append(all, Titled{"Result", t, nil})
	}
	if t := f.labelTable(); len(t.Rows) > 0 {
		title := "Result"
		if len(all) > 0 {
			title = "Attacks on labels"
		}
		all = append(all, Titled{title, t, []string{"They are told nothing but the victim's class. They begin with an image of another class, far away, and come nearer: what counts is how near they are after so many queries."}})
	}
	return all
}

// help explains the columns of all tables.
var help = map[string]string{
	"n":           "images attacked; those that the victim gets wrong when clean are not among them",
	"success":     "share of them that the attack turned into what it wanted",
	"[95 %]":      "95 % interval of the number before it: Wilson's for shares, 1.96 standard errors for means, on the logarithmic scale for queries",
	"queries":     "mean queries up to the first success, over successes",
	"median":      "median queries up to the first success, over successes",
	"mean, all":   "mean queries over all images, a failure counted as the budget",
	"median, all": "median queries over all images, a failure counted as the budget",
	"best L2":     "mean L2 distance of the nearest success, pixels in [0,1]",
	"Linf":        "mean of the largest change of a value, of the nearest success",
	"L0":          "mean number of values that differ, of the nearest success",
	"at query":    "mean queries up to the nearest success",
	"verified":    "share of all images whose success held in a separate pass",
	"8 bits":      "the same with the success rounded to 8 bits, as a picture file has it",
	"s":           "seconds of work, summed over images that may have been attacked at a time",
	"1k":          "median distance after 1,000 queries, in the norm of the row",
	"2.5k":        "median distance after 2,500 queries",
	"10k":         "median distance after 10,000 queries",
	"at the end":  "median distance of the nearest success",
	"norm":        "of the distance that the attack makes small",
}

// won is an average over successes.
func won(s attack.Summary, text string) string {
	if s.SuccessRate == 0 {
		return "–"
	}
	return text
}

// table has a row for each attack on scores or with gradients (thesis tables 2.4 and 2.5).
func (f *Findings) table() *report.Table {
	t := &report.Table{Help: help, Head: []string{" attack", "n", "success", "[95 %]", "queries", "[95 %]", "median", "mean, all", "median, all",
		"best L2", "[95 %]", "Linf", "L0", "at query", "verified", "8 bits", "s"}}
	for _, r := range f.Results {
		if f.Labels[r.Attack] {
			continue
		}
		s := r.Summary()
		t.Rows = append(t.Rows, []string{
			s.Attack, fmt.Sprint(s.Samples), percent(s.SuccessRate), between(s.SuccessCI, func(v float64) string { return whole(100 * v) }),
			won(s, whole(s.QueriesMean)), won(s, between(s.QueriesCI, whole)), won(s, whole(s.QueriesMedian)), whole(s.QueriesMeanAll), whole(s.QueriesMedianAll),
			won(s, two(s.L2Mean)), won(s, between(s.L2CI, two)), won(s, two(s.LinfMean)), won(s, whole(s.L0Mean)), won(s, whole(s.BestQueries)),
			percent(s.VerifiedRate), percent(s.Verified8Rate), fmt.Sprintf("%.1f", s.Seconds)})
	}
	return t
}

// marks are the queries after which distances of attacks on labels are told.
var marks = []struct {
	head    string
	queries int
}{{"1k", 1000}, {"2.5k", 2500}, {"10k", 10000}}

// labelTable has a row for each attack on labels.
func (f *Findings) labelTable() *report.Table {
	t := &report.Table{Help: help, Head: []string{" attack", "n", "success", "[95 %]", " norm"}}
	for _, m := range marks {
		if m.queries <= f.Budget {
			t.Head = append(t.Head, m.head)
		}
	}
	t.Head = append(t.Head, "at the end", "best L2", "[95 %]", "Linf", "L0", "verified", "8 bits", "s")
	for _, r := range f.Results {
		if !f.Labels[r.Attack] {
			continue
		}
		s := r.Summary()
		row := []string{s.Attack, fmt.Sprint(s.Samples), percent(s.SuccessRate), between(s.SuccessCI, func(v float64) string { return whole(100 * v) }), fmt.Sprint(r.Norm)}
		for _, m := range marks {
			if m.queries <= f.Budget {
				row = append(row, distance(medianAt(r, r.Norm, m.queries)))
			}
		}
		t.Rows = append(t.Rows, append(row, distance(medianAt(r, r.Norm, f.Budget)), won(s, two(s.L2Mean)), won(s, between(s.L2CI, two)), won(s, two(s.LinfMean)),
			won(s, whole(s.L0Mean)), percent(s.VerifiedRate), percent(s.Verified8Rate), fmt.Sprintf("%.1f", s.Seconds)))
	}
	return t
}

// medianAt is the median over the images of the distance after so many queries, in the
// attack's norm: infinite if half of them have no success by then.
func medianAt(r *attack.Result, n attack.Norm, queries int) float64 {
	records := attacked(r)
	if len(records) == 0 {
		return math.Inf(1)
	}
	d := make([]float64, len(records))
	for i := range records {
		d[i] = math.Inf(1)
		if pt, ok := records[i].At(queries, n); ok {
			d[i] = pt.Distance(n)
		}
	}
	slices.Sort(d)
	return d[len(d)/2]
}

func distance(v float64) string {
	if math.IsInf(v, 1) {
		return "–"
	}
	return fmt.Sprintf("%.3g", v)
}

// each has a row for each image and attack.
func (f *Findings) each() *report.Table {
	t := &report.Table{Head: []string{" attack", "image", " name", "label", "wanted", "answer", " success", "queries", "best L2", "Linf", "L0", "at query", " verified", " 8 bits", "queries in all"}}
	yes := map[bool]string{true: "yes", false: "no"}
	for _, r := range f.Results {
		for _, rec := range r.Records {
			row := []string{r.Attack, fmt.Sprint(rec.Index), rec.Name, fmt.Sprint(rec.Label), "any", fmt.Sprint(rec.Answer), yes[rec.Success], "", "", "", "", "", "", "", fmt.Sprint(rec.Queries)}
			if rec.Skipped() {
				row[6] = "skipped"
			}
			if rec.Target >= 0 {
				row[4] = fmt.Sprint(rec.Target)
			}
			if rec.Success {
				copy(row[7:], []string{fmt.Sprint(rec.First.Queries), fmt.Sprintf("%.4g", rec.Best.L2), fmt.Sprintf("%.4g", rec.Best.Linf), fmt.Sprint(rec.Best.L0),
					fmt.Sprint(rec.Best.Queries), yes[rec.Verified], yes[rec.Rounded]})
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// settings has a row for each option of each attack.
func (f *Findings) settings() *report.Table {
	t := &report.Table{Head: []string{" attack", " option", " value"}}
	for _, r := range f.Results {
		t.Rows = append(t.Rows, []string{r.Attack, "norm", fmt.Sprint(r.Norm)})
		var options map[string]json.RawMessage
		if json.Unmarshal(r.Options, &options) != nil {
			t.Rows = append(t.Rows, []string{r.Attack, "options", string(r.Options)})
			continue
		}
		for _, name := range slices.SortedFunc(maps.Keys(options), cmp.Compare[string]) {
			t.Rows = append(t.Rows, []string{r.Attack, name, string(options[name])})
		}
	}
	return t
}

// recordsJSON is what every attack found on every image, without the pixels.
func (f *Findings) recordsJSON() ([]byte, error) {
	lean := make([]attack.Result, len(f.Results))
	for i, r := range f.Results {
		lean[i] = *r
		lean[i].Records = slices.Clone(r.Records)
		for k := range lean[i].Records {
			lean[i].Records[k].Adversarial = nil
		}
	}
	return json.MarshalIndent(lean, "", " ")
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
func whole(v float64) string   { return fmt.Sprintf("%.0f", v) }
func two(v float64) string     { return fmt.Sprintf("%.2f", v) }

func between(i attack.Interval, f func(float64) string) string {
	return f(i.Lo) + "–" + f(i.Hi)
}
