package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/ssl"
)

// epochs are those of a classifier, the same in all rows, and proxy the ones of runs that only
// rank settings.
func (s *study5) epochs() int { return cmp.Or(s.c.epochs, 40) }
func (s *study5) proxy() int  { return max(s.epochs()*3/10, 1) }

// plan is what chapter 5 takes, in the order in which the parts are worth most: the two rows
// that matter, what they are compared with, and then what explains them.
func (s *study5) plan() []part {
	fixed := func(list func() []*recipes.Job) func(context.Context) ([]*recipes.Job, error) {
		return func(context.Context) ([]*recipes.Job, error) { return list(), nil }
	}
	rows := func(d *recipes.Data, seed uint64, arms ...arm5) func(context.Context) ([]*recipes.Job, error) {
		return fixed(func() []*recipes.Job { return s.jobs(d, seed, s.epochs(), arms...) })
	}
	list := []part{
		{"first rows seed 1", rows(s.main, 1, first...)},
		{"first rows seed 2", rows(s.main, 2, first...)},
		{"arrangements seed 1", rows(s.main, 1, further...)},
		{"search", fixed(func() []*recipes.Job { return s.tries() })},
		{"chosen seed 1", s.chosenRows(1)},
		{"chosen seed 2", s.chosenRows(2)},
		{"best loss seed 1", rows(s.main, 1, onTop...)},
		{"methods", fixed(s.methods)},
		{"arrangements seed 2", rows(s.main, 2, further...)},
		{"best loss seed 2", rows(s.main, 2, onTop...)},
	}
	if s.second != nil {
		list = append(list, part{s.second.Name + " seed 1", rows(s.second, 1, first...)}, part{s.second.Name + " seed 2", rows(s.second, 2, first...)})
	}
	return append(list, part{"method by method", fixed(s.ensembled)}, part{"first rows seed 3", rows(s.main, 3, first...)})
}

// An arm5 is a row of table 5.5: an arrangement, with changes of the settings.
type arm5 struct {
	title       string
	arrangement string
	change      func(*recipes.SelfSupervised) // nil: none
	plain       bool                          // without the classifier trained again
}

// minimise has mutual information lowered, by the upper bound that there is.
func minimise(s *recipes.SelfSupervised) { s.MI, s.Minimize = "vclub", true }

// balanced has the loss of longtail that is best without further training.
func balanced(s *recipes.SelfSupervised) { s.Loss = recipes.BalancedSoftmax }

// The rows, and by when they are done.
var (
	bare    = arm5{title: "base", arrangement: recipes.Base}
	full    = arm5{title: "generic and specific", arrangement: ssl.GenericSpecific.String()}
	initial = arm5{title: "SSL as initialisation", arrangement: recipes.Initial}
	shared  = arm5{title: "exactly shared space", arrangement: ssl.Shared.String()}
	generic = arm5{title: "generic", arrangement: ssl.Generic.String()}
	lowered = arm5{title: "generic and specific, information minimised", arrangement: ssl.GenericSpecific.String(), change: minimise}

	first   = []arm5{bare, full}
	further = []arm5{initial, shared, generic, lowered}
	onTop   = []arm5{
		{title: "base, balanced softmax", arrangement: recipes.Base, change: balanced, plain: true},
		{title: "generic and specific, balanced softmax", arrangement: ssl.GenericSpecific.String(), change: balanced, plain: true},
	}
)

// job is the training of a row.
func (s *study5) job(d *recipes.Data, a arm5, method string, seed uint64, epochs int) *recipes.Job {
	batch := min(128, d.Train.Data.Len())
	set := d.SelfSupervised(method, batch)
	if a.change != nil {
		a.change(&set)
	}
	if set.Method != method { // a change of the method is one to what suits that
		other := d.SelfSupervised(set.Method, batch)
		set.Lambda, set.Random, set.Queue = other.Lambda, other.Random, other.Queue
	}
	before, err := recipes.Alone(set.Method, epochs, batch)
	if err == nil {
		var j *recipes.Job
		if j, err = recipes.Arranged(d, a.arrangement, s.model, seed, set, s.recipe(d, epochs), before); err == nil {
			return j
		}
	}
	panic(err) // names of ours
}

// recipe is that of all classifiers.
func (s *study5) recipe(d *recipes.Data, epochs int) recipes.Recipe {
	r := recipes.Standard(epochs, 5e-4)
	r.Batch, r.Schedule = min(r.Batch, d.Train.Data.Len()), "cosine"
	r.LR = recipes.Suit(d, 0.05, r.LR)
	if !d.Flip {
		r.Augment = "crop"
	}
	return r
}

// again is a row with the classifier trained again, balanced over classes: the dagger.
func again(j *recipes.Job) *recipes.Job { return j.After(recipes.CRT, j.Recipe.StageTwo()) }

// jobs are those of rows.
func (s *study5) jobs(d *recipes.Data, seed uint64, epochs int, arms ...arm5) []*recipes.Job {
	var list []*recipes.Job
	for _, a := range arms {
		j := s.job(d, a, s.method, seed, epochs)
		list = append(list, j)
		if !a.plain {
			list = append(list, again(j))
		}
	}
	return list
}

// A try is a setting of the full arrangement that is tried on held-out data. What it sets has
// the name of a figure's axis, or none.
type try struct {
	title string
	axis  string
	x     float64
	set   func(*recipes.SelfSupervised)
}

// tried are the settings of the search, each another one in one thing than the first.
func (s *study5) tried() []try {
	normal := s.main.SelfSupervised(s.method, 1)
	list := []try{{title: "as it is", set: func(*recipes.SelfSupervised) {}}}
	for _, f := range []float64{0.1, 0.3, 3} {
		list = append(list, try{fmt.Sprintf("λ %.3g", f*normal.Lambda), "λ", f * normal.Lambda, func(s *recipes.SelfSupervised) { s.Lambda *= f }})
	}
	for _, f := range []float64{0.3, 3, 10} {
		list = append(list, try{fmt.Sprintf("β %.3g", f*normal.Beta), "β", f * normal.Beta, func(s *recipes.SelfSupervised) { s.Beta *= f }})
	}
	list = append(list,
		try{title: "information minimised", set: minimise},
		try{title: "filter at the penultimate stage", set: func(s *recipes.SelfSupervised) { s.Attach = "penultimate" }},
		try{title: "bottleneck as filter", set: func(s *recipes.SelfSupervised) { s.Filter = "bottleneck" }},
		try{title: "all four turns", set: func(s *recipes.SelfSupervised) { s.Random = false }},
		try{title: "strong views", set: func(s *recipes.SelfSupervised) { s.Views = "strong" }},
		try{title: "weak views", set: func(s *recipes.SelfSupervised) { s.Views = "weak" }})
	weak := s.method == "rotation" || s.method == "jigsaw" // its own views
	same := map[string]bool{"weak views": weak, "strong views": !weak, "all four turns": s.method != "rotation",
		"bottleneck as filter": s.main.Test.Shape()[1] > 64} // as the filter of wide networks is anyhow
	list = slices.DeleteFunc(list, func(t try) bool { return same[t.title] })
	for _, name := range []string{"rotation", "simclr", "moco2"} {
		if name != s.method {
			list = append(list, try{title: name, set: func(s *recipes.SelfSupervised) { s.Method = name }})
		}
	}
	return list
}

// row is a try as a row.
func (t try) row() arm5 {
	return arm5{title: t.title, arrangement: ssl.GenericSpecific.String(), change: t.set, plain: true}
}

// tries are the jobs of the search: the base first, and then the settings.
func (s *study5) tries() []*recipes.Job {
	list := []*recipes.Job{s.job(s.held, bare, s.method, 1, s.proxy())}
	for _, t := range s.tried() {
		list = append(list, s.job(s.held, t.row(), s.method, 1, s.proxy()))
	}
	return list
}

// chosen is the setting that is best on held-out data.
func (s *study5) chosen(ctx context.Context) (try, error) {
	jobs := s.tries()[1:]
	best, _, err := s.best(ctx, jobs)
	if err != nil {
		return try{}, err
	}
	return s.tried()[slices.Index(jobs, best)], nil
}

// chosenRows are the row of that setting. Before the search is done it is not known.
func (s *study5) chosenRows(seed uint64) func(context.Context) ([]*recipes.Job, error) {
	return func(ctx context.Context) ([]*recipes.Job, error) {
		for _, j := range s.tries() {
			if !s.lab.Done(j) {
				return nil, fmt.Errorf("the search: %w", cells.ErrNotRun)
			}
		}
		t, err := s.chosen(ctx)
		if err != nil {
			return nil, err
		}
		row := t.row()
		row.plain = false
		return s.jobs(s.main, seed, s.epochs(), row), nil
	}
}

// methods are those of package ssl alone, on balanced data, all with the same image-steps.
func (s *study5) methods() []*recipes.Job {
	var list []*recipes.Job
	d := s.whole
	n := d.Train.Data.Len()
	batch := min(128, n)
	for _, name := range ssl.Names() {
		r, err := recipes.Alone(name, 1, batch)
		if err != nil {
			panic(err) // a name of the package
		}
		j := recipes.Pretrained(d, s.alone(), 1, d.SelfSupervised(name, batch), r)
		j.Recipe.Epochs = max(int(s.steps())/(n*j.Passes()), 1)
		j.Recipe.WarmUp = float64(j.Recipe.Epochs) / 20
		list = append(list, j)
	}
	return list
}

// steps are the image-steps of each method alone: for 10,000 samples an epoch of the rows.
func (s *study5) steps() int64 {
	return int64(s.epochs()) * int64(min(10000, s.whole.Train.Data.Len()))
}

// alone is the network of the methods alone, a smaller one.
func (s *study5) alone() string {
	if s.model == "resnet32" {
		return "resnet20"
	}
	return s.model
}

// compared are the methods of table 5.9.
var compared = []string{"rotation", "simclr", "moco2", "byol"}

// ensembled are the two jobs of each method of table 5.9: as initialisation, and beside the
// classifier.
func (s *study5) ensembled() []*recipes.Job {
	list := []*recipes.Job{s.job(s.main, bare, s.method, 1, s.proxy())}
	for _, name := range compared {
		for _, a := range []arm5{initial, full} {
			list = append(list, s.job(s.main, a, name, 1, s.proxy()))
		}
	}
	return list
}

// skipped reports whether an error says that something was not done or has no result.
func skipped(err error) bool {
	var diverged *recipes.DivergedError
	return errors.Is(err, cells.ErrNotRun) || errors.As(err, &diverged)
}
