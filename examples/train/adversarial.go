package main

import (
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// pgd finds bad images in a ball round good ones, a batch at a time, as the
// training of Madry et al. (2018) does.
type pgd struct {
	eps, size float32 // radius of the ball and length of a step, Linf
	steps     int
	seed      uint64
	tape      *autograd.Tape
}

func newPGD(eps float64, seed uint64) *pgd {
	const steps = 7
	return &pgd{float32(eps), float32(2.5 * eps / steps), steps, seed, autograd.NewTape(autograd.Eval, seed)}
}

// perturb moves the images x, in [0,1], uphill in the loss. Draws follow from the
// seed and the given step.
func (p *pgd) perturb(net nn.Module, x *tensor.Tensor, labels []int, step uint64) {
	clean := x.Clone()
	r := rand.New(rand.NewPCG(p.seed, step))
	for i := range x.Data() {
		x.Data()[i] += p.eps * (2*r.Float32() - 1)
	}
	p.project(x, clean)
	for range p.steps {
		p.tape.Reset()
		in := p.tape.Watch(x)
		loss := nn.CrossEntropy(net.Forward(in), labels)
		g := p.tape.Gradients(loss, in).Of(in).Data()
		for i, v := range g {
			switch {
			case v > 0:
				x.Data()[i] += p.size
			case v < 0:
				x.Data()[i] -= p.size
			}
		}
		p.project(x, clean)
	}
}

// project returns x to the ball and to [0,1].
func (p *pgd) project(x, clean *tensor.Tensor) {
	for i, c := range clean.Data() {
		v := min(max(x.Data()[i], c-p.eps), c+p.eps)
		x.Data()[i] = min(max(v, 0), 1)
	}
}
