package attack

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// About describes an attack with its options filled in.
type About struct {
	Name string
	Norm Norm // by which it prefers one success over another
	// Options, as JSON, go into a campaign's result and the fingerprint of its
	// journal. They are the attack with its defaults in place of zeros, but for what
	// the sample or the goal decides; nil means the attack as it is.
	Options any
}

// A ScoreAttack needs a victim that answers with scores. AttackScores reports
// successes to t and returns nil when it is done, or the error of a query; an
// exhausted budget is such an error and no failure. What it asks follows from its
// options, the victim's answers and t alone.
type ScoreAttack interface {
	About() About
	AttackScores(ctx context.Context, victim zoo.Scorer, t *Try) error
}

// A LabelAttack needs no more than the victim's class.
type LabelAttack interface {
	About() About
	AttackLabels(ctx context.Context, victim zoo.Labeler, t *Try) error
}

// A GradientAttack needs a white box.
type GradientAttack interface {
	About() About
	AttackGradients(ctx context.Context, victim zoo.Differentiable, t *Try) error
}

// A Job is an attack bound to a victim of the kind it needs. It is what a
// Campaign runs.
type Job struct {
	about   About
	options json.RawMessage
	info    zoo.Info
	network nn.Module // a part of the attack that its options do not show; may be nil
	start   Start     // another
	// run attacks one sample; query sends what is asked of the victim to it.
	run func(ctx context.Context, l *zoo.Ledger, q *line, t *Try) error
	// gathers makes what joins the calls of several samples.
	gathers func(most int) (*gather[float64], *gather[int])
	// labels asks the victim for classes, charged to an account.
	labels func(ctx context.Context, l *zoo.Ledger, a zoo.Account, q *line, x *tensor.Tensor, out []int) error
}

// About describes the job's attack.
func (j *Job) About() About { return j.about }

// Victim describes the job's victim.
func (j *Job) Victim() zoo.Info { return j.info }

func newJob(about About, attack any, info zoo.Info) Job {
	options := about.Options
	if options == nil {
		options = attack
	}
	b, err := json.Marshal(options)
	if err != nil {
		tensor.Panic("attack.WithScores", fmt.Sprintf("options of %s: %v", about.Name, err))
	}
	j := Job{about: about, options: b, info: info}
	if a, ok := attack.(interface{ network() nn.Module }); ok {
		j.network = a.network()
	}
	if a, ok := attack.(interface{ begins() Start }); ok {
		j.start = a.begins()
	}
	return j
}

// WithScores binds an attack that needs scores to a victim that gives them.
func WithScores(a ScoreAttack, v zoo.Scorer) Job {
	j := newJob(a.About(), a, v.Info())
	j.run = func(ctx context.Context, l *zoo.Ledger, q *line, t *Try) error {
		return a.AttackScores(ctx, zoo.MeterScores(l, zoo.AttackAccount, q.scorer(v)), t)
	}
	j.labels = scoreLabels(v)
	j.gathers = scoreGather(v)
	return j
}

func scoreGather(v zoo.Scorer) func(int) (*gather[float64], *gather[int]) {
	return func(most int) (*gather[float64], *gather[int]) {
		info := v.Info()
		return &gather[float64]{most: most, each: info.Classes, shape: info.Shape, call: v.Scores}, nil
	}
}

func scoreLabels(v zoo.Scorer) func(context.Context, *zoo.Ledger, zoo.Account, *line, *tensor.Tensor, []int) error {
	return func(ctx context.Context, l *zoo.Ledger, a zoo.Account, q *line, x *tensor.Tensor, out []int) error {
		return zoo.LabelsOf(zoo.MeterScores(l, a, q.scorer(v))).Labels(ctx, x, out)
	}
}

// WithLabels binds an attack that needs labels to a victim that gives them. A
// victim with scores is bound by WithLabels(a, zoo.LabelsOf(v)).
func WithLabels(a LabelAttack, v zoo.Labeler) Job {
	j := newJob(a.About(), a, v.Info())
	j.run = func(ctx context.Context, l *zoo.Ledger, q *line, t *Try) error {
		return a.AttackLabels(ctx, zoo.MeterLabels(l, zoo.AttackAccount, q.labeler(v)), t)
	}
	j.labels = func(ctx context.Context, l *zoo.Ledger, a zoo.Account, q *line, x *tensor.Tensor, out []int) error {
		return zoo.MeterLabels(l, a, q.labeler(v)).Labels(ctx, x, out)
	}
	j.gathers = func(most int) (*gather[float64], *gather[int]) {
		return nil, &gather[int]{most: most, each: 1, shape: v.Info().Shape, call: v.Labels}
	}
	return j
}

// WithGradients binds an attack that needs gradients to a white box. A gradient
// costs one query, as its forward pass does.
func WithGradients(a GradientAttack, v zoo.Differentiable) Job {
	j := newJob(a.About(), a, v.Info())
	j.run = func(ctx context.Context, l *zoo.Ledger, _ *line, t *Try) error {
		return a.AttackGradients(ctx, zoo.MeterGradients(l, zoo.AttackAccount, v), t)
	}
	j.labels = scoreLabels(v)
	j.gathers = scoreGather(v)
	return j
}
