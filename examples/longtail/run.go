package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/report"
	"github.com/mettleml/mettle/longtail"
)

// A comparison is what the program does: jobs, and their results as they come.
type comparison struct {
	c       *config
	data    *recipes.Data
	lab     *recipes.Lab
	methods []string
	runs    []run1
	meter   *meter
}

// A run1 is one method with one seed.
type run1 struct {
	method string
	job    *recipes.Job
	result *recipes.Result
	record longtail.Result
}

func run(ctx context.Context, c *config) error {
	v, err := open(c)
	if err != nil {
		return err
	}
	v.describe()
	v.meter = newMeter(v)
	v.lab.Tell = v.meter.tell
	for i := range v.runs {
		r := &v.runs[i]
		v.meter.begin(r)
		if r.result, err = v.lab.Result(ctx, r.job); err != nil {
			v.meter.line.End()
			return err
		}
		if r.record, err = v.lab.Record(r.job, r.result); err != nil {
			return err
		}
		r.record.Method = r.method
		v.meter.end(r)
	}
	return v.finish(ctx)
}

// check says which number cannot be meant.
func (c *config) check() error {
	return cmp.Or(cli.AtLeast("size", c.source.Size, 8), cli.AtLeast("imbalance", c.source.Imbalance, 0), cli.AtLeast("largest", c.source.Largest, 0),
		cli.AtLeast("seeds", c.seeds, 1), cli.AtLeast("epochs", c.epochs, 0), cli.AtLeast("batch", c.batch, 0), cli.AtLeast("lr", c.lr, 0),
		cli.AtLeast("decay", c.decay, suits), cli.AtLeast("point", c.dual.Point, 0), cli.Within("share", c.dual.Share, 0.01, 0.99),
		cli.AtLeast("bank", c.dual.Two.PerClass, 0), cli.AtLeast("lambda", c.dual.Two.Lambda, 0), cli.AtLeast("distill", c.dual.Two.Distill, 0),
		cli.AtLeast("lr2", c.dual.LR, 0), cli.AtLeast("probe", c.probe, 0), cli.AtLeast("threads", c.threads, 0))
}

// recipe is the recipe that the flags mean for the data.
func (c *config) recipe(d *recipes.Data) recipes.Recipe {
	r := recipes.Standard(cmp.Or(c.epochs, recipes.Suit(d, 40, 200)), 5e-4)
	r.Batch = cmp.Or(c.batch, recipes.Suit(d, 50, 128))
	r.LR = cmp.Or(c.lr, recipes.Suit(d, 0.05, 0.1))
	if c.decay != suits {
		r.Decay = c.decay
	}
	r.Schedule = cmp.Or(c.schedule, r.Schedule)
	if !d.Flip {
		r.Augment = "crop"
	}
	r.Augment, r.Mix = cmp.Or(c.augment, r.Augment), c.mix
	return r
}

// open finds the data and makes the jobs.
func open(c *config) (*comparison, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := c.dual.Two.Set(c.variant); err != nil {
		return nil, err
	}
	c.dual.Schedule = recipes.Literal.Schedule
	d, err := recipes.Open(c.source)
	if err != nil {
		return nil, err
	}
	model := c.model
	if model == "" {
		switch size := d.Test.Shape()[1]; {
		case d.Test.Shape()[0] == 1:
			model = "lenet5"
		case size <= 64:
			model = "resnet32"
		default:
			model = "resnet10"
		}
	}
	v := &comparison{c: c, data: d, lab: &recipes.Lab{Dir: c.out}}
	v.lab.Use(d)
	for name := range strings.SplitSeq(c.methods, ",") {
		v.methods = append(v.methods, strings.TrimSpace(name))
	}
	for seed := range c.seeds {
		for _, name := range v.methods {
			j, err := recipes.Named(d, name, model, uint64(seed+1), c.recipe(d), c.dual)
			if err != nil {
				return nil, err
			}
			if err := j.Check(d); err != nil {
				return nil, err
			}
			for stage := j; stage != nil; stage = stage.From {
				if stage.Method == recipes.CE || stage.Method == recipes.PhaseTwo {
					stage.Probe = max(c.probe, min(c.probe, 1)*stage.Recipe.Epochs/40)
				}
			}
			v.runs = append(v.runs, run1{method: name, job: j})
		}
	}
	return v, nil
}

// describe says what is compared on what.
func (v *comparison) describe() {
	counts := v.data.Train.Counts
	g := v.data.Groups()
	r := v.c.recipe(v.data)
	fmt.Printf("%s %s (digest %.16s): %d samples of %d classes, imbalance %.4g; %d many-shot, %d medium-shot and %d few-shot classes (%s)\n",
		v.data.Name, v.data.Train.Name, v.data.Train.Digest, v.data.Train.Data.Len(), len(counts), longtail.Imbalance(counts), len(g.Many), len(g.Medium), len(g.Few), g.Rule.Name)
	fmt.Printf("%s, %d epochs of batches of %d, learning rate %g (%s), weight decay %g, augmentation %s; tested on %d samples (%s)\n",
		v.runs[0].job.Model, r.Epochs, r.Batch, r.LR, r.Schedule, r.Decay, r.Augment, v.data.Test.Len(), v.data.Which)
}

// records are the results, method after method.
func (v *comparison) records() []longtail.Result {
	var list []longtail.Result
	for _, m := range v.methods {
		for _, r := range v.runs {
			if r.method == m {
				list = append(list, r.record)
			}
		}
	}
	return list
}

// finish prints the table and writes the files.
func (v *comparison) finish(ctx context.Context) error {
	records := v.records()
	sums, err := longtail.Summarize(records)
	if err != nil {
		return err
	}
	t := table(sums, records)
	fmt.Printf("\n%s\n", t)
	if v.c.json != "" {
		b, err := longtail.EncodeResults(records)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(v.c.json, b); err != nil {
			return err
		}
		fmt.Println("wrote", v.c.json)
	}
	if v.c.report == "" {
		return nil
	}
	p, err := v.page(ctx, t, sums)
	if err != nil {
		return err
	}
	if err := p.Write(v.c.report); err != nil {
		return err
	}
	fmt.Println("wrote", v.c.report)
	return nil
}

// table has a row for each method.
func table(sums []longtail.Summary, records []longtail.Result) *report.Table {
	t := &report.Table{Head: []string{" method", "all", "last five", "best*", "many", "medium", "few", "ECE", "image-steps", "seconds"}}
	group := func(s *longtail.Spread) string {
		if s == nil {
			return "–"
		}
		return s.Percent()
	}
	for _, s := range sums {
		images := int64(0)
		for _, r := range records {
			if r.Method == s.Method {
				images = r.Images
			}
		}
		t.Rows = append(t.Rows, []string{s.Method, s.Acc.Percent(), group(s.AccLast5), s.AccBest.Percent(), group(s.Many), group(s.Medium), group(s.Few), s.ECE.Percent(), fmt.Sprint(images), fmt.Sprintf("%.0f", s.Seconds.Mean)})
	}
	return t
}

// A meter tells how far the comparison is.
type meter struct {
	v     *comparison
	line  *cli.Line
	began time.Time
	at    int // the run at hand
	have  bool
	done  int64 // image-steps of this process
}

func newMeter(v *comparison) *meter {
	return &meter{v: v, line: cli.NewLine(10 * time.Second), began: time.Now()}
}

func (m *meter) begin(r *run1) { m.have = m.v.lab.Done(r.job) }

func (m *meter) tell(j *recipes.Job, p recipes.Progress) {
	m.done += int64(p.Batch)
	if m.v.c.onStep != nil {
		m.v.c.onStep()
	}
	if !m.line.Due() {
		return
	}
	rate := float64(m.done) / time.Since(m.began).Seconds()
	var jobs []*recipes.Job
	for _, r := range m.v.runs[m.at:] {
		jobs = append(jobs, r.job)
	}
	rest := m.v.lab.Cost(jobs...) - int64(p.Step*p.Batch)
	m.line.Print(fmt.Sprintf("run %d/%d  %s seed %d  epoch %d/%d  loss %.3f  accuracy %.1f %%  %.0f samples/s  %v left", m.at+1, len(m.v.runs),
		j.Method, j.Seed, p.Epoch, p.Epochs, p.Loss, 100*p.Right, rate, time.Duration(float64(rest)/rate*float64(time.Second)).Round(time.Second)))
}

func (m *meter) end(r *run1) {
	m.line.End()
	m.at++
	how := fmt.Sprintf("%.0f s", r.record.Seconds)
	if m.have {
		how = "kept"
	}
	fmt.Printf("%s, seed %d: %.1f %% (%s)\n", r.method, r.job.Seed, 100*r.record.Acc, how)
}
