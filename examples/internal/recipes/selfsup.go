package recipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/ssl"
)

// A SelfSupervised is what the methods [Pretrain] and [Heterotopic] have to be told beside a
// [Recipe].
type SelfSupervised struct {
	Method      string  `json:"method"`                // by its name in package ssl
	Temperature float64 `json:"temperature,omitempty"` // 0 means the method's own
	Queue       int     `json:"queue,omitempty"`       // keys that MoCo keeps, a multiple of the batch
	Random      bool    `json:"random,omitempty"`      // rotation turns each sample once, not four times
	Views       string  `json:"views,omitempty"`       // of the method: "" means those that suit it; weak, strong

	// Of Heterotopic. A weight of 0 leaves its term out.
	Arrangement string  `json:"arrangement,omitempty"` // shared, generic or generic-specific
	Loss        string  `json:"loss,omitempty"`        // of the classifier: "" means ce; balanced-softmax, ldam-drw and others
	Lambda      float64 `json:"lambda,omitempty"`
	Beta        float64 `json:"beta,omitempty"`
	MI          string  `json:"mi,omitempty"`
	Minimize    bool    `json:"minimize,omitempty"`
	Attach      string  `json:"attach,omitempty"`
	Filter      string  `json:"filter,omitempty"`
	Share       bool    `json:"share_view,omitempty"`
}

// Initial is the arrangement of a classifier that begins with a pre-trained backbone, and
// Base that without self-supervision.
const (
	Base    = "base"
	Initial = "initial"
)

// SelfSupervised returns the settings of a method that suit the data and a batch: package
// ssl's, but for a queue of half of the training set at most, and a rotation that turns each
// sample once.
func (d *Data) SelfSupervised(method string, batch int) SelfSupervised {
	s := SelfSupervised{Method: method, Lambda: 0.5, Beta: 0.1, MI: "infonce", Filter: "auto"}
	switch method {
	case "rotation":
		s.Lambda, s.Random = 1, true
	case "moco1", "moco2":
		s.Queue = max(min(4096, d.Train.Data.Len()/2)/batch, 1) * batch
	}
	return s
}

// Arranged is a job of a classifier in one of the arrangements: [Base], [Initial] or one of
// package ssl's. With Initial a job before it pre-trains the backbone by recipe before.
func Arranged(d *Data, arrangement, model string, seed uint64, s SelfSupervised, r, before Recipe) (*Job, error) {
	loss := cmp.Or(s.Loss, CE)
	switch arrangement {
	case Base:
		j := d.Job(model, loss, seed, r)
		return &j, nil
	case Initial:
		first := Pretrained(d, model, seed, s, before)
		return first.After(loss, r), nil
	}
	var a ssl.Arrangement
	if err := a.UnmarshalText([]byte(arrangement)); err != nil {
		return nil, err
	}
	j := d.Job(model, Heterotopic, seed, r)
	s.Arrangement = arrangement
	if a != ssl.GenericSpecific {
		s.Beta, s.MI, s.Minimize = 0, "", false
	}
	if a == ssl.Shared {
		s.Attach, s.Filter = "", ""
	}
	j.SSL = &s
	return &j, nil
}

// Pretrained is a job of self-supervision alone.
func Pretrained(d *Data, model string, seed uint64, s SelfSupervised, r Recipe) *Job {
	j := d.Job(model, Pretrain, seed, r)
	j.SSL = &SelfSupervised{Method: s.Method, Temperature: s.Temperature, Queue: s.Queue, Random: s.Random, Views: s.Views}
	return &j
}

// Alone is the recipe of a method alone for so many epochs: package ssl's rate and decay, along
// a cosine.
func Alone(method string, epochs, batch int) (Recipe, error) {
	o, _, err := ssl.Recipe(method, batch, 1, 0)
	return Recipe{Epochs: epochs, Batch: batch, LR: o.LR, Momentum: o.Momentum, Decay: o.WeightDecay, Schedule: "cosine", WarmUp: float64(epochs) / 20, Augment: "none"}, err
}

// selfSupervised is the stage of a job's chain that has self-supervision, nil without one.
func (j *Job) selfSupervised() *SelfSupervised {
	for ; j != nil; j = j.From {
		if j.SSL != nil {
			return j.SSL
		}
	}
	return nil
}

// Arrangement is the name of the arrangement of a job's chain.
func (j *Job) Arrangement() string {
	s := j.selfSupervised()
	switch {
	case s == nil:
		return Base
	case s.Arrangement == "":
		return Initial
	}
	return s.Arrangement
}

// classifier is the method by which a job's classifier learns.
func (j *Job) classifier() string {
	if j.Method == Heterotopic {
		return cmp.Or(j.SSL.Loss, CE)
	}
	return j.Method
}

// passes is how many views of a sample a method passes forward and back.
func (s *SelfSupervised) passes() int {
	if s.Method == "rotation" && !s.Random {
		return 4
	}
	return ssl.ViewsOf(s.Method)
}

// settings are those of the method for a run of so many steps.
func (s *SelfSupervised) settings(samples, steps int, seed uint64) ssl.Settings {
	return ssl.Settings{Temperature: s.Temperature, Queue: s.Queue, Random: s.Random, Out: specific, Samples: samples, Steps: steps, Seed: seed}
}

// specific is the width of the specific features, and of what mutual information is measured to.
const specific = 128

// views are those of the method.
func (s *SelfSupervised) views(d *Data) ([]data.Transform, error) {
	shape := d.Train.Data.Shape()
	size := shape[2]
	v, err := ssl.PaperViews(s.Method, size)
	if err != nil {
		return nil, err
	}
	weak := s.Views == "weak" || s.Views == "" && (s.Method == "rotation" || s.Method == "jigsaw")
	switch {
	case !slices.Contains([]string{"", "weak", "strong"}, s.Views):
		return nil, fmt.Errorf("views %q: there are weak and strong", s.Views)
	case weak:
		v = ssl.Views{ssl.WeakView(size), ssl.WeakView(size)}
	case shape[0] == 1:
		v = ssl.DigitViews(size)
	case size <= 64:
		v = ssl.CIFARViews()
	case s.Method == "rotation" || s.Method == "jigsaw": // whose paper's are weak
		v = ssl.SimCLRViews(size, 1)
	}
	var list []data.Transform
	for _, a := range v[:ssl.ViewsOf(s.Method)] {
		a.Size = size
		if !d.Flip {
			a.Flip = 0
		}
		t := a.Transform(shape[0])
		if !d.Pre.Identity() {
			t = data.Compose(t, d.Pre.Transform())
		}
		list = append(list, t)
	}
	return list, nil
}

// check returns an error if the settings do not go with the network of the job.
func (s *SelfSupervised) check(j *Job, d *Data) error {
	if j.Recipe.Mix != "" {
		return fmt.Errorf("method %s takes no %s", j.Method, j.Recipe.Mix)
	}
	net, err := blank(j, d)
	if err != nil {
		return err
	}
	if _, err := s.views(d); err != nil {
		return err
	}
	if j.Method == Pretrain {
		_, err = ssl.New(s.Method, net.(*nn.Classifier).Backbone, s.settings(d.Train.Data.Len(), 1, 1))
	} else {
		_, err = s.join(net.(*nn.Classifier), d, 1, 1)
	}
	return err
}

// join puts self-supervision beside a classifier.
func (s *SelfSupervised) join(net *nn.Classifier, d *Data, steps int, seed uint64) (*ssl.Heterotopic, error) {
	weight := func(v float64) float64 { // for which 0 means none
		if v == 0 {
			return -1
		}
		return v
	}
	o := ssl.HeterotopicOptions{Lambda: weight(s.Lambda), Beta: weight(s.Beta), Attach: s.Attach, ShareView: s.Share, Seed: seed}
	if err := errors.Join(o.Arrangement.UnmarshalText([]byte(s.Arrangement)), o.Filter.UnmarshalText([]byte(cmp.Or(s.Filter, "auto")))); err != nil {
		return nil, err
	}
	var mi *ssl.Regularizer
	if o.Arrangement == ssl.GenericSpecific && s.Beta > 0 {
		var err error
		if mi, err = ssl.NewRegularizer(s.MI, !s.Minimize, net.Backbone.Width(), specific, seed, ssl.RegularizerOptions{}); err != nil {
			return nil, err
		}
	}
	return ssl.NewHeterotopic(net, func(e ssl.Encoder) (ssl.Method, error) {
		return ssl.New(s.Method, e, s.settings(d.Train.Data.Len(), steps, seed))
	}, mi, o)
}

// A Branch is what an epoch of self-supervision came to.
type Branch struct {
	Class    float64       `json:"class,omitempty"` // means of the losses, without their weights
	SSL      float64       `json:"ssl"`
	MI       float64       `json:"mi,omitempty"`
	Collapse *ssl.Collapse `json:"collapse,omitempty"` // of the specific features of the last batch
	Warning  string        `json:"warning,omitempty"`  // of Collapse
}

// add counts what a step came to. The collapse is measured on the last batch of an epoch.
func (b *Branch) add(class, mi autograd.Var, out ssl.Output, last bool) {
	value := func(v autograd.Var) float64 {
		if v.IsZero() {
			return 0
		}
		return v.Scalar()
	}
	b.Class, b.SSL, b.MI = b.Class+value(class), b.SSL+value(out.Loss), b.MI+value(mi)
	if last && len(out.Specific) > 0 {
		c := ssl.MeasureCollapse(out.Specific[0].Value())
		b.Collapse, b.Warning = &c, c.Warning()
	}
}

// over returns the means over n steps.
func (b Branch) over(n float64) *Branch {
	b.Class, b.SSL, b.MI = b.Class/n, b.SSL/n, b.MI/n
	return &b
}

// beside is a network with a method that is no part of it, named as in a Heterotopic.
type beside struct {
	net    *nn.Classifier
	method ssl.Method
}

func (b beside) Walk(w *nn.Walker) {
	w.Child("", b.net)
	w.Child("ssl", only{b.method})
}

type only struct{ method ssl.Method }

func (o only) Walk(w *nn.Walker) { w.Child("method", o.method) }

// pretrain trains a backbone by a method alone, with a linear classifier that learns beside it
// from its features: the share of labels that this gets right is Point.Right.
func (l *Lab) pretrain(ctx context.Context, j *Job, d *Data) (*lesson, error) {
	net, s, err := l.begin(ctx, j, d)
	if err != nil {
		return nil, err
	}
	m, err := ssl.New(j.SSL.Method, net.Backbone, j.SSL.settings(s.train.Len(), j.steps(s.train.Len()), j.Seed))
	if err != nil {
		return nil, err
	}
	online := ssl.NewOnlineProbe(net.Backbone.Width(), d.Test.Classes(), j.Seed)
	s.whole = beside{net, m}
	s.opt = j.Recipe.sgd(ssl.Trainable(net.Backbone, m))
	s.more = map[string]nn.Tree{"online": online}
	if s.views, err = j.SSL.views(d); err != nil {
		return nil, err
	}
	var out ssl.Output
	s.pass = func(tape *autograd.Tape, b data.Batch, _ int) (loss, logits autograd.Var, err error) {
		if out, err = m.Loss(tape, b); err == nil {
			s.sums.branch().add(autograd.Var{}, autograd.Var{}, out, s.last())
		}
		return out.Loss, logits, err
	}
	s.after = func(b data.Batch) error {
		right, err := online.Step(out.Features[0], b.Y)
		s.sums.Right += right
		m.Update()
		return err
	}
	s.atEnd = true
	s.test = func(ctx context.Context) (*eval.Outputs, error) { return votes(ctx, net, d) }
	return s, nil
}

// votes are those of kNN on the features of a network, for the test set.
func votes(ctx context.Context, net *nn.Classifier, d *Data) (*eval.Outputs, error) {
	bank, err := eval.Collect(ctx, net.Backbone, d.Train.Data, eval.Options{Transform: d.Pre.Transform()})
	if err != nil {
		return nil, err
	}
	queries, err := collector(net.Backbone, d, d.Test, nil)(ctx)
	if err != nil {
		return nil, err
	}
	return Neighbours.Votes(bank, queries, d.Test.Classes()), nil
}

// heterotopic trains a classifier with self-supervision beside it.
func (l *Lab) heterotopic(ctx context.Context, j *Job, d *Data) (*lesson, error) {
	net, s, err := l.begin(ctx, j, d)
	if err != nil {
		return nil, err
	}
	h, err := j.SSL.join(net, d, j.steps(s.train.Len()), j.Seed)
	if err != nil {
		return nil, err
	}
	s.whole = h
	s.opt = j.Recipe.sgd(ssl.Trainable(h))
	if s.loss, err = losses(j, d.Train.Counts); err != nil {
		return nil, err
	}
	if s.views, err = j.SSL.views(d); err != nil {
		return nil, err
	}
	if !j.SSL.Share {
		weak, err := d.transform(j.Recipe.Augment)
		if err != nil {
			return nil, err
		}
		if weak == nil {
			weak = data.Compose()
		}
		s.views = append([]data.Transform{weak}, s.views...)
	}
	s.pass = func(tape *autograd.Tape, b data.Batch, epoch int) (loss, logits autograd.Var, err error) {
		h.Options.Loss = s.loss(epoch)
		out, err := h.Loss(tape, b)
		if err == nil {
			s.sums.branch().add(out.Class, out.MI, out.SSL, s.last())
		}
		return out.Loss, out.Logits, err
	}
	s.after = func(data.Batch) error {
		h.Update()
		return nil
	}
	return s, nil
}

// steps are those of a job on so many samples.
func (j *Job) steps(samples int) int { return j.Recipe.Epochs * max(samples/j.Recipe.Batch, 1) }
