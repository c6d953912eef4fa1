package main

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/internal/attackpage"
)

// findings are what the tables and the page are made of, the same as those of
// examples/probe. The page needs the samples besides.
func findings(c *fleet.Contents, all []*attack.Result) (*attackpage.Findings, error) {
	file := &c.File
	found := &attackpage.Findings{Victim: c.Victim, Labels: map[string]bool{}, Goal: "untargeted",
		Budget: file.Budget, Seed: file.Seed, Platform: c.Platform}
	if file.Goal != "" {
		found.Goal = file.Goal
	}
	if found.Budget == 0 {
		found.Budget = attack.DefaultBudget
	}
	used := map[string]int{}
	sent, got, wrong, samples := 0, 0, 0, 0
	for i, res := range all {
		spec := file.Attacks[i]
		name := spec.Attack
		if spec.Preset != "" {
			name += "-" + spec.Preset
		}
		if used[name]++; used[name] > 1 {
			name += fmt.Sprintf("-%d", used[name])
		}
		r := *res
		r.Attack = name
		r.Records = slices.Clone(res.Records)
		attackpage.Finished(&r)
		if open := len(res.Records) - len(r.Records); open > 0 {
			found.Notes = append(found.Notes, fmt.Sprintf("%s: %d of %d images are not finished; the row is of the others", name, open, len(res.Records)))
		}
		if unsure := attackpage.Unsure(&r); unsure != "" {
			found.Notes = append(found.Notes, name+": "+unsure)
		}
		sent, got, wrong = sent+r.Intents, got+r.Answers, max(wrong, r.Summary().Skipped)
		samples = len(res.Records)
		k, ok := attack.Find(spec.Attack)
		if !ok {
			return nil, fmt.Errorf("attack %s is not registered in this program", spec.Attack)
		}
		found.Labels[name] = attack.NeedsOf(k.New()) == attack.Labels
		if _, ok := k.New().(attack.AutoAttack); ok {
			a, err := spec.Build(nil)
			if err != nil {
				return nil, err
			}
			robust := a.(attack.AutoAttack).Robustness(&r, where(&file.Samples), c.Victim.Classes, 0)
			found.Robust = &robust
			for _, w := range robust.Warnings {
				found.Notes = append(found.Notes, name+": "+w)
			}
		}
		found.Results = append(found.Results, &r)
	}
	found.Spent = attackpage.Spent(found.Results, sent, got, 0)
	found.Images = fmt.Sprintf("%d of %s, the same for every attack; the victim was wrong on %d of them when clean, and these were not attacked", samples, where(&file.Samples), wrong)
	return found, nil
}

// where names the samples' place.
func where(s *fleet.SampleSpec) string { return s.Folder + s.Images + s.Array }
