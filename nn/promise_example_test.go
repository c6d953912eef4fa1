package nn_test

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// Swish is x·sigmoid(β·x) with a β that is learned.
type Swish struct{ Beta *autograd.Param }

func (s *Swish) Forward(x autograd.Var) autograd.Var {
	return autograd.Mul(x, autograd.Sigmoid(autograd.Mul(x, x.Tape().Param(s.Beta))))
}

func (s *Swish) Walk(w *nn.Walker) { w.Param("beta", s.Beta) }

// Promises lets a Sequential cut batches and free memory around the layer.
func (s *Swish) Promises(self nn.Module) nn.Promise {
	return nn.Promised[*Swish](self, nn.PerExample)
}

// A layer of one's own takes part in everything.
func ExamplePromiser() {
	m := nn.NewSequential(
		nn.NewLinear(nil, 2, 2),
		&Swish{autograd.NewParam(tensor.FromSlice([]float32{1}, 1))},
	)
	fmt.Println(nn.Count(m), "parameters, the last one", nn.Select(m, "1.beta")[0].Shape())
	y := m.Forward(autograd.NewTape(autograd.Inference, 0).Input(tensor.New(64, 2)))
	fmt.Println(y.Shape())
	// Output:
	// 7 parameters, the last one [1]
	// [64 2]
}
