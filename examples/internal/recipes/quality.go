package recipes

import (
	"context"
	"errors"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/ssl"
)

// Neighbours is the protocol of kNN.
var Neighbours = ssl.KNN{K: 20, T: 0.1}

// A qualityKey is the key of a cell with the quality of features.
type qualityKey struct {
	Quality, Linear string // the protocols
	Job             *Job
}

// Quality judges the features of a job's network: by kNN on the plain training samples, by a
// linear classifier on them, and by how far they have collapsed. It is kept in a cell. A job
// that was not done is not done for it: there is cells.ErrNotRun then.
func (l *Lab) Quality(ctx context.Context, j *Job) (*ssl.Quality, error) {
	for !j.trains() {
		j = j.From
	}
	if _, err := l.Kept(j); err != nil {
		return nil, err
	}
	return l.quality(ctx, j.Label(), j, func() (*nn.Classifier, error) { return l.Classifier(ctx, j) })
}

// RandomQuality is that of the features of a new network.
func (l *Lab) RandomQuality(ctx context.Context, d *Data, model string, seed uint64) (*ssl.Quality, error) {
	j := d.Job(model, "", seed, Recipe{})
	return l.quality(ctx, d.Name+"-random", &j, func() (*nn.Classifier, error) { return l.start(ctx, &j, d) })
}

func (l *Lab) quality(ctx context.Context, label string, j *Job, net func() (*nn.Classifier, error)) (*ssl.Quality, error) {
	d, err := l.dataOf(j)
	if err != nil {
		return nil, err
	}
	probe := ssl.LinearProbe{Seed: j.Seed}
	q, err := cells.Get(l.Store(), label+"-quality", qualityKey{Neighbours.String(), probe.String(), j}, func() (ssl.Quality, error) {
		n, err := net()
		if err != nil {
			return ssl.Quality{}, err
		}
		return ssl.MeasureQuality(ctx, n.Backbone, d.Train.Data, d.Test, Neighbours, probe, eval.Options{Transform: d.Pre.Transform()})
	})
	return &q, err
}

// An Arm is the record of a job of chapter 5: the fields of longtail's records, and these.
type Arm struct {
	longtail.Result
	Arrangement string        `json:"arrangement"`
	SSL         string        `json:"ssl,omitempty"` // the method
	KNN         *float64      `json:"knn"`           // accuracy of kNN on the backbone's features; null if it was not measured
	Linear      *float64      `json:"linear"`
	Protocol    string        `json:"protocol,omitempty"` // of both
	Collapse    *ssl.Collapse `json:"collapse,omitempty"` // of these features, on the test set
	Curve       []Point       `json:"curve,omitempty"`
}

// Arm returns the record of a job that was done.
func (l *Lab) Arm(ctx context.Context, j *Job) (*Arm, error) {
	r, err := l.Kept(j)
	if err != nil {
		return nil, err
	}
	a := &Arm{Arrangement: j.Arrangement(), Curve: r.Curve}
	if a.Result, err = l.Record(j, r); err != nil {
		return nil, err
	}
	if s := j.selfSupervised(); s != nil {
		a.SSL = s.Method
	}
	if j.Method == Pretrain {
		a.Arrangement = "alone"
	}
	switch q, err := l.Quality(ctx, j); {
	case err == nil:
		a.KNN, a.Linear, a.Collapse, a.Protocol = &q.KNN, &q.Linear, &q.Collapse, q.Protocol
	case errors.Is(err, cells.ErrNotRun): // it was not measured, and may not be now
	default:
		return nil, err
	}
	return a, nil
}
