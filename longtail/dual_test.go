package longtail_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

var small = []int{60, 40, 20, 8, 4}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestResume: a run that was stopped within an epoch goes on bit for bit, in either phase.
func TestResume(t *testing.T) {
	train := clouds(small, 3)
	split := must[*longtail.Split](t)(longtail.SplitByRank(small, 2))
	type loss = func(b data.Batch, features, logits autograd.Var) autograd.Var

	one := func() (*run, map[string]nn.Tree, loss) {
		head := split.Head(train)
		order := must[longtail.Order](t)(longtail.Instance(head, longtail.SamplerOptions{Seed: 1}))
		r := must[*run](t)(newRun(network(1, split.Point), head, order, 0.1, 1))
		return r, map[string]nn.Tree{"net": r.net, "opt": r.opt}, func(b data.Batch, _, z autograd.Var) autograd.Var {
			return nn.CrossEntropy(z, b.Y)
		}
	}
	two := func() (*run, map[string]nn.Tree, loss) {
		net := network(2, split.Point)
		features := must[*eval.Outputs](t)(eval.Collect(t.Context(), net.Backbone, split.Ranked(train), eval.Options{}))
		bank := must[*longtail.Bank](t)(longtail.NewBank(features, split, longtail.BankOptions{}))
		teacher := longtail.NewTeacher(net.Backbone)
		net.Head = longtail.Grow(net.Head.(*nn.Linear), 5, longtail.GrowOptions{})
		pool := split.Pool(train, bank)
		order := must[longtail.Order](t)(longtail.ClassBalanced(pool, longtail.SamplerOptions{Seed: 2, Length: 100}))
		r := must[*run](t)(newRun(net, pool, order, 0.05, 2))
		return r, map[string]nn.Tree{"net": r.net, "opt": r.opt, "teacher": teacher}, func(b data.Batch, g, z autograd.Var) autograd.Var {
			old := r.tape.Input(teacher.Of(b.X))
			return autograd.Add(nn.CrossEntropy(z, b.Y), longtail.Retention{}.Loss(old, g))
		}
	}
	stopped := errors.New("stopped")
	for name, begin := range map[string]func() (*run, map[string]nn.Tree, loss){"phase I": one, "phase II": two} {
		whole, _, f := begin()
		if err := whole.train(t.Context(), 3, f); err != nil {
			t.Fatal(err)
		}
		state := func(r *run, trees map[string]nn.Tree) *checkpoint.Run {
			return &checkpoint.Run{
				Settings: name, Trees: trees,
				Loaders: map[string]*data.Loader{"train": r.loader},
				Tapes:   map[string]*autograd.Tape{"train": r.tape},
			}
		}
		path := filepath.Join(t.TempDir(), "run.safetensors")
		first, trees, f := begin()
		at := first.loader.Len() + 1
		first.stop = func(step int) error {
			if step < at {
				return nil
			}
			return errors.Join(stopped, state(first, trees).Save(path))
		}
		if err := first.train(t.Context(), 3, f); !errors.Is(err, stopped) {
			t.Fatal(err)
		}
		second, trees, f := begin()
		for _, p := range nn.Params(second.net) {
			p.Update(func(w []float32) { clear(w) })
		}
		if err := state(second, trees).Load(path); err != nil {
			t.Fatal(err)
		}
		if err := second.train(t.Context(), 3, f); err != nil {
			t.Fatal(err)
		}
		want := map[string]nn.Entry{}
		for e := range nn.State(whole.net) {
			want[e.Name] = e
		}
		for e := range nn.State(second.net) {
			w := want[e.Name]
			if e.Counter != nil && *e.Counter != *w.Counter || e.Counter == nil && !slices.Equal(e.Value().Data(), w.Value().Data()) {
				t.Errorf("%s: %s differs from that of the run that was not stopped", name, e.Name)
			}
		}
	}
}

// TestWholeBank: a bank of the whole head makes phase II ordinary training on all samples.
func TestWholeBank(t *testing.T) {
	train := clouds(small, 3)
	split := must[*longtail.Split](t)(longtail.SplitByRank(small, 3))
	net := network(2, 3)
	features := must[*eval.Outputs](t)(eval.Collect(t.Context(), net.Backbone, split.Ranked(train), eval.Options{}))
	bank := must[*longtail.Bank](t)(longtail.NewBank(features, split, longtail.BankOptions{PerClass: 60, Whole: true}))
	pool, all := split.Pool(train, bank), split.Ranked(train)
	if pool.Len() != all.Len() {
		t.Fatalf("%d samples, want %d", pool.Len(), all.Len())
	}
	x, y := tensor.New(16), tensor.New(16)
	for i := range all.Len() {
		if err := errors.Join(pool.Read(i, x), all.Read(i, y)); err != nil {
			t.Fatal(err)
		}
		if pool.Label(i) != all.Label(i) || !slices.Equal(x.Data(), y.Data()) {
			t.Fatalf("sample %d differs", i)
		}
	}
	// And with a factor of 0 on retention it is ordinary fine-tuning, bit for bit.
	tune := func(d data.Dataset, lambda float32) []float32 {
		net := network(2, 3)
		teacher := longtail.NewTeacher(net.Backbone)
		net.Head = longtail.Grow(net.Head.(*nn.Linear), 5, longtail.GrowOptions{})
		order := must[longtail.Order](t)(longtail.ClassBalanced(d, longtail.SamplerOptions{Seed: 2}))
		r := must[*run](t)(newRun(net, d, order, 0.05, 2))
		err := r.train(t.Context(), 2, func(b data.Batch, g, z autograd.Var) autograd.Var {
			loss := nn.CrossEntropy(z, b.Y)
			if d == pool {
				old := r.tape.Input(teacher.Of(b.X))
				loss = autograd.Add(loss, autograd.Scale(longtail.Retention{}.Loss(old, g), lambda))
			}
			return loss
		})
		if err != nil {
			t.Fatal(err)
		}
		return weights(r.net)
	}
	plain := tune(all, 0)
	if !slices.Equal(tune(pool, 0), plain) {
		t.Error("phase II with a whole bank and no retention is not fine-tuning")
	}
	if slices.Equal(tune(pool, 1), plain) {
		t.Error("retention changes nothing")
	}
}

// weights returns all parameters and buffers of a tree.
func weights(m nn.Tree) (v []float32) {
	for e := range nn.State(m) {
		if e.Counter == nil {
			v = append(v, e.Value().Data()...)
		}
	}
	return v
}

// TestWorkers: steps of networks for pictures have the same bits on any number of workers.
func TestWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("trains networks for pictures")
	}
	defer tensor.SetWorkers(tensor.SetWorkers(1))
	counts := []int{50, 20, 9, 4}
	x, y := tensor.New(24, 3, 16, 16), []int{0, 1, 2, 3, 0, 0, 1, 2}
	x.FillNormal(rand.New(rand.NewPCG(1, 1)), 0, 1)
	part := tensor.FromSlice(x.Data()[:8*3*16*16], 8, 3, 16, 16)
	steps := map[string]func(tape *autograd.Tape) (nn.Tree, func() autograd.Var){
		"BBN": func(tape *autograd.Tape) (nn.Tree, func() autograd.Var) {
			net := longtail.BBNResNet32(1, 4)
			return net, func() autograd.Var {
				z := net.Branch(0).Forward(tape.Input(part))
				return longtail.BBN(longtail.BalancedSoftmax(counts), 0.7, z, y, net.Branch(1).Forward(tape.Input(part)), y)
			}
		},
		"RIDE": func(tape *autograd.Tape) (nn.Tree, func() autograd.Var) {
			net := longtail.RIDEResNet32(1, 2, 4)
			loss := longtail.RIDE(counts, longtail.RIDEOptions{})
			return net, func() autograd.Var { return loss(net.Logits(tape.Input(part)), y) }
		},
		"ProCo": func(tape *autograd.Tape) (nn.Tree, func() autograd.Var) {
			net, projection := models.ResNet20(1, 4), longtail.NewProjection(1, 64, 128)
			p := longtail.NewProCo(counts, 128, longtail.ProCoOptions{})
			all := &checkpoint.Run{Trees: map[string]nn.Tree{"net": net, "projection": projection, "proco": p}}
			return all, func() autograd.Var {
				f := net.Backbone.Forward(tape.Input(x))
				z := autograd.NormalizeRows(projection.Forward(f), 1e-12)
				return p.Loss(autograd.NarrowCopy(net.Head.Forward(f), 0, 0, 8, 1), autograd.NarrowCopy(z, 0, 8, 24, 1), y)
			}
		},
	}
	for name, make := range steps {
		var first []float32
		for _, workers := range []int{1, 3} {
			tensor.SetWorkers(workers)
			tape := autograd.NewTape(autograd.Training, 1)
			net, loss := make(tape)
			opt := optim.NewSGD(nn.Params(net), optim.SGDOptions{LR: 0.1, Momentum: 0.9})
			for range 2 {
				if err := opt.Step(tape.Gradients(loss())); err != nil {
					t.Fatal(err)
				}
				tape.Reset()
			}
			v := weights(net)
			if first == nil {
				first = v
			} else if !slices.Equal(v, first) {
				t.Errorf("%s: %d workers make other bits", name, workers)
			}
		}
	}
}

// TestNaNStops: a loss that is not finite ends the run; weights and the last checkpoint are
// as they were.
func TestNaNStops(t *testing.T) {
	train := clouds(small, 3)
	r := must[*rival](t)(plain(train, 3))
	path := filepath.Join(t.TempDir(), "run.safetensors")
	if err := errors.Join(r.train(t.Context(), 5), r.state().Save(path)); err != nil {
		t.Fatal(err)
	}
	file := must[[]byte](t)(os.ReadFile(path))
	before := weights(r.trees["net"].(*nn.Classifier).Head)
	good := r.loss
	r.loss = func(epoch int, b []data.Batch) autograd.Var {
		return autograd.Scale(good(epoch, b), float32(math.NaN()))
	}
	if err := r.train(t.Context(), 0); !errors.Is(err, optim.ErrNotFinite) {
		t.Fatalf("%v, want %v", err, optim.ErrNotFinite)
	}
	if !slices.Equal(weights(r.trees["net"].(*nn.Classifier).Head), before) || !slices.Equal(must[[]byte](t)(os.ReadFile(path)), file) {
		t.Error("the failed step changed the head or the checkpoint")
	}
	again := must[*rival](t)(plain(train, 3))
	if err := errors.Join(again.state().Load(path), again.train(t.Context(), 0)); err != nil {
		t.Errorf("the checkpoint does not serve: %v", err)
	}
}

// TestDistortionOfALongTail: in joint training with imbalance 100 the head's contribution
// is nearer to the overall gradient than the tail's, and longer; of the means the tail's is
// the longer one.
func TestDistortionOfALongTail(t *testing.T) {
	counts := must[[]int](t)(longtail.Exponential{Imbalance: 100}.Counts(classes, 300))
	train := clouds(counts, 5)
	split := must[*longtail.Split](t)(longtail.SplitByRank(counts, 4))
	order := must[longtail.Order](t)(longtail.Instance(train, longtail.SamplerOptions{Seed: 1}))
	r := must[*run](t)(newRun(network(4, classes), train, order, 0.1, 1))
	probe := longtail.NewProbe(nn.Params(r.net), split.IsHead)
	var history longtail.Distortions
	err := r.train(t.Context(), 8, func(b data.Batch, _, z autograd.Var) autograd.Var {
		ce := autograd.CrossEntropy(z, b.Y, autograd.CrossEntropyOptions{Reduction: autograd.ReduceNone})
		if epoch, _ := r.loader.Position(); epoch > 0 {
			probe.Add(ce, b.Y)
			history.Add(probe.Take())
		}
		return autograd.Mean(ce)
	})
	if err != nil {
		t.Fatal(err)
	}
	s := history.Stats()
	if !(s.CosHead.Mean > s.CosTail.Mean) || !(s.Head.Mean > s.Tail.Mean) || !(s.TailMean.Mean > s.HeadMean.Mean) || s.Steps < 100 {
		t.Errorf("%+v", s)
	}
}

// TestTwoStages: a classifier re-trained with balanced samples serves rare classes better.
func TestTwoStages(t *testing.T) {
	counts := must[[]int](t)(longtail.Exponential{Imbalance: 100}.Counts(classes, 300))
	train := clouds(counts, 6)
	net := must[*nn.Classifier](t)(joint(t.Context(), train, nn.CrossEntropy, 2))
	before := must[longtail.Report](t)(report(t.Context(), net, counts))
	balanced := must[*nn.Classifier](t)(joint(t.Context(), train, longtail.BalancedSoftmax(counts), 2))
	soft := must[longtail.Report](t)(report(t.Context(), balanced, counts))

	params := longtail.Retrain(net, nn.NewLinear(rand.New(rand.NewPCG(1, 1)), 32, classes), longtail.RetrainOptions{})
	order := must[longtail.Order](t)(longtail.ClassBalanced(train, longtail.SamplerOptions{Seed: 3}))
	r := must[*run](t)(newRun(net, train, order, 0.1, 3))
	if len(params) != 2 {
		t.Errorf("%d parameters", len(params))
	}
	err := r.train(t.Context(), 10, func(b data.Batch, _, z autograd.Var) autograd.Var { return nn.CrossEntropy(z, b.Y) })
	if err != nil {
		t.Fatal(err)
	}
	after := must[longtail.Report](t)(report(t.Context(), net, counts))
	if !(*before.Many > *before.Few+0.2) || !(*after.Few > *before.Few+0.05) || !(after.Acc > before.Acc) || !(soft.Acc > before.Acc) {
		t.Errorf("cross-entropy %.3f (%.3f, %.3f, %.3f), cRT %.3f (%.3f, %.3f, %.3f), balanced softmax %.3f", before.Acc, *before.Many, *before.Medium, *before.Few,
			after.Acc, *after.Many, *after.Medium, *after.Few, soft.Acc)
	}
}
