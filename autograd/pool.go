package autograd

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// PoolOptions are the settings of pooling. The lists hold one number per spatial
// dimension in the order of the shape (depth, height, width), or a single number for
// all of them.
type PoolOptions struct {
	Kernel  []int // the size of a window, at least 1; it has no default
	Stride  []int // the distance of windows, at least 1; nil means Kernel
	Padding []int // on either side, at most half of Kernel; nil means 0

	// Ceil rounds the size of the result up: the last window may end outside the
	// padded input, provided that it begins inside the input or the padding before it.
	Ceil bool

	// ExcludePadding leaves the zeros of the padding out of averages.
	ExcludePadding bool
}

// pool describes to the kernels windows over x [N, C, ...] and returns the shape of
// the result.
func pool(op string, x *node, o *PoolOptions) (p kernel.Pool, dims [MaxRank]int) {
	spatial := x.rank - 2
	if spatial < 1 || spatial > 3 || len(o.Kernel) == 0 {
		tensor.Panic(op, "want [N, C, ...] with one to three spatial dimensions, and a kernel size", x.shape())
	}
	p.Planes = x.dims[0] * x.dims[1]
	p.In = sizes(op, "input size", x.dims[2:x.rank], spatial, 1, 1, 0)
	p.Kernel = sizes(op, "Kernel", o.Kernel, spatial, 1, 1, 1)
	p.Stride = p.Kernel
	if len(o.Stride) > 0 {
		p.Stride = sizes(op, "Stride", o.Stride, spatial, 1, 1, 1)
	}
	p.Padding = sizes(op, "Padding", o.Padding, spatial, 0, 0, 0)
	p.CountPad, p.Ceil = !o.ExcludePadding, o.Ceil
	for d := range 3 {
		if p.In[d] == 0 || 2*p.Padding[d] > p.Kernel[d] || p.In[d]+2*p.Padding[d] < p.Kernel[d] {
			tensor.Panic(op, fmt.Sprintf("the kernel %v with padding %v does not fit", p.Kernel, p.Padding), x.shape())
		}
	}
	out := p.Out()
	dims[0], dims[1] = x.dims[0], x.dims[1]
	copy(dims[2:], out[3-spatial:])
	return p, dims
}

// MaxPool returns the largest element of each window of x [N, C, ...] with one to
// three spatial dimensions. A result has floor((size + 2·Padding - Kernel)/Stride) + 1
// windows along each dimension. Padding never wins, and NaN always does. The
// derivative goes to the first of equal elements. MaxPool panics if the options do not
// fit the shape.
func MaxPool(x Var, o PoolOptions) Var {
	n := x.node("autograd.MaxPool")
	t := x.tape
	p, dims := pool("autograd.MaxPool", n, &o)
	y := t.newNode(dims[:n.rank]...)
	recording := t.records(n)
	var codes []uint8
	if recording {
		size := p.CodeLen()
		codes = t.mem.get((size + 3) / 4).bytes(size)
	}
	kernel.MaxPool(y.data, codes, n.data, &p)
	if recording {
		*record[maxPoolOp](t, y, n) = maxPoolOp{p, codes}
	}
	return y.v(t)
}

type maxPoolOp struct {
	p     kernel.Pool
	codes []uint8
}

func (o *maxPoolOp) backward(t *Tape, y *node) {
	t.give(y.in[0], func(dx []float32) { kernel.MaxPoolGrad(dx, y.gradient(), o.codes, &o.p) })
}

// AvgPool returns the mean of each window of x [N, C, ...], in the shape that
// [MaxPool] gives. It panics as MaxPool does.
func AvgPool(x Var, o PoolOptions) Var {
	n := x.node("autograd.AvgPool")
	t := x.tape
	p, dims := pool("autograd.AvgPool", n, &o)
	y := t.newNode(dims[:n.rank]...)
	kernel.AvgPool(y.data, n.data, &p)
	if t.records(n) {
		record[avgPoolOp](t, y, n).p = p
	}
	return y.v(t)
}

type avgPoolOp struct{ p kernel.Pool }

func (o *avgPoolOp) backward(t *Tape, y *node) {
	t.give(y.in[0], func(dx []float32) { kernel.AvgPoolGrad(dx, y.gradient(), &o.p) })
}

// GlobalAvgPool returns the mean over all positions of each channel of x [N, C, ...],
// as [N, C]. It panics if x has no spatial dimension or no positions.
func GlobalAvgPool(x Var) Var {
	const op = "autograd.GlobalAvgPool"
	n := x.node(op)
	t := x.tape
	if n.rank < 3 {
		tensor.Panic(op, "want [N, C, ...]", n.shape())
	}
	size := 1
	for _, d := range n.dims[2:n.rank] {
		size *= d
	}
	if size == 0 {
		tensor.Panic(op, "means of no elements", n.shape())
	}
	y := t.newNode(n.dims[0], n.dims[1])
	kernel.GlobalAvgPool(y.data, n.data, size)
	if t.records(n) {
		record[globalAvgPoolOp](t, y, n).size = size
	}
	return y.v(t)
}

type globalAvgPoolOp struct{ size int }

func (o *globalAvgPoolOp) backward(t *Tape, y *node) {
	t.give(y.in[0], func(dx []float32) { kernel.GlobalAvgPoolGrad(dx, y.gradient(), o.size) })
}
