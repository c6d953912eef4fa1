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
	"strconv"
	"strings"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// schedules are those of the learning rate, over so many steps, by the names of -schedule.
var schedules = map[string]func(lr float64, total int) optim.Schedule{
	"cosine":    func(lr float64, total int) optim.Schedule { return optim.Cosine(lr, 0, total) },
	"one-cycle": func(lr float64, total int) optim.Schedule { return optim.OneCycle(lr, max(total, 4)) },
}

// recipe fills in what suits the model.
func recipe(c *config, spec models.Spec) {
	switch {
	case takesClips(spec):
		c.epochs, c.batch, c.lr = cmp.Or(c.epochs, 30), cmp.Or(c.batch, 16), cmp.Or(c.lr, 0.05)
		if c.decay == suits {
			c.decay = 5e-4
		}
	case strings.HasPrefix(c.model, "resnet"), strings.HasPrefix(c.model, "vgg"):
		c.epochs, c.batch, c.lr = cmp.Or(c.epochs, 20), cmp.Or(c.batch, 128), cmp.Or(c.lr, 0.1)
		c.schedule = cmp.Or(c.schedule, "one-cycle")
		if c.decay == suits {
			c.decay = 5e-4
		}
	default: // the small networks for digits
		c.epochs, c.batch, c.lr = cmp.Or(c.epochs, 8), cmp.Or(c.batch, 100), cmp.Or(c.lr, 0.02)
		if c.decay == suits {
			c.decay = 1e-5
		}
	}
	c.schedule = cmp.Or(c.schedule, "cosine")
	if c.beta == 0 {
		c.beta = 6 // the paper's 1/λ for colour
		if strings.HasPrefix(c.model, "net") || strings.HasPrefix(c.model, "lenet") {
			c.beta = 1 // that for digits
		}
	}
	if c.out == "" {
		c.out = c.model + "-" + filepath.Base(c.data) + ".safetensors"
	}
}

// prepare is what the network wants done to pixels, and what is done to training
// images beside. Digits are not mirrored.
func prepare(c *config, spec models.Spec, sample []int) (pre data.Preprocess, train data.Transform, err error) {
	if len(sample) != 3 || sample[0] != spec.Input[0] && !(sample[0] == 1 && spec.Input[0] == 3) {
		return pre, nil, fmt.Errorf("model %s takes %v and the data are %v", spec.Name, spec.Input, sample)
	}
	if spec.Input[0] > sample[0] {
		if c.adversarial != "" {
			return pre, nil, fmt.Errorf("-adversarial %s: model %s takes %d channels and the data have %d", c.adversarial, spec.Name, spec.Input[0], sample[0])
		}
		pre.Repeat = spec.Input[0]
	}
	var steps []data.Transform
	switch {
	case !c.augment:
	case c.data == "mnist":
		steps = append(steps, data.RandomCrop{Padding: 2})
	default:
		steps = append(steps, data.RandomCrop{Padding: max(sample[1]/8, 1)}, data.RandomHorizontalFlip{})
	}
	if !pre.Identity() {
		steps = append(steps, pre.Transform())
	}
	if steps != nil {
		train = data.Compose(steps...)
	}
	return pre, train, nil
}

// settings say which run a checkpoint is of, by the names of the flags. Those that do
// not change the weights are not among them.
type settings struct {
	Model       string  `json:"model"`
	Data        string  `json:"data (digest)"`
	Epochs      int     `json:"epochs"`
	Batch       int     `json:"batch"`
	LR          float64 `json:"lr"`
	Schedule    string  `json:"schedule,omitempty"` // "" is cosine
	Momentum    float64 `json:"momentum"`
	Decay       float64 `json:"decay"`
	Augment     bool    `json:"augment"`
	Flip        bool    `json:"flip"` // which digits do not
	Adversarial string  `json:"adversarial"`
	Eps         float64 `json:"eps"`
	Steps       int     `json:"steps,omitempty"`
	Beta        float64 `json:"beta,omitempty"`
	Average     float64 `json:"average,omitempty"`
	Seed        uint64  `json:"seed"`
	Still       float64 `json:"still,omitempty"` // frames, segments and sizes of clips are in the data's digest
}

// settingsOf is what a configuration means for a training set. That follows from -data
// and -limit.
func settingsOf(c *config, train data.Dataset) (settings, error) {
	digest, err := data.Digest(train)
	s := settings{Model: c.model, Data: digest, Epochs: c.epochs, Batch: c.batch, LR: c.lr, Momentum: c.momentum, Decay: c.decay,
		Augment: c.augment, Flip: c.augment && c.data != "mnist" && c.data != "moving", Adversarial: c.adversarial, Average: c.average, Seed: c.seed, Still: c.still}
	if c.adversarial != "" {
		s.Eps, s.Steps = c.eps, c.steps
	}
	if c.adversarial == "trades" {
		s.Beta = c.beta
	}
	if c.schedule != "cosine" {
		s.Schedule = c.schedule
	}
	return s, err
}

// A session is a run of training.
type session struct {
	net    nn.Module
	opt    *optim.SGD
	loader *data.Loader
	tape   *autograd.Tape
	pre    data.Preprocess
	hard   *hardening            // nil without adversarial training
	slow   *optim.EMA[nn.Module] // nil without averaging
	path   string
	state  checkpoint.Run

	still   float64 // share of the training clips that are frozen
	classes int
	seed    uint64
}

// restore goes back to the checkpoint.
func (s *session) restore() error {
	var other *checkpoint.SettingsError
	err := s.state.Load(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("-resume: there is no checkpoint %s (an epoch and Ctrl-C leave one beside -out; a run that ends removes it); leave -resume out to begin anew", s.path)
	case errors.As(err, &other):
		return fmt.Errorf("-resume: %w; give the flags of that run, or leave -resume out to begin anew", err)
	}
	return err
}

// classifier trains one network and returns its accuracy on the test set.
func classifier(ctx context.Context, c *config) (float64, error) {
	spec, ok := models.Find(c.model)
	if !ok || spec.Classes == 0 {
		var names []string
		for _, m := range models.All {
			if m.Classes > 0 {
				names = append(names, m.Name)
			}
		}
		return 0, fmt.Errorf("-model %s: there are %s", c.model, strings.Join(names, ", "))
	}
	if err := c.checkClips(spec); err != nil {
		return 0, err
	}
	recipe(c, spec)
	var train, test data.Dataset
	var err error
	if takesClips(spec) {
		train, test, err = clips(ctx, c, spec)
	} else {
		train, test, err = datasets.Find(c.data, spec.Input)
	}
	if err != nil {
		return 0, err
	}
	if lacks := datasets.Lacking(test, "the test set", "the training set's"); lacks != "" {
		fmt.Println("note:", lacks)
	}
	if c.limit > 0 && c.limit < train.Len() {
		train = data.Subset(train, rand.New(rand.NewPCG(c.seed, 1)).Perm(train.Len())[:c.limit])
	}
	s := &session{net: spec.New(c.seed, train.Classes()), tape: autograd.NewTape(autograd.Training, c.seed), path: c.out + ".checkpoint",
		still: c.still, classes: train.Classes(), seed: c.seed}
	var transform data.Transform
	if takesClips(spec) {
		s.pre, transform = prepareClips(c, train.Shape())
	} else if s.pre, transform, err = prepare(c, spec, train.Shape()); err != nil {
		return 0, err
	}
	s.opt = optim.NewSGD(nn.Params(s.net), optim.SGDOptions{LR: c.lr, Momentum: c.momentum, Nesterov: c.momentum > 0, WeightDecay: c.decay})
	if s.loader, err = data.NewLoader(train, data.LoaderOptions{BatchSize: c.batch, Shuffle: true, Seed: c.seed, Transform: transform, DropLast: train.Len() >= c.batch}); err != nil {
		return 0, err
	}
	trees := map[string]nn.Tree{"model": s.net, "optim": s.opt}
	if c.adversarial != "" {
		s.hard = newHardening(c, train.Shape(), s.loader.Len())
		trees["adversarial"] = s.hard
	}
	if c.average > 0 {
		s.slow = optim.NewEMA(s.net, optim.EMAOptions{Decay: c.average})
		trees["average"] = s.slow
	}
	fmt.Printf("%s on %s: %d parameters, %d training and %d test samples of %v, %d epochs of %d steps, seed %d\n",
		c.model, c.data, nn.Count(s.net), train.Len(), test.Len(), train.Shape(), c.epochs, s.loader.Len(), c.seed)
	which, err := settingsOf(c, train)
	if err != nil {
		return 0, err
	}
	s.state = checkpoint.Run{
		Settings: which,
		Trees:    trees,
		Loaders:  map[string]*data.Loader{"train": s.loader},
		Tapes:    map[string]*autograd.Tape{"train": s.tape},
	}
	if c.resume {
		if err := s.restore(); err != nil {
			return 0, err
		}
		epoch, batch := s.loader.Position()
		fmt.Printf("resumed at epoch %d, batch %d\n", epoch+1, batch)
	} else if _, err := os.Stat(s.path); err == nil {
		fmt.Printf("note: %s is the checkpoint of an earlier run, and will be replaced; -resume would go on from it\n", s.path)
	}
	if err := s.train(ctx, c); err != nil {
		return 0, err
	}
	net := s.net
	if s.slow != nil {
		net = s.slow.Model
	}
	var acc float64
	meta := map[string]string{}
	if takesClips(spec) {
		a, err := measure(ctx, net, s.pre, test)
		if err != nil {
			return 0, err
		}
		if err := a.write(c, test, meta); err != nil {
			return 0, err
		}
		acc = a.Clean
	} else {
		if acc, err = accuracy(ctx, net, s.pre, test, nil); err != nil {
			return 0, err
		}
		fmt.Printf("test accuracy %.2f %%\n", 100*acc)
	}
	if s.hard != nil {
		pgd := &attack.Perturber{Norm: attack.Linf, Eps: c.eps, Steps: max(s.hard.Steps, 7), Seed: c.seed}
		robust, err := accuracy(ctx, net, s.pre, test, pgd)
		if err != nil {
			return 0, err
		}
		fmt.Printf("test accuracy under PGD (Linf %g, %d steps) %.2f %%\n", c.eps, pgd.Steps, 100*robust)
	}
	dtype := tensor.F32
	if c.half {
		dtype = tensor.F16
	}
	input, err := s.pre.OutputShape(test.Shape())
	if err != nil {
		return 0, err
	}
	info := models.Info{Model: c.model, Input: input, Classes: train.Classes(), ClassNames: data.ClassNames(train), Data: c.data, Preprocess: s.pre, Accuracy: strconv.FormatFloat(acc, 'f', 4, 64)}
	if err := models.Save(c.out, net, info, nn.SaveOptions{DType: dtype, Metadata: meta}); err != nil {
		return 0, err
	}
	os.Remove(s.path) // the run is complete
	fmt.Println("wrote", c.out)
	return acc, nil
}

// train runs the epochs that are left.
func (s *session) train(ctx context.Context, c *config) error {
	perEpoch := s.loader.Len()
	if s.hard != nil {
		perEpoch *= s.hard.replays
	}
	total := c.epochs * perEpoch
	rate := schedules[c.schedule](c.lr, total)
	p := newProgress(total, perEpoch, c.batch)
	for {
		epoch, _ := s.loader.Position()
		if epoch >= c.epochs {
			return nil
		}
		for batch, err := range s.loader.Batches(ctx) {
			if errors.Is(err, context.Canceled) {
				p.line.End()
				if err := s.state.Save(s.path); err != nil {
					return err
				}
				fmt.Printf("stopped; -resume goes on from %s\n", s.path)
				return err
			}
			if err != nil {
				return err
			}
			if err := s.step(batch, rate, p); err != nil {
				return err
			}
			if c.onStep != nil {
				c.onStep(int(s.tape.Step()))
			}
		}
		p.epoch()
		if err := s.state.Save(s.path); err != nil {
			return err
		}
	}
}

// step updates the weights by a batch: once, or in free training as often as it is
// replayed.
func (s *session) step(batch data.Batch, rate optim.Schedule, p *progress) error {
	if s.hard == nil || s.hard.replays == 1 {
		at := int(s.tape.Step())
		var loss, logits autograd.Var
		if s.hard != nil {
			loss, logits = s.hard.loss(s.net, s.tape, batch.X, batch.Y, at)
		} else {
			logits, loss = s.lossOf(batch.X, batch.Y, at)
		}
		_, err := s.update(loss, logits, batch.Y, rate, p)
		s.tape.Reset()
		return err
	}
	for range s.hard.replays {
		eps := s.hard.radius(int(s.tape.Step()))
		x := s.hard.moved(batch.X, eps)
		in := s.tape.Watch(x)
		logits := s.net.Forward(in)
		g, err := s.update(nn.CrossEntropy(logits, batch.Y), logits, batch.Y, rate, p)
		if err != nil {
			return err
		}
		s.hard.move(batch.X, x, g.Of(in), eps)
		s.tape.Reset()
	}
	return nil
}

// update takes the optimiser's step for a loss, and returns the gradients.
func (s *session) update(loss, logits autograd.Var, labels []int, rate optim.Schedule, p *progress) (*autograd.Gradients, error) {
	at := int(s.tape.Step())
	s.opt.SetLR(rate(at))
	value := loss.Scalar()
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil, fmt.Errorf("the loss is %v at step %d: the run has diverged; try a smaller -lr", value, at)
	}
	right := nn.Accuracy(logits.Value(), labels)
	g := s.tape.Gradients(loss)
	if err := s.opt.Step(g); err != nil {
		return nil, fmt.Errorf("step %d: %w; try a smaller -lr", at, err)
	}
	if s.slow != nil {
		s.slow.Update()
	}
	p.step(at+1, value, right)
	return g, nil
}

// accuracy is the share of the samples that the network gets right, after an
// attack if there is one.
func accuracy(ctx context.Context, net nn.Module, pre data.Preprocess, d data.Dataset, bad *attack.Perturber) (float64, error) {
	if bad == nil {
		out, err := eval.Collect(ctx, net, d, eval.Options{Transform: pre.Transform()})
		if err != nil {
			return 0, err
		}
		return out.Accuracy(), nil
	}
	l, err := data.NewLoader(d, data.LoaderOptions{BatchSize: 250, Transform: pre.Transform()})
	if err != nil {
		return 0, err
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	var right float64
	for batch, err := range l.Batches(ctx) {
		if err != nil {
			return 0, err
		}
		bad.Perturb(net, batch.X, batch.Y, 0, 0)
		tape.Reset()
		right += nn.Accuracy(net.Forward(tape.Input(batch.X)).Value(), batch.Y) * float64(len(batch.Y))
	}
	return right / float64(d.Len()), nil
}
