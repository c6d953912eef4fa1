package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/examples/internal/recipes"
)

// A study is the run of chapter 4: the data by imbalance, and the jobs.
type study struct {
	c     *config
	lab   *recipes.Lab
	data  map[float64]*recipes.Data // by imbalance
	held  *recipes.Data             // imbalance 100 with a validation set, on which settings are chosen
	model string

	line  *cli.Line
	began time.Time
	left  int // samples of the jobs that are still to be done
	done  int // samples since began
	at    string
}

// chapter4 does what is missing of the plan, and writes the page.
func chapter4(ctx context.Context, c *config) error {
	s, err := openStudy(c)
	if err != nil {
		return err
	}
	for _, part := range s.plan() {
		jobs, err := part.jobs(ctx)
		if errors.Is(err, cells.ErrNotRun) {
			continue
		}
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if err := s.do(ctx, part.name, j); err != nil && !errors.Is(err, cells.ErrNotRun) {
				return err
			}
		}
	}
	return nil
}

func openStudy(c *config) (*study, error) {
	s := &study{c: c, data: map[float64]*recipes.Data{}, model: cmp.Or(c.victim, "resnet32"), line: cli.NewLine(30 * time.Second), began: time.Now()}
	s.lab = &recipes.Lab{Dir: c.out, Cached: c.cached, Tell: s.tell}
	for _, imbalance := range []float64{100, 200, 50} {
		d, err := recipes.Open(recipes.Source{Data: c.data, Imbalance: imbalance})
		if err != nil {
			return nil, err
		}
		s.data[imbalance] = d
		s.lab.Use(d)
	}
	var err error
	if s.held, err = recipes.Open(recipes.Source{Data: c.data, Imbalance: 100, HeldOut: true}); err != nil {
		return nil, err
	}
	s.lab.Use(s.held)
	return s, nil
}

// do does one job and says what came out.
func (s *study) do(ctx context.Context, part string, j *recipes.Job) error {
	done := s.lab.Done(j)
	s.at = part
	r, err := s.lab.Result(ctx, j)
	if err != nil {
		return err
	}
	if !done {
		s.line.End()
	}
	fmt.Printf("%s  %s: %s\n", part, title(j), summary(r))
	return nil
}

func title(j *recipes.Job) string {
	t := fmt.Sprintf("%s seed %d, %d epochs, decay %g", j.Method, j.Seed, j.Recipe.Epochs, j.Recipe.Decay)
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
	s.done += p.Batch
	if !s.line.Due() {
		return
	}
	rate := float64(s.done) / time.Since(s.began).Seconds()
	left := time.Duration(float64((p.Steps-p.Step)*p.Batch) / rate * float64(time.Second)).Round(time.Second)
	s.line.Print(fmt.Sprintf("%s %s  epoch %d/%d  step %d/%d  loss %.4f  accuracy %.2f %%  %.0f samples/s  %v left of this cell",
		s.at, j.Label(), p.Epoch, p.Epochs, p.Step, p.Steps, p.Loss, 100*p.Right, rate, left))
}
