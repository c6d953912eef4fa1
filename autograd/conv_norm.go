package autograd

import (
	"math"

	"github.com/mettleml/mettle/internal/kernel"
)

// ConvBatchNorm returns BatchNorm(Conv(x, w, b, co), gamma, beta, no). On a tape in Inference
// mode a normalisation by running estimates costs no pass over the result: the weights are
// scaled instead, where an example has at least as many results in a channel as the channel
// has weights. Then the result differs from BatchNorm's by rounding.
func ConvBatchNorm(x, w, b Var, co ConvOptions, gamma, beta Var, no BatchNormOptions) Var {
	const op = "autograd.ConvBatchNorm"
	xn := x.node(op)
	t := x.tape
	wn, bn := w.on(op, t), b.optional(op, t)
	s := convShape(op, xn.shape(), wn.shape(), &co, false)
	per := max(len(wn.data)/max(s.O, 1), 1)
	if t.mode != Inference || !no.UseRunning || no.PreReLU || no.Residual != (Var{}) || co.ReLU || s.Out[0]*s.Out[1]*s.Out[2] < per {
		h := Conv(x, w, b, co)
		y := BatchNorm(h, gamma, beta, no)
		h.Free()
		return y
	}
	gn, an := gamma.optional(op, t), beta.optional(op, t)
	scale, shift := checkBias(op, gn, s.O), checkBias(op, an, s.O)
	bias := checkBias(op, bn, s.O)
	dims := outShape(s.N, s.O, wn.rank-2, s.Out)
	mean, variance := no.estimates(op, dims[:wn.rank])
	scaled, shifted := t.mem.get(s.O*per), t.mem.get(s.O)
	for o := range s.O {
		f, add := float32(1/math.Sqrt(float64(variance[o])+no.Eps)), -mean[o]
		if scale != nil {
			f *= scale[o]
		}
		if bias != nil {
			add += bias[o]
		}
		add *= f
		if shift != nil {
			add += shift[o]
		}
		shifted.buf[o] = add
		kernel.Scale(scaled.buf[o*per:][:per], wn.data[o*per:][:per], f)
	}
	y := t.newNode(dims[:wn.rank]...)
	kernel.ConvForward(&s, y.data, xn.data, scaled.buf[:s.O*per], shifted.buf[:s.O], activation(no.PostReLU))
	t.mem.put(scaled)
	t.mem.put(shifted)
	return y.v(t)
}
