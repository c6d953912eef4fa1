package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/meter"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
	"github.com/mettleml/mettle/video/motion"
	"github.com/mettleml/mettle/zoo"
)

// An experiment is what a run has found so far.
type experiment struct {
	c       *config
	victim  zoo.Info
	classes []string
	samples []attack.Sample
	look    look
	tasks   []task
	results []*attack.Result
	curves  []*curve // of the results
	notes   []string
	began   time.Time
}

// A task is an attack bound to the victim.
type task struct {
	name  string
	job   attack.Job
	curve *curve
}

func (c *config) check() error {
	switch {
	case c.goal != "untargeted" && c.goal != "targeted":
		return fmt.Errorf("-goal %s: untargeted or targeted", c.goal)
	case c.n < 1 || c.budget < 1 || c.stride < 1:
		return fmt.Errorf("-n %d -budget %d -stride %d: all are at least 1", c.n, c.budget, c.stride)
	case !(c.eps >= 0 && c.eps <= 1):
		return fmt.Errorf("-eps %g: from 0 to 1", c.eps)
	case c.block < 0 || c.block != 0 && (c.block < 4 || c.block > 64):
		return fmt.Errorf("-block %d: 4 to 64", c.block)
	}
	return nil
}

func run(ctx context.Context, c *config) error {
	if c.attacks == "list" {
		for _, k := range attack.Kinds() {
			if attack.NeedsOf(k.New()) == attack.Labels {
				continue
			}
			fmt.Printf("%-16s %s\n", k.Name, k.What)
			for _, p := range k.Presets {
				fmt.Printf("  :%-13s %s\n", p.Name, p.What)
			}
		}
		return nil
	}
	if err := c.check(); err != nil {
		return err
	}
	if c.eps == 0 {
		c.eps = map[bool]float64{true: 0.06, false: 0.03}[c.data == "moving"]
	}
	e := &experiment{c: c, began: time.Now()}
	v, classes, err := victim(ctx, c)
	if err != nil {
		return err
	}
	e.victim, e.classes = v.Info(), classes
	d, err := clips(ctx, c, e.victim, classes)
	if err != nil {
		return err
	}
	counter := meter.Count(v)
	if e.tasks, err = tasks(c, v, counter); err != nil {
		return err
	}
	for _, path := range []string{c.report, c.json} {
		if path != "" {
			if err := atomicfile.Check(path); err != nil {
				return err
			}
		}
	}
	if e.samples, e.look, err = samples(ctx, c, counter, d); err != nil {
		return err
	}
	fmt.Printf("victim %s: %d classes, clips of %v; right on %d of the first %d clips\n", e.victim.Name, e.victim.Classes, e.victim.Shape, e.look.Right, e.look.Tried)
	fmt.Println(e.motionUse())
	targeted := c.goal == "targeted"
	begin := map[int]*tensor.Tensor{}
	if targeted {
		wanted := map[int]bool{}
		for _, s := range e.samples {
			wanted[zoo.NextClass(s.Label, e.victim.Classes)] = true
		}
		if begin, err = starts(ctx, counter, d, wanted); err != nil {
			return err
		}
	}
	if len(e.samples) < c.n {
		e.note("only %d clips are eligible, %d were asked for", len(e.samples), c.n)
	}
	for _, t := range e.tasks {
		m := meter.New(fmt.Sprintf("%-24s", t.name), counter, len(e.samples), c.budget)
		// One clip after another: the loss curves tell clips apart by it, and a network for
		// clips keeps all processors busy by itself.
		run := attack.Campaign{Job: t.job, Targeted: targeted, Budget: c.budget, Seed: c.seed, Workers: 1,
			Start: func(g zoo.Goal) *tensor.Tensor { return begin[g.Target] },
			Progress: func(done, total int, r *attack.Record) {
				t.curve.next(r)
				m.Progress(done, total, r)
			}}
		if c.journal != "" {
			ext := filepath.Ext(c.journal)
			run.Journal = strings.TrimSuffix(c.journal, ext) + "-" + strings.ReplaceAll(t.name, ":", "-") + ext
		}
		res, err := run.Run(ctx, e.samples)
		m.Stop()
		if err != nil {
			if len(e.results) == 0 {
				return err
			}
			e.note("the run was stopped (%v) at %s", err, t.name)
			return errors.Join(err, e.report())
		}
		res.Attack = t.name
		e.results, e.curves = append(e.results, res), append(e.curves, t.curve)
	}
	return e.report()
}

// note prints a line that belongs on the page too.
func (e *experiment) note(format string, args ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
	fmt.Println("note:", e.notes[len(e.notes)-1])
}

// motionUse says on how many clips the victim is right if they are shown otherwise.
func (e *experiment) motionUse() string {
	var parts []string
	for k, control := range controls {
		parts = append(parts, fmt.Sprintf("%s %d", control.name, e.look.Controls[k]))
	}
	return fmt.Sprintf("Does the victim use motion? Of the first %d clips it is right on: %s", e.look.Shown, strings.Join(parts, ", "))
}

// tasks builds what -attack names. v is the victim itself, which attacks with gradients
// need; the others ask counter.
func tasks(c *config, v zoo.Scorer, counter *meter.Victim) (list []task, err error) {
	given := map[string]json.RawMessage{}
	if c.options != "" {
		if err := json.Unmarshal([]byte(c.options), &given); err != nil {
			return nil, fmt.Errorf("-options: %w", err)
		}
	}
	networks := map[string]nn.Module{}
	if c.network != "" {
		net, _, err := models.Open(c.network)
		if err != nil {
			return nil, fmt.Errorf("-network: %w", err)
		}
		networks["image"] = net
	}
	for name := range strings.SplitSeq(c.attacks, ",") {
		name = strings.TrimSpace(name)
		kind, preset, _ := strings.Cut(name, ":")
		options := given[name]
		delete(given, name)
		a, err := attack.Spec{Attack: kind, Preset: preset}.Build(nil)
		if err != nil {
			return nil, err
		}
		if k, _ := attack.Find(kind); k.Aim == attack.InBall {
			if a, err = attack.WithOptions(a, json.RawMessage(fmt.Sprintf(`{"Eps": %g}`, c.eps)), nil); err != nil {
				return nil, err
			}
		}
		if b, ok := a.(video.VBAD); ok {
			if b.Network = networks["image"]; b.Network == nil {
				return nil, errors.New("v-bad needs a network for images of the victim's kind: -network FILE")
			}
			a = b
		}
		a = fit(a, c.block, v.Info().Shape)
		if a, err = attack.WithOptions(a, options, attack.NamedNetworks(networks)); err != nil {
			return nil, fmt.Errorf("-options: %w", err)
		}
		t := task{name: name, curve: &curve{}}
		var asked any = &recorder{counter, t.curve}
		if attack.NeedsOf(a) == attack.Gradients {
			asked = v
		}
		if t.job, err = attack.Bind(a, asked); err == nil {
			err = t.job.Check()
		}
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	for name := range given {
		return nil, fmt.Errorf("-options: %s is not among the attacks", name)
	}
	return list, nil
}

// fit gives the noise of small frames motion of smaller blocks than an encoder's.
func fit(a attack.Attack, block int, shape []int) attack.Attack {
	if block == 0 && min(shape[len(shape)-1], shape[len(shape)-2]) < 64 {
		block = 4
	}
	m, ok := a.(video.MotionExcited)
	if !ok || block == 0 {
		return a
	}
	m.Noise = fitNoise(m.Noise, block)
	return m
}

func fitNoise(n video.Noise, block int) video.Noise {
	switch n := n.(type) {
	case nil:
		return fitNoise(video.Sparked{}, block)
	case video.Mixture:
		n.A, n.B = fitNoise(n.A, block), fitNoise(n.B, block)
		return n
	case video.Sparked:
		if own, ok := n.Map.(video.Motion); n.Map == nil || ok && own.Estimator == nil {
			own.Estimator = motion.BlockMatch{Block: block, Range: max(7, min(block, 16))}
			n.Map = own
		}
		return n
	}
	return n
}

// A curve is the loss of the clips that an attack stood at, against the queries: for each
// clip, how many had been spent and 1 - p₂ of the answer (figure 3.1 of the thesis).
type curve struct {
	open   []point // of the clip under way, the clean check first
	asked  int
	traces [][]point
}

type point struct {
	query int
	loss  float64
}

// next ends the trace of a clip. What was asked to verify a success is no part of it.
func (c *curve) next(r *attack.Record) {
	var t []point
	for _, p := range c.open {
		if q := p.query - r.Clean; q > 0 && q <= r.Queries {
			t = append(t, point{q, p.loss})
		}
	}
	c.open, c.asked = nil, 0
	if len(t) > 0 {
		c.traces = append(c.traces, t)
	}
}

// mean is the mean loss over the clips at a number of queries; a clip that is done stays
// where it was.
func (c *curve) mean(q int) float64 {
	var sum float64
	for _, t := range c.traces {
		at := t[0].loss
		for _, p := range t {
			if p.query > q {
				break
			}
			at = p.loss
		}
		sum += at
	}
	return sum / float64(len(c.traces))
}

// A recorder keeps the losses of clips that are asked about by themselves: those are where
// the attack stands, or would go, while probes come in pairs.
type recorder struct {
	*meter.Victim
	curve *curve
}

// Scores implements zoo.Scorer.
func (r *recorder) Scores(ctx context.Context, x *tensor.Tensor, out []float64) error {
	if err := r.Victim.Scores(ctx, x, out); err != nil {
		return err
	}
	r.curve.asked += x.Dim(0)
	if x.Dim(0) == 1 {
		loss := 1 + video.SecondProbability{}.Value(out, r.Info().Scores, zoo.Goal{})
		r.curve.open = append(r.curve.open, point{r.curve.asked, math.Max(loss, 0)})
	}
	return nil
}

// report prints the table and writes what was asked for.
func (e *experiment) report() error {
	fmt.Printf("\n%s\n", e.table())
	var errs []error
	wrote := func(path string, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		fmt.Println("wrote", path)
	}
	page, err := e.page()
	if err == nil {
		err = page.Write(e.c.report)
	}
	wrote(e.c.report, err)
	if e.c.json != "" {
		wrote(e.c.json, atomicfile.WriteJSON(e.c.json, e.rows()))
	}
	if e.c.out != "" {
		wrote(e.c.out, e.save(e.c.out))
	}
	fmt.Printf("after %v (kernels %s)\n", time.Since(e.began).Round(100*time.Millisecond), kernel.Active().Name)
	return errors.Join(errs...)
}

// save writes the adversarial clips, without loss and as pictures of 8 bits, and all records.
func (e *experiment) save(dir string) error {
	for _, res := range e.results {
		sub := filepath.Join(dir, strings.ReplaceAll(res.Attack, ":", "-"))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		if err := atomicfile.WriteJSON(filepath.Join(sub, "records.json"), res); err != nil {
			return err
		}
		for _, r := range res.Records {
			if r.Adversarial == nil {
				continue
			}
			base := filepath.Join(sub, fmt.Sprintf("%s-%s-as-%s", r.Name, className(e.classes, r.Label), className(e.classes, r.Answer)))
			clip := &video.Clip{X: r.Adversarial.Tensor()}
			if err := video.Save(base+".npy", clip); err != nil {
				return err
			}
			if err := os.RemoveAll(base); err != nil { // of an earlier run
				return err
			}
			if err := video.Save(base, clip); err != nil {
				return err
			}
		}
	}
	return nil
}
