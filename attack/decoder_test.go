package attack

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// bars are pictures of class k with a bright bar at k, and some noise.
func bars(seed uint64, n int) (x *tensor.Tensor, y []int) {
	const side, classes = 12, 3
	r := rand.New(rand.NewPCG(seed, 0))
	x = tensor.New(n, 1, side, side)
	for i := range n {
		k := i % classes
		for p := range side * side {
			v := 0.1 + 0.1*r.Float32()
			if p%side/(side/classes) == k {
				v += 0.5
			}
			x.Index(i).Data()[p] = v
		}
		y = append(y, k)
	}
	return x, y
}

// fit takes Adam steps and returns the first and the last loss.
func fit(t *testing.T, net nn.Module, steps int, lr float64, loss func(tape *autograd.Tape) autograd.Var) (first, last float64) {
	t.Helper()
	tape := autograd.NewTape(autograd.Training, 1)
	opt := optim.NewAdam(nn.Params(net), optim.AdamOptions{LR: lr})
	for i := range steps {
		l := loss(tape)
		last = l.Scalar()
		if i == 0 {
			first = last
		}
		if err := opt.Step(tape.Gradients(l)); err != nil {
			t.Fatal(err)
		}
		tape.Reset()
	}
	return first, last
}

// TestLearnedDecoder trains an auto-encoder and a classifier, and attacks this with
// the decoder of that.
func TestLearnedDecoder(t *testing.T) {
	const seed = 5
	x, y := bars(seed, 30)
	auto := models.AutoZOOMMNIST(seed)
	first, last := fit(t, auto, 150, 0.01, func(tape *autograd.Tape) autograd.Var {
		in := tape.Input(x)
		return autograd.MSE(auto.Forward(in), in)
	})
	if !(last < first/10) {
		t.Errorf("seed %d: training takes the error from %g to %g, want a tenth", seed, first, last)
	}
	net := nn.NewSequential(nn.Flatten{}, nn.NewLinear(rand.New(rand.NewPCG(seed, 1)), 144, 3))
	fit(t, net, 60, 0.01, func(tape *autograd.Tape) autograd.Var {
		return nn.CrossEntropy(net.Forward(tape.Input(x)), y)
	})
	v, err := zoo.NewModel(net, zoo.Info{Name: "bars", Shape: []int{1, 12, 12}, Classes: 3}, data.Preprocess{})
	if err != nil {
		t.Fatal(err)
	}
	dec := &Learned{Network: auto.Decoder, Code: []int{1, 6, 6}}
	if n := dec.Dim([]int{1, 12, 12}); n != 36 {
		t.Errorf("codes of %d values, want 36", n)
	}
	var samples []Sample
	for i := range y {
		samples = append(samples, Sample{X: x.Index(i), Label: y[i]})
	}
	c := Campaign{Job: WithScores(AutoZOOM{Decoder: dec, Weight: 10, Switch: 100, Directions: 2}, v), Targeted: true, Budget: 2000, Seed: seed, Workers: 4}
	res, err := c.Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if s := res.Summary(); s.Samples != len(samples) || s.SuccessRate < 0.95 || s.VerifiedRate != s.SuccessRate {
		t.Errorf("seed %d: %d of %d attacked, success %v, verified %v", seed, s.Samples, len(samples), s.SuccessRate, s.VerifiedRate)
	}
}

func TestLearnedDecoderOfOtherShape(t *testing.T) {
	dec := &Learned{Network: models.AutoZOOMCIFAR(1).Decoder, Code: []int{3, 8, 8}}
	if n := dec.Dim([]int{3, 32, 32}); n != 192 {
		t.Errorf("codes of %d values, want 192", n)
	}
	dst := make([]float32, 3*32*32)
	if err := tensor.Try(func() error { dec.Decode(dst, make([]float32, 192), []int{3, 32, 32}); return nil }); err != nil {
		t.Error(err)
	}
	if err := tensor.Try(func() error { dec.Decode(dst, make([]float32, 192), []int{3, 64, 64}); return nil }); err == nil {
		t.Error("a network that answers with another shape was accepted")
	}
}
