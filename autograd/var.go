package autograd

import (
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// A Var is a value on a tape: an input, a parameter, or the result of an operation. It
// is a small handle, to be passed by value. It is valid until Reset of its tape, and
// any later use panics. The zero Var stands for an optional operand that is absent,
// such as the bias of a convolution; elsewhere it panics.
type Var struct {
	tape *Tape
	id   int
	gen  uint32
}

// IsZero reports whether v is the zero Var, an absent operand.
func (v Var) IsZero() bool { return v.tape == nil }

// node returns the node of v, or panics for op if v is not valid.
func (v Var) node(op string) *node {
	if v.tape == nil {
		tensor.Panic(op, "the zero Var is not a value")
	}
	if v.gen != v.tape.gen {
		tensor.Panic(op, "the Var is used after Reset of its tape")
	}
	n := v.tape.nodes[v.id]
	if n.freed {
		tensor.Panic(op, "the Var is used after Free", n.shape())
	}
	return n
}

// optional returns the node of v on tape t, or nil for the zero Var.
func (v Var) optional(op string, t *Tape) *node {
	if v.tape == nil {
		return nil
	}
	if v.tape != t {
		tensor.Panic(op, "the operands are on different tapes")
	}
	return v.node(op)
}

// on returns the node of v, which must be on tape t.
func (v Var) on(op string, t *Tape) *node {
	n := v.node(op)
	if v.tape != t {
		tensor.Panic(op, "the operands are on different tapes", n.shape())
	}
	return n
}

// Tape returns the tape that v is on.
func (v Var) Tape() *Tape {
	v.node("autograd.Var.Tape")
	return v.tape
}

// Shape returns the dimensions. The slice must not be modified, and is valid until
// Reset.
func (v Var) Shape() []int { return v.node("autograd.Var.Shape").shape() }

// Rank returns the number of axes: 0 for a scalar.
func (v Var) Rank() int { return v.node("autograd.Var.Rank").rank }

// Dim returns the length of an axis; a negative axis counts from the end. It panics if
// v has no such axis.
func (v Var) Dim(axis int) int {
	n := v.node("autograd.Var.Dim")
	return n.dims[n.axis("autograd.Var.Dim", axis)]
}

// Len returns the number of elements.
func (v Var) Len() int { return len(v.node("autograd.Var.Len").data) }

// Data returns the elements in row-major order. The slice is the tape's own memory: it
// is for reading only, and valid until Reset.
func (v Var) Data() []float32 { return v.node("autograd.Var.Data").data }

// Value returns v as a tensor on the tape's own memory: it is for reading only, and
// valid until Reset. [tensor.Tensor.Clone] keeps it.
func (v Var) Value() *tensor.Tensor {
	n := v.node("autograd.Var.Value")
	return tensor.FromSlice(n.data, n.shape()...)
}

// Scalar returns the number that v holds. Losses and full reductions are accumulated
// in float64, and Scalar returns them before they are rounded. It panics unless v
// holds exactly one element.
func (v Var) Scalar() float64 {
	n := v.node("autograd.Var.Scalar")
	if len(n.data) != 1 {
		tensor.Panic("autograd.Var.Scalar", "not exactly one element", n.shape())
	}
	if n.isExact {
		return n.exact
	}
	return float64(n.data[0])
}

// Free gives the memory of v back before Reset, on an Inference tape, where no later
// operation needs it. Any use of v after it panics. On a tape that records, Free does
// nothing.
func (v Var) Free() {
	n := v.node("autograd.Var.Free")
	t := v.tape
	if t.mode != Inference {
		return
	}
	n.freed = true
	if n.mem != nil {
		t.mem.put(n.mem)
		n.mem, n.data = nil, nil
	}
}

// axis resolves an axis that may count from the end, or panics for op.
func (n *node) axis(op string, axis int) int {
	a := axis
	if a < 0 {
		a += n.rank
	}
	if a < 0 || a >= n.rank {
		tensor.Panic(op, "no such axis", n.shape())
	}
	return a
}

// setExact stores a scalar result with the precision it was computed in.
func (n *node) setExact(x float64) {
	n.data[0] = float32(x)
	n.exact, n.isExact = x, true
}

// sameShape panics for op unless a and b have the same shape.
func sameShape(op string, a, b *node) {
	if !slices.Equal(a.shape(), b.shape()) {
		tensor.Panic(op, "the shapes differ", a.shape(), b.shape())
	}
}
