package recipes

import (
	"strings"

	"github.com/mettleml/mettle/longtail"
)

// A Result is what came out of a [Job].
type Result struct {
	longtail.Cost                 // of this stage alone
	Report        longtail.Report `json:"report"` // of the last epoch
	Curve         []Point         `json:"curve,omitempty"`
	Bank          int             `json:"bank,omitempty"`     // exemplars of phase II
	Pool          int             `json:"pool,omitempty"`     // samples that phase II trains on
	Diverged      string          `json:"diverged,omitempty"` // how training failed; there is no report then
}

// A Point is an epoch of training.
type Point struct {
	Epoch      int                  `json:"epoch"`              // from 1
	Loss       float64              `json:"loss"`               // mean over the epoch's steps
	Right      float64              `json:"right"`              // share of the augmented training samples
	Retained   float64              `json:"retained,omitempty"` // mean of what retention adds to the loss
	Test       *Shots               `json:"test,omitempty"`     // of the epochs that were tested
	Distortion *longtail.Distortion `json:"distortion,omitempty"`
	Branch     *Branch              `json:"branch,omitempty"` // of what is self-supervised
}

// Shots are accuracies by groups of classes.
type Shots struct {
	Acc      float64  `json:"acc"`
	Balanced float64  `json:"balanced"`
	Many     *float64 `json:"many,omitempty"`
	Medium   *float64 `json:"medium,omitempty"`
	Few      *float64 `json:"few,omitempty"`
}

// Record is a result as it is published: with all that led to it, and what it cost from
// the first stage on. Its epochs and its history are those of the last stage that trains.
func (l *Lab) Record(j *Job, r *Result) (longtail.Result, error) {
	d, err := l.dataOf(j)
	if err != nil {
		return longtail.Result{}, err
	}
	last := j
	for !last.trains() {
		last = last.From
	}
	test, digest, _ := cutLast(j.Test)
	recipe := longtail.Recipe{Method: j.Method, Data: j.Data, Test: test, TestDigest: digest, Model: j.Model, Seed: j.Seed,
		Epochs: last.Recipe.Epochs, BatchSize: last.Recipe.Batch, Options: options(j)}.On(d.Train)
	var history longtail.History
	if last == j {
		for _, p := range r.Curve {
			if p.Test != nil {
				history.Add(longtail.Epoch{Epoch: p.Epoch, Loss: p.Loss, Acc: p.Test.Acc})
			}
		}
	} else {
		history.Add(longtail.Epoch{Epoch: recipe.Epochs, Acc: r.Report.Acc})
	}
	cost := r.Cost
	for from := j.From; from != nil; from = from.From {
		before, err := l.Kept(from)
		if err != nil {
			return longtail.Result{}, err
		}
		cost.Steps, cost.Images, cost.Seconds = cost.Steps+before.Steps, cost.Images+before.Images, cost.Seconds+before.Seconds
	}
	return recipe.Finish(r.Report, history, cost)
}

// options are what a job says beside what a record has in fields of its own.
func options(j *Job) any {
	type stage struct {
		Method string          `json:"method"`
		Recipe Recipe          `json:"recipe,omitzero"`
		Tau    float64         `json:"tau,omitempty"`
		Point  int             `json:"point,omitempty"`
		Two    *Second         `json:"phase_two,omitempty"`
		SSL    *SelfSupervised `json:"ssl,omitempty"`
		Probe  int             `json:"probe,omitempty"`
	}
	var stages []stage // the last first
	j.chain(func(j *Job) {
		stages = append(stages, stage{j.Method, j.Recipe, j.Tau, j.Point, j.Two, j.SSL, j.Probe})
	})
	return map[string]any{"stages_last_first": stages}
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// Kept is the result of a job that was done, a *DivergedError or cells.ErrNotRun.
func (l *Lab) Kept(j *Job) (*Result, error) {
	return get(l.Shelf().Store(), j, nil)
}
