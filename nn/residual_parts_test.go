package nn

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// TestResidualIsABasicBlock: the parts of a basic block as a Residual have the same
// names, bits and gradients as the block.
func TestResidualIsABasicBlock(t *testing.T) {
	block := NewBasicBlock(rand.New(rand.NewPCG(1, 0)), 3, 8, 2, Projection)
	parts := &Residual{
		Branch:   &Sequential{Layers: []Module{block.Conv1, block.BN1, ReLU{}, block.Conv2}, Names: []string{"conv1", "bn1", "relu", "conv2"}},
		Norm:     block.BN2,
		NormName: "bn2",
		Shortcut: block.Downsample,
	}
	names := func(m Tree) (list []string) {
		for e := range State(m) {
			list = append(list, e.Name)
		}
		return list
	}
	if a, b := names(block), names(parts); !slices.Equal(a, b) {
		t.Errorf("%v, and the block has %v", b, a)
	}
	x := tensor.New(6, 3, 9, 8)
	rng := rand.New(rand.NewPCG(2, 0))
	for i := range x.Data() {
		x.Data()[i] = float32(rng.NormFloat64())
	}
	for _, mode := range []autograd.Mode{autograd.Training, autograd.Eval, autograd.Inference} {
		run := func(m Module) (y, g []float32) {
			tape := autograd.NewTape(mode, 1)
			out := m.Forward(tape.Input(x))
			y = slices.Clone(out.Data())
			if mode != autograd.Inference {
				g = slices.Clone(tape.Gradients(autograd.Sum(autograd.Mul(out, out))).Of(block.Conv1.Weight).Data())
			}
			return y, g
		}
		ya, ga := run(block)
		yb, gb := run(parts)
		if !slices.Equal(ya, yb) || !slices.Equal(ga, gb) {
			t.Errorf("mode %v: other values or gradients", mode)
		}
	}
	if p := parts.Promises(parts); p&PerExample == 0 {
		t.Errorf("promises %v", p)
	}
	identity := &Residual{Branch: NewSequential(NewConv2D(nil, 3, 3, 3, ConvOptions{Padding: 1})), Norm: NewBatchNorm(3), NormName: "bn"}
	tape := autograd.NewTape(autograd.Inference, 0)
	for i, v := range identity.Forward(tape.Input(x)).Data() {
		if want := max(x.Data()[i], 0); v != want {
			t.Fatalf("weights of 0 make %v of %v", v, want)
		}
	}
}
