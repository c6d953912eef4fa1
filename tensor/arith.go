package tensor

import (
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
)

// maxAxes bounds the rank of what is broadcast or permuted, as the kernels do.
const maxAxes = 8

// broadcast applies op to t and u, or panics for name if the shapes do not fit.
func (t *Tensor) broadcast(name string, op kernel.BinaryOp, u *Tensor) *Tensor {
	a, b := t.shape, u.shape
	shape := make([]int, max(len(a), len(b)))
	if len(shape) > maxAxes {
		Panic(name, "more than 8 axes", a, b)
	}
	for i := range shape {
		x, y := 1, 1
		if k := i - len(shape) + len(a); k >= 0 {
			x = a[k]
		}
		if k := i - len(shape) + len(b); k >= 0 {
			y = b[k]
		}
		switch {
		case x == y, y == 1:
			shape[i] = x
		case x == 1:
			shape[i] = y
		default:
			Panic(name, "the shapes cannot be broadcast together", a, b)
		}
	}
	r := New(shape...)
	kernel.Broadcast(op, r.data, shape, t.data, a, u.data, b)
	return r
}

// Add returns t + u, element by element. The operands broadcast: their shapes are
// lined up at the last axes, and an operand repeats along an axis that it lacks or has
// with length 1. So [N, C, H, W] and [C, 1, 1] give [N, C, H, W]. Add panics if two
// axes differ and neither has length 1, or if the result has more than 8 axes.
func (t *Tensor) Add(u *Tensor) *Tensor { return t.broadcast("tensor.Add", kernel.OpAdd, u) }

// Sub returns t - u, element by element. It broadcasts and panics as [Tensor.Add]
// does.
func (t *Tensor) Sub(u *Tensor) *Tensor { return t.broadcast("tensor.Sub", kernel.OpSub, u) }

// Mul returns t · u, element by element. It broadcasts and panics as [Tensor.Add]
// does.
func (t *Tensor) Mul(u *Tensor) *Tensor { return t.broadcast("tensor.Mul", kernel.OpMul, u) }

// Div returns t / u, element by element: infinite or NaN where u is 0. It broadcasts
// and panics as [Tensor.Add] does.
func (t *Tensor) Div(u *Tensor) *Tensor { return t.broadcast("tensor.Div", kernel.OpDiv, u) }

// Maximum returns the larger of t and u, element by element, and NaN where either is
// NaN. It broadcasts and panics as [Tensor.Add] does.
func (t *Tensor) Maximum(u *Tensor) *Tensor {
	return t.broadcast("tensor.Maximum", kernel.OpMaximum, u)
}

// Minimum returns the smaller of t and u, element by element, and NaN where either is
// NaN. It broadcasts and panics as [Tensor.Add] does.
func (t *Tensor) Minimum(u *Tensor) *Tensor {
	return t.broadcast("tensor.Minimum", kernel.OpMinimum, u)
}

// each returns the result of a kernel on every element.
func (t *Tensor) each(f func(dst, a []float32)) *Tensor {
	r := New(t.shape...)
	f(r.data, t.data)
	return r
}

// AddScalar returns t + v, element by element.
func (t *Tensor) AddScalar(v float32) *Tensor {
	return t.each(func(dst, a []float32) { kernel.AddScalar(dst, a, v) })
}

// Scale returns v · t, element by element.
func (t *Tensor) Scale(v float32) *Tensor {
	return t.each(func(dst, a []float32) { kernel.Scale(dst, a, v) })
}

// Clamp returns t limited to [lo, hi], element by element; NaN stays NaN. It panics
// unless lo <= hi.
func (t *Tensor) Clamp(lo, hi float32) *Tensor {
	if !(lo <= hi) {
		Panic("tensor.Clamp", "the lower limit is above the upper one", t.shape)
	}
	return t.each(func(dst, a []float32) { kernel.Clamp(dst, a, lo, hi) })
}

// Neg returns -t, element by element.
func (t *Tensor) Neg() *Tensor { return t.each(kernel.Neg) }

// Abs returns |t|, element by element.
func (t *Tensor) Abs() *Tensor { return t.each(kernel.Abs) }

// Sign returns the sign of each element: 1, -1, or the element itself where it is 0,
// -0 or NaN.
func (t *Tensor) Sign() *Tensor { return t.each(kernel.Sign) }

// Exp returns e to the power t, element by element: infinite above 88.7.
func (t *Tensor) Exp() *Tensor { return t.each(kernel.Exp) }

// Log returns the natural logarithm of t, element by element: -Inf at 0 and NaN below.
func (t *Tensor) Log() *Tensor { return t.each(kernel.Log) }

// Sqrt returns the square root of t, element by element: NaN below 0.
func (t *Tensor) Sqrt() *Tensor { return t.each(kernel.Sqrt) }

// Square returns t², element by element.
func (t *Tensor) Square() *Tensor { return t.each(kernel.Square) }

// Tanh returns the hyperbolic tangent of t, element by element.
func (t *Tensor) Tanh() *Tensor { return t.each(kernel.Tanh) }

// Sigmoid returns 1/(1+exp(-t)), element by element. It does not overflow.
func (t *Tensor) Sigmoid() *Tensor { return t.each(kernel.Sigmoid) }

// Apply returns f of every element. It calls f in row-major order.
func (t *Tensor) Apply(f func(v float32) float32) *Tensor {
	return t.each(func(dst, a []float32) {
		for i, v := range a {
			dst[i] = f(v)
		}
	})
}

// Softmax returns exp(t)/sum(exp(t)) for each row of t [..., K], that is along the
// last axis. It does not overflow, and panics if t has rank 0.
func (t *Tensor) Softmax() *Tensor {
	n := t.shape[t.axis("tensor.Softmax", -1)]
	return t.each(func(dst, a []float32) {
		if len(a) > 0 {
			kernel.Softmax(dst, a, n)
		}
	})
}

// MatMul returns the product of the matrices t [M, K] and u [K, N], which is [M, N].
// For two batches, t [B, M, K] and u [B, K, N], it returns the product of each pair of
// items, [B, M, N]. The operands do not broadcast: MatMul panics if the shapes differ
// from these.
func (t *Tensor) MatMul(u *Tensor) *Tensor {
	a, b := t.shape, u.shape
	r := len(a)
	if r != len(b) || r != 2 && r != 3 || a[r-1] != b[r-2] || r == 3 && a[0] != b[0] {
		Panic("tensor.MatMul", "not the shapes of a matrix product", a, b)
	}
	m, k, n := a[r-2], a[r-1], b[r-1]
	if r == 2 {
		c := New(m, n)
		kernel.MatMul(c.data, n, t.data, k, false, u.data, n, false, m, n, k, kernel.Epilogue{})
		return c
	}
	c := New(a[0], m, n)
	kernel.MatMulBatch(a[0], c.data, n, m*n, t.data, k, m*k, false, u.data, n, k*n, false, m, n, k, kernel.Epilogue{})
	return c
}

// Permute returns a copy with the axes in another order: axis i of the result is axis
// perm[i] of t. It panics unless perm names every axis once, and if there are more
// than 8 axes.
func (t *Tensor) Permute(perm ...int) *Tensor {
	shape := make([]int, len(perm))
	seen := make([]bool, len(t.shape))
	ok := len(perm) == len(t.shape)
	for i, p := range perm {
		if ok = ok && p >= 0 && p < len(seen) && !seen[p]; !ok {
			break
		}
		seen[p] = true
		shape[i] = t.shape[p]
	}
	if !ok || len(perm) > maxAxes {
		Panic("tensor.Permute", "not a permutation of at most 8 axes", t.shape, perm)
	}
	r := New(shape...)
	if len(r.data) > 0 {
		kernel.Permute(r.data, t.data, t.shape, perm)
	}
	return r
}

// Concat returns the tensors of the list joined along their first axis. It panics if
// the list is empty, a tensor has rank 0, or the other dimensions differ.
func Concat(list ...*Tensor) *Tensor {
	if len(list) == 0 {
		Panic("tensor.Concat", "no tensors")
	}
	shape := slices.Clone(list[0].shape)
	for i, t := range list {
		if len(t.shape) == 0 || len(t.shape) != len(shape) || !slices.Equal(t.shape[1:], shape[1:]) {
			Panic("tensor.Concat", "the shapes cannot be joined", list[0].shape, t.shape)
		}
		if i > 0 {
			shape[0] += t.shape[0]
		}
	}
	r := New(shape...)
	at := 0
	for _, t := range list {
		at += copy(r.data[at:], t.data)
	}
	return r
}

// Stack returns the tensors of the list as the entries along a new first axis. It
// panics if the list is empty or the shapes differ.
func Stack(list ...*Tensor) *Tensor {
	if len(list) == 0 {
		Panic("tensor.Stack", "no tensors")
	}
	r := New(append([]int{len(list)}, list[0].shape...)...)
	for i, t := range list {
		if !slices.Equal(t.shape, list[0].shape) {
			Panic("tensor.Stack", "the shapes differ", list[0].shape, t.shape)
		}
		copy(r.data[i*len(t.data):], t.data)
	}
	return r
}
