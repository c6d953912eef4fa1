package attack

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// About describes an attack with its options filled in.
type About struct {
	Name string
	Norm Norm // in which the attack compares successes
	// Options go into a campaign's result and into the fingerprint of its journal, as
	// [EncodeOptions] writes them: the attack with its defaults filled in, except those
	// that depend on the sample or the goal. Nil means the attack itself.
	Options any
}

// A ScoreAttack needs a victim that answers with scores. AttackScores reports successes to
// t and returns nil when it is done, or the error of a query. The error of an exhausted
// budget is expected and is no failure. Its queries must follow from its options, the
// victim's answers and t alone.
//
// The victim is a [zoo.Evaluator]: an attack that needs only a loss and a class per answer
// should ask by [Try.Ask] or [zoo.Evaluate], which keeps journals small.
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
	attack  Attack
	options json.RawMessage
	// hidden is the attack itself where its Options are something else.
	hidden json.RawMessage
	err    error // of the options
	info   zoo.Info
	// run attacks one sample; q sends what is asked of the victim to it.
	run func(ctx context.Context, l *zoo.Ledger, q *line, t *Try) error
	// gathers makes what joins the calls of several samples.
	gathers func(most int) gathers
	// labels asks the victim for classes, charged to an account.
	labels func(ctx context.Context, l *zoo.Ledger, a zoo.Account, q *line, x *tensor.Tensor, out []int) error
}

// About describes the job's attack.
func (j *Job) About() About { return j.about }

// Victim describes the job's victim.
func (j *Job) Victim() zoo.Info { return j.info }

// Options are the attack's options in JSON, as a campaign's result states them.
func (j *Job) Options() json.RawMessage { return j.options }

// Check returns an error if the victim's description is invalid or if an option of the
// attack is out of range for the victim's samples. A campaign begins with it.
func (j *Job) Check() error {
	if err := j.info.Check(); err != nil {
		return err
	}
	if c, ok := j.attack.(Checker); ok {
		if err := c.Check(j.info.Shape); err != nil {
			return err
		}
	}
	return j.err
}

func newJob(a Attack, info zoo.Info) Job {
	j := Job{about: a.About(), attack: a, info: info}
	options := j.about.Options
	if options == nil {
		options = a
	}
	if j.options, j.err = EncodeOptions(options); j.err != nil {
		return j
	}
	if j.hidden, j.err = EncodeOptions(a); j.err == nil && sameFields(j.hidden, j.options) {
		j.hidden = nil
	}
	return j
}

// sameFields reports whether two objects have fields of the same names: the attack with
// and without its defaults.
func sameFields(a, b json.RawMessage) bool {
	var x, y map[string]json.RawMessage
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return bytes.Equal(a, b)
	}
	for k := range x {
		if _, ok := y[k]; !ok {
			return false
		}
	}
	return true
}

// WithScores binds an attack that needs scores to a victim that gives them.
func WithScores(a ScoreAttack, v zoo.Scorer) Job {
	j := newJob(a, v.Info())
	v = zoo.Checked(v)
	j.run = func(ctx context.Context, l *zoo.Ledger, q *line, t *Try) error {
		return a.AttackScores(ctx, zoo.MeterScores(l, zoo.AttackAccount, q.scorer(v)), t)
	}
	j.labels = scoreLabels(v)
	j.gathers = scoreGather(v)
	return j
}

// gathers join calls of each kind; nil ones join none.
type gathers struct {
	scores, slopes *gather[float64]
	labels         *gather[int]
}

func scoreGather(v zoo.Scorer) func(int) gathers {
	return func(most int) gathers {
		info := v.Info()
		return gathers{scores: &gather[float64]{most: most, each: info.Classes, shape: info.Shape, call: v.Scores}}
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
	j := newJob(a, v.Info())
	v = zoo.CheckedLabels(v)
	j.run = func(ctx context.Context, l *zoo.Ledger, q *line, t *Try) error {
		return a.AttackLabels(ctx, zoo.MeterLabels(l, zoo.AttackAccount, q.labeler(v)), t)
	}
	j.labels = func(ctx context.Context, l *zoo.Ledger, a zoo.Account, q *line, x *tensor.Tensor, out []int) error {
		return zoo.MeterLabels(l, a, q.labeler(v)).Labels(ctx, x, out)
	}
	j.gathers = func(most int) gathers {
		return gathers{labels: &gather[int]{most: most, each: 1, shape: v.Info().Shape, call: v.Labels}}
	}
	return j
}

// WithGradients binds an attack that needs gradients to a white box. A gradient
// costs one query, as its forward pass does.
func WithGradients(a GradientAttack, v zoo.Differentiable) Job {
	j := newJob(a, v.Info())
	v = zoo.CheckedGradients(v)
	j.run = func(ctx context.Context, l *zoo.Ledger, q *line, t *Try) error {
		return a.AttackGradients(ctx, zoo.MeterGradients(l, zoo.AttackAccount, q.whiteBox(v)), t)
	}
	j.labels = scoreLabels(v)
	j.gathers = func(most int) gathers {
		g := scoreGather(v)(most)
		g.slopes = &gather[float64]{most: most, each: g.scores.each, shape: g.scores.shape,
			slope: func(ctx context.Context, x *tensor.Tensor, out []float64, d *descended) error {
				return v.Gradients(ctx, x, d.loss, d.goals, out, d.grad)
			}}
		return g
	}
	return j
}
