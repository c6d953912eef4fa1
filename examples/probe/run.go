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
	asked   int // queries spent on finding them and on the pre-flight
	results []*attack.Result
	began   time.Time
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
	names, err := chosen(c.attacks)
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
	d, err := images(c, p.victim)
	if err != nil {
		return err
	}
	if p.samples, p.asked, err = eligible(ctx, c, v, d); err != nil {
		return err
	}
	if err := p.preflight(ctx, v, len(names)); err != nil || c.dry {
		return err
	}
	s := setup{victim: v, preset: c.preset, start: starter(p.samples, c.goal == "targeted")}
	if fmt.Sprint(p.victim.Shape) == "[1 28 28]" {
		s.net = pretrained.MetaAttackerMNIST()
	}
	for _, name := range names {
		job, err := bind(name, s)
		if err != nil {
			return err
		}
		if err := p.attack(ctx, name, job); err != nil {
			return err
		}
	}
	return p.report()
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
	rep, err := zoo.Preflight{Seed: p.c.seed}.Run(ctx, v, x, labels)
	if err != nil {
		return err
	}
	fmt.Printf("victim %s: %d classes, %s, samples of %v; right on %d of the first %d images\n",
		p.victim.Name, p.victim.Classes, p.victim.Scores, p.victim.Shape, n, p.asked)
	p.asked += rep.Queries
	fmt.Printf("%d images, %s, %d attacks with a budget of %d queries an image: at most %d queries; %d were spent on this look\n",
		n, p.c.goal, attacks, p.c.budget, n*attacks*(p.c.budget+3), p.asked)
	for _, w := range rep.Warnings {
		fmt.Println("warning:", w)
	}
	if n < p.c.n {
		fmt.Printf("warning: only %d images are eligible, %d were asked for\n", n, p.c.n)
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
	if err != nil {
		if errors.Is(err, context.Canceled) && c.Journal != "" {
			fmt.Printf("\nthe queries paid for are in %s; the same command goes on from there", c.Journal)
		}
		return err
	}
	if res.Resumed > 0 {
		fmt.Printf("  resumed %d times; %d of %d queries were possibly charged twice\n", res.Resumed, res.Intents-res.Answers, res.Intents)
	}
	res.Attack = name
	p.results = append(p.results, res)
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
