package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/report"
)

// figure21 is success against queries, of the attacks that need no ball.
func (b *book) figure21(ctx context.Context) error {
	return b.curves(ctx, "2.1", "success rate against queries", "zoo", "autozoom", "autozoom-ae", "meta", "meta-frugal", "meta-lean")
}

// figure22 compares a random and a trained attacker.
func (b *book) figure22(ctx context.Context) error {
	return b.curves(ctx, "2.2", "random and trained attacker", "meta", "meta-random")
}

// curves draws the rows of the given names, for both goals.
func (b *book) curves(ctx context.Context, number, title string, names ...string) error {
	b.heading(fmt.Sprintf("Figure %s: %s", number, title))
	b.text("A success counts at any distance; tables 2.4 and 2.5 say how far away the first ones lie.")
	rows := slices.DeleteFunc(slices.Clone(b.rows), func(a arm) bool { return !slices.Contains(names, a.name) })
	for _, targeted := range []bool{false, true} {
		results, missing, err := b.results(ctx, rows, targeted, b.c.n)
		if err != nil {
			return err
		}
		c := &report.Chart{Title: fmt.Sprintf("%s, %s", title, goalName(targeted)), X: "queries", Y: "share of images", LogX: true, YMax: 1}
		for _, r := range results {
			c.Series = append(c.Series, r.curve(fmt.Sprintf("%s (%d images)", r.arm.name, r.images())))
		}
		if err := b.chart("figure"+number+"-"+goalName(targeted), c); err != nil {
			return err
		}
		b.notRun(missing)
	}
	return nil
}

// curve is the share of the images with a success, over all victims.
func (r *result) curve(name string) report.Series {
	var at []int
	for _, records := range r.records {
		for _, rec := range records {
			if rec.Success {
				at = append(at, rec.First.Queries)
			}
		}
	}
	return report.Successes(name, at, r.images(), r.budget)
}

// The grid of figure 2.3.
var (
	sweepQ    = []int{32, 64, 128, 256}
	sweepBeta = []float64{0.005, 0.01, 0.02, 0.04}
)

// figure23 varies q and β on one victim.
func (b *book) figure23(ctx context.Context) error {
	b.heading("Figure 2.3: choice of q and β")
	trained, err := b.attacker(b.cast.Attacker)
	if err != nil {
		return err
	}
	victims, n := b.victims[:1], min(b.c.sweep, b.c.n)
	b.text(fmt.Sprintf("The Meta Attack on %s, other settings as in preset %s.", victims[0].name, b.cast.Preset))
	for _, targeted := range []bool{false, true} {
		t := &report.Table{Head: []string{"q", "β", "success", "queries", "[95 %]", "L2", "[95 %]", "n"}}
		queries := &report.Chart{Title: "mean queries, " + goalName(targeted), X: "β", Y: "queries", LogX: true}
		distance := &report.Chart{Title: "mean L2, " + goalName(targeted), X: "β", Y: "L2", LogX: true}
		var arms []arm
		for _, q := range sweepQ {
			for _, beta := range sweepBeta {
				preset, err := attack.PresetOf[attack.Meta](b.cast.Preset)
				if err != nil {
					return err
				}
				preset.Network, preset.Coordinates, preset.LR = trained.net, q, beta
				arms = append(arms, arm{name: fmt.Sprintf("meta-q%d-b%g", q, beta), budget: usual, net: trained.hash, attack: preset})
			}
		}
		b.plan(arms, victims, n)
		for i, a := range arms {
			q, beta := sweepQ[i/len(sweepBeta)], sweepBeta[i%len(sweepBeta)]
			if i%len(sweepBeta) == 0 {
				line := report.Series{Name: fmt.Sprint("q = ", q)}
				queries.Series, distance.Series = append(queries.Series, line), append(distance.Series, line)
			}
			r, err := b.attack(ctx, a, targeted, victims, n)
			if err != nil {
				return err
			}
			s := r.summaries()[0]
			if s.SuccessRate == 0 {
				none := math.NaN()
				s.QueriesMean, s.L2Mean, s.QueriesCI.Lo, s.L2CI.Lo = none, none, none, none
			} else {
				add(&queries.Series[i/len(sweepBeta)], beta, s.QueriesMean)
				add(&distance.Series[i/len(sweepBeta)], beta, s.L2Mean)
			}
			t.Rows = append(t.Rows, []string{fmt.Sprint(q), fmt.Sprint(beta), percent(s.SuccessRate), whole(s.QueriesMean),
				between(s.QueriesCI, whole), three(s.L2Mean), between(s.L2CI, three), fmt.Sprint(s.Samples)})
		}
		if err := b.chart("figure2.3-queries-"+goalName(targeted), queries); err != nil {
			return err
		}
		if err := b.chart("figure2.3-l2-"+goalName(targeted), distance); err != nil {
			return err
		}
		b.table(t)
	}
	return nil
}

func add(s *report.Series, x, y float64) { s.X, s.Y = append(s.X, x), append(s.Y, y) }
