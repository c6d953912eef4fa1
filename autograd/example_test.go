package autograd_test

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// The gradient of a loss to an input and to a parameter.
func ExampleTape_Gradients() {
	w := autograd.NewParam(tensor.FromSlice([]float32{2, -1}, 1, 2))
	tape := autograd.NewTape(autograd.Eval, 0)
	x := tape.Watch(tensor.FromSlice([]float32{3, 4}, 1, 2))
	loss := autograd.Sum(autograd.Square(autograd.Linear(x, tape.Param(w), autograd.Var{}, false)))

	g := tape.Gradients(loss)
	fmt.Println(loss.Scalar(), g.Of(x).Data(), g.Of(w).Data())
	// Output: 4 [8 -4] [12 16]
}

// cube is an operation with a gradient of its own.
type cube struct{}

func (cube) Shape(x [][]int) []int { return x[0] }

func (cube) Forward(y *tensor.Tensor, x []*tensor.Tensor) {
	for i, v := range x[0].Data() {
		y.Data()[i] = v * v * v
	}
}

func (cube) Backward(dx []*tensor.Tensor, dy, _ *tensor.Tensor, x []*tensor.Tensor) {
	for i, v := range x[0].Data() {
		dx[0].Data()[i] = 3 * v * v * dy.Data()[i]
	}
}

func ExampleApply() {
	tape := autograd.NewTape(autograd.Eval, 0)
	x := tape.Watch(tensor.FromSlice([]float32{1, 2}, 2))
	y := autograd.Apply(cube{}, x)
	fmt.Println(y.Data(), tape.Gradients(autograd.Sum(y)).Of(x).Data())

	err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return autograd.Apply(cube{}, x...) },
		autograd.Check{}, tensor.FromSlice([]float32{1, 2}, 2))
	fmt.Println(err)
	// Output:
	// [1 8] [3 12]
	// <nil>
}
