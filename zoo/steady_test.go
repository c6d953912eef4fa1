package zoo

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

func TestSteady(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	x := tensor.New(4, 1, 28, 28)
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	plain := models.MetaAttackerMNIST(1)
	for _, p := range nn.Params(plain) { // biases begin at 0
		p.Update(func(v []float32) {
			for i := range v {
				v[i] += 0.1 * r.Float32()
			}
		})
	}
	steady := nn.Clone(plain)
	const factor = 8
	if n := Steady(steady, factor); n != 7 {
		t.Fatalf("%d convolutions changed, want all 7 that are normalised", n)
	}
	// With an epsilon that grows as the variances do, nothing but rounding is left of
	// the factor.
	for _, l := range steady.Layers {
		if norm, ok := l.(*nn.BatchNorm); ok {
			norm.Eps *= factor * factor
		}
	}
	for _, batch := range []int{1, 4} {
		want, got := tensor.New(x.Shape()...), tensor.New(x.Shape()...)
		Predict(plain, want, x, batch)
		Predict(steady, got, x, batch)
		for i, v := range want.Data() {
			if math.Abs(float64(got.Data()[i]-v)) > 1e-4 {
				t.Fatalf("%d at a time: entry %d is %g, before %g", batch, i, got.Data()[i], v)
			}
		}
	}
	// A step of Adam turns the normalised convolutions an eighth as far, and the
	// last as far as before.
	turned := func(net nn.Module) []float64 {
		before := nn.Clone(net)
		tape := autograd.NewTape(autograd.Training, 0)
		opt := optim.NewAdam(nn.Params(net), optim.AdamOptions{LR: 1e-3})
		if err := opt.Step(tape.Gradients(autograd.Sum(autograd.Square(net.Forward(tape.Input(x)))))); err != nil {
			t.Fatal(err)
		}
		var way []float64
		for i, p := range nn.Params(net) {
			var d, n float64
			for k, v := range p.Value().Data() {
				was := float64(nn.Params(before)[i].Value().Data()[k])
				d += math.Pow(float64(v)-was, 2)
				n += was * was
			}
			if len(p.Value().Shape()) == 4 {
				way = append(way, math.Sqrt(d/n))
			}
		}
		return way
	}
	a, b := turned(plain), turned(steady)
	for i := range a {
		want := a[i] / factor
		if i == len(a)-1 {
			want = a[i]
		}
		if math.Abs(b[i]-want) > 0.02*want {
			t.Errorf("convolution %d: its weights turn by %g, before by %g", i, b[i], a[i])
		}
	}
}

func TestSteadyLeavesOthersAlone(t *testing.T) {
	conv := func() nn.Module { return nn.NewConv2D(rand.New(rand.NewPCG(1, 2)), 1, 2, 3, nn.ConvOptions{}) }
	running := nn.NewBatchNorm(2)
	batch := nn.NewBatchNorm(2)
	batch.Statistics = nn.Batch
	for name, net := range map[string]*nn.Sequential{
		"empty":              nn.NewSequential(),
		"no normalisation":   nn.NewSequential(conv(), nn.ReLU{}, conv()),
		"running statistics": nn.NewSequential(conv(), nn.ReLU{}, running),
		"tanh":               nn.NewSequential(conv(), nn.Tanh{}, batch),
	} {
		before := nn.Digest(net)
		if n := Steady(net, 8); n != 0 || nn.Digest(net) != before {
			t.Errorf("%s: %d layers changed", name, n)
		}
	}
}
