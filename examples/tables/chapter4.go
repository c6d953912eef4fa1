package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/internal/filelock"
)

// A study is the run of a chapter that trains: the data, and the jobs.
type study struct {
	c      *config
	lab    *recipes.Lab
	main   *recipes.Data   // imbalance 100, or a directory as it is
	others []*recipes.Data // with other imbalances, for chapter 4
	held   *recipes.Data   // main with a validation set, on which settings are chosen
	model  string

	line  *cli.Line
	began time.Time
	done  int64           // image-steps since began
	at    string          // the part at hand
	rest  []*recipes.Job  // of the part, from the one at hand on
	told  map[string]bool // what was said of them
}

// chapter4 does what is missing of the plan, and writes the page after every part of it.
func chapter4(ctx context.Context, c *config) error {
	s, err := openStudy(c)
	if err != nil {
		return err
	}
	s.describe()
	return s.run(ctx, s.plan(), s.write)
}

// describe says what there is to learn from.
func (s *study) describe() {
	fmt.Printf("%s %s: %d samples; held out: %d of %d per class, training on %d\n", s.main.Name, s.main.Train.Name, s.main.Train.Data.Len(),
		s.held.Test.Len(), s.held.Test.Len()/s.held.Test.Classes(), s.held.Train.Data.Len())
}

// run does the parts of a plan that option -only names, and writes the page after each. Runs
// on one directory share the plan.
func (s *study) run(ctx context.Context, plan []part, write func(context.Context) error) error {
	if err := os.MkdirAll(s.c.out, 0o755); err != nil {
		return err
	}
	var names []string
	for _, p := range plan {
		names = append(names, p.name)
	}
	wanted, err := list("-only", s.c.only, names)
	if err != nil {
		return err
	}
	plan = slices.DeleteFunc(plan, func(p part) bool { return !slices.Contains(wanted, p.name) })
	for waited := false; ; waited = true {
		busy := false
		for _, p := range plan {
			missing, err := s.work(ctx, p, write)
			if err != nil {
				return err
			}
			busy = busy || missing
		}
		if err := write(ctx); err != nil || !busy {
			return err
		}
		if !waited {
			fmt.Println("what is left waits for another run on the same directory")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Minute):
		}
	}
}

// work does a part of the plan, and reports whether something is missing of it because
// another run is at that or at what it begins with.
func (s *study) work(ctx context.Context, p part, write func(context.Context) error) (busy bool, err error) {
	jobs, err := p.jobs(ctx)
	if errors.Is(err, filelock.ErrHeld) {
		return true, nil
	}
	if err != nil && !errors.Is(err, cells.ErrNotRun) {
		return false, err
	}
	for i, j := range jobs {
		s.rest = jobs[i:]
		err := s.do(ctx, p.name, j)
		if errors.Is(err, filelock.ErrHeld) {
			busy = true
		} else if err != nil && !errors.Is(err, cells.ErrNotRun) {
			return busy, err
		}
	}
	if s.c.cached {
		return busy, nil
	}
	return busy, write(ctx)
}

func openStudy(c *config) (*study, error) {
	s := &study{c: c, model: cmp.Or(c.victim, "resnet32"), line: cli.NewLine(30 * time.Second), began: time.Now(), told: map[string]bool{}}
	s.lab = &recipes.Lab{Dir: c.out, Cached: c.cached, Tell: s.tell}
	err := cmp.Or(cli.AtLeast("epochs", c.epochs, 0), cli.AtLeast("size", c.size, 8))
	if err != nil {
		return nil, err
	}
	source := recipes.Source{Data: c.data, Root: c.root, Size: c.size}
	if s.main, err = s.open(source); err != nil {
		return nil, err
	}
	if c.chapter == 4 && slices.Contains(datasets.Names, c.data) {
		for _, source.Imbalance = range []float64{200, 50} {
			d, err := s.open(source)
			if err != nil {
				return nil, err
			}
			s.others = append(s.others, d)
		}
		source.Imbalance = 0
	}
	source.HeldOut = true
	s.held, err = s.open(source)
	return s, err
}

// open finds data that jobs may be done on.
func (s *study) open(source recipes.Source) (*recipes.Data, error) {
	d, err := recipes.Open(source)
	if err == nil {
		s.lab.Use(d)
	}
	return d, err
}

// do does one job and says what came out, once.
func (s *study) do(ctx context.Context, part string, j *recipes.Job) error {
	if s.told[part+j.ID()] {
		return nil
	}
	done := s.lab.Done(j)
	s.at = part
	r, err := s.lab.Result(ctx, j)
	if !done {
		s.line.End()
	}
	var diverged *recipes.DivergedError
	if errors.As(err, &diverged) {
		s.told[part+j.ID()] = true
		fmt.Printf("%s  %s: %v\n", part, title(j), err)
		return nil
	}
	if err != nil {
		return err
	}
	s.told[part+j.ID()] = true
	fmt.Printf("%s  %s: %s\n", part, title(j), summary(r))
	return nil
}

func title(j *recipes.Job) string {
	t := fmt.Sprintf("%s, %d epochs, decay %g", j.Label(), j.Recipe.Epochs, j.Recipe.Decay)
	if j.Tau != 0 {
		t += fmt.Sprintf(", tau %g", j.Tau)
	}
	return t
}

func summary(r *recipes.Result) string {
	group := func(v *float64) string {
		if v == nil {
			return "–"
		}
		return hundred(*v)
	}
	return fmt.Sprintf("acc %s, many %s, medium %s, few %s, ECE %s; %.2f M image-steps, %v", hundred(r.Report.Acc),
		group(r.Report.Many), group(r.Report.Medium), group(r.Report.Few), hundred(r.Report.ECE), float64(r.Images)/1e6,
		(time.Duration(r.Seconds) * time.Second).Round(time.Second))
}

// tell shows how far a job is.
func (s *study) tell(j *recipes.Job, p recipes.Progress) {
	views := int64(p.Batch * j.Passes())
	s.done += views
	if !s.line.Due() {
		return
	}
	rate := float64(s.done) / time.Since(s.began).Seconds()
	left := func(samples int64) time.Duration {
		return time.Duration(float64(samples) / rate * float64(time.Second)).Round(time.Second)
	}
	cell := int64(p.Steps-p.Step) * views
	s.line.Print(fmt.Sprintf("%s: %s  epoch %d/%d  step %d/%d  loss %.4f  accuracy %.2f %%  %.0f image-steps/s  %v left of this cell, %v of this part",
		s.at, j.Label(), p.Epoch, p.Epochs, p.Step, p.Steps, p.Loss, 100*p.Right, rate, left(cell), left(s.lab.Cost(s.rest...)-int64(p.Step)*views)))
}
