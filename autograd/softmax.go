package autograd

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Softmax returns exp(x)/sum(exp(x)) for each row of x [..., K], in the shape of x. It
// does not overflow, and takes exponentials and their sum in float64. It panics if x
// is a scalar.
func Softmax(x Var) Var {
	return rowwise("autograd.Softmax", x, kernel.Softmax, kernel.SoftmaxGrad)
}

// LogSoftmax returns x - log(sum(exp(x))) for each row of x [..., K], in the shape of
// x: the logarithm of [Softmax], exact where that underflows. It panics if x is a
// scalar.
func LogSoftmax(x Var) Var {
	return rowwise("autograd.LogSoftmax", x, kernel.LogSoftmax, kernel.LogSoftmaxGrad)
}

func rowwise(op string, x Var, f func(y, x []float32, n int), derivative func(dx, dy, y []float32, n int)) Var {
	n := x.node(op)
	t := x.tape
	_, k := n.rows(op)
	y := t.like(n)
	if len(n.data) > 0 {
		f(y.data, n.data, k)
	}
	if t.records(n) {
		*record[rowwiseOp](t, y, n) = rowwiseOp{k, derivative}
	}
	return y.v(t)
}

type rowwiseOp struct {
	k          int
	derivative func(dx, dy, y []float32, n int)
}

func (o *rowwiseOp) backward(t *Tape, y *node) {
	if len(y.data) > 0 {
		t.give(y.in[0], func(dx []float32) { o.derivative(dx, y.gradient(), y.data, o.k) })
	}
}

// A Reduction says how the losses of the rows of a batch become one result. The zero
// value takes their mean.
type Reduction uint8

const (
	ReduceMean Reduction = iota // the mean, weighted if there are class weights: a scalar
	ReduceSum                   // the sum: a scalar
	ReduceNone                  // one loss per row: [N]
)

// CrossEntropyOptions are the settings of [CrossEntropy]. The zero value is the plain
// mean over the batch.
type CrossEntropyOptions struct {
	// Weights [K] multiply the loss of each class; nil means 1. A mean divides by the
	// sum of the weights of the labels, as PyTorch does.
	Weights []float32

	// Smoothing e in [0, 1] replaces a label by 1-e on its class plus e/K on every
	// class (Szegedy et al., 2016); 0 means the plain label.
	Smoothing float64

	Reduction Reduction // 0 means ReduceMean
}

// CrossEntropy returns the negative log-likelihood of the labels under the softmax of
// logits [N, K], computed in float64: a scalar, or [N] with [ReduceNone]. There is one
// label in [0, K) per row. The tape keeps the slices labels and o.Weights, which must
// not change before Reset. CrossEntropy panics if N is 0, the number of labels is not
// N, a label is out of range, the smoothing is outside [0, 1], or the number of
// weights is not K.
func CrossEntropy(logits Var, labels []int, o CrossEntropyOptions) Var {
	const op = "autograd.CrossEntropy"
	n := logits.node(op)
	if n.rank != 2 || n.dims[0] != len(labels) || len(labels) == 0 {
		tensor.Panic(op, fmt.Sprintf("want logits [N, K] for %d labels, at least one", len(labels)), n.shape())
	}
	k := n.dims[1]
	for i, y := range labels {
		if uint(y) >= uint(k) {
			tensor.Panic(op, fmt.Sprintf("label %d of row %d is not one of %d classes", y, i, k), n.shape())
		}
	}
	if !(o.Smoothing >= 0 && o.Smoothing <= 1) {
		tensor.Panic(op, fmt.Sprintf("smoothing %g is not in [0, 1]", o.Smoothing))
	}
	if o.Weights != nil && len(o.Weights) != k {
		tensor.Panic(op, fmt.Sprintf("%d weights for %d classes", len(o.Weights), k), n.shape())
	}
	ce := kernel.CrossEntropy{Classes: k, Labels: labels, Weights: o.Weights, Smoothing: o.Smoothing}
	return crossEntropy(logits.tape, n, ce, o.Reduction)
}

// SoftCrossEntropy returns -sum(target · log softmax(logits)) over each row, computed
// in float64, for logits [N, K] and target distributions [N, K]: a scalar, or [N] with
// [ReduceNone]. No gradient flows to the target. SoftCrossEntropy panics if the shapes
// differ, are no matrices, or have no rows.
func SoftCrossEntropy(logits Var, target Var, reduction Reduction) Var {
	const op = "autograd.SoftCrossEntropy"
	n := logits.node(op)
	tn := target.on(op, logits.tape)
	sameShape(op, n, tn)
	if n.rank != 2 || n.dims[0] == 0 {
		tensor.Panic(op, "want logits [N, K], at least one row", n.shape())
	}
	ce := kernel.CrossEntropy{Classes: n.dims[1], Soft: tn.data}
	return crossEntropy(logits.tape, n, ce, reduction)
}

func crossEntropy(t *Tape, n *node, ce kernel.CrossEntropy, reduction Reduction) Var {
	rows := n.dims[0]
	losses := t.mem.get(2 * rows)
	each := losses.floats64(rows)
	var prob []float32
	recording := t.records(n)
	if recording {
		prob = t.mem.get(len(n.data)).buf[:len(n.data)]
	}
	ce.Forward(each, prob, n.data)
	var y *node
	scale := 1.0
	if reduction == ReduceNone {
		y = t.newNode(rows)
		for i, v := range each {
			y.data[i] = float32(v)
		}
	} else {
		y = t.newNode()
		if reduction == ReduceMean {
			scale = 1 / ce.Weight(rows)
		}
		sum := 0.0
		for _, v := range each {
			sum += v
		}
		y.setExact(sum * scale)
	}
	t.mem.put(losses)
	if recording {
		*record[crossEntropyOp](t, y, n) = crossEntropyOp{ce, prob, scale}
	}
	return y.v(t)
}

type crossEntropyOp struct {
	ce    kernel.CrossEntropy
	prob  []float32
	scale float64
}

func (o *crossEntropyOp) backward(t *Tape, y *node) {
	dy := y.gradient()
	mem := t.mem.get(2 * len(dy))
	cot := mem.floats64(len(dy))
	for i, g := range dy {
		cot[i] = float64(g) * o.scale
	}
	t.give(y.in[0], func(dx []float32) { o.ce.Grad(dx, o.prob, cot) })
	t.mem.put(mem)
}
