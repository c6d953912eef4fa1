package longtail_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
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
