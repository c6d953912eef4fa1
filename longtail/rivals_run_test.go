package longtail_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// A rival is a method in training: a step, and all that it has for state.
type rival struct {
	net     nn.Module
	trees   map[string]nn.Tree // "net" and "opt" are among them
	loaders []*data.Loader     // of equal length
	tape    *autograd.Tape
	loss    func(epoch int, b []data.Batch) autograd.Var
	lr      float64
	epochs  int
}

func newRival(params []*autograd.Param, lr float64, epochs int, seed uint64) *rival {
	opt := optim.NewSGD(params, optim.SGDOptions{LR: lr, Momentum: 0.9, WeightDecay: 5e-4})
	return &rival{trees: map[string]nn.Tree{"opt": opt}, tape: autograd.NewTape(autograd.Training, seed), lr: lr, epochs: epochs}
}

// feed adds a loader in an order, with views.
func (r *rival) feed(d data.Dataset, order longtail.Order, err error, views ...data.Transform) error {
	if err != nil {
		return err
	}
	l, err := data.NewLoader(d, data.LoaderOptions{BatchSize: 32, DropLast: true, Order: order, Views: views})
	r.loaders = append(r.loaders, l)
	return err
}

// train goes on from where the loaders are to the last epoch, or to so many steps if that
// is not 0.
func (r *rival) train(ctx context.Context, steps int) error {
	per := r.loaders[0].Len()
	schedule := optim.MultiStep(r.lr, 0.1, r.epochs*per*4/5, r.epochs*per*9/10)
	opt := r.trees["opt"].(*optim.SGD)
	for {
		epoch, batch := r.loaders[0].Position()
		at := epoch*per + batch
		if epoch == r.epochs || at == steps && steps > 0 {
			return nil
		}
		var next []func() (data.Batch, error, bool)
		var stops []func()
		for _, l := range r.loaders {
			n, stop := iter.Pull2(l.Batches(ctx))
			next, stops = append(next, n), append(stops, stop)
		}
		err := func() error {
			defer func() {
				for _, stop := range stops {
					stop()
				}
			}()
			for range per - batch {
				batches := make([]data.Batch, len(next))
				for i, n := range next {
					b, err, _ := n()
					if err != nil {
						return err
					}
					batches[i] = b
				}
				opt.SetLR(schedule(at))
				if err := opt.Step(r.tape.Gradients(r.loss(epoch, batches))); err != nil {
					return err
				}
				r.tape.Reset()
				if at++; at == steps {
					return nil
				}
			}
			return nil
		}()
		if err != nil {
			return err
		}
	}
}

// state is that of the run, for a checkpoint.
func (r *rival) state() *checkpoint.Run {
	s := &checkpoint.Run{Trees: r.trees, Loaders: map[string]*data.Loader{}, Tapes: map[string]*autograd.Tape{"train": r.tape}}
	for i, l := range r.loaders {
		s.Loaders[fmt.Sprint(i)] = l
	}
	return s
}

// noise adds normal noise to a sample: a view.
type noise struct{ std float64 }

func (n noise) Shape(in []int) []int { return in }

func (n noise) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	for i, v := range src.Data() {
		dst.Data()[i] = v + float32(n.std*rng.NormFloat64())
	}
}

func counts(d data.Dataset) []int { return data.ClassCounts(d) }

// bbn has two branches of the last layer.
func bbn(d data.Dataset, epochs int) (*rival, error) {
	net := longtail.Fork(longtail.ForkPoint{Stage: "bn1"}, network(1, d.Classes()), network(2, d.Classes()))
	r := newRival(nn.Params(net), 0.1, epochs, 1)
	r.net, r.trees["net"] = net, net
	usual, err := longtail.Instance(d, longtail.SamplerOptions{Seed: 1})
	if err := r.feed(d, usual, err); err != nil {
		return nil, err
	}
	reversed, err := longtail.Reversed(d, longtail.SamplerOptions{Seed: 2})
	if err := r.feed(d, reversed, err); err != nil {
		return nil, err
	}
	r.loss = func(epoch int, b []data.Batch) autograd.Var {
		z1, z2 := net.Branch(0).Forward(r.tape.Input(b[0].X)), net.Branch(1).Forward(r.tape.Input(b[1].X))
		return longtail.BBN(nn.CrossEntropy, longtail.Cumulative(epoch, r.epochs), z1, b[0].Y, z2, b[1].Y)
	}
	return r, nil
}

// ride has three experts.
func ride(d data.Dataset, epochs int) (*rival, error) {
	var nets []*nn.Classifier
	for i := range uint64(3) {
		net := network(i+1, d.Classes())
		net.Head = &longtail.Cosine{Weight: longtail.NewCosine(rand.New(rand.NewPCG(i, 9)), 32, d.Classes()).Weight, Scale: 30}
		nets = append(nets, net)
	}
	net := longtail.Fork(longtail.ForkPoint{Stage: "bn1"}, nets...)
	r := newRival(nn.Params(net), 0.1, epochs, 1)
	r.net, r.trees["net"] = net, net
	usual, err := longtail.Instance(d, longtail.SamplerOptions{Seed: 1})
	if err := r.feed(d, usual, err); err != nil {
		return nil, err
	}
	drw := longtail.DRW{Start: epochs * 4 / 5}
	r.loss = func(epoch int, b []data.Batch) autograd.Var {
		loss := longtail.RIDE(counts(d), longtail.RIDEOptions{Weights: drw.Weights(counts(d), epoch)})
		return loss(net.Logits(r.tape.Input(b[0].X)), b[0].Y)
	}
	return r, nil
}

// proco contrasts two noisy views with the distributions of 8 features.
func proco(d data.Dataset, epochs int) (*rival, error) {
	net := network(1, d.Classes())
	projection := longtail.NewProjection(1, 32, 8)
	p := longtail.NewProCo(counts(d), 8, longtail.ProCoOptions{})
	r := newRival(append(nn.Params(net), nn.Params(projection)...), 0.1, epochs, 1)
	r.net, r.trees["net"], r.trees["projection"], r.trees["proco"] = net, net, projection, p
	usual, err := longtail.Instance(d, longtail.SamplerOptions{Seed: 1})
	if err := r.feed(d, usual, err, nil, noise{0.5}, noise{0.5}); err != nil {
		return nil, err
	}
	r.loss = func(epoch int, b []data.Batch) autograd.Var {
		p.Begin(epoch)
		n := len(b[0].Y)
		f := net.Backbone.Forward(r.tape.Input(b[0].X))
		z := autograd.NormalizeRows(projection.Forward(f), 1e-12)
		logits := autograd.NarrowCopy(net.Head.Forward(f), 0, 0, n, 1)
		return p.Loss(logits, autograd.NarrowCopy(z, 0, n, 3*n, 1), b[0].Y)
	}
	return r, nil
}

// plain is cross-entropy.
func plain(d data.Dataset, epochs int) (*rival, error) {
	net := network(1, d.Classes())
	r := newRival(nn.Params(net), 0.1, epochs, 1)
	r.net, r.trees["net"] = net, net
	usual, err := longtail.Instance(d, longtail.SamplerOptions{Seed: 1})
	r.loss = func(_ int, b []data.Batch) autograd.Var {
		return nn.CrossEntropy(net.Forward(r.tape.Input(b[0].X)), b[0].Y)
	}
	return r, r.feed(d, usual, err)
}

var rivalMakers = map[string]func(d data.Dataset, epochs int) (*rival, error){"cross-entropy": plain, "BBN": bbn, "RIDE": ride, "ProCo": proco}

// TestRivalsTrain: on a long tail ProCo and RIDE's experts serve rare classes better than
// cross-entropy does with as many epochs, at no cost to all classes; BBN's branches take
// the classes that their samplers favour, and both together are better than either.
func TestRivalsTrain(t *testing.T) {
	n := must[[]int](t)(longtail.Exponential{Imbalance: 100}.Counts(classes, 300))
	train := clouds(n, 6)
	measure := func(net nn.Module) longtail.Report { return must[longtail.Report](t)(report(t.Context(), net, n)) }
	run := func(name string, epochs int) (nn.Module, longtail.Report) {
		r := must[*rival](t)(rivalMakers[name](train, epochs))
		if err := r.train(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		m := measure(r.net)
		t.Logf("%s, %d epochs: %.3f (%.3f, %.3f, %.3f), ECE %.3f", name, epochs, m.Acc, *m.Many, *m.Medium, *m.Few, m.ECE)
		return r.net, m
	}
	for name, epochs := range map[string]int{"ProCo": 20, "RIDE": 120} {
		if testing.Short() && epochs > 20 {
			continue
		}
		_, before := run("cross-entropy", epochs)
		_, after := run(name, epochs)
		if !(*after.Few > *before.Few+0.03) || !(after.Acc > before.Acc-0.01) {
			t.Errorf("%s: few-shot %.3f, cross-entropy %.3f; all %.3f and %.3f", name, *after.Few, *before.Few, after.Acc, before.Acc)
		}
	}
	net, both := run("BBN", 20)
	usual, reversed := measure(net.(*longtail.Branched).Branch(0)), measure(net.(*longtail.Branched).Branch(1))
	if !(*usual.Many > *reversed.Many+0.2) || !(*reversed.Few > *usual.Few+0.2) || !(both.Acc > max(usual.Acc, reversed.Acc)+0.05) {
		t.Errorf("BBN: many-shot %.3f and %.3f, few-shot %.3f and %.3f, all %.3f and %.3f, together %.3f", *usual.Many, *reversed.Many, *usual.Few, *reversed.Few,
			usual.Acc, reversed.Acc, both.Acc)
	}
}

// TestRivalsResume: a run that was stopped within an epoch goes on bit for bit.
func TestRivalsResume(t *testing.T) {
	for name, make := range rivalMakers {
		train := clouds(small, 3)
		whole, first, second := must[*rival](t)(make(train, 4)), must[*rival](t)(make(train, 4)), must[*rival](t)(make(train, 4))
		if err := whole.train(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "run.safetensors")
		if err := errors.Join(first.train(t.Context(), first.loaders[0].Len()*2+1), first.state().Save(path)); err != nil {
			t.Fatal(err)
		}
		for _, p := range nn.Params(second.net) {
			p.Update(func(w []float32) { clear(w) })
		}
		if err := errors.Join(second.state().Load(path), second.train(t.Context(), 0)); err != nil {
			t.Fatal(err)
		}
		want := map[string]nn.Entry{}
		for e := range nn.State(whole.state()) {
			want[e.Name] = e
		}
		for e := range nn.State(second.state()) {
			w := want[e.Name]
			if e.Counter != nil && *e.Counter != *w.Counter || e.Counter == nil && !slices.Equal(e.Value().Data(), w.Value().Data()) {
				t.Errorf("%s: %s differs from that of the run that was not stopped", name, e.Name)
			}
		}
	}
}
