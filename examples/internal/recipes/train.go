package recipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/ssl"
	"github.com/mettleml/mettle/tensor"
)

// tested says whether an epoch, counted from 1, ends with a test: the last five do, and
// twenty or so of the others.
func tested(epoch, epochs int) bool {
	return epoch > epochs-5 || epoch%max(epochs/20, 1) == 0
}

// A lesson is the training of one job: the parts that its method chose.
type lesson struct {
	job   Job
	net   nn.Module
	opt   optim.Optimizer
	train data.Dataset
	order longtail.Order
	views []data.Transform              // in place of the recipe's transform
	loss  func(epoch int) longtail.Loss // epochs count from 0
	// retain, if not nil, is added to the loss: what holds phase II near phase I.
	retain func(x *tensor.Tensor, features, logits autograd.Var) autograd.Var
	// pass, if not nil, takes the place of loss and retain: it makes the loss of a batch,
	// and logits of its labels.
	pass func(tape *autograd.Tape, b data.Batch, epoch int) (loss, logits autograd.Var, err error)
	// reversed, if not nil, is the order of a second loader, for BBN.
	reversed longtail.Order
	close    func()                   // if not nil, ends what pass keeps open
	after    func(b data.Batch) error // if not nil, follows the optimiser's step
	atEnd    bool                     // test after the last epoch alone
	whole    nn.Tree                  // the network with what is trained beside it; nil: the network
	more     map[string]nn.Tree       // what the checkpoint holds beside network and optimiser
	test     func(ctx context.Context) (*eval.Outputs, error)
	group    longtail.Groups
	probe    func(ctx context.Context) (*longtail.Distortion, error)

	tape   *autograd.Tape
	loader *data.Loader
	second *data.Loader // of reversed
	mixer  data.Mixer
	rate   optim.Schedule
	tested *eval.Outputs // by the network as it is at the end
	state  checkpoint.Run
	sums   sums
	result Result
}

// sums are what an epoch adds up, kept in the checkpoint with the rest.
type sums struct {
	Loss, Right, Retained float64
	Steps                 int
	Branch                *Branch `json:",omitempty"`
}

// branch is that of the epoch.
func (s *sums) branch() *Branch {
	if s.Branch == nil {
		s.Branch = new(Branch)
	}
	return s.Branch
}

// tree is what is trained.
func (s *lesson) tree() nn.Tree {
	if s.whole != nil {
		return s.whole
	}
	return s.net
}

// last reports whether the step at hand is the last one of its epoch.
func (s *lesson) last() bool { return s.sums.Steps == s.loader.Len()-1 }

// prepare makes what follows from the recipe.
func (s *lesson) prepare(transform data.Transform) error {
	r := s.job.Recipe
	seed := s.job.stream()
	var err error
	o := data.LoaderOptions{BatchSize: r.Batch, Order: s.order, Seed: seed, Transform: transform, DropLast: s.train.Len() >= r.Batch}
	if s.views != nil {
		o.Transform, o.Views = nil, s.views
	}
	if s.loader, err = data.NewLoader(s.train, o); err != nil {
		return err
	}
	s.tape = autograd.NewTape(autograd.Training, seed)
	total := r.Epochs * s.loader.Len()
	if s.rate, err = r.rate(total); err != nil {
		return err
	}
	if n := int(r.WarmUp * float64(s.loader.Len())); n > 0 {
		s.rate = optim.WarmUp(s.rate, n)
	}
	if s.mixer, err = r.mixer(); err != nil {
		return err
	}
	s.state = checkpoint.Run{
		Settings: s.job,
		Trees:    map[string]nn.Tree{"model": s.tree(), "optim": s.opt},
		Loaders:  map[string]*data.Loader{"train": s.loader},
		Tapes:    map[string]*autograd.Tape{"train": s.tape},
		Values:   map[string]any{"result": &s.result, "sums": &s.sums},
	}
	for name, tree := range s.more {
		s.state.Trees[name] = tree
	}
	if s.reversed != nil {
		o.Order, o.Seed = s.reversed, ^seed
		if s.second, err = data.NewLoader(s.train, o); err != nil {
			return err
		}
		s.state.Loaders["reversed"] = s.second
	}
	return nil
}

// rate is the learning rate at each of so many steps.
func (r Recipe) rate(steps int) (optim.Schedule, error) {
	switch r.Schedule {
	case "multistep":
		return optim.MultiStep(r.LR, 0.01, steps*8/10, steps*9/10), nil
	case "cosine":
		return optim.Cosine(r.LR, 0, steps), nil
	}
	return nil, fmt.Errorf("schedule %q: there are multistep and cosine", r.Schedule)
}

func (r Recipe) mixer() (data.Mixer, error) {
	switch r.Mix {
	case "":
		return nil, nil
	case "mixup":
		return data.Mixup{}, nil
	case "cutmix":
		return data.CutMix{P: 0.5}, nil
	}
	return nil, fmt.Errorf("mixing %q: there are mixup and cutmix", r.Mix)
}

// run trains to the end, and returns the logits of the test set. It begins at the
// checkpoint at path if there is one, and leaves one after every epoch and when the context
// ends.
func (s *lesson) run(ctx context.Context, path string, tell func(*lesson)) (*eval.Outputs, error) {
	if err := s.state.Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; delete the file to begin anew", err)
	}
	if s.close != nil {
		defer s.close()
	}
	began := time.Now()
	clock := func() { s.result.Seconds += time.Since(began).Seconds() }
	for {
		epoch, at := s.loader.Position()
		if epoch >= s.job.Recipe.Epochs {
			if s.tested != nil {
				return s.tested, nil
			}
			return s.test(ctx)
		}
		for batch, err := range s.loader.Batches(ctx) {
			if err != nil {
				if ctx.Err() != nil {
					clock()
					return nil, errors.Join(ctx.Err(), s.state.Save(path))
				}
				return nil, err
			}
			if err := s.step(batch, epoch, epoch*s.loader.Len()+at); err != nil {
				return nil, err
			}
			at++
			tell(s)
		}
		clock()
		if err := s.endEpoch(ctx, epoch+1); err != nil {
			return nil, err
		}
		if err := s.state.Save(path); err != nil {
			return nil, err
		}
		began = time.Now()
	}
}

// A DivergedError says that training came to numbers that are not finite. The checkpoint is
// as the epoch before left it.
type DivergedError struct{ What string }

// Error says so.
func (e *DivergedError) Error() string {
	return e.What + ": the run has diverged; try a smaller learning rate"
}

// step is one update of the weights.
func (s *lesson) step(b data.Batch, epoch, step int) error {
	s.opt.SetLR(s.rate(step))
	pass := s.pass
	if pass == nil {
		pass = s.classify
	}
	loss, logits, err := pass(s.tape, b, epoch)
	if errors.Is(err, ssl.ErrNotFinite) {
		return &DivergedError{fmt.Sprintf("step %d: %v", step, err)}
	} else if err != nil {
		return err
	}
	value := loss.Scalar()
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return &DivergedError{fmt.Sprintf("the loss is %v at step %d", value, step)}
	}
	s.sums.Loss += value
	if !logits.IsZero() {
		s.sums.Right += nn.Accuracy(logits.Value(), b.Y)
	}
	s.sums.Steps++
	if err := s.opt.Step(s.tape.Gradients(loss)); errors.Is(err, optim.ErrNotFinite) {
		return &DivergedError{fmt.Sprintf("step %d: %v", step, err)}
	} else if err != nil {
		return err
	}
	if s.after != nil {
		if err := s.after(b); err != nil {
			return err
		}
	}
	s.tape.Reset()
	s.result.Steps++
	s.result.Images += int64(len(b.Y) * s.job.Passes())
	return nil
}

// classify is the pass of a classifier: its loss, with what retains.
func (s *lesson) classify(tape *autograd.Tape, b data.Batch, epoch int) (loss, logits autograd.Var, err error) {
	pairs := data.Pairs{A: b.Y, B: b.Y, Lambda: 1}
	if s.mixer != nil {
		pairs = s.mixer.Mix(b.X, b.Y, s.job.stream(), tape.Step())
	}
	net := s.net.(*nn.Classifier)
	features := net.Backbone.Forward(tape.Input(b.X))
	logits = net.Head.Forward(features)
	if s.mixer == nil {
		loss = s.loss(epoch)(logits, b.Y)
	} else {
		loss = longtail.Mixed(s.loss(epoch), logits, pairs)
	}
	if s.retain != nil {
		r := s.retain(b.X, features, logits)
		s.sums.Retained += r.Scalar()
		loss = autograd.Add(loss, r)
	}
	return loss, logits, nil
}

// endEpoch adds a point to the curve.
func (s *lesson) endEpoch(ctx context.Context, epoch int) error {
	n := float64(max(s.sums.Steps, 1))
	p := Point{Epoch: epoch, Loss: s.sums.Loss / n, Right: s.sums.Right / n, Retained: s.sums.Retained / n}
	if s.sums.Branch != nil {
		p.Branch = s.sums.Branch.over(n)
	}
	last := epoch == s.job.Recipe.Epochs
	if last || !s.atEnd && tested(epoch, s.job.Recipe.Epochs) {
		out, err := s.test(ctx)
		if err != nil {
			return err
		}
		if last {
			s.tested = out
		}
		r := longtail.Measure(out, s.group)
		p.Test = &Shots{r.Acc, r.Balanced, r.Many, r.Medium, r.Few}
	}
	if s.probe != nil && epoch%cmp.Or(s.job.Probe, 1) == 0 {
		d, err := s.probe(ctx)
		if err != nil {
			return err
		}
		p.Distortion = d
	}
	s.result.Curve = append(s.result.Curve, p)
	s.sums = sums{}
	return nil
}
