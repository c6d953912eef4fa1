package zoo

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

func randomImages(seed uint64, shape ...int) *tensor.Tensor {
	r := rand.New(rand.NewPCG(seed, 0))
	x := tensor.New(shape...)
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	return x
}

func TestModelAnswersAsItsNetwork(t *testing.T) {
	net := models.LeNet5(1, 10)
	x := randomImages(2, 7, 1, 28, 28)
	tape := autograd.NewTape(autograd.Inference, 0)
	want := net.Forward(tape.Input(x)).Value().Clone()
	for _, kind := range []ScoreKind{Logits, LogProbabilities, Probabilities} {
		m, err := NewModel(net, Info{Name: "lenet5", Shape: []int{1, 28, 28}, Classes: 10, Scores: kind}, data.Preprocess{})
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float64, 70)
		if err := m.Scores(context.Background(), x, out); err != nil {
			t.Fatal(err)
		}
		for i := range 7 {
			row := out[i*10 : (i+1)*10]
			z := make([]float64, 10)
			for j := range z {
				z[j] = float64(want.Data()[i*10+j])
			}
			lse := logSumExp(z)
			for j, v := range row {
				w := z[j]
				if kind != Logits {
					w -= lse
				}
				if kind == Probabilities {
					w = math.Exp(w)
				}
				if !(math.Abs(v-w) <= 1e-12) {
					t.Fatalf("%v: score %d of sample %d is %v, want %v", kind, j, i, v, w)
				}
			}
			// Alone as in company.
			alone := make([]float64, 10)
			if err := m.Scores(context.Background(), x.Slice(i, i+1), alone); err != nil {
				t.Fatal(err)
			}
			if widest(alone, row) != 0 {
				t.Fatalf("%v: sample %d scores otherwise alone", kind, i)
			}
		}
	}
}

// TestModelGradients compares with central differences of the model's own loss,
// through preprocessing.
func TestModelGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	net := nn.NewSequential(nn.NewConv2D(rng, 3, 4, 3, nn.ConvOptions{Padding: 1}), nn.Tanh{}, nn.Flatten{}, nn.NewLinear(rng, 4*36, 5))
	m, err := NewModel(net, Info{Name: "small", Shape: []int{3, 6, 6}, Classes: 5},
		data.Preprocess{BGR: true, Scale: 2, Mean: []float32{1, 0.9, 1.1}, Std: []float32{0.5, 0.6, 0.7}})
	if err != nil {
		t.Fatal(err)
	}
	x := randomImages(4, 2, 3, 6, 6)
	goals := []Goal{Untargeted(1), Targeted(0, 3)}
	for _, loss := range []DifferentiableLoss{Hinge{Kappa: 100}, CrossEntropy{}} {
		g := tensor.New(x.Shape()...)
		out := make([]float64, 10)
		if err := m.Gradients(context.Background(), x, loss, goals, out, g); err != nil {
			t.Fatal(err)
		}
		for i, goal := range goals {
			o := NewObjective(m, goal, loss)
			p := Point{X: x.Slice(i, i+1).Data()}
			if p.Loss, _, err = o.At(context.Background(), p.X); err != nil {
				t.Fatal(err)
			}
			fd := make([]float64, len(p.X))
			if err := (Differences{Step: 1e-2, Central: true}).Estimate(context.Background(), o, p, fd); err != nil {
				t.Fatal(err)
			}
			// The gradient is that of the loss over its largest derivative in size with
			// respect to a logit.
			factor := 1.0
			if _, ok := loss.(CrossEntropy); ok {
				c := goal.Label
				if goal.Targeted {
					c = goal.Target
				}
				factor = 1 - math.Exp(logProb(out[i*5:i*5+5], Logits, c))
			}
			var top float64
			for _, v := range fd {
				top = max(top, math.Abs(v))
			}
			for j, v := range g.Slice(i, i+1).Data() {
				if !(math.Abs(factor*float64(v)-fd[j]) <= 5e-3*top) {
					t.Fatalf("loss %+v, sample %d, pixel %d: gradient %v times %v, difference %v", loss, i, j, v, factor, fd[j])
				}
			}
		}
	}
}

// TestModelOfAConstant: a network that ignores its input has a gradient, of zeros.
func TestModelOfAConstant(t *testing.T) {
	net := nn.Func(func(x autograd.Var) autograd.Var {
		return x.Tape().Input(tensor.FromSlice([]float32{1, 2, 1, 2}, 2, 2).Slice(0, x.Dim(0)))
	})
	m, err := NewModel(net, Info{Name: "constant", Shape: []int{1, 2, 2}, Classes: 2}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	g := tensor.New(2, 1, 2, 2)
	g.Fill(5)
	out := make([]float64, 4)
	if err := m.Gradients(context.Background(), tensor.New(2, 1, 2, 2), unitMargin, []Goal{Untargeted(1), Untargeted(1)}, out, g); err != nil {
		t.Fatal(err)
	}
	if out[1] != 2 || g.Norm(1) != 0 {
		t.Errorf("scores %v, gradient %v", out, g)
	}
}

func TestModelRefuses(t *testing.T) {
	net := models.LeNet5(1, 10)
	for say, c := range map[string]struct {
		info Info
		pre  data.Preprocess
	}{
		"shape [1 10]":  {Info{Name: "m", Shape: []int{1, 28, 28}, Classes: 7}, data.Preprocess{}},
		"shape [3 9 9]": {Info{Name: "m", Shape: []int{3, 9, 9}, Classes: 10}, data.Preprocess{}},
		"at least 2":    {Info{Name: "m", Shape: []int{1, 28, 28}, Classes: 0}, data.Preprocess{}},
		"2 means":       {Info{Name: "m", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{Mean: []float32{1, 2}}},
	} {
		if _, err := NewModel(net, c.info, c.pre); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
	bad := nn.Clone(net)
	nn.Constant(nn.Params(bad)[0], float32(math.NaN()))
	if _, err := NewModel(bad, Info{Name: "m", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{}); !errors.Is(err, ErrBadVictim) {
		t.Errorf("a network of NaNs: %v", err)
	}
}

func TestModelIsShared(t *testing.T) {
	m, err := NewModel(models.LeNet5(1, 10), Info{Name: "lenet5", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	x := randomImages(2, 3, 1, 28, 28)
	want := make([]float64, 30)
	if err := m.Scores(context.Background(), x, want); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			out, g := make([]float64, 30), tensor.New(x.Shape()...)
			for range 3 {
				if err := m.Scores(context.Background(), x, out); err != nil || widest(out, want) != 0 {
					t.Error("other scores under concurrency", err)
				}
				goals := []Goal{Untargeted(0), Untargeted(1), Untargeted(2)}
				if err := m.Gradients(context.Background(), x, Hinge{}, goals, out, g); err != nil || widest(out, want) != 0 {
					t.Error("other scores beside gradients", err)
				}
			}
		})
	}
	wg.Wait()
}

// TestModelDigest: models are told apart by their weights and by what is done to
// samples first, degraded ones by how.
func TestModelDigest(t *testing.T) {
	digest := func(net nn.Module, pre data.Preprocess) string {
		m, err := NewModel(net, Info{Name: "m", Shape: []int{1, 28, 28}, Classes: 10, Digest: "none"}, pre)
		if err != nil {
			t.Fatal(err)
		}
		return m.Info().Digest
	}
	net := models.LeNet5(1, 10)
	want := digest(net, data.Preprocess{})
	if got := digest(nn.Clone(net), data.Preprocess{}); got != want {
		t.Errorf("a copy has digest %q, the original %q", got, want)
	}
	if digest(models.LeNet5(2, 10), data.Preprocess{}) == want || digest(net, data.Preprocess{Scale: 255}) == want {
		t.Error("other weights or other preprocessing have the same digest")
	}
	m, err := NewModel(net, Info{Name: "m", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := DegradeScores(m, Degrade{Digits: 2}).Info().Digest, DegradeScores(m, Degrade{Digits: 3}).Info().Digest; a == b || a == want {
		t.Errorf("degraded: %q, %q", a, b)
	}
}
