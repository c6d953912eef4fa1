package autograd

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Dropout sets each element of x to 0 with probability p and multiplies the others by
// 1/(1-p), in the shape of x (Srivastava et al., 2014). The draws follow from the
// tape's seed and step. On a tape that is not in Training mode Dropout returns x
// itself. It panics unless 0 <= p < 1.
func Dropout(x Var, p float64) Var {
	const op = "autograd.Dropout"
	n := x.node(op)
	t := x.tape
	if !(p >= 0 && p < 1) {
		tensor.Panic(op, fmt.Sprintf("probability %g is not in [0, 1)", p))
	}
	if t.mode != Training || p == 0 {
		return x
	}
	mask := t.mem.get(len(n.data)).buf[:len(n.data)]
	kernel.Bernoulli(mask, 1-p, float32(1/(1-p)), t.key(), 0)
	y := t.like(n)
	kernel.Mul(y.data, n.data, mask)
	if t.records(n) {
		record[maskOp](t, y, n).mask = mask
	}
	return y.v(t)
}

// maskOp multiplies the gradient by a constant mask.
type maskOp struct{ mask []float32 }

func (o *maskOp) backward(t *Tape, y *node) {
	dx, add := t.gradInto(y.in[0])
	if add {
		kernel.AddMul(dx, y.gradient(), o.mask)
	} else {
		kernel.Mul(dx, y.gradient(), o.mask)
	}
}
