package optim

import (
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/golden"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// gradients returns d as the gradients of p: those of sum(p·d).
func gradients(tape *autograd.Tape, p *autograd.Param, d *tensor.Tensor) *autograd.Gradients {
	tape.Reset()
	return tape.Gradients(autograd.Sum(autograd.Mul(tape.Param(p), tape.Input(d))))
}

func TestGoldenTrajectories(t *testing.T) {
	for op, make := range map[string]func(c *golden.Case, p []*autograd.Param) Optimizer{
		"optim/sgd": func(c *golden.Case, p []*autograd.Param) Optimizer {
			return NewSGD(p, SGDOptions{LR: c.Float("lr", 0), Momentum: c.Float("momentum", 0),
				WeightDecay: c.Float("weight_decay", 0), Nesterov: c.Bool("nesterov")})
		},
		"optim/adam": func(c *golden.Case, p []*autograd.Param) Optimizer {
			return NewAdam(p, AdamOptions{LR: c.Float("lr", 0), Eps: c.Float("eps", 0), WeightDecay: c.Float("weight_decay", 0)})
		},
		"optim/adamw": func(c *golden.Case, p []*autograd.Param) Optimizer {
			return NewAdamW(p, AdamOptions{LR: c.Float("lr", 0), WeightDecay: c.Float("weight_decay", 0)})
		},
	} {
		for _, c := range golden.Cases(t, op) {
			p := autograd.NewParam(tensor.FromSlice(append([]float32(nil), c.Inputs["p"].Data...), c.Inputs["p"].Shape...))
			opt := make(c, []*autograd.Param{p})
			tape := autograd.NewTape(autograd.Training, 0)
			all := c.Inputs["grads"]
			grads := tensor.FromSlice(append([]float32(nil), all.Data...), all.Shape...)
			var trajectory []float32
			for i := range grads.Dim(0) {
				if err := opt.Step(gradients(tape, p, grads.Index(i))); err != nil {
					t.Fatal(err)
				}
				trajectory = append(trajectory, p.Value().Data()...)
			}
			golden.Check(t, c.Name, trajectory, c.Output, 1e-6)
		}
	}
}

func TestStepRejectsWhatIsNotFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		p := autograd.NewParam(tensor.FromSlice([]float32{1, 2}, 2))
		opt := NewAdam([]*autograd.Param{p}, AdamOptions{LR: 1})
		err := opt.Step(gradients(autograd.NewTape(autograd.Training, 0), p, tensor.FromSlice([]float32{1, bad}, 2)))
		if !errors.Is(err, ErrNotFinite) {
			t.Errorf("error %v", err)
		}
		if p.Value().Data()[0] != 1 {
			t.Error("the parameter has changed")
		}
	}
}

// Dampening spares the first gradient, as in PyTorch: v is g, and then
// momentum·v + (1-dampening)·g.
func TestDampening(t *testing.T) {
	p := autograd.NewParam(tensor.FromSlice([]float32{1}, 1))
	opt := NewSGD([]*autograd.Param{p}, SGDOptions{LR: .1, Momentum: .5, Dampening: .25})
	tape := autograd.NewTape(autograd.Training, 0)
	v, want := 0., 1.
	for k := range 3 {
		tape.Reset()
		if err := opt.Step(tape.Gradients(autograd.Sum(autograd.Scale(tape.Param(p), 2)))); err != nil {
			t.Fatal(err)
		}
		if v = .5*v + .75*2; k == 0 {
			v = 2
		}
		want -= .1 * v
		if got := float64(p.Value().Item()); !(math.Abs(got-want) <= 1e-6) {
			t.Fatalf("after step %d: %v, want %v", k, got, want)
		}
	}
}

// Steps are counted beyond 2^24, where float32 stands still, and through a file.
func TestManySteps(t *testing.T) {
	p := autograd.NewParam(tensor.Scalar(1))
	tape := autograd.NewTape(autograd.Training, 0)
	path := filepath.Join(t.TempDir(), "o.safetensors")
	opt := NewAdam([]*autograd.Param{p}, AdamOptions{LR: 1})
	opt.steps[0] = 1 << 24
	for want := int64(1<<24 + 1); want < 1<<24+4; want++ {
		tape.Reset()
		if err := opt.Step(tape.Gradients(autograd.Sum(tape.Param(p)))); err != nil {
			t.Fatal(err)
		}
		if err := nn.Save(path, opt); err != nil {
			t.Fatal(err)
		}
		opt = NewAdam([]*autograd.Param{p}, AdamOptions{LR: 1})
		if err := nn.Load(path, opt); err != nil {
			t.Fatal(err)
		}
		if opt.steps[0] != want {
			t.Fatalf("%d steps, want %d", opt.steps[0], want)
		}
	}
}

func TestFrozenParametersStay(t *testing.T) {
	p := autograd.NewParam(tensor.Scalar(1))
	q := autograd.NewParam(tensor.Scalar(1))
	q.SetFrozen(true)
	opt := NewSGD([]*autograd.Param{p, q}, SGDOptions{LR: 1, WeightDecay: 1})
	tape := autograd.NewTape(autograd.Training, 0)
	if err := opt.Step(tape.Gradients(autograd.Mul(tape.Param(p), tape.Param(q)))); err != nil {
		t.Fatal(err)
	}
	if p.Value().Item() != -1 || q.Value().Item() != 1 {
		t.Errorf("p = %v, q = %v", p.Value().Item(), q.Value().Item())
	}
}

// net is a network with every kind of state.
func net() *nn.Sequential {
	rng := rand.New(rand.NewPCG(3, 4))
	return nn.NewSequential(nn.NewConv2D(rng, 1, 4, 3, nn.ConvOptions{}), nn.NewBatchNorm(4), nn.ReLU{}, nn.Dropout{P: .2},
		nn.Flatten{}, nn.NewLinear(rng, 4*36, 3))
}

// run takes steps from to to and returns the parameters.
func run(t *testing.T, m nn.Module, opt Optimizer, from, to int) []float32 {
	t.Helper()
	rate := WarmUp(Cosine(0.05, 0, 20), 4)
	tape := autograd.NewTape(autograd.Training, 9)
	for step := from; step < to; step++ {
		rng := rand.New(rand.NewPCG(1, uint64(step)))
		x := tensor.New(5, 1, 8, 8)
		for i := range x.Data() {
			x.Data()[i] = float32(rng.NormFloat64())
		}
		tape.ResetTo(uint64(step))
		opt.SetLR(rate(step))
		loss := nn.CrossEntropy(m.Forward(tape.Input(x)), []int{0, 1, 2, 0, 1})
		g := tape.Gradients(loss)
		ClipNorm(g, 1)
		if err := opt.Step(g); err != nil {
			t.Fatal(err)
		}
	}
	var all []float32
	for e := range nn.State(m) {
		if e.Counter != nil {
			all = append(all, float32(*e.Counter)) // few
			continue
		}
		all = append(all, e.Value().Data()...)
	}
	return all
}

func same(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestInterruptedRunContinuesBitForBit(t *testing.T) {
	for name, make := range map[string]func(p []*autograd.Param) Optimizer{
		"sgd":  func(p []*autograd.Param) Optimizer { return NewSGD(p, SGDOptions{Momentum: .9, Nesterov: true}) },
		"lars": func(p []*autograd.Param) Optimizer { return NewLARS(p, LARSOptions{WeightDecay: .01}) },
		"adam": func(p []*autograd.Param) Optimizer { return NewAdamW(p, AdamOptions{WeightDecay: .01}) },
	} {
		t.Run(name, func(t *testing.T) {
			m := net()
			want := run(t, m, make(nn.Params(m)), 0, 12)

			m = net()
			opt := make(nn.Params(m))
			run(t, m, opt, 0, 5)
			dir := t.TempDir()
			if err := errors.Join(nn.Save(filepath.Join(dir, "m"), m), nn.Save(filepath.Join(dir, "o"), opt)); err != nil {
				t.Fatal(err)
			}
			m = net()
			opt = make(nn.Params(m))
			if err := errors.Join(nn.Load(filepath.Join(dir, "m"), m), nn.Load(filepath.Join(dir, "o"), opt)); err != nil {
				t.Fatal(err)
			}
			if !same(run(t, m, opt, 5, 12), want) {
				t.Error("the resumed run differs from the uninterrupted one")
			}
		})
	}
}

func TestSameBitsOnAnyNumberOfWorkers(t *testing.T) {
	defer tensor.SetWorkers(tensor.SetWorkers(1))
	var want []float32
	for _, workers := range []int{1, 2, 8} {
		tensor.SetWorkers(workers)
		m := net()
		got := run(t, m, NewSGD(nn.Params(m), SGDOptions{Momentum: .9}), 0, 6)
		if want == nil {
			want = got
		}
		if !same(got, want) {
			t.Errorf("%d workers give other bits than one", workers)
		}
	}
}

func TestClip(t *testing.T) {
	p := autograd.NewParam(tensor.New(2))
	tape := autograd.NewTape(autograd.Training, 0)
	g := gradients(tape, p, tensor.FromSlice([]float32{3, -4}, 2))
	if n := ClipNorm(g, 10); n != 5 || g.Norm() != 5 {
		t.Errorf("norm %v, clipped %v", n, g.Norm())
	}
	if n := ClipNorm(g, 1); n != 5 || !(math.Abs(g.Norm()-1) <= 1e-6) {
		t.Errorf("norm %v, clipped %v", n, g.Norm())
	}
	g = gradients(tape, p, tensor.FromSlice([]float32{3, -4}, 2))
	ClipValue(g, 3.5)
	if d := g.Of(p).Data(); d[0] != 3 || d[1] != -3.5 {
		t.Errorf("clipped %v", d)
	}
}

// An optimiser's counts are part of its state: without them a restored Adam would
// correct its moments as if it had just begun.
func TestStateNeedsItsCounts(t *testing.T) {
	m := net()
	opt := NewAdam(nn.Params(m), AdamOptions{LR: .1})
	path := filepath.Join(t.TempDir(), "o")
	if err := nn.Save(path, opt); err != nil {
		t.Fatal(err)
	}
	drop := func(name string) string {
		if name == "0.step" {
			return ""
		}
		return name
	}
	var e *nn.StateError
	if err := nn.LoadWith(path, opt, nn.LoadOptions{Rename: drop}); !errors.As(err, &e) || len(e.Missing) != 1 {
		t.Errorf("state without 0.step: %v", err)
	}
}

func TestSchedules(t *testing.T) {
	if err := tensor.Try(func() error { Step(1, 0, .1); return nil }); err == nil {
		t.Error("a step every 0 units of time was accepted")
	}
	if err := tensor.Try(func() error { OneCycle(1, 3); return nil }); err == nil {
		t.Error("a cycle of 3 steps was accepted")
	}
	for _, c := range []struct {
		name string
		s    Schedule
		want map[int]float64
	}{
		{"constant", Constant(2), map[int]float64{0: 2, 99: 2}},
		{"step", Step(1, 10, .1), map[int]float64{0: 1, 9: 1, 10: .1, 25: .01}},
		{"multi-step", MultiStep(1, .5, 3, 6), map[int]float64{2: 1, 3: .5, 5: .5, 6: .25}},
		{"cosine", Cosine(1, .2, 10), map[int]float64{0: 1, 5: .6, 10: .2, 50: .2}},
		{"one cycle, PyTorch's numbers", OneCycle(2, 10), map[int]float64{0: 0.08, 1: 1.04, 2: 2, 3: 1.9009692640269473, 6: 0.7774839561274215, 9: 8e-06, 50: 8e-06}},
		{"one cycle of 7", OneCycle(2, 7), map[int]float64{1: 1.9611132546699173, 2: 1.8380887525394212, 5: 0.1985935837865312}},
		{"warm-up", WarmUp(Constant(4), 4), map[int]float64{0: 1, 1: 2, 3: 4, 4: 4}},
	} {
		for at, want := range c.want {
			if got := c.s(at); !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("%s at %d: %v, want %v", c.name, at, got, want)
			}
		}
	}
}
