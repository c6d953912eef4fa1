package nn_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// A network learns the exclusive or.
func Example() {
	rng := rand.New(rand.NewPCG(1, 0))
	model := nn.NewSequential(nn.NewLinear(rng, 2, 16), nn.Tanh{}, nn.NewLinear(rng, 16, 2))
	opt := optim.NewAdam(nn.Params(model), optim.AdamOptions{LR: 0.05})

	x := tensor.FromSlice([]float32{0, 0, 0, 1, 1, 0, 1, 1}, 4, 2)
	labels := []int{0, 1, 1, 0}
	tape := autograd.NewTape(autograd.Training, 1)
	for range 200 {
		tape.Reset()
		loss := nn.CrossEntropy(model.Forward(tape.Input(x)), labels)
		if err := opt.Step(tape.Gradients(loss)); err != nil {
			fmt.Println(err)
			return
		}
	}

	eval := autograd.NewTape(autograd.Inference, 0)
	fmt.Println("accuracy", nn.Accuracy(model.Forward(eval.Input(x)).Value(), labels))
	// Output: accuracy 1
}
