package main

import (
	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// pgd makes bad images of good ones, a batch at a time, as the training of Madry et al.
// (2018) does.
type pgd struct {
	attack.Perturber
	warm int // training steps in which the radius grows to Eps
}

func newPGD(eps float64, seed uint64, warm int) *pgd {
	return &pgd{attack.Perturber{Norm: attack.Linf, Eps: eps, Steps: 7, Seed: seed}, warm}
}

// radius is that of a training step. A network that meets the whole ball before it
// can tell classes apart learns to answer the same always.
func (p *pgd) radius(step int) float64 {
	return p.Eps * min(1, float64(step+1)/float64(p.warm))
}

// perturb moves the images x of a training step, in [0,1].
func (p *pgd) perturb(net nn.Module, x *tensor.Tensor, labels []int, step int) {
	p.Perturb(net, x, labels, p.radius(step), uint64(step))
}
