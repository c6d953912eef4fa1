package autograd

import (
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
	if t.mode == Inference && no.UseRunning && !no.PreReLU && no.Residual == (Var{}) && !co.ReLU {
		wn, bn, g, a := w.on(op, t), b.optional(op, t), gamma.optional(op, t), beta.optional(op, t)
		s := convShape(op, xn.shape(), wn.shape(), &co, false)
		if s.O > 0 && s.Out[0]*s.Out[1]*s.Out[2] >= len(wn.data)/s.O {
			dims := outShape(s.N, s.O, wn.rank-2, s.Out)
			n := kernel.BatchNorm{C: s.O, Eps: no.Eps, Gamma: checkBias(op, g, s.O), Beta: checkBias(op, a, s.O)}
			n.RunningMean, n.RunningVar = no.estimates(op, dims[:wn.rank])
			scaled, bias := t.mem.get(len(wn.data)), t.mem.get(s.O)
			n.Fold(scaled.buf[:len(wn.data)], bias.buf[:s.O], wn.data, checkBias(op, bn, s.O))
			y := t.newNode(dims[:wn.rank]...)
			kernel.ConvForward(&s, y.data, xn.data, scaled.buf[:len(wn.data)], bias.buf[:s.O], activation(no.PostReLU))
			t.mem.put(scaled)
			t.mem.put(bias)
			return y.v(t)
		}
	}
	h := Conv(x, w, b, co)
	y := BatchNorm(h, gamma, beta, no)
	h.Free()
	return y
}
