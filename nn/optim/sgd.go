package optim

import (
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// SGDOptions are the settings of [SGD].
type SGDOptions struct {
	LR          float64
	Momentum    float64
	Dampening   float64
	WeightDecay float64 // this times the parameter is added to the gradient
	Nesterov    bool
}

// SGD is stochastic gradient descent with momentum, as PyTorch defines it: the velocity v
// is g in the first step and then becomes Momentum·v + (1-Dampening)·g. LR·v is subtracted
// from the parameter, or with Nesterov LR·(g + Momentum·v).
type SGD struct {
	base
	o        SGDOptions
	velocity []*tensor.Tensor
}

// NewSGD returns an optimiser for params. It panics if one is nil or listed twice, an
// option is negative or not finite, Momentum is not below 1, or Nesterov is set without
// momentum or with dampening.
func NewSGD(params []*autograd.Param, o SGDOptions) *SGD {
	checkOption("optim.NewSGD", "Momentum", o.Momentum, 1)
	checkOption("optim.NewSGD", "WeightDecay", o.WeightDecay, math.Inf(1))
	if o.Nesterov && (o.Momentum <= 0 || o.Dampening != 0) {
		tensor.Panic("optim.NewSGD", "Nesterov needs momentum and no dampening")
	}
	s := &SGD{base: newBase("optim.NewSGD", params, o.LR), o: o}
	if o.Momentum != 0 {
		s.velocity = s.moments()
	}
	return s
}

// Step updates the parameters; see [Optimizer].
func (s *SGD) Step(g *autograd.Gradients) error {
	return s.each(g, func(i int, n int64, p, d []float32) {
		var v []float32
		if s.velocity != nil {
			v = s.velocity[i].Data()
		}
		kernel.SGDStep(p, d, v, kernel.SGD{LR: s.lr, Momentum: s.o.Momentum, Dampening: s.o.Dampening,
			WeightDecay: s.o.WeightDecay, Nesterov: s.o.Nesterov, First: n == 1})
	})
}

// Walk names the state: i.step and i.momentum_buffer for parameter i.
func (s *SGD) Walk(w *nn.Walker) {
	s.walkSteps(w)
	s.walk(w, "momentum_buffer", s.velocity)
}
