package optim

import (
	"cmp"
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// LARSOptions are the settings of [LARS].
type LARSOptions struct {
	LR          float64
	Momentum    float64 // 0 means 0.9
	WeightDecay float64
	Trust       float64 // length of a step at learning rate 1, as a share of the weight's norm; 0 means 0.001

	// All also scales and decays biases and normalisations, the parameters with fewer than
	// two axes. By default these take steps of SGD with momentum and without decay, as in
	// SimCLR and BYOL.
	All bool
}

// LARS is SGD with momentum for large batches: the step of each tensor is proportional to
// the tensor's norm (You, Gitman and Ginsburg, "Large batch training of convolutional
// networks", 2017). With d = g + WeightDecay·p for the gradient g of the parameter p, the
// velocity v becomes Momentum·v + r·d, where
//
//	r = Trust·|p| / (|g| + WeightDecay·|p|)
//
// or 1 if |p| or |g| is 0. LR·v is subtracted from p.
type LARS struct {
	base
	o        LARSOptions
	velocity []*tensor.Tensor
	scaled   []float32 // a gradient times r
}

// NewLARS returns an optimiser for params. It panics if one is nil or listed twice, or
// an option is out of range.
func NewLARS(params []*autograd.Param, o LARSOptions) *LARS {
	o.Momentum, o.Trust = cmp.Or(o.Momentum, 0.9), cmp.Or(o.Trust, 0.001)
	checkOption("optim.NewLARS", "Momentum", o.Momentum, 1)
	checkOption("optim.NewLARS", "WeightDecay", o.WeightDecay, math.Inf(1))
	checkOption("optim.NewLARS", "Trust", o.Trust, math.Inf(1))
	l := &LARS{base: newBase("optim.NewLARS", params, o.LR), o: o}
	l.velocity = l.moments()
	return l
}

// Step updates the parameters; see [Optimizer].
func (l *LARS) Step(g *autograd.Gradients) error {
	return l.each(g, func(i int, n int64, p, d []float32) {
		o := kernel.SGD{LR: l.lr, Momentum: l.o.Momentum}
		if l.o.All || len(l.params[i].Shape()) >= 2 {
			r := 1.0
			if pn, gn := kernel.Norm2(p), kernel.Norm2(d); pn > 0 && gn > 0 {
				r = l.o.Trust * pn / (gn + l.o.WeightDecay*pn)
			}
			o.WeightDecay = r * l.o.WeightDecay
			if len(l.scaled) < len(d) {
				l.scaled = make([]float32, len(d))
			}
			kernel.Scale(l.scaled[:len(d)], d, float32(r))
			d = l.scaled[:len(d)]
		}
		kernel.SGDStep(p, d, l.velocity[i].Data(), o)
	})
}

// Walk names the state: i.step and i.momentum_buffer for parameter i.
func (l *LARS) Walk(w *nn.Walker) {
	l.walkSteps(w)
	l.walk(w, "momentum_buffer", l.velocity)
}
