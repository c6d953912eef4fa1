package attackpage

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/attack"
)

// inWords says what came out: what was attacked, how easily it falls, to what, at what
// cost, and what that means.
func (f *Findings) inWords() []string {
	what := "any class but the true one"
	if f.Goal == "targeted" {
		what = "one wrong class that was chosen beforehand"
	}
	first := fmt.Sprintf("%s puts images into %d classes. %d images that it gets right were changed a little, until it took them for %s.", f.Victim.Name, f.Victim.Classes, f.attacked(), what)
	var cheap, near *attack.Summary
	for _, r := range f.Results {
		s := r.Summary()
		if s.SuccessRate == 0 {
			continue
		}
		if !f.Labels[r.Attack] && (cheap == nil || better(s, *cheap, s.QueriesMeanAll, cheap.QueriesMeanAll)) {
			cheap = &s
		}
		if near == nil || better(s, *near, s.L2Mean, near.L2Mean) {
			near = &s
		}
	}
	if near == nil {
		return []string{first, fmt.Sprintf("No attack succeeded on any image within %d queries. That is no proof of robustness: stronger attacks, a larger budget or a larger distance may.", f.Budget)}
	}
	var out string
	if cheap != nil {
		out = fmt.Sprintf("The cheapest attack on its scores, %s, succeeded on %s of them, after %s queries on average. ", cheap.Attack, percent(cheap.SuccessRate), whole(cheap.QueriesMean))
	}
	out += fmt.Sprintf("The nearest successes are those of %s (%s of the images): an L2 distance of %.2g on average, which is a typical change of %.1f of 255 steps of brightness in each value, and %.0f at the most.",
		near.Attack, percent(near.SuccessRate), near.L2Mean, 255*near.L2Mean/math.Sqrt(float64(f.Victim.Size())), 255*near.LinfMean)
	return []string{first, out, f.meaning(cheap, near)}
}

// better prefers the attack that succeeds on more images, and among equals the lesser
// value.
func better(a, b attack.Summary, va, vb float64) bool {
	return cmp.Or(cmp.Compare(b.SuccessRate, a.SuccessRate), cmp.Compare(va, vb)) < 0
}

func (f *Findings) meaning(cheap, near *attack.Summary) string {
	most := near.SuccessRate
	if cheap != nil {
		most = max(most, cheap.SuccessRate)
	}
	var fell string
	switch {
	case most >= 0.95:
		fell = "Practically every image falls"
	case most >= 0.5:
		fell = "Most images fall"
	default:
		fell = "Most images stood"
	}
	who := "whoever may ask it and read its scores needs nothing else"
	if cheap == nil {
		who = "it is enough to learn its answers"
	}
	if slices.ContainsFunc(f.Results, func(r *attack.Result) bool { return kind(r) == "autoattack" }) && most < 0.95 {
		who = "what autoattack leaves is close to its true robustness at this radius"
	}
	return fmt.Sprintf("%s within %d queries: %s. Budgets and distances are what to compare it by with other victims, on the same images.", fell, f.Budget, who)
}
