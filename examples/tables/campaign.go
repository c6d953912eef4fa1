package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/meter"
)

// A result is what an attack found on all victims.
type result struct {
	arm      arm
	targeted bool
	budget   int
	victims  []*victim
	records  [][]attack.Record // of each victim
}

func goalName(targeted bool) string {
	if targeted {
		return "targeted"
	}
	return "untargeted"
}

// images is how many images of a victim an arm attacks, of n that the others do.
func (b *book) images(a *arm, v *victim, n int) int {
	switch {
	case a.n > 0:
		n = a.n
	case a.slow:
		n = min(n, b.c.slow)
	}
	return min(n, len(v.samples))
}

// plan counts the cells to come, for the eye of who waits.
func (b *book) plan(arms []arm, victims []*victim, n int) {
	b.cell, b.planned = 0, 0
	for i := range arms {
		for _, v := range victims {
			b.planned += (b.images(&arms[i], v, n) + b.piece - 1) / b.piece
		}
	}
}

// attack runs an arm on n images of each victim, or takes what the cells hold.
func (b *book) attack(ctx context.Context, a arm, targeted bool, victims []*victim, n int) (*result, error) {
	if m, ok := a.attack.(attack.Meta); ok && targeted {
		m.Steps = cast.TargetedSteps
		a.attack = m
	}
	r := &result{arm: a, targeted: targeted, budget: a.budget, victims: victims}
	if b.c.budget > 0 {
		r.budget = min(r.budget, b.c.budget)
	}
	for _, v := range victims {
		var records []attack.Record
		n := b.images(&a, v, n)
		for lo := 0; lo < n; lo += b.piece {
			b.cell++
			part, err := b.attackPiece(ctx, r, v, lo, min(lo+b.piece, n))
			if err != nil {
				return nil, err
			}
			records = append(records, part...)
		}
		r.records = append(r.records, records)
	}
	return r, nil
}

// attackPiece is one cell: the attack on samples lo to hi of a victim.
func (b *book) attackPiece(ctx context.Context, r *result, v *victim, lo, hi int) ([]attack.Record, error) {
	a, goal := r.arm, goalName(r.targeted)
	options, err := attack.EncodeOptions(a.attack)
	if err != nil {
		return nil, err
	}
	key := struct {
		What, Attack     string
		Options          json.RawMessage
		Net, Goal        string
		Budget           int
		Seed             uint64
		Victim, Data     string
		From, To, Format int
	}{"attack", a.attack.About().Name, options, a.net, goal, r.budget, b.c.seed, v.hash, b.data, lo, hi, 2}
	return cells.Get(b.cells, v.name+"-"+a.name+"-"+goal, key, func() ([]attack.Record, error) {
		victim := meter.Count(v.model)
		m := meter.New(fmt.Sprintf("cell %d of %d: %s, %s, %s, images %d to %d", b.cell, b.planned, v.name, a.name, goal, lo, hi), victim, hi-lo, r.budget)
		defer m.Stop()
		job, err := attack.Bind(a.attack, victim)
		if err != nil {
			return nil, err
		}
		c := attack.Campaign{Job: job, Targeted: r.targeted, Budget: r.budget, Seed: b.c.seed,
			Workers: b.workers, Gather: b.gather, Progress: m.Progress, Start: v.start}
		res, err := c.Run(ctx, v.samples[lo:hi])
		if err != nil {
			return nil, err
		}
		for i := range res.Records {
			res.Records[i].Trace = thin(res.Records[i].Trace)
			res.Records[i].Adversarial = nil // no table shows it
		}
		return res.Records, nil
	})
}

// thin keeps of a trace the first success, the last one, and the last within each
// of the query counts that are asked about, which the exact ones of tables are
// among.
func thin(t []attack.Point) []attack.Point {
	var kept []attack.Point
	limit := 0
	for i, p := range t {
		if p.Queries > limit {
			limit = nextAsked(p.Queries)
		}
		if i == 0 || i == len(t)-1 || t[i+1].Queries > limit {
			kept = append(kept, p)
		}
	}
	return kept
}

// nextAsked is the least query count asked about that is at least q: two digits and
// zeros.
func nextAsked(q int) int {
	unit := 1
	for q > 100*unit {
		unit *= 10
	}
	return (q + unit - 1) / unit * unit
}
