package optim_test

import (
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// line is a batch on the line y = 2x + 1.
func line() (x, y *tensor.Tensor) {
	return tensor.FromSlice([]float32{-1, 0, 1, 2}, 4, 1), tensor.FromSlice([]float32{-1, 1, 3, 5}, 4, 1)
}

// A linear layer learns a line, with a learning rate that falls along a cosine.
func Example() {
	model := nn.NewLinear(rand.New(rand.NewPCG(1, 0)), 1, 1)
	opt := optim.NewSGD(nn.Params(model), optim.SGDOptions{LR: 0.2, Momentum: 0.9})
	rate := optim.WarmUp(optim.Cosine(0.2, 0, 200), 10)
	tape := autograd.NewTape(autograd.Training, 1)
	x, y := line()
	for step := range 200 {
		tape.Reset()
		opt.SetLR(rate(step))
		loss := nn.MSE(model.Forward(tape.Input(x)), tape.Input(y))
		if err := opt.Step(tape.Gradients(loss)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("y = %.2f x + %.2f\n", model.Weight.Value().Item(), model.Bias.Value().Item())
	// Output: y = 2.00 x + 1.00
}

// Weight decay for weights only, a tenth of the rate for a backbone, and one step for
// all.
func ExampleJoin() {
	rng := rand.New(rand.NewPCG(1, 0))
	backbone, head := nn.NewLinear(rng, 1, 8), nn.NewLinear(rng, 8, 1)
	weights, others := optim.ByDecay(nn.Params(head))
	opt := optim.Join(
		optim.NewSGD(weights, optim.SGDOptions{LR: 0.1, Momentum: 0.9, WeightDecay: 5e-4}),
		optim.NewSGD(others, optim.SGDOptions{LR: 0.1, Momentum: 0.9}),
		optim.NewSGD(nn.Params(backbone), optim.SGDOptions{LR: 0.01, Momentum: 0.9}),
	)
	model := nn.NewSequential(backbone, nn.Tanh{}, head)
	tape := autograd.NewTape(autograd.Training, 1)
	x, y := line()
	rate := optim.Cosine(0.1, 0, 300)
	var first, last float64
	for step := range 300 {
		tape.Reset()
		opt.SetLR(rate(step)) // of the first; the backbone keeps a tenth of it
		loss := nn.MSE(model.Forward(tape.Input(x)), tape.Input(y))
		if last = loss.Scalar(); step == 0 {
			first = last
		}
		if err := opt.Step(tape.Gradients(loss)); err != nil {
			log.Fatal(err) // nothing has changed
		}
	}
	fmt.Println("the loss fell a hundredfold:", last < first/100)
	// Output: the loss fell a hundredfold: true
}

// The average of the weights follows slowly.
func ExampleNewEMA() {
	model := nn.NewLinear(nil, 1, 1)
	average := optim.NewEMA(model, optim.EMAOptions{Decay: 0.9})
	nn.Constant(model.Weight, 1)
	for range 3 {
		average.Update()
		fmt.Printf("%.3f\n", average.Model.Weight.Value().Item())
	}
	// Output:
	// 0.100
	// 0.190
	// 0.271
}
