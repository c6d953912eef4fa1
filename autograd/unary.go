package autograd

import (
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// unary computes y = f(x) elementwise. The derivative takes the gradient of y and
// either x or, if fromY, y.
func unary(op string, x Var, f func(dst, a []float32), derivative func(dx, dy, v []float32, accumulate bool), fromY bool) Var {
	n := x.node(op)
	t := x.tape
	y := t.like(n)
	f(y.data, n.data)
	if t.records(n) {
		*record[unaryOp](t, y, n) = unaryOp{derivative, fromY}
	}
	return y.v(t)
}

type unaryOp struct {
	derivative func(dx, dy, v []float32, accumulate bool)
	fromY      bool
}

func (o *unaryOp) backward(t *Tape, y *node) {
	x := y.in[0]
	v := x.data
	if o.fromY {
		v = y.data
	}
	if x.grad == nil && y.grad.refs == 1 { // in place: nobody else reads dy
		o.derivative(y.gradient(), y.gradient(), v, false)
		t.pass(x, y)
		return
	}
	dx, add := t.gradInto(x)
	o.derivative(dx, y.gradient(), v, add)
}

// ReLU returns max(x, 0), element by element, in the shape of x. NaN stays NaN. Its
// derivative at 0 is taken to be 0 (Nair and Hinton, 2010).
func ReLU(x Var) Var { return unary("autograd.ReLU", x, kernel.ReLU, kernel.ReLUGrad, true) }

// Tanh returns the hyperbolic tangent of x, element by element, in the shape of x.
func Tanh(x Var) Var { return unary("autograd.Tanh", x, kernel.Tanh, kernel.TanhGrad, true) }

// Sigmoid returns 1/(1+exp(-x)), element by element, in the shape of x. It does not
// overflow.
func Sigmoid(x Var) Var {
	return unary("autograd.Sigmoid", x, kernel.Sigmoid, kernel.SigmoidGrad, true)
}

// Exp returns e to the power x, element by element, in the shape of x. It is infinite
// above 88.7.
func Exp(x Var) Var { return unary("autograd.Exp", x, kernel.Exp, kernel.ExpGrad, true) }

// Log returns the natural logarithm of x, element by element, in the shape of x: -Inf
// at 0 and NaN below.
func Log(x Var) Var { return unary("autograd.Log", x, kernel.Log, kernel.LogGrad, false) }

// Sqrt returns the square root of x, element by element, in the shape of x: NaN below
// 0. Its derivative at 0 is infinite.
func Sqrt(x Var) Var { return unary("autograd.Sqrt", x, kernel.Sqrt, kernel.SqrtGrad, true) }

// Softplus returns log(1+exp(x)), element by element, in the shape of x. It does not
// overflow (Dugas et al., 2001).
func Softplus(x Var) Var {
	return unary("autograd.Softplus", x, kernel.Softplus, kernel.SoftplusGrad, false)
}

// GELU returns x·Φ(x), element by element, in the shape of x. Φ is the distribution
// function of the standard normal distribution, computed exactly and not by the tanh
// formula (Hendrycks and Gimpel, 2016).
func GELU(x Var) Var { return unary("autograd.GELU", x, kernel.GELU, kernel.GELUGrad, false) }

// Abs returns |x|, element by element, in the shape of x. Its derivative at 0 is taken
// to be 0.
func Abs(x Var) Var { return unary("autograd.Abs", x, kernel.Abs, kernel.AbsGrad, false) }

// Square returns x·x, element by element, in the shape of x.
func Square(x Var) Var { return unary("autograd.Square", x, kernel.Square, kernel.SquareGrad, false) }

// Reciprocal returns 1/x, element by element, in the shape of x: infinite at 0.
func Reciprocal(x Var) Var {
	return unary("autograd.Reciprocal", x, kernel.Reciprocal, kernel.ReciprocalGrad, true)
}

// Neg returns -x, element by element, in the shape of x.
func Neg(x Var) Var { return Affine(x, -1, 0) }

// Scale returns s·x, element by element, in the shape of x. No gradient flows to s;
// [Mul] scales by a Var.
func Scale(x Var, s float32) Var { return Affine(x, s, 0) }

// AddScalar returns x + s, element by element, in the shape of x. No gradient flows to
// s.
func AddScalar(x Var, s float32) Var { return Affine(x, 1, s) }

// Affine returns a·x + b, element by element, in the shape of x. No gradient flows to
// a and b.
func Affine(x Var, a, b float32) Var {
	n := x.node("autograd.Affine")
	t := x.tape
	y := t.like(n)
	kernel.Affine(y.data, a, n.data, b)
	if t.records(n) {
		record[affineOp](t, y, n).a = a
	}
	if n.isExact {
		y.setExact(float64(a)*n.exact + float64(b))
	}
	return y.v(t)
}

type affineOp struct{ a float32 }

func (o *affineOp) backward(t *Tape, y *node) {
	x := y.in[0]
	if x.grad != nil {
		kernel.Axpy(t.own(x), o.a, y.gradient())
		return
	}
	if o.a != 1 {
		dy := t.own(y)
		kernel.Scale(dy, dy, o.a)
	}
	t.pass(x, y)
}

// LeakyReLU returns x where x > 0 and slope·x elsewhere, element by element, in the
// shape of x. Its derivative at 0 is taken to be the slope (Maas, Hannun and Ng,
// 2013).
func LeakyReLU(x Var, slope float32) Var {
	n := x.node("autograd.LeakyReLU")
	t := x.tape
	y := t.like(n)
	kernel.LeakyReLU(y.data, n.data, slope)
	if t.records(n) {
		record[leakyReLUOp](t, y, n).slope = slope
	}
	return y.v(t)
}

type leakyReLUOp struct{ slope float32 }

func (o *leakyReLUOp) backward(t *Tape, y *node) {
	x := y.in[0]
	dx, add := t.gradInto(x)
	kernel.LeakyReLUGrad(dx, y.gradient(), x.data, o.slope, add)
}

// Clamp returns x limited to [lo, hi], element by element, in the shape of x. NaN
// stays NaN. The derivative is 1 inside and at both ends, and 0 outside. Clamp panics
// unless lo <= hi.
func Clamp(x Var, lo, hi float32) Var {
	n := x.node("autograd.Clamp")
	if !(lo <= hi) {
		tensor.Panic("autograd.Clamp", "the lower limit is above the upper one", n.shape())
	}
	t := x.tape
	y := t.like(n)
	kernel.Clamp(y.data, n.data, lo, hi)
	if t.records(n) {
		*record[clampOp](t, y, n) = clampOp{lo, hi}
	}
	return y.v(t)
}

type clampOp struct{ lo, hi float32 }

func (o *clampOp) backward(t *Tape, y *node) {
	x := y.in[0]
	dx, add := t.gradInto(x)
	kernel.ClampGrad(dx, y.gradient(), x.data, o.lo, o.hi, add)
}

// Detach returns x without its history: no gradient flows through the result to x or
// to what x was computed from. The result has the shape of x and shares its memory.
func Detach(x Var) Var {
	n := x.node("autograd.Detach")
	y := x.tape.view(n, n.shape())
	y.exact, y.isExact = n.exact, n.isExact
	return y.v(x.tape)
}
