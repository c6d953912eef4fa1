package optim

import (
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

func TestJoinStepsTogether(t *testing.T) {
	grouped, apart := net(), net()
	groups := func(m nn.Module) (*SGD, *Adam) {
		w, o := ByDecay(nn.Params(m))
		return NewSGD(w, SGDOptions{LR: .1, Momentum: .9, WeightDecay: .1}), NewAdam(o, AdamOptions{LR: .01})
	}
	a, b := groups(grouped)
	joined := Join(a, b)
	c, d := groups(apart)
	joined.SetLR(.2)
	if joined.LR() != .2 || a.LR() != .2 || !(math.Abs(b.LR()-.02) < 1e-15) {
		t.Errorf("rates %v, %v and %v after SetLR(0.2), want 0.2, 0.2 and 0.02", joined.LR(), a.LR(), b.LR())
	}
	c.SetLR(.2)
	d.SetLR(b.LR())
	if got, want := len(joined.Params()), len(nn.Params(grouped)); got != want {
		t.Errorf("%d parameters, want %d", got, want)
	}
	ta, tb := autograd.NewTape(autograd.Training, 9), autograd.NewTape(autograd.Training, 9)
	for range 3 {
		x := tensor.New(2, 1, 8, 8)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range x.Data() {
			x.Data()[i] = rng.Float32()
		}
		ga := ta.Gradients(nn.CrossEntropy(grouped.Forward(ta.Input(x)), []int{0, 1}))
		gb := tb.Gradients(nn.CrossEntropy(apart.Forward(tb.Input(x)), []int{0, 1}))
		if err := errors.Join(joined.Step(ga), c.Step(gb), d.Step(gb)); err != nil {
			t.Fatal(err)
		}
		ta.Reset()
		tb.Reset()
	}
	pb := nn.Params(apart)
	for i, p := range nn.Params(grouped) {
		if !slices.Equal(p.Value().Data(), pb[i].Value().Data()) {
			t.Errorf("parameter %d differs from what two optimisers on their own make", i)
		}
	}
	// Its state is that of both.
	path := filepath.Join(t.TempDir(), "o")
	e, f := groups(net())
	if err := errors.Join(nn.Save(path, joined), nn.Load(path, Join(e, f))); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.mean[0].Data(), b.mean[0].Data()) || !slices.Equal(e.velocity[0].Data(), a.velocity[0].Data()) {
		t.Error("the state differs after saving and loading")
	}
}

// TestJoinIsAtomic: a gradient that is not finite stops all, also those before it.
func TestJoinIsAtomic(t *testing.T) {
	p, q := autograd.NewParam(tensor.Scalar(1)), autograd.NewParam(tensor.Scalar(0))
	first, second := NewSGD([]*autograd.Param{p}, SGDOptions{LR: 1}), NewSGD([]*autograd.Param{q}, SGDOptions{LR: 1})
	tape := autograd.NewTape(autograd.Training, 0)
	loss := autograd.Add(tape.Param(p), autograd.Log(tape.Param(q)))
	if err := Join(first, second).Step(tape.Gradients(loss)); !errors.Is(err, ErrNotFinite) {
		t.Errorf("error %v", err)
	}
	if p.Value().Item() != 1 || q.Value().Item() != 0 || first.steps[0] != 0 {
		t.Errorf("parameters %v and %v, %v steps", p.Value().Item(), q.Value().Item(), first.steps[0])
	}
}

func TestByDecay(t *testing.T) {
	m := nn.NewSequential(nn.NewConv2D(nil, 1, 2, 3, nn.ConvOptions{}), nn.NewBatchNorm(2), nn.NewLinear(nil, 2, 2))
	w, o := ByDecay(nn.Params(m))
	if !slices.Equal(w, nn.Select(m, "0.weight", "2.weight")) || !slices.Equal(o, nn.Select(m, "0.bias", "1.*", "2.bias")) {
		t.Errorf("%d weights and %d others", len(w), len(o))
	}
}

// TestConstructorsRefuse: every optimiser says what is wrong with its arguments.
func TestConstructorsRefuse(t *testing.T) {
	p, q := autograd.NewParam(tensor.New(2, 2)), autograd.NewParam(tensor.New(2))
	good := []*autograd.Param{p, q}
	makers := map[string]func(params []*autograd.Param, lr float64) Optimizer{
		"optim.NewSGD":  func(p []*autograd.Param, lr float64) Optimizer { return NewSGD(p, SGDOptions{LR: lr}) },
		"optim.NewAdam": func(p []*autograd.Param, lr float64) Optimizer { return NewAdam(p, AdamOptions{LR: lr}) },
		"optim.NewLARS": func(p []*autograd.Param, lr float64) Optimizer { return NewLARS(p, LARSOptions{LR: lr}) },
	}
	refuses := func(what, op, say string, f func()) {
		t.Helper()
		err := tensor.Try(func() error { f(); return nil })
		var e *tensor.Error
		if !errors.As(err, &e) || e.Op != op || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want a panic of %s that says %q", what, err, op, say)
		}
	}
	for op, make := range makers {
		if o := make(good, .1); o.LR() != .1 {
			t.Errorf("%s: rate %v", op, o.LR())
		}
		refuses("nil", op, "nil or listed twice", func() { make([]*autograd.Param{p, nil}, .1) })
		refuses("twice", op, "nil or listed twice", func() { make([]*autograd.Param{p, q, p}, .1) })
		for _, lr := range []float64{-1, math.NaN(), math.Inf(1)} {
			refuses("rate", op, "LR of", func() { make(good, lr) })
		}
	}
	refuses("momentum", "optim.NewSGD", "Momentum of 1", func() { NewSGD(good, SGDOptions{Momentum: 1}) })
	refuses("decay", "optim.NewSGD", "WeightDecay of -1", func() { NewSGD(good, SGDOptions{WeightDecay: -1}) })
	refuses("Nesterov", "optim.NewSGD", "Nesterov", func() { NewSGD(good, SGDOptions{Nesterov: true}) })
	refuses("beta", "optim.NewAdam", "Beta2 of 1.5", func() { NewAdam(good, AdamOptions{Beta2: 1.5}) })
	refuses("trust", "optim.NewLARS", "Trust of -1", func() { NewLARS(good, LARSOptions{Trust: -1}) })
	sgd := func(lr float64, p ...*autograd.Param) Optimizer { return NewSGD(p, SGDOptions{LR: lr}) }
	refuses("none", "optim.Join", "no optimisers", func() { Join() })
	refuses("shared", "optim.Join", "another too", func() { Join(sgd(1, p), sgd(1, q, p)) })
	refuses("nested", "optim.Join", "another too", func() { Join(Join(sgd(1, p)), sgd(1, p)) })
	refuses("no proportion", "optim.Join", "no proportion", func() { Join(sgd(0, p), sgd(1, q)) })
}

// TestLARS compares steps with the formula in float64.
func TestLARS(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	for _, all := range []bool{false, true} {
		w, b := autograd.NewParam(tensor.New(3, 4)), autograd.NewParam(tensor.New(4))
		zero := autograd.NewParam(tensor.New(2, 2)) // has no norm: takes plain steps
		params := []*autograd.Param{w, b, zero}
		nn.Normal(rng, w, 0, 1)
		nn.Normal(rng, b, 0, 1)
		o := LARSOptions{LR: .5, Momentum: .8, WeightDecay: .1, Trust: .02, All: all}
		opt := NewLARS(params, o)
		tape := autograd.NewTape(autograd.Training, 0)
		p, v := make([][]float64, 3), make([][]float64, 3)
		for i, q := range params {
			p[i], v[i] = make([]float64, q.Len()), make([]float64, q.Len())
			for k, x := range q.Value().Data() {
				p[i][k] = float64(x)
			}
		}
		for step := range 4 {
			tape.Reset()
			var loss autograd.Var
			grads := make([]*tensor.Tensor, 3)
			for i, q := range params {
				grads[i] = tensor.New(q.Shape()...)
				for k := range grads[i].Data() {
					grads[i].Data()[k] = float32(rng.NormFloat64())
				}
				s := autograd.Sum(autograd.Mul(tape.Param(q), tape.Input(grads[i])))
				if i == 0 {
					loss = s
				} else {
					loss = autograd.Add(loss, s)
				}
			}
			if err := opt.Step(tape.Gradients(loss)); err != nil {
				t.Fatal(err)
			}
			for i := range params {
				var pn, gn float64
				for k := range p[i] {
					pn += p[i][k] * p[i][k]
					gn += float64(grads[i].Data()[k]) * float64(grads[i].Data()[k])
				}
				r, decay := 1.0, o.WeightDecay
				if i == 1 && !all {
					decay = 0
				} else if pn > 0 {
					r = o.Trust * math.Sqrt(pn) / (math.Sqrt(gn) + decay*math.Sqrt(pn))
				}
				for k := range p[i] {
					v[i][k] = o.Momentum*v[i][k] + r*(float64(grads[i].Data()[k])+decay*p[i][k])
					p[i][k] -= o.LR * v[i][k]
					if got := float64(params[i].Value().Data()[k]); !(math.Abs(got-p[i][k]) <= 1e-5) {
						t.Fatalf("all %v, step %d, parameter %d, element %d: %v, want %v", all, step, i, k, got, p[i][k])
					}
				}
			}
		}
	}
}
