package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A probe is what a run has found so far.
type probe struct {
	c       *config
	victim  zoo.Info
	samples []attack.Sample
	tried   int // images the victim was asked about to find them
	asked   int // queries spent on that and on the pre-flight
	results []*attack.Result
	notes   []string // warnings, and what was left out or not finished
	began   time.Time
}

// note prints a line that belongs on the page too.
func (p *probe) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
	fmt.Println("note:", p.notes[len(p.notes)-1])
}

func run(ctx context.Context, c *config) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; every setting is a flag (-help lists them)", flag.Arg(0))
	}
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
	if c.goal != "untargeted" && c.goal != "targeted" {
		return fmt.Errorf("-goal %s: untargeted or targeted", c.goal)
	}
	if c.n < 1 || c.budget < 1 {
		return fmt.Errorf("-n %d -budget %d: both are at least 1", c.n, c.budget)
	}
	p := &probe{c: c, began: time.Now()}
	v, err := victim(ctx, c)
	if err != nil {
		return err
	}
	p.victim = v.Info()
	s := setup{victim: v, preset: c.preset, targeted: c.goal == "targeted", budget: c.budget}
	if s.targeted { // else noise will do
		s.start = p.start
	}
	if fmt.Sprint(p.victim.Shape) == "[1 28 28]" {
		s.net = pretrained.MetaAttackerMNIST()
	}
	tasks, left, err := bind(picks, s)
	if err != nil {
		return err
	}
	for _, l := range left {
		p.note("%s", l)
	}
	d, err := images(c, p.victim)
	if err != nil {
		return err
	}
	if p.samples, p.tried, err = eligible(ctx, c, v, d); err != nil {
		return err
	}
	if err := p.preflight(ctx, v, len(tasks)); err != nil || c.dry {
		return err
	}
	for i, t := range tasks {
		if err := p.attack(ctx, t.name, t.job); err != nil {
			return p.stopped(err, tasks[i:])
		}
	}
	return p.report()
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
	fmt.Println()
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

// preflight looks at the victim and says what the run may cost.
func (p *probe) preflight(ctx context.Context, v zoo.Scorer, attacks int) error {
	n := len(p.samples)
	x := tensor.New(append([]int{n}, p.victim.Shape...)...)
	labels := make([]int, n)
	for i, s := range p.samples {
		copy(x.Index(i).Data(), s.X.Data())
		labels[i] = s.Label
	}
	fmt.Printf("victim %s: %d classes, %s, samples of %v; right on %d of the first %d images\n",
		p.victim.Name, p.victim.Classes, p.victim.Scores, p.victim.Shape, n, p.tried)
	if 2*n < p.tried {
		p.note("the victim is wrong on most images (right on %d of %d): check its preprocessing (scale, mean, deviation, order of channels) and the order of its classes", n, p.tried)
	}
	rep, err := zoo.Preflight{Seed: p.c.seed, Noise: p.c.noise}.Run(ctx, v, x, labels)
	switch {
	case err != nil && rep != nil: // the answers to one sample differ
		return fmt.Errorf("%w; here that is -noise", err)
	case err != nil:
		return err
	}
	p.asked = p.tried + rep.Queries
	fmt.Printf("%d images, %s, %d attacks with a budget of %d queries an image: at most %d queries; %d were spent on this look\n",
		n, p.c.goal, attacks, p.c.budget, n*attacks*(p.c.budget+3), p.asked)
	for _, w := range rep.Warnings {
		p.note("%s", w)
	}
	if n < p.c.n {
		p.note("only %d images are eligible, %d were asked for", n, p.c.n)
	}
	return nil
}

// attack runs one campaign.
func (p *probe) attack(ctx context.Context, name string, job attack.Job) error {
	c := attack.Campaign{Job: job, Targeted: p.c.goal == "targeted", Budget: p.c.budget, Seed: p.c.seed,
		Workers: p.c.workers, Gather: p.c.gather, Fsync: p.c.fsync}
	if p.c.journal != "" {
		c.Journal = besides(p.c.journal, name)
	}
	line := newLine(name)
	var won, queries int
	c.Progress = func(done, total int, r *attack.Record) {
		queries += r.Queries
		if r.Success {
			won++
		}
		line.show(done == total, "%d/%d images, %d successes, %d queries", done, total, won, queries)
	}
	res, err := c.Run(ctx, p.samples)
	if res != nil {
		res.Attack = name
		res.Records = slices.DeleteFunc(res.Records, func(r attack.Record) bool { return r.Stop == "" })
		if len(res.Records) > 0 {
			p.results = append(p.results, res)
		}
	}
	if err != nil {
		if errors.Is(err, context.Canceled) && c.Journal != "" {
			fmt.Printf("\nthe queries paid for are in %s; the same command goes on from there", c.Journal)
		}
		return err
	}
	if res.Resumed > 0 {
		fmt.Printf("  resumed %d times; %d of %d queries were possibly charged twice\n", res.Resumed, res.Intents-res.Answers, res.Intents)
	}
	return nil
}

// line is a progress line: rewritten on a terminal, printed at the end elsewhere.
type line struct {
	name string
	live bool
	last time.Time
}

func newLine(name string) *line {
	st, err := os.Stdout.Stat()
	return &line{name: name, live: err == nil && st.Mode()&os.ModeCharDevice != 0}
}

func (l *line) show(end bool, format string, args ...any) {
	if !end && (!l.live || time.Since(l.last) < 100*time.Millisecond) {
		return
	}
	l.last = time.Now()
	if l.live {
		fmt.Print("\r\033[K")
	}
	fmt.Printf("%-12s %s", l.name, fmt.Sprintf(format, args...))
	if end {
		fmt.Println()
	}
}

// report prints the table and writes what was asked for.
func (p *probe) report() error {
	fmt.Printf("\n%s\n", p.table())
	for _, r := range p.remarks() {
		fmt.Println(r)
	}
	page, err := p.page()
	if err != nil {
		return err
	}
	if err := page.Write(p.c.report); err != nil {
		return err
	}
	fmt.Printf("wrote %s after %v (kernels %s)\n", p.c.report, time.Since(p.began).Round(100*time.Millisecond), kernel.Active().Name)
	if p.c.json != "" {
		rows := make([]attack.Summary, len(p.results))
		for i, r := range p.results {
			rows[i] = r.Summary()
		}
		b, err := json.MarshalIndent(rows, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.c.json, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if p.c.out != "" {
		return p.save(p.c.out)
	}
	return nil
}

// save writes the adversarial images and all records.
func (p *probe) save(dir string) error {
	for _, res := range p.results {
		sub := filepath.Join(dir, res.Attack)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		b, err := json.MarshalIndent(res, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(sub, "records.json"), append(b, '\n'), 0o644); err != nil {
			return err
		}
		for _, r := range res.Records {
			if r.Adversarial == nil {
				continue
			}
			base := filepath.Join(sub, fmt.Sprintf("%s-%d-as-%d", r.Name, r.Label, r.Answer))
			x := tensor.FromSlice(r.Adversarial, p.victim.Shape...)
			if err := tensor.SaveNPY(base+".npy", x, tensor.F32); err != nil {
				return err
			}
			if err := savePNG(base+".png", x); err != nil {
				return err
			}
		}
	}
	fmt.Println("wrote", dir)
	return nil
}

func savePNG(path string, x *tensor.Tensor) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := png.Encode(f, x.ToImage()); err != nil {
		return err
	}
	return f.Close()
}
