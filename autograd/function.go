package autograd

import (
	"github.com/mettleml/mettle/tensor"
)

// A Function is an operation that a user defines. One value serves one application:
// Forward may leave in it what Backward needs. The tensors that a method receives are
// the tape's own memory: a method may write only what its comment names, and keeps
// none of them after Reset.
type Function interface {
	// Shape returns the shape of the result for operands of the given shapes. It
	// panics if they do not fit (tensor.Panic).
	Shape(x [][]int) []int

	// Forward writes every element of y.
	Forward(y *tensor.Tensor, x []*tensor.Tensor)

	// Backward writes every element of each dx that is not nil: the derivative,
	// with respect to that operand, of the sum of y weighted by dy.
	Backward(dx []*tensor.Tensor, dy, y *tensor.Tensor, x []*tensor.Tensor)
}

// Apply applies f to the operands x and returns the result, in the shape that f.Shape
// gives. [GradCheck] tests the Backward method of a Function. Apply panics without
// operands, and wherever the methods of f panic.
func Apply(f Function, x ...Var) Var {
	const op = "autograd.Apply"
	if len(x) == 0 {
		tensor.Panic(op, "no operands")
	}
	t := x[0].Tape()
	in := make([]*node, len(x))
	shapes := make([][]int, len(x))
	values := make([]*tensor.Tensor, len(x))
	for i, v := range x {
		in[i] = v.on(op, t)
		shapes[i] = in[i].shape()
		values[i] = v.Value()
	}
	y := t.newNode(f.Shape(shapes)...)
	out := tensor.FromSlice(y.data, y.shape()...)
	f.Forward(out, values)
	if t.records(in...) {
		*record[functionOp](t, y, in...) = functionOp{f, out, values}
	}
	return y.v(t)
}

type functionOp struct {
	f Function
	y *tensor.Tensor
	x []*tensor.Tensor
}

func (o *functionOp) backward(t *Tape, y *node) {
	dx := make([]*tensor.Tensor, len(y.in))
	mem := make([]*block, len(y.in))
	for i, x := range y.in {
		if t.wants(x) {
			mem[i] = t.mem.get(len(x.data))
			dx[i] = tensor.FromSlice(mem[i].buf[:len(x.data)], x.shape()...)
		}
	}
	o.f.Backward(dx, tensor.FromSlice(y.gradient(), y.shape()...), o.y, o.x)
	for i, x := range y.in {
		t.adopt(x, mem[i])
	}
}
