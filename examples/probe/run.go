package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/meter"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/internal/attackpage"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A probe is what a run has found so far.
type probe struct {
	c       *config
	victim  zoo.Info
	counter *meter.Victim // of the queries of this run
	preset  string        // of the meta attack
	samples []attack.Sample
	look    look
	starts  map[int]*tensor.Tensor // of wanted classes
	labels  map[string]bool        // attacks that see labels only
	results []*attack.Result
	robust  *attack.Robustness // what autoattack left standing; nil without it
	looked  int                // queries of autoattack's look at the victim
	sent    int                // queries of all campaigns, finished or not, and over all runs of their journals
	got     int                // answers to them
	notes   []string           // warnings, and what was left out or not finished
	began   time.Time
}

// note prints a line that belongs on the page too.
func (p *probe) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
	fmt.Println("note:", p.notes[len(p.notes)-1])
}

// check says what is wrong with the flags by themselves.
func (c *config) check() error {
	switch {
	case c.goal != "untargeted" && c.goal != "targeted":
		return fmt.Errorf("-goal %s: untargeted or targeted", c.goal)
	case c.n < 1 || c.budget < 1:
		return fmt.Errorf("-n %d -budget %d: both are at least 1", c.n, c.budget)
	case !(c.eps >= 0) || !(c.within >= 0) || !(c.noise >= 0):
		return fmt.Errorf("-eps %g -within %g -noise %g: none may be negative", c.eps, c.within, c.noise)
	case !(c.step >= 0 && c.step < 1):
		return fmt.Errorf("-step %g: it is at least 0 and below 1", c.step)
	case c.workers < 0 || c.gather < 0:
		return fmt.Errorf("-workers %d -gather %d: neither may be negative", c.workers, c.gather)
	}
	if c.preset == "" {
		return nil
	}
	_, err := attack.PresetOf[attack.Meta](c.preset)
	return err
}

func run(ctx context.Context, c *config) error {
	if c.attacks == "list" {
		for _, a := range catalogue {
			fmt.Printf("%-12s %s\n", a.name, a.what)
		}
		return nil
	}
	picks, err := chosen(c.attacks)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	p := &probe{c: c, began: time.Now()}
	v, classes, err := victim(ctx, c)
	if err != nil {
		return err
	}
	p.victim, p.counter = v.Info(), meter.Count(v)
	if r, ok := p.remote(); ok {
		for _, n := range r.notes() {
			p.note("%s", n)
		}
	}
	s, err := newSetup(c, p.counter)
	if err != nil {
		return err
	}
	p.preset = s.preset
	tasks, left, err := bind(picks, s)
	if err != nil {
		return err
	}
	for name, given := range map[string]string{"meta": c.attacker, "autozoom-ae": c.decoder} {
		if given != "" && !slices.ContainsFunc(tasks, func(t task) bool { return t.name == name }) {
			return fmt.Errorf("%s is for %s, which is not among the attacks; add it to -attack", given, name)
		}
	}
	p.labels = map[string]bool{}
	for _, t := range tasks {
		p.labels[t.name] = t.labels
	}
	for _, l := range left {
		p.note("%s", l)
	}
	d, err := images(c, p.victim, classes)
	if err != nil {
		return err
	}
	if lacks := datasets.Lacking(d, c.data, "the victim's"); lacks != "" {
		p.note("%s", lacks)
	}
	if err := c.writable(tasks); err != nil {
		return err
	}
	if err := p.scout(ctx, d, tasks); err != nil || c.dry {
		return err
	}
	for i, t := range tasks {
		if err := p.attack(ctx, t); err != nil {
			return p.stopped(err, tasks[i:])
		}
	}
	return p.report()
}

// start gives targeted attacks on labels an image of the wanted class to begin from. For
// others noise will do.
func (p *probe) start(g zoo.Goal) *tensor.Tensor {
	if !g.Targeted {
		return nil
	}
	return p.starts[g.Target]
}

// stopped reports what is finished although err ended the run.
func (p *probe) stopped(err error, rest []task) error {
	if len(p.results) == 0 {
		return err
	}
	var names []string
	for _, t := range rest {
		names = append(names, t.name)
	}
	why := err.Error()
	if errors.Is(err, context.Canceled) {
		why = "by hand"
	}
	p.note("the run was stopped (%s): not finished are %s; a row of fewer images than others is of those that were", why, strings.Join(names, ", "))
	if e := p.report(); e != nil {
		fmt.Fprintln(os.Stderr, "probe: the report of what is finished:", e)
	}
	return err
}

// scout looks at the victim before the attacks, and says what they may cost.
func (p *probe) scout(ctx context.Context, d data.Dataset, tasks []task) error {
	s, err := newScout(p.c, p.counter, d)
	if err != nil {
		return err
	}
	if p.samples, err = s.samples(ctx); err != nil {
		return err
	}
	n, tried := len(p.samples), s.look.Tried
	fmt.Printf("victim %s: %d classes, %s, samples of %v; right on %d of the first %d images\n",
		p.victim.Name, p.victim.Classes, p.victim.Scores, p.victim.Shape, n, tried)
	if 2*n < tried {
		p.note("the victim is wrong on most images (right on %d of %d): check its preprocessing (scale, mean, deviation, order of channels) and the order of its classes", n, tried)
	}
	if err := s.preflight(ctx, p.samples, smallestStep(tasks, p.c.step)); err != nil {
		return err
	}
	if p.c.goal == "targeted" && slices.ContainsFunc(tasks, func(t task) bool { return t.labels }) {
		if p.starts, err = s.starts(ctx); err != nil {
			return err
		}
		fmt.Printf("images for attacks on labels to begin from: of %d of %d wanted classes, for %d queries\n", len(p.starts), len(s.wanted()), s.look.Search)
		none := slices.DeleteFunc(s.wanted(), func(class int) bool { return p.starts[class] != nil })
		if len(none) > 0 {
			p.note("the data have no image that the victim rightly puts in class %s: targeted attacks on labels have only noise to begin from there, and hardly succeed",
				strings.Trim(fmt.Sprint(none), "[]"))
		}
	}
	p.look = s.look
	most := 0
	for _, t := range tasks {
		most += n * (t.budget(p.c) + 3)
	}
	fmt.Printf("%d images, %s, %d attacks with a budget of %d queries an image: at most %d queries; %s\n",
		n, p.c.goal, len(tasks), p.c.budget, most, p.lookCost())
	if weights.IsAddress(p.c.victim) {
		fmt.Println("what is sent again after a failure on the way may be charged besides")
	}
	for _, w := range p.look.Warnings {
		p.note("%s", flagged.Replace(w))
	}
	if n < p.c.n {
		p.note("only %d images are eligible, %d were asked for", n, p.c.n)
	}
	return nil
}

// lookCost says what the look cost, now and before.
func (p *probe) lookCost() string {
	now := p.counter.Queries()
	text := fmt.Sprintf("%d were spent on this look", now)
	if before := p.look.spent() - now; before > 0 {
		text += fmt.Sprintf(", and %d by an earlier run (%s)", before, lookPath(p.c.journal))
	}
	return text
}

// attack runs one campaign.
func (p *probe) attack(ctx context.Context, t task) error {
	name := t.name
	c := attack.Campaign{Job: t.job, Targeted: p.c.goal == "targeted", Budget: t.budget(p.c), Seed: p.c.seed,
		Workers: p.c.workers, Gather: p.c.gather, Fsync: p.c.fsync, Start: p.start}
	if attack.NeedsOf(t.attack) == attack.Gradients && c.Workers == 0 && c.Gather == 0 {
		c.Workers, c.Gather = batched, batched
	}
	if name == ensemble {
		if err := p.inspect(ctx, t); err != nil {
			return err
		}
	}
	if p.c.journal != "" {
		c.Journal = besides(p.c.journal, name)
	}
	m := meter.New(name, p.counter, len(p.samples), c.Budget)
	c.Progress = m.Progress
	res, err := c.Run(ctx, p.samples)
	m.Stop()
	if res != nil {
		res.Attack = name
		p.sent, p.got = p.sent+res.Intents, p.got+res.Answers
		attackpage.Finished(res)
		if len(res.Records) > 0 {
			p.results = append(p.results, res)
		}
		if name == ensemble {
			p.standing(t, res)
		}
	}
	if res != nil {
		if unsure := attackpage.Unsure(res); unsure != "" {
			p.note("%s: %s", name, unsure)
		}
	}
	switch {
	case errors.Is(err, context.Canceled) && c.Journal != "":
		fmt.Printf("the queries paid for are in %s; the same command goes on from there\n", c.Journal)
	case err != nil && c.Journal == "" && res != nil:
		fmt.Printf("without -journal the answers to %d queries on images that were not finished are lost; with it the same command would have gone on from here\n", unfinished(res))
	}
	return err
}

// batched is how many images are attacked at a time with gradients: a network on this
// machine takes them together.
const batched = 64

// budget is what a task may spend on an image.
func (t task) budget(c *config) int {
	if t.name == ensemble && !c.budgetGiven {
		return max(c.budget, 50000) // it ends by itself
	}
	return c.budget
}

// inspected is on how many images autoattack looks at the victim.
const inspected = 100

// inspect looks for what makes robust accuracy unreliable.
func (p *probe) inspect(ctx context.Context, t task) error {
	n := min(len(p.samples), inspected)
	if n == 0 {
		return nil
	}
	w, _ := p.counter.White()
	x := tensor.New(append([]int{n}, p.victim.Shape...)...)
	labels := make([]int, n)
	for i, s := range p.samples[:n] {
		copy(x.Index(i).Data(), s.X.Data())
		labels[i] = s.Label
	}
	seen, err := t.attack.(attack.AutoAttack).Inspect(ctx, w, x, labels)
	if err != nil {
		return err
	}
	p.looked += seen.Queries
	for _, w := range seen.Warnings {
		p.note("%s: %s", t.name, w)
	}
	return nil
}

// standing tells what autoattack left standing.
func (p *probe) standing(t task, res *attack.Result) {
	r := t.attack.(attack.AutoAttack).Robustness(res, p.c.data, p.victim.Classes, p.look.Tried-len(p.samples))
	p.robust = &r
	for _, w := range r.Warnings {
		p.note("%s: %s", t.name, w)
	}
}

// unfinished is how many answers were had on images whose attack did not end.
func unfinished(res *attack.Result) int {
	n := res.Answers
	for _, r := range res.Records {
		n -= r.Queries + r.Clean + r.Verify
	}
	return n
}
