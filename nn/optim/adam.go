package optim

import (
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// AdamOptions are the settings of [Adam].
type AdamOptions struct {
	LR           float64
	Beta1, Beta2 float64 // 0 means 0.9 and 0.999
	Eps          float64 // 0 means 1e-8
	WeightDecay  float64

	// Decoupled shrinks the parameter by LR·WeightDecay (AdamW; Loshchilov and
	// Hutter, 2019) instead of adding WeightDecay times the parameter to the
	// gradient.
	Decoupled bool
}

// Adam is the optimiser of Kingma and Ba (2015), as PyTorch defines it.
type Adam struct {
	base
	o          AdamOptions
	mean, sqrs []*tensor.Tensor
}

// NewAdam returns an optimiser for params. It panics if one is nil or listed twice, an
// option is negative or not finite, or a beta is not below 1.
func NewAdam(params []*autograd.Param, o AdamOptions) *Adam {
	if o.Beta1 == 0 {
		o.Beta1 = 0.9
	}
	if o.Beta2 == 0 {
		o.Beta2 = 0.999
	}
	if o.Eps == 0 {
		o.Eps = 1e-8
	}
	checkOption("optim.NewAdam", "Beta1", o.Beta1, 1)
	checkOption("optim.NewAdam", "Beta2", o.Beta2, 1)
	checkOption("optim.NewAdam", "Eps", o.Eps, math.Inf(1))
	checkOption("optim.NewAdam", "WeightDecay", o.WeightDecay, math.Inf(1))
	a := &Adam{base: newBase("optim.NewAdam", params, o.LR), o: o}
	a.mean, a.sqrs = a.moments(), a.moments()
	return a
}

// NewAdamW returns [NewAdam] with decoupled weight decay.
func NewAdamW(params []*autograd.Param, o AdamOptions) *Adam {
	o.Decoupled = true
	return NewAdam(params, o)
}

// Step updates the parameters; see [Optimizer].
func (a *Adam) Step(g *autograd.Gradients) error {
	return a.each(g, func(i int, n int64, p, d []float32) {
		kernel.AdamStep(p, d, a.mean[i].Data(), a.sqrs[i].Data(), kernel.Adam{
			LR: a.lr, Beta1: a.o.Beta1, Beta2: a.o.Beta2, Eps: a.o.Eps,
			WeightDecay: a.o.WeightDecay, Decoupled: a.o.Decoupled,
			Bias1: 1 - math.Pow(a.o.Beta1, float64(n)), Bias2: 1 - math.Pow(a.o.Beta2, float64(n)),
		})
	})
}

// Walk names the state: i.step, i.exp_avg and i.exp_avg_sq for parameter i.
func (a *Adam) Walk(w *nn.Walker) {
	a.walkSteps(w)
	a.walk(w, "exp_avg", a.mean)
	a.walk(w, "exp_avg_sq", a.sqrs)
}
