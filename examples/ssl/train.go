package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/cli"
	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/ssl"
)

// A recipe is what all runs of a comparison share.
type recipe struct {
	Epochs      int     `json:"epochs"`
	Batch       int     `json:"batch"`
	LR          float64 `json:"lr"`
	Decay       float64 `json:"decay"`
	Method      string  `json:"method,omitempty"`
	Temperature float64 `json:"temperature,omitempty"`
	Queue       int     `json:"queue,omitempty"`
	Lambda      float64 `json:"lambda"`
	Beta        float64 `json:"beta"`
	MI          string  `json:"mi,omitempty"`
	Minimize    bool    `json:"minimize,omitempty"`
	Attach      string  `json:"attach,omitempty"`
	Filter      string  `json:"filter,omitempty"`
	Share       bool    `json:"share_view,omitempty"`
}

// recipe is what the flags mean for the data.
func (c *config) recipe(d *recipes.Data) recipe {
	gray := d.Test.Shape()[0] == 1
	suit := func(small, large float64) float64 {
		if gray {
			return small
		}
		return large
	}
	r := recipe{
		Epochs: cmp.Or(c.epochs, int(suit(30, 200))), Batch: cmp.Or(c.batch, int(suit(64, 128))), LR: cmp.Or(c.lr, suit(0.05, 0.1)), Decay: c.decay,
		Method: c.method, Lambda: c.lambda, Beta: c.beta, MI: c.mi, Minimize: c.minimize, Attach: c.attach, Filter: c.filter, Share: c.share,
		Temperature: max(c.temperature, 0),
	}
	r.Batch = min(r.Batch, d.Train.Data.Len())
	r.Queue = c.queue
	if r.Queue == 0 {
		r.Queue = max(min(4096, d.Train.Data.Len()/2)/r.Batch, 1) * r.Batch
	}
	return r
}

// settings are those of the method for a run of so many steps.
func (r recipe) settings(samples, steps int, seed uint64) ssl.Settings {
	return ssl.Settings{Temperature: r.Temperature, Queue: r.Queue, Out: width, Samples: samples, Steps: steps, Seed: seed}
}

// width is that of the specific features, and of what mutual information is measured to.
const width = 128

// view makes what a network takes of a sample by an augmentation.
func view(d *recipes.Data, a ssl.Augment) data.Transform {
	shape := d.Train.Data.Shape()
	a.Size = shape[2]
	if !d.Flip {
		a.Flip = 0
	}
	t := a.Transform(shape[0])
	if !d.Pre.Identity() {
		t = data.Compose(t, d.Pre.Transform())
	}
	return t
}

// weakView is what classifiers are trained with.
func weakView(d *recipes.Data) data.Transform {
	return view(d, ssl.WeakView(d.Train.Data.Shape()[2]))
}

// views are those of a method.
func views(d *recipes.Data, method string) (list []data.Transform) {
	shape := d.Train.Data.Shape()
	v := ssl.CIFARViews()
	switch size := shape[2]; {
	case shape[0] == 1:
		v = ssl.DigitViews(size)
	case size > 64:
		v, _ = ssl.PaperViews(method, size) // whose name is one of New's
	}
	for _, a := range v[:ssl.ViewsOf(method)] {
		list = append(list, view(d, a))
	}
	return list
}

// An epoch is what is kept of one.
type epoch struct {
	Epoch    int          `json:"epoch"` // from 1
	Loss     float64      `json:"loss"`  // means over the steps
	Class    float64      `json:"class,omitempty"`
	SSL      float64      `json:"ssl,omitempty"`
	MI       float64      `json:"mi,omitempty"`
	Online   float64      `json:"online,omitempty"`  // accuracy of a linear classifier that learns beside
	Collapse ssl.Collapse `json:"collapse,omitzero"` // of the specific features of the last batch
	Warning  string       `json:"warning,omitempty"` // of Collapse
}

// A session is a run of training that can be stopped and taken up.
type session struct {
	what   string
	run    checkpoint.Run
	path   string
	loader *data.Loader
	tape   *autograd.Tape
	opt    optim.Optimizer
	rate   optim.Schedule // by steps
	epochs int

	// step makes the loss of a batch; after follows the optimiser's step.
	step  func(t *autograd.Tape, b data.Batch, e *epoch) (autograd.Var, error)
	after func()
	extra func(b data.Batch, e *epoch) error // between, for monitors; may be nil

	History []epoch
	Seconds float64
}

// newSession returns a session that trains the parameters of the trees that are not frozen.
func newSession(what, path string, settings any, l *data.Loader, r recipe, epochs, restartAt int, seed uint64, trees map[string]nn.Tree) *session {
	var all []nn.Tree
	for _, name := range []string{"net", "method"} {
		if t := trees[name]; t != nil {
			all = append(all, t)
		}
	}
	s := &session{what: what, path: path, loader: l, epochs: epochs, tape: autograd.NewTape(autograd.Training, seed)}
	s.opt = optim.NewSGD(ssl.Trainable(all...), optim.SGDOptions{LR: r.LR, Momentum: 0.9, WeightDecay: r.Decay})
	part := func(total int) optim.Schedule {
		return optim.WarmUp(optim.Cosine(r.LR, 0, total*l.Len()), max(total/20, 1)*l.Len())
	}
	first, second := part(cmp.Or(restartAt, epochs)), part(epochs-restartAt)
	s.rate = func(t int) float64 {
		if restartAt > 0 && t >= restartAt*l.Len() {
			return second(t - restartAt*l.Len())
		}
		return first(t)
	}
	trees["optim"] = s.opt
	s.run = checkpoint.Run{Settings: settings, Trees: trees, Loaders: map[string]*data.Loader{"train": l}, Tapes: map[string]*autograd.Tape{"train": s.tape},
		Values: map[string]any{"history": &s.History, "seconds": &s.Seconds}}
	return s
}

// train runs the epochs that are left: from the checkpoint if there is one of this run.
func (s *session) train(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o777); err != nil {
		return err
	}
	var other *checkpoint.SettingsError
	switch err := s.run.Load(s.path); {
	case errors.As(err, &other):
		fmt.Printf("%s: %v; it begins anew\n", s.what, other)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil:
		e, b := s.loader.Position()
		fmt.Printf("%s: taken up at epoch %d, batch %d\n", s.what, e+1, b)
	}
	line := cli.NewLine(10 * time.Second)
	warned := false
	for {
		at, _ := s.loader.Position()
		if at >= s.epochs {
			return nil
		}
		began := time.Now()
		if len(s.History) <= at {
			s.History = append(s.History, epoch{Epoch: at + 1})
		}
		e := &s.History[at]
		for b, err := range s.loader.Batches(ctx) {
			if err == nil {
				err = s.one(b, e)
			}
			if err != nil {
				line.End()
				s.Seconds += time.Since(began).Seconds()
				if errors.Is(err, context.Canceled) {
					return errors.Join(err, s.run.Save(s.path))
				}
				return fmt.Errorf("%s: %w", s.what, err)
			}
			if line.Due() {
				line.Print(fmt.Sprintf("%s: epoch %d/%d, loss %.3f", s.what, at+1, s.epochs, e.Loss))
			}
		}
		s.Seconds += time.Since(began).Seconds()
		if e.Warning != "" && !warned {
			warned = true
			line.Print(fmt.Sprintf("%s: epoch %d: warning: %s", s.what, at+1, e.Warning))
		}
		if err := s.run.Save(s.path); err != nil {
			return err
		}
	}
}

// stopAfter is told after each step, for tests; nil otherwise.
var stopAfter func(step int)

// one is a step.
func (s *session) one(b data.Batch, e *epoch) error {
	t := int(s.tape.Step())
	s.opt.SetLR(s.rate(t))
	var part epoch
	loss, err := s.step(s.tape, b, &part)
	if err != nil {
		return err
	}
	if v := loss.Scalar(); math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("step %d: the loss is %v; try a smaller -lr", t, v)
	}
	if err := s.opt.Step(s.tape.Gradients(loss)); err != nil {
		return fmt.Errorf("step %d: %w; try a smaller -lr", t, err)
	}
	if s.extra != nil {
		if err := s.extra(b, &part); err != nil {
			return err
		}
	}
	if s.after != nil {
		s.after()
	}
	part.Loss = loss.Scalar()
	s.tape.Reset()
	if stopAfter != nil {
		stopAfter(t)
	}
	n := float64(t % s.loader.Len()) // steps of the epoch before this one
	mean := func(m *float64, v float64) { *m += (v - *m) / (n + 1) }
	mean(&e.Loss, part.Loss)
	mean(&e.Class, part.Class)
	mean(&e.SSL, part.SSL)
	mean(&e.MI, part.MI)
	mean(&e.Online, part.Online)
	if part.Collapse.Healthy > 0 {
		e.Collapse, e.Warning = part.Collapse, part.Warning
	}
	return nil
}

// measure notes what the features of a step look like, of the last batch of an epoch alone.
func (s *session) measure(out ssl.Output, e *epoch) {
	if int(s.tape.Step())%s.loader.Len() == s.loader.Len()-1 && len(out.Specific) > 0 {
		e.Collapse = ssl.MeasureCollapse(out.Specific[0].Value())
		e.Warning = e.Collapse.Warning()
	}
}

// heterotopic adds self-supervision to a network, in an arrangement for so many steps before
// the classifier begins.
func heterotopic(net *nn.Classifier, arrangement string, r recipe, samples, steps, initSteps int, seed uint64) (*ssl.Heterotopic, error) {
	weight := func(v float64) float64 { // for which 0 means none
		if v == 0 {
			return -1
		}
		return v
	}
	o := ssl.HeterotopicOptions{Lambda: weight(r.Lambda), Beta: weight(r.Beta), Attach: r.Attach, ShareView: r.Share, InitSteps: initSteps, Seed: seed}
	if err := errors.Join(o.Arrangement.UnmarshalText([]byte(arrangement)), o.Filter.UnmarshalText([]byte(r.Filter))); err != nil {
		return nil, err
	}
	var mi *ssl.Regularizer
	if o.Arrangement == ssl.GenericSpecific && r.Beta > 0 {
		var err error
		if mi, err = ssl.NewRegularizer(r.MI, !r.Minimize, net.Backbone.Width(), width, seed, ssl.RegularizerOptions{}); err != nil {
			return nil, err
		}
	}
	return ssl.NewHeterotopic(net, func(e ssl.Encoder) (ssl.Method, error) {
		return ssl.New(r.Method, e, r.settings(samples, steps, seed))
	}, mi, o)
}

// retrained returns a copy of a network with a classifier that was trained again, balanced over
// classes, on frozen features: cRT, the dagger of the thesis's tables.
func retrained(ctx context.Context, net *nn.Classifier, d *recipes.Data, r recipe, seed uint64) (*nn.Classifier, error) {
	net = nn.Clone(net)
	classes := d.Train.Data.Classes()
	params := longtail.Retrain(net, nn.NewLinear(rand.New(rand.NewPCG(seed, 3)), net.Backbone.Width(), classes), longtail.RetrainOptions{})
	order, err := longtail.ClassBalanced(d.Train.Data, longtail.SamplerOptions{Seed: seed})
	if err != nil {
		return nil, err
	}
	l, err := data.NewLoader(d.Train.Data, data.LoaderOptions{BatchSize: r.Batch, DropLast: true, Seed: seed, Order: order, Transform: weakView(d)})
	if err != nil {
		return nil, err
	}
	const epochs = 10
	opt := optim.NewSGD(params, optim.SGDOptions{LR: r.LR, Momentum: 0.9, WeightDecay: r.Decay})
	rate := optim.Cosine(r.LR, 0, epochs*l.Len())
	tape := autograd.NewTape(autograd.Training, seed)
	for range epochs {
		for b, err := range l.Batches(ctx) {
			if err != nil {
				return nil, err
			}
			opt.SetLR(rate(int(tape.Step())))
			if err := opt.Step(tape.Gradients(nn.CrossEntropy(net.Forward(tape.Input(b.X)), b.Y))); err != nil {
				return nil, err
			}
			tape.Reset()
		}
	}
	return net, nil
}
