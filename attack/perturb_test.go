package attack

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// TestPerturb: samples stay in the ball and in [0,1], the loss of each grows, what is
// random follows from seed and call, and a network that is sure of a sample by a hundred
// in logits is moved against as any other.
func TestPerturb(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	net := nn.NewSequential(nn.Flatten{}, nn.NewLinear(r, 36, 12), nn.Tanh{}, nn.NewLinear(r, 12, 3))
	x := tensor.New(5, 1, 6, 6)
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	labels := []int{0, 1, 2, 1, 0}
	margins := func(m nn.Module, x *tensor.Tensor) []float64 {
		tape := autograd.NewTape(autograd.Inference, 0)
		z := m.Forward(tape.Input(x)).Data()
		var all []float64
		for i, y := range labels {
			row := z[3*i : 3*i+3]
			other := math.Inf(-1)
			for k, v := range row {
				if k != y {
					other = max(other, float64(v))
				}
			}
			all = append(all, float64(row[y])-other)
		}
		return all
	}
	sure := nn.NewSequential(net, times{1000})
	for _, p := range []Perturber{{Norm: Linf, Eps: 0.1}, {Norm: L2, Eps: 0.7}, {Norm: Linf, Eps: 0.1, NoRandom: true}, {Norm: L2, Eps: 0.7, Steps: 3, Step: 0.4}} {
		for _, m := range []nn.Module{net, sure} {
			y := x.Clone()
			p.Perturb(m, y, labels, 0, 4)
			before, after := margins(m, x), margins(m, y)
			for i := range labels {
				if d := p.Norm.Distance(y.Index(i).Data(), x.Index(i).Data()); d > p.Eps || d < 0.5*p.Eps {
					t.Errorf("%v: sample %d is moved by %v in a ball of %v", p.Norm, i, d, p.Eps)
				}
				if after[i] >= before[i] {
					t.Errorf("%v: sample %d: margin %v before, %v after", p.Norm, i, before[i], after[i])
				}
			}
			if slices.Min(y.Data()) < 0 || slices.Max(y.Data()) > 1 {
				t.Error("a value outside [0,1]")
			}
			again, other := x.Clone(), x.Clone()
			q := p
			q.Perturb(m, again, labels, 0, 4)
			q.Perturb(m, other, labels, 0, 5)
			if !slices.Equal(again.Data(), y.Data()) || slices.Equal(other.Data(), y.Data()) != p.NoRandom {
				t.Errorf("%+v: the same call again is the same %v, another the same %v", p.Norm, slices.Equal(again.Data(), y.Data()), slices.Equal(other.Data(), y.Data()))
			}
		}
	}
	y := x.Clone()
	(&Perturber{Norm: Linf}).Perturb(net, y, labels, 0.01, 0)
	if d := Linf.Distance(y.Data(), x.Data()); d > 0.01 || d < 0.005 {
		t.Errorf("moved by %v in a ball of 0.01", d)
	}
	for _, bad := range [][]int{{0, 1}, {0, 1, 2, 3, 0}} {
		if err := tensor.Try(func() error { (&Perturber{}).Perturb(net, y, bad, 0, 0); return nil }); err == nil {
			t.Errorf("labels %v were accepted", bad)
		}
	}
}
