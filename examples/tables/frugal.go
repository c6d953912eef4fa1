package main

import (
	"context"
	"fmt"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/nn/data"
)

// searchImages are the training images among which the frugal preset is looked for.
const searchImages = 2000

// frugal shows the neighbourhood in which the presets frugal and lean were found: on
// another victim and on training images. Their settings are compared with paper's on the
// same images, and lean with what it is without each of its parts.
func (b *book) frugal(ctx context.Context) error {
	if b.cast.StandIn == "" {
		return nil
	}
	b.heading("The presets frugal and lean")
	trained, err := b.attacker(b.cast.Attacker)
	if err != nil {
		return err
	}
	s, v, err := b.standIn(ctx)
	if err != nil {
		return err
	}
	paper, err := meta("paper", "paper", "paper", trained)
	if err != nil {
		return err
	}
	chosen, err := attack.PresetOf[attack.Meta]("frugal")
	if err != nil {
		return err
	}
	arms := []arm{paper}
	try := func(title string, change func(m *attack.Meta)) {
		m := chosen
		m.Network = trained.net
		change(&m)
		arms = append(arms, arm{name: fmt.Sprint("frugal-", len(arms)), title: title, budget: usual, net: trained.hash, attack: m})
	}
	try("frugal", func(*attack.Meta) {})
	try("without mask", func(m *attack.Meta) { m.Mask = false })
	try("by signs", func(m *attack.Meta) { m.Proportional = false })
	try("measuring from step m", func(m *attack.Meta) { m.First = 0 })
	try("fine-tuned as in paper", func(m *attack.Meta) { m.TuneLR = 0 })
	for _, q := range []int{64, 96, 128, 160} {
		for _, interval := range []int{6, 8, 10, 12} {
			try("", func(m *attack.Meta) { m.Coordinates, m.Interval = q, interval })
		}
	}
	for _, beta := range []float64{0.008, 0.01, 0.0125} {
		try("", func(m *attack.Meta) { m.LR = beta })
	}
	if chosen, err = attack.PresetOf[attack.Meta]("lean"); err != nil {
		return err
	}
	try("lean", func(*attack.Meta) {})
	try("without groups", func(m *attack.Meta) { m.Groups = 0 })
	try("as few coordinates, without groups", func(m *attack.Meta) { m.Coordinates, m.Groups = m.Groups, 0 })
	try("to the class of the next score", func(m *attack.Meta) { m.Nearest = false })
	try("without turns", func(m *attack.Meta) { m.Turn = 0 })
	try("whole steps to the end", func(m *attack.Meta) { m.Approach = 0 })
	for _, groups := range []int{40, 64, 72} {
		try(fmt.Sprint(groups, " groups of two"), func(m *attack.Meta) { m.Coordinates, m.Groups = 2*groups, groups })
	}
	b.text(fmt.Sprintf("Settings of the Meta Attack on %s, and on training images, as ratios to those of preset paper on the same images. "+
		"Frugal is to need few queries at an L2 below 0.97 of paper's untargeted and near 1 targeted, which leaves a margin for other victims.", v.name))
	for _, targeted := range []bool{false, true} {
		t := &report.Table{Head: []string{" " + goalName(targeted), "q", "m", "β", "queries", "ratio", "[95 %]", "L2", "ratio", "[95 %]", "images"}}
		s.plan(arms, []*victim{v}, len(v.samples))
		var first *result
		for _, a := range arms {
			r, err := s.attack(ctx, a, targeted, []*victim{v}, len(v.samples))
			if err != nil {
				return err
			}
			if first == nil {
				first = r
			}
			m := a.attack.(attack.Meta)
			q, d := compare(pairs(r, first, queriesOf), b.c.seed), compare(pairs(r, first, distanceOf), b.c.seed)
			t.Rows = append(t.Rows, []string{a.title, orElse(m.Coordinates, 128), orElse(m.Interval, 5), orElse(m.LR, 0.01),
				whole(q.a), three(q.ratio), between(q.ratiCI, three), three(d.a), three(d.ratio), between(d.ratiCI, three), fmt.Sprint(q.n)})
		}
		b.table(t)
	}
	return nil
}

// orElse shows a setting, or what its zero means.
func orElse[T comparable](v, def T) string {
	var zero T
	if v == zero {
		v = def
	}
	return fmt.Sprint(v)
}

// standIn makes a victim of the network and the images that stand in for the
// victim and the test images, and the book that attacks it.
func (b *book) standIn(ctx context.Context) (*book, *victim, error) {
	indices := make([]int, min(searchImages, b.train.Len()))
	for i := range indices {
		indices[i] = i
	}
	c, s := *b.c, *b
	c.n = min(c.n, c.sweep)
	s.c, s.test = &c, data.Subset(b.train, indices)
	var err error
	if s.data, err = data.Digest(s.test); err != nil {
		return nil, nil, err
	}
	k, err := s.classifier(ctx, b.cast.StandIn)
	if err != nil {
		return nil, nil, err
	}
	v, err := s.attacked(k)
	return &s, v, err
}
