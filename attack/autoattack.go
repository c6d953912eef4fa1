package attack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mettleml/mettle/zoo"
)

// AutoAttack is the ensemble of Croce and Hein (2020), the standard measure of robust
// accuracy. It runs attacks without tunable parameters one after the other until one
// succeeds. A sample that withstands all of them counts as robust.
//
// Version standard, "" for short, is APGD on cross-entropy, APGD on the targeted DLR loss
// towards nine classes, FAB towards nine classes and Square, 5,000 queries. In L1, APGD is
// started five times on cross-entropy and goes for five classes. Version plus, of Linf and
// L2, is APGD on cross-entropy and on the DLR loss, and FAB, all started five times, Square,
// and the two towards nine classes. Version rand is for victims that answer at random: APGD
// on cross-entropy and on the DLR loss, with gradients averaged over twenty calls.
//
// [AutoAttack.Inspect] looks for what makes the outcome unreliable, and [Result.Robustness]
// gives the robust accuracy after each attack. A sample takes at most about 8,000 queries
// (version plus: 22,000); a gradient and a forward pass count alike. Set Campaign.Budget to
// at least that. Set its Gather and Workers to 64 or so: that batches the calls.
//
// An attack that needs more classes than the victim has is left out. Each attack ends at
// its first success. [APGD], [FAB] and [Square] document their own choices. The random
// draws are this library's, so another implementation may break other samples.
type AutoAttack struct {
	Norm    Norm
	Eps     float64 // radius of the ball; 0 means 0.3 for Linf, 2 for L2, 10 for L1
	Version string  // standard, plus or rand; "" means standard
}

// The names of the attacks of the ensemble, as tables of robust accuracy have them.
const (
	apgdCE  = "apgd-ce"
	apgdDLR = "apgd-dlr"
	apgdT   = "apgd-t"
	fab     = "fab"
	fabT    = "fab-t"
	square  = "square"
)

// aaVersions are the attacks of a version, in order.
var aaVersions = map[string][]string{
	"standard": {apgdCE, apgdT, fabT, square},
	"plus":     {apgdCE, apgdDLR, fab, square, apgdT, fabT},
	"rand":     {apgdCE, apgdDLR},
}

// About describes the attack.
func (a AutoAttack) About() About { return About{"autoattack", a.Norm, a.defaults()} }

func (a AutoAttack) defaults() AutoAttack {
	a.Eps, a.Version = cmp.Or(a.Eps, radiusOf(a.Norm)), cmp.Or(a.Version, "standard")
	return a
}

// A Member is an attack of an ensemble.
type Member struct {
	Name   string // such as "apgd-ce"; Record.By names the member that broke a sample
	Attack Attack
}

// Members returns the attacks on a victim with the given number of classes, in order.
func (a AutoAttack) Members(classes int) []Member {
	a = a.defaults()
	runs, repeats, targets := 1, 0, 9
	switch {
	case a.Version == "rand":
		repeats = 20
	case a.Version == "plus":
		runs = 5
	case a.Norm == L1:
		runs, targets = 5, 5
	}
	var all []Member
	for _, name := range aaVersions[a.Version] {
		var m Attack
		switch name {
		case apgdCE:
			m = APGD{Norm: a.Norm, Eps: a.Eps, Restarts: runs, Repeats: repeats, Loss: zoo.CrossEntropy{}}
		case apgdDLR:
			m = APGD{Norm: a.Norm, Eps: a.Eps, Restarts: runs, Repeats: repeats, Loss: zoo.DLR{}}
		case apgdT:
			m = APGD{Norm: a.Norm, Eps: a.Eps, Targets: targets, Loss: zoo.DLR{}}
		case fab:
			m = FAB{Norm: a.Norm, Eps: a.Eps, Restarts: runs}
		case fabT:
			m = FAB{Norm: a.Norm, Eps: a.Eps, Targets: 9}
		case square:
			m = Square{Norm: a.Norm, Eps: a.Eps, P: 0.8, Iterations: 5000, Schedule: 10000}
		}
		if name == apgdDLR && classes < 3 || name == apgdT && classes < 4 {
			continue // the loss is not defined
		}
		all = append(all, Member{name, m})
	}
	return all
}

// AttackGradients implements GradientAttack.
func (a AutoAttack) AttackGradients(ctx context.Context, v zoo.Differentiable, t *Try) error {
	return runMembers(ctx, a.Members(v.Info().Classes), v, t)
}

// runMembers runs attacks one after the other until one succeeds, each with randomness of
// its own.
func runMembers(ctx context.Context, members []Member, v zoo.Differentiable, t *Try) error {
	seed := t.Seed
	defer func() { t.Seed, t.part = seed, "" }()
	for i, m := range members {
		t.Seed, t.part = seed+uint64(i)*0x9e3779b97f4a7c15, m.Name
		var err error
		switch m := m.Attack.(type) {
		case GradientAttack:
			err = m.AttackGradients(ctx, v, t)
		case ScoreAttack:
			err = m.AttackScores(ctx, v, t)
		default:
			err = fmt.Errorf("attack: %T asks for neither gradients nor scores", m)
		}
		if err != nil || t.Success() {
			return err
		}
	}
	return nil
}

// Check implements Checker.
func (a AutoAttack) Check(shape []int) error {
	d := a.defaults()
	errs := []error{ball(a, a.Norm, d.Eps, shape), images(a, shape)}
	if _, ok := aaVersions[d.Version]; !ok {
		errs = append(errs, fmt.Errorf("attack: AutoAttack.Version is %q; there are standard, plus and rand", a.Version))
	}
	if d.Version == "plus" && a.Norm == L1 {
		errs = append(errs, errors.New("attack: AutoAttack: version plus is for Linf and L2; take standard for L1"))
	}
	return errors.Join(errs...)
}

// A Robustness is the robust accuracy under an ensemble, in the terms of RobustBench.
type Robustness struct {
	Model   string  `json:"model"`
	Dataset string  `json:"dataset"`
	Norm    Norm    `json:"norm"`
	Eps     float64 `json:"eps"`
	Attack  string  `json:"attack"` // "autoattack"
	Version string  `json:"version,omitempty"`
	Samples int     `json:"samples"`
	// Clean is the share of all samples that the victim classifies correctly. Robust is the
	// share of all samples that it classifies correctly and that no attack broke.
	Clean    float64  `json:"clean"`
	Robust   float64  `json:"robust"`
	RobustCI Interval `json:"robust_ci95"` // Wilson's
	Queries  int      `json:"queries"`     // of the attacks
	Attacks  []Stage  `json:"attacks"`
	Warnings []string `json:"warnings,omitempty"`
}

// A Stage is the outcome of one attack of an ensemble on the samples that withstood those
// before it.
type Stage struct {
	Attack   string  `json:"attack"`
	Attacked int     `json:"attacked"`
	Broken   int     `json:"broken"`
	Robust   float64 `json:"robust"` // share of all samples still classified correctly
}

// squareMargin is the share of the samples that Square may break after the attacks with
// gradients before that says something about these.
const squareMargin = 0.002

// Robustness sums up the records of a campaign of a. The argument dataset names the
// samples; missed is the number of misclassified samples that are not among the records.
// Records of samples that the campaign did not reach are left out.
func (a AutoAttack) Robustness(r *Result, dataset string, classes, missed int) Robustness {
	a = a.defaults()
	out := Robustness{Model: r.Victim, Dataset: dataset, Norm: a.Norm, Eps: a.Eps, Attack: a.About().Name, Version: a.Version, Samples: missed}
	broken := map[string]int{}
	right, spent := 0, 0
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Stop == "" {
			continue
		}
		out.Samples++
		out.Queries += rec.Queries
		if rec.Skipped() {
			continue
		}
		right++
		if rec.Success {
			broken[rec.By]++
		}
		if rec.Stop == StopBudget {
			spent++
		}
	}
	if out.Samples == 0 {
		return out
	}
	n := float64(out.Samples)
	standing := right
	out.Clean = float64(right) / n
	for _, m := range a.Members(classes) {
		b := broken[m.Name]
		out.Attacks = append(out.Attacks, Stage{Attack: m.Name, Attacked: standing, Broken: b, Robust: float64(standing-b) / n})
		standing -= b
	}
	out.Robust = float64(standing) / n
	out.RobustCI = wilson(float64(standing), n)
	if i := slices.IndexFunc(out.Attacks, func(s Stage) bool { return s.Attack == square }); i > 0 && float64(out.Attacks[i].Broken)/n > squareMargin {
		out.Warnings = append(out.Warnings, fmt.Sprintf("Square broke %d samples that attacks with gradients had left: the gradients may mislead; more queries and restarts, or an attack made for this victim, may break more", out.Attacks[i].Broken))
	}
	if spent > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the budget of %d queries ended %d attacks early: these samples count as robust though not all was tried", r.Budget, spent))
	}
	return out
}

// String returns one line per stage.
func (r Robustness) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s, %d samples, %v of %.4g: clean accuracy %.2f %%\n", r.Model, r.Dataset, r.Samples, r.Norm, r.Eps, 100*r.Clean)
	for _, s := range r.Attacks {
		fmt.Fprintf(&b, "  after %-9s robust accuracy %6.2f %%  (%d of %d broken)\n", s.Attack, 100*s.Robust, s.Broken, s.Attacked)
	}
	return b.String()
}
