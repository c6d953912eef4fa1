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
	eps   float32 // radius of the ball, Linf
	warm  int     // training steps in which the radius grows to it
	steps int
	seed  uint64
	tape  *autograd.Tape
}

func newPGD(eps float64, seed uint64, warm int) *pgd {
	return &pgd{float32(eps), warm, 7, seed, autograd.NewTape(autograd.Eval, seed)}
}

// radius is that of a training step. A network that meets the whole ball before it
// can tell classes apart learns to answer the same always.
func (p *pgd) radius(step int) float32 {
	return p.eps * min(1, float32(step+1)/float32(p.warm))
}

// perturb moves the images x, in [0,1], uphill in the loss, by at most eps. Draws
// follow from the seed and the given step.
func (p *pgd) perturb(net nn.Module, x *tensor.Tensor, labels []int, eps float32, step uint64) {
	size := 2.5 * eps / float32(p.steps)
	clean := x.Clone()
	r := rand.New(rand.NewPCG(p.seed, step))
	for i := range x.Data() {
		x.Data()[i] += eps * (2*r.Float32() - 1)
	}
	project(x, clean, eps)
	for range p.steps {
		p.tape.Reset()
		in := p.tape.Watch(x)
		loss := nn.CrossEntropy(net.Forward(in), labels)
		g := p.tape.Gradients(loss, in).Of(in).Data()
		for i, v := range g {
			switch {
			case v > 0:
				x.Data()[i] += size
			case v < 0:
				x.Data()[i] -= size
			}
		}
		project(x, clean, eps)
	}
}

// project returns x to the ball and to [0,1].
func project(x, clean *tensor.Tensor, eps float32) {
	for i, c := range clean.Data() {
		v := min(max(x.Data()[i], c-eps), c+eps)
		x.Data()[i] = min(max(v, 0), 1)
	}
}
