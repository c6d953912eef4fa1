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

// Two losses of one forward pass: how far do their gradients agree?
func ExampleTape_Gradients_severalLosses() {
	w := autograd.NewParam(tensor.FromSlice([]float32{1, 0, 0, 1}, 2, 2))
	tape := autograd.NewTape(autograd.Training, 1)
	x := tape.Input(tensor.FromSlice([]float32{1, 2, 2, 1}, 2, 2))
	logits := autograd.Linear(x, tape.Param(w), autograd.Var{}, false)
	losses := autograd.CrossEntropy(logits, []int{0, 1}, autograd.CrossEntropyOptions{Reduction: autograd.ReduceNone})

	first := tape.Gradients(autograd.Sum(autograd.NarrowCopy(losses, 0, 0, 1, 1)))
	second := tape.Gradients(autograd.Sum(autograd.NarrowCopy(losses, 0, 1, 2, 1)))
	both := tape.Gradients(autograd.Sum(losses))
	fmt.Printf("cosine %.2f\n", first.Dot(second)/first.Norm()/second.Norm())
	fmt.Printf("sum %.3f\n", both.Of(w).Data())
	// Output:
	// cosine -0.80
	// sum [0.731 -0.731 -0.731 0.731]
}

// An input gradient: one step of the fast gradient sign method against a label.
func ExampleTape_Watch() {
	w := autograd.NewParam(tensor.FromSlice([]float32{1, -1, 0, -1, 1, 0}, 2, 3)) // two classes, three pixels
	tape := autograd.NewTape(autograd.Eval, 0)
	step := func(image *tensor.Tensor, eps float32) (loss float64, moved *tensor.Tensor) {
		tape.Reset()
		x := tape.Watch(image)
		logits := autograd.Linear(x, tape.Param(w), autograd.Var{}, false)
		l := autograd.CrossEntropy(logits, []int{0}, autograd.CrossEntropyOptions{})
		return l.Scalar(), image.Add(tape.Gradients(l).Of(x).Sign().Scale(eps))
	}
	image := tensor.FromSlice([]float32{0.75, 0.5, 0.5}, 1, 3)
	before, moved := step(image, 0.25)
	after, _ := step(moved, 0.25)
	fmt.Printf("%v\nloss %.3f, then %.3f\n", moved.Data(), before, after)
	// Output:
	// [0.5 0.75 0.5]
	// loss 0.474, then 0.974
}

// A bias per channel is repeated over the examples and positions; its gradient is the
// sum over them.
func ExampleAdd() {
	tape := autograd.NewTape(autograd.Eval, 0)
	x := tape.Input(tensor.New(2, 3, 4, 4))
	bias := tape.Watch(tensor.FromSlice([]float32{1, 2, 3}, 3, 1, 1))
	y := autograd.Add(x, bias)
	fmt.Println(y.Shape(), tape.Gradients(autograd.Sum(y)).Of(bias).Data())
	// Output: [2 3 4 4] [32 32 32]
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
