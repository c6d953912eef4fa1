package ssl

import (
	"bytes"
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/checkpoint"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// modest settings make every method small.
func modest(samples int) Settings {
	return Settings{Queue: 48, Hidden: 16, Out: 8, Samples: samples, Steps: 20, Seed: 5}
}

func newMethod(t *testing.T, name string, e Encoder, s Settings) Method {
	t.Helper()
	m, err := New(name, e, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestEveryMethodLearns: the loss on the same few batches falls.
func TestEveryMethodLearns(t *testing.T) {
	for _, name := range Names() {
		e := newSmall(1)
		m := newMethod(t, name, e, modest(16))
		lr := 0.05
		if name == "vicreg" { // whose weights are 25
			lr /= 25
		}
		opt := optim.NewSGD(Trainable(e, m), optim.SGDOptions{LR: lr, Momentum: 0.9})
		tape := autograd.NewTape(autograd.Training, 0)
		var first, last float64
		const steps = 60
		for step := range steps {
			b := pixels(step % 2)
			for i := range b.Y {
				b.Y[i] = i % 4
			}
			out, err := Step(tape, m, opt, b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch v := out.Loss.Scalar() / 10; {
			case step < 10:
				first += v
			case step >= steps-10:
				last += v
			}
			if len(out.Features) == 0 || len(out.Specific) == 0 || out.Features[0].Dim(0) != 16 || out.Features[0].Dim(1) != 8 {
				t.Fatalf("%s: features %v", name, out.Features)
			}
		}
		// MoCo and InstDisc begin with random keys, which are easily told apart.
		if !(last < first) && !strings.HasPrefix(name, "moco") && name != "instdisc" {
			t.Errorf("%s: the loss went from %v to %v", name, first, last)
		}
	}
}

// TestWiring: methods hand what they made to the loss that is theirs.
func TestWiring(t *testing.T) {
	b := pixels(0)
	for i := range b.Y {
		b.Y[i] = i % 4
	}
	for name, loss := range map[string]func(z []autograd.Var) autograd.Var{
		"vicreg": func(z []autograd.Var) autograd.Var { return VICReg(z[0], z[1], VICRegWeights{}) },
		"supcon": func(z []autograd.Var) autograd.Var {
			return SupervisedNCE(autograd.ConcatCopy(0, z...), append(b.Y[:16:16], b.Y...), 0.1)
		},
	} {
		out, err := newMethod(t, name, newSmall(1), modest(16)).Loss(autograd.NewTape(autograd.Training, 0), b)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "the loss of "+name, out.Loss.Scalar(), loss(out.Specific).Scalar(), 1e-5)
	}
}

// TestMemoryBankLearns: a loss that stays at that of guessing, log(K+1), shows a memory that
// is not written or not read.
func TestMemoryBankLearns(t *testing.T) {
	for _, full := range []bool{true, false} {
		e := newSmall(1)
		m := NewInstDisc(e, InstDiscOptions{Samples: 16, Temperature: 0.2, Out: 8, Negatives: 64, Full: full})
		before := m.Memory.Clone()
		opt := optim.NewSGD(Trainable(e, m), optim.SGDOptions{LR: 0.05, Momentum: 0.9})
		tape := autograd.NewTape(autograd.Training, 0)
		var z autograd.Var
		early := math.NaN() // once the memory is that of features
		for step := range 300 {
			out, err := Step(tape, m, opt, pixels(0))
			if err != nil {
				t.Fatal(err)
			}
			z = out.Specific[0]
			if step == 20 {
				early = out.Loss.Scalar()
			}
			if step == 299 && !(out.Loss.Scalar() < 0.75*early) {
				t.Errorf("full %v: the loss went from %v to %v", full, early, out.Loss.Scalar())
			}
		}
		// Nearly every sample is nearest to its own memory.
		if acc := nn.Accuracy(autograd.MatMulT(z, tape.Input(m.Memory)).Value(), upTo(16)); acc < 0.9 {
			t.Errorf("full %v: %v of the samples are nearest to their own memory", full, acc)
		}
		if m.Memory.Sub(before).Norm(2) < 1 {
			t.Error("the memory has hardly changed")
		}
		for i := range 16 {
			near(t, "a row of the memory", m.Memory.Index(i).Norm(2), 1, 1e-5)
		}
	}
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	m := NewMoCo(newSmall(1), MoCoOptions{Queue: 6, Out: 2, Hidden: 4})
	before := m.Queue.Clone()
	push := func(v ...float32) { m.Push(matrix(2, v...)) }
	push(1, 0, 0, 2, 3, 0, 0, 4)
	want := append([]float32{1, 0, 0, 1, 1, 0, 0, 1}, before.Data()[8:]...)
	compare(t, "after four keys", m.Queue.Data(), want)
	push(-1, 0, 0, -1, -1, 0, 0, -1) // the last two go to the front
	compare(t, "after eight keys", m.Queue.Data(), []float32{-1, 0, 0, -1, 1, 0, 0, 1, -1, 0, 0, -1})
	if m.Next != 2 {
		t.Errorf("next is %d, want 2", m.Next)
	}
}

func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
}

// TestMomentumAtItsEnds: 1 freezes the copy, 0 makes it the network.
func TestMomentumAtItsEnds(t *testing.T) {
	for _, momentum := range []float64{0, 1} {
		e := newSmall(1)
		m := NewBYOL(e, BYOLOptions{Hidden: 16, Out: 8, Momentum: optim.Constant(momentum)})
		start := nn.Clone(m.Tower)
		opt := optim.NewSGD(Trainable(e, m), optim.SGDOptions{LR: 0.1})
		tape := autograd.NewTape(autograd.Training, 0)
		for step := range 3 {
			if _, err := Step(tape, m, opt, pixels(step)); err != nil {
				t.Fatal(err)
			}
		}
		want := nn.Params(start)
		if momentum == 0 {
			want = nn.Params(m.Tower)
		}
		for i, p := range nn.Params(m.Target.Model) {
			compare(t, "a weight of the target", p.Value().Data(), want[i].Value().Data())
		}
		if d := nn.Params(start)[0].Value().Sub(nn.Params(e)[0].Value()).Norm(2); d == 0 {
			t.Error("the network did not move")
		}
	}
}

func TestCosineMomentum(t *testing.T) {
	s := CosineMomentum(0.996, 100)
	near(t, "the momentum at the start", s(0), 0.996, 1e-12)
	near(t, "the momentum in the middle", s(50), 0.998, 1e-12)
	near(t, "the momentum at the end", s(100), 1, 1e-12)
	near(t, "the momentum after the end", s(1000), 1, 1e-12)
}

// TestStoppedBranch: exactly nothing flows into the target of BYOL, the keys of MoCo and the
// far side of SimSiam.
func TestStoppedBranch(t *testing.T) {
	tape := autograd.NewTape(autograd.Training, 0)
	e := newSmall(1)
	for name, slow := range map[string]func(m Method) nn.Tree{
		"byol":  func(m Method) nn.Tree { return m.(*BYOL).Target },
		"moco2": func(m Method) nn.Tree { return m.(*MoCo).Keys },
	} {
		m := newMethod(t, name, e, modest(0))
		tape.Reset()
		nn.SetFrozen(slow(m), false) // even if somebody thaws it
		out, err := m.Loss(tape, pixels(0))
		if err != nil {
			t.Fatal(err)
		}
		g := tape.Gradients(out.Loss)
		for _, p := range nn.Params(slow(m)) {
			if d := g.Of(p); d != nil && d.Norm(2) != 0 {
				t.Errorf("%s: a gradient of length %v to the slow branch", name, d.Norm(2))
			}
		}
		if d := g.Of(nn.Params(e)[0]); d == nil || d.Norm(2) == 0 {
			t.Errorf("%s: no gradient to the encoder", name)
		}
	}
	// With an identity for a predictor the two sides of SimSiam are one, and each
	// projection has the gradient of the side where it is predicted from alone.
	for _, through := range []bool{false, true} {
		tape.Reset()
		m := NewSimSiam(e, SimSiamOptions{Hidden: 8, Through: through})
		m.Predictor = nn.Identity{}
		out, err := m.Loss(tape, pixels(0))
		if err != nil {
			t.Fatal(err)
		}
		z := out.Specific
		half := autograd.Scale(autograd.Mean(autograd.CosineSimilarity(z[0], autograd.Detach(z[1]), tiny)), -0.5)
		got, want := tape.Gradients(out.Loss, z[0]).Of(z[0]), tape.Gradients(half, z[0]).Of(z[0])
		if d := got.Sub(want).Norm(2) / want.Norm(2); (d < 1e-6) == through {
			t.Errorf("through %v: the gradient differs by %v from that of one side", through, d)
		}
	}
}

// TestSimSiamCollapsesWithoutTheStop, and does not with it.
func TestSimSiamCollapsesWithoutTheStop(t *testing.T) {
	std := func(through bool) float64 {
		e := newSmall(1)
		m := NewSimSiam(e, SimSiamOptions{Hidden: 16, Predictor: 4, Through: through})
		// The normalisation at the projector's end would hold the columns apart: without
		// it the collapse is plain.
		m.Tower.Projector = perceptron(generator(1), inside, 8, 16, 16)
		opt := optim.NewSGD(Trainable(e, m), optim.SGDOptions{LR: 0.1, Momentum: 0.9, WeightDecay: 0.01})
		tape := autograd.NewTape(autograd.Training, 0)
		var c Collapse
		for step := range 210 {
			out, err := Step(tape, m, opt, pixels(step%8))
			if err != nil {
				t.Fatal(err)
			}
			c = MeasureCollapse(out.Specific[0].Value())
		}
		return c.Std / c.Healthy
	}
	if r := std(true); r > 0.1 {
		t.Errorf("without the stopped gradient the spread is %v of a healthy one", r)
	}
	if r := std(false); r < 0.5 {
		t.Errorf("with the stopped gradient the spread is %v of a healthy one", r)
	}
}

// TestGroups: statistics by groups are those of the groups alone, the running estimates
// move once, and shuffled keys come back in order.
func TestGroups(t *testing.T) {
	b := pixels(0)
	e := newSmall(1)
	plain := nn.Clone(e)
	m := NewMoCo(e, MoCoOptions{Hidden: 16, Out: 8, Queue: 48, Groups: 4, Shuffle: true})
	tape := autograd.NewTape(autograd.Training, 0)
	out, err := m.Loss(tape, b)
	if err != nil {
		t.Fatal(err)
	}
	want := plain.Forward(tape.Input(b.X.Slice(4, 8)))
	compare(t, "the second group", rows(out.Features[0], 4, 8).Data(), want.Data())
	bn := e.Layers[1].(*nn.BatchNorm)
	if *bn.Batches != 1 {
		t.Errorf("%d batches counted, want 1", *bn.Batches)
	}
	sum := 0.0
	for k := range 4 {
		one := newSmall(1)
		one.Forward(tape.Input(b.X.Slice(4*k, 4*k+4)))
		sum += float64(one.Layers[1].(*nn.BatchNorm).RunningMean.Data()[2]) / 4
	}
	near(t, "a running mean", float64(bn.RunningMean.Data()[2]), sum, 1e-6)

	// Each key is that of its own sample: with the same groups unshuffled the two differ
	// by their statistics alone.
	order := permutation(16, 0, 0)
	back := m.forwardKeys(tape, b.X.Slice(0, 16))
	group := tensor.New(4, 3, 8, 8)
	for i := range 4 {
		group.Index(i).CopyFrom(b.X.Index(order[i]))
	}
	keys := m.Keys.Model.Forward(tape.Input(group))
	for i := range 4 {
		compare(t, "a shuffled key", rows(back, order[i], order[i]+1).Data(), rows(keys, i, i+1).Data())
	}
}

func TestErrors(t *testing.T) {
	e := newSmall(1)
	tape := autograd.NewTape(autograd.Training, 0)
	cut := func(b data.Batch, n int) data.Batch {
		x := tensor.New(2*n, 3, 8, 8)
		copy(x.Data(), b.X.Data())
		return data.Batch{X: x, Y: b.Y[:n], Indices: b.Indices[:n]}
	}
	one := cut(pixels(0), 1)
	for _, name := range Names() {
		if _, err := newMethod(t, name, e, modest(16)).Loss(tape, one); err == nil && ViewsOf(name) == 2 {
			t.Errorf("%s takes a batch of one", name)
		}
		if _, err := New(name, e, Settings{Out: -1, Samples: 16}); err == nil {
			t.Errorf("%s takes a width of -1", name)
		}
		bad := pixels(0)
		bad.X.Data()[5] = float32(math.NaN())
		if _, err := newMethod(t, name, e, modest(16)).Loss(tape, bad); !errors.Is(err, ErrNotFinite) {
			t.Errorf("%s with NaN: %v", name, err)
		}
		if ViewsOf(name) == 2 {
			single := pixels(0)
			single.X = single.X.Slice(0, 16)
			if _, err := newMethod(t, name, e, modest(16)).Loss(tape, single); err == nil || !strings.Contains(err.Error(), "takes 2 views") {
				t.Errorf("%s with one view: %v", name, err)
			}
		}
	}
	for what, f := range map[string]func() error{
		"a queue that is no multiple of the batch": func() error {
			_, err := NewMoCo(e, MoCoOptions{Queue: 40}).Loss(tape, pixels(0))
			return err
		},
		"groups that do not divide the batch": func() error {
			_, err := NewMoCo(e, MoCoOptions{Queue: 48, Groups: 3}).Loss(tape, pixels(0))
			return err
		},
		"a temperature of -1": func() error {
			_, err := New("simclr", e, Settings{Temperature: -1})
			return err
		},
		"a temperature of 0 in the loss": func() error {
			return tensor.Try(func() error { NTXent(tape.Input(normal(1, 4, 3)), tape.Input(normal(2, 4, 3)), 0); return nil })
		},
		"views that differ": func() error {
			return tensor.Try(func() error {
				NTXent(tape.Input(normal(1, 4, 3)), tape.Input(normal(2, 4, 2)), 1)
				return nil
			})
		},
		"an unknown method": func() error { _, err := New("simclear", e, Settings{}); return err },
		"a memory that is too small": func() error {
			_, err := NewInstDisc(e, InstDiscOptions{Samples: 3}).Loss(tape, pixels(0))
			return err
		},
		"no memory": func() error { _, err := New("instdisc", e, Settings{}); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: no error", what)
		} else if !strings.HasPrefix(err.Error(), "ssl") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestResume: a run that is interrupted goes on bit for bit, whatever the method keeps.
func TestResume(t *testing.T) {
	x := tensor.New(64, 3, 8, 8)
	labels := make([]int, 64)
	for i := range labels {
		labels[i] = i % 4
		copy(x.Index(i).Data(), pixels(i/16).X.Index(i%16).Data())
	}
	set, err := data.NewTensors(x, labels, 4)
	if err != nil {
		t.Fatal(err)
	}
	views := Views{{Size: 8, MinScale: 0.5, Flip: 0.5}, {Size: 8, MinScale: 0.5, Flip: 0.5}}
	for _, name := range Names() {
		type session struct {
			run   checkpoint.Run
			train func(steps int)
			bytes func() []byte
		}
		begin := func() session {
			e := newSmall(1)
			settings := modest(64)
			settings.Groups = 2
			m := newMethod(t, name, e, settings)
			opt := optim.NewSGD(Trainable(e, m), optim.SGDOptions{LR: 0.05, Momentum: 0.9})
			tape := autograd.NewTape(autograd.Training, 3)
			loader, err := data.NewLoader(set, data.LoaderOptions{BatchSize: 16, Shuffle: true, Views: views.Transforms(3, ViewsOf(name))})
			if err != nil {
				t.Fatal(err)
			}
			s := session{run: checkpoint.Run{
				Trees:   map[string]nn.Tree{"encoder": e, "method": m, "optim": opt},
				Loaders: map[string]*data.Loader{"train": loader},
				Tapes:   map[string]*autograd.Tape{"train": tape},
			}}
			s.train = func(steps int) {
				for steps > 0 {
					for b, err := range loader.Batches(context.Background()) {
						if err != nil {
							t.Fatal(err)
						}
						if _, err := Step(tape, m, opt, b); err != nil {
							t.Fatal(err)
						}
						if steps--; steps == 0 {
							break
						}
					}
				}
			}
			s.bytes = func() []byte {
				var buf bytes.Buffer
				if err := nn.Write(&buf, &s.run, nn.SaveOptions{}); err != nil {
					t.Fatal(err)
				}
				return buf.Bytes()
			}
			return s
		}
		path := filepath.Join(t.TempDir(), "run")
		whole, first, second := begin(), begin(), begin()
		whole.train(9)
		first.train(5)
		if err := first.run.Save(path); err != nil {
			t.Fatal(err)
		}
		if err := second.run.Load(path); err != nil {
			t.Fatal(err)
		}
		second.train(4)
		if !bytes.Equal(whole.bytes(), second.bytes()) {
			t.Errorf("%s: the resumed run differs", name)
		}
	}
}
