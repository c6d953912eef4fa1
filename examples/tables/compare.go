package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/internal/report"
)

// checkpoints are the query counts at which the distance of attacks on labels is
// told.
var checkpoints = []int{1000, 2500, 10000, 50000}

// comparison is table 2.4 or 2.5.
func (b *book) comparison(ctx context.Context, targeted bool) error {
	title := "Table 2.4: untargeted attacks"
	if targeted {
		title = "Table 2.5: targeted attacks"
	}
	b.heading(title)
	results, missing, err := b.results(ctx, b.rows, targeted, b.c.n)
	if err != nil {
		return err
	}
	scored := slices.DeleteFunc(slices.Clone(results), func(r *result) bool { return r.arm.onLabels() })
	labelled := slices.DeleteFunc(slices.Clone(results), func(r *result) bool { return !r.arm.onLabels() })
	if len(scored) > 0 {
		b.text("Attacks on scores. Queries are counted up to the first success, over successes (“over all”: the mean over all images, a failure counting as the budget), and “first L2” is its distance. The other distances, and what is verified, are of the best success, found “at query”; for an attack that stops at its first success the two are one.")
		b.table(b.success(scored))
	}
	if len(labelled) > 0 {
		n := common(labelled)
		b.text(fmt.Sprintf("Attacks on labels begin with a success far away and come nearer: the L2 distance of the nearest success after so many queries, on the first %d images of each victim, which all of these attacks were run on. Median (mean) over images; a mean leaves out images without a success so far, and says of how many it is.", n))
		b.table(b.distances(labelled, n))
	}
	b.contrasts(results, [][2]string{{"meta-random", "meta"}, {"meta-frugal", "meta"}, {"meta-lean", "meta"}, {"meta-transfer", "meta"}, {"autozoom-ae", "autozoom"}})
	b.notRun(missing)
	return nil
}

// results attacks n images of each victim with each arm, or says which cells are not
// there.
func (b *book) results(ctx context.Context, arms []arm, targeted bool, n int) (results []*result, missing []string, err error) {
	b.plan(arms, b.victims, n)
	for _, a := range arms {
		r, err := b.attack(ctx, a, targeted, b.victims, n)
		switch {
		case err == cells.ErrNotRun:
			missing = append(missing, a.title)
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w", a.name, err)
		default:
			results = append(results, r)
		}
	}
	return results, missing, nil
}

func (b *book) notRun(missing []string) {
	if len(missing) > 0 {
		b.text("Not run yet: " + strings.Join(missing, "; ") + ".")
	}
}

// success is the table of attacks on scores.
func (b *book) success(results []*result) *report.Table {
	several := len(b.victims) > 1
	t := &report.Table{Head: []string{" attack", "budget", "success", "[95 %]", "queries", "[95 %]", "median", "over all", "first L2", "best L2", "[95 %]", "Linf", "at query", "verified", "8 bits", "n"}}
	if several {
		t.Head = append(t.Head, "worst success", "worst queries", "worst L2")
	}
	t.Head = append(t.Head, " thesis")
	for _, r := range results {
		s := r.summaries()
		w := won(s)
		of := func(f func(s *attack.Summary) float64) float64 { return mean(w, f) }
		all := func(f func(s *attack.Summary) float64) string { return percent(mean(s, f)) }
		row := []string{r.arm.title, fmt.Sprint(r.budget),
			all(func(s *attack.Summary) float64 { return s.SuccessRate }),
			between(interval(s, func(s *attack.Summary) attack.Interval { return s.SuccessCI }), hundred),
			whole(of(func(s *attack.Summary) float64 { return s.QueriesMean })),
			between(interval(w, func(s *attack.Summary) attack.Interval { return s.QueriesCI }), whole),
			whole(of(func(s *attack.Summary) float64 { return s.QueriesMedian })),
			whole(mean(s, func(s *attack.Summary) float64 { return s.QueriesMeanAll })),
			three(of(func(s *attack.Summary) float64 { return s.FirstL2Mean })),
			three(of(func(s *attack.Summary) float64 { return s.L2Mean })),
			between(interval(w, func(s *attack.Summary) attack.Interval { return s.L2CI }), three),
			three(of(func(s *attack.Summary) float64 { return s.LinfMean })),
			whole(of(func(s *attack.Summary) float64 { return s.BestQueries })),
			all(func(s *attack.Summary) float64 { return s.VerifiedRate }),
			all(func(s *attack.Summary) float64 { return s.Verified8Rate }),
			b.count(r)}
		if several {
			least, queries, l2 := 1.0, math.NaN(), math.NaN()
			for _, v := range s {
				least = min(least, v.SuccessRate)
			}
			for i, v := range w {
				if i == 0 {
					queries, l2 = v.QueriesMean, v.L2Mean
				}
				queries, l2 = max(queries, v.QueriesMean), max(l2, v.L2Mean)
			}
			row = append(row, percent(least), whole(queries), three(l2))
		}
		t.Rows = append(t.Rows, append(row, ""))
	}
	return t
}

// count tells how many images were attacked.
func (b *book) count(r *result) string {
	var n []string
	for _, records := range r.records {
		n = append(n, fmt.Sprint(len(records)))
	}
	if one := slices.Compact(slices.Clone(n)); len(one) == 1 && len(n) > 1 {
		return fmt.Sprintf("%d × %s", len(n), one[0])
	}
	return strings.Join(n, ", ")
}

// common is the number of images of each victim that all of the attacks were run on.
func common(results []*result) int {
	n := math.MaxInt
	for _, r := range results {
		for _, records := range r.records {
			n = min(n, len(records))
		}
	}
	return n
}

// distances is the table of attacks on labels, on the first n images of each victim.
func (b *book) distances(results []*result, n int) *report.Table {
	most := 0
	for _, r := range results {
		most = max(most, r.budget)
	}
	at := slices.DeleteFunc(slices.Clone(checkpoints), func(q int) bool { return q > most })
	if len(at) == 0 {
		at = []int{most}
	}
	t := &report.Table{Head: []string{" attack", "budget"}}
	for _, q := range at {
		t.Head = append(t.Head, fmt.Sprintf("L2 at %d", q))
		if len(b.victims) > 1 {
			t.Head = append(t.Head, "worst")
		}
	}
	t.Head = append(t.Head, "success", "[95 %]", "verified", "8 bits", "n", " thesis")
	for _, r := range results {
		row := []string{r.arm.title, fmt.Sprint(r.budget)}
		for _, q := range at {
			middle, worst := "", ""
			if q <= r.budget {
				middle, worst = r.distanceAt(q, n)
			}
			row = append(row, middle)
			if len(b.victims) > 1 {
				row = append(row, worst)
			}
		}
		s := r.summaries()
		t.Rows = append(t.Rows, append(row,
			percent(mean(s, func(s *attack.Summary) float64 { return s.SuccessRate })),
			between(interval(s, func(s *attack.Summary) attack.Interval { return s.SuccessCI }), hundred),
			percent(mean(s, func(s *attack.Summary) float64 { return s.VerifiedRate })),
			percent(mean(s, func(s *attack.Summary) float64 { return s.Verified8Rate })), b.count(r), ""))
	}
	return t
}

// distanceAt tells of the nearest successes within q queries on the first n images of
// each victim: the median, the mean over victims of theirs, with the mean over images,
// and the worst victim's median.
func (r *result) distanceAt(q, n int) (middle, worst string) {
	var medians, sum, most float64
	reached := 0
	for v := range r.records {
		d := r.reached(v, q, n)
		m := median(d)
		medians += m / float64(len(r.records))
		most = max(most, m)
		s, k := finite(d)
		sum, reached = sum+s, reached+k
	}
	mean := three(sum / float64(reached))
	if all := n * len(r.records); reached < all {
		mean += fmt.Sprintf(" on %d of %d", reached, all)
	}
	return fmt.Sprintf("%s (%s)", three(medians), mean), three(most)
}

// contrasts compares pairs of rows on the same images.
func (b *book) contrasts(results []*result, names [][2]string) {
	t := &report.Table{Head: []string{" attack", " against", "queries", "", "difference", "[95 %]", "ratio", "[95 %]", "images", "L2", "", "ratio", "[95 %]", "images"}}
	for _, p := range names {
		i := slices.IndexFunc(results, func(r *result) bool { return r.arm.name == p[0] })
		j := slices.IndexFunc(results, func(r *result) bool { return r.arm.name == p[1] })
		if i < 0 || j < 0 {
			continue
		}
		q := compare(pairs(results[i], results[j], queriesOf), b.c.seed)
		d := compare(pairs(results[i], results[j], distanceOf), b.c.seed)
		t.Rows = append(t.Rows, []string{results[i].arm.title, results[j].arm.title, whole(q.a), whole(q.b),
			whole(q.diff), between(q.diffCI, whole), three(q.ratio), between(q.ratiCI, three), fmt.Sprint(q.n),
			three(d.a), three(d.b), three(d.ratio), between(d.ratiCI, three), fmt.Sprint(d.n)})
	}
	if len(t.Rows) == 0 {
		return
	}
	b.text("On the same images, a failure counting as the budget; distances where both succeed. Intervals are percentiles of a bootstrap over images, of their means over victims.")
	b.table(t)
}

// ablation is table 2.7 or 2.8: how the attacker was trained.
func (b *book) ablation(ctx context.Context, targeted bool) error {
	if !b.ablates() {
		return nil
	}
	title := "Table 2.7: untargeted, how the attacker was trained"
	if targeted {
		title = "Table 2.8: targeted, how the attacker was trained"
	}
	b.heading(title)
	n := b.c.estimated
	type row struct {
		name, title string
		net         *network
	}
	var rows []row
	for _, r := range []struct{ name, title, file string }{
		{"meta", "Meta Attack", b.cast.Attacker},
		{"vanilla", "vanilla training", cast.Vanilla(b.cast.Attacker)},
		{"images", fmt.Sprintf("white-box gradients of %d images a source", n), cast.Fewer(b.cast.Attacker, n)},
		{"estimated", fmt.Sprintf("estimated gradients of the same %d images", n), cast.Estimated(b.cast.Attacker, n)},
	} {
		net, err := b.attacker(r.file)
		if err != nil {
			return err
		}
		rows = append(rows, row{r.name, fmt.Sprintf("%s (%s)", r.title, net.note), net})
	}
	unsteady, err := b.unsteady()
	if err != nil {
		return err
	}
	rows = append(rows, row{"unsteady", "convolutions not made steady", unsteady}, row{"meta-random", "random attacker", b.random()})
	var arms []arm
	for _, r := range rows {
		a, err := meta(r.name, r.title, b.cast.Preset, r.net)
		if err != nil {
			return err
		}
		arms = append(arms, a)
	}
	results, missing, err := b.results(ctx, arms, targeted, min(b.c.sweep, b.c.n))
	if err != nil {
		return err
	}
	if len(results) > 0 {
		b.text("In brackets the mean squared error of the attacker on the normalised gradients of images that it did not learn from, the mean over sources. " +
			"All but the last two have had their convolutions made steady, which is not in the paper (zoo.Steady).")
		b.table(b.success(results))
	}
	b.contrasts(results, [][2]string{{"vanilla", "meta"}, {"estimated", "images"}, {"unsteady", "meta"}, {"meta-random", "meta"}, {"meta-random", "unsteady"}})
	b.notRun(missing)
	return nil
}
