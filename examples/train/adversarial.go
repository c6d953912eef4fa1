package main

import (
	"cmp"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// methods are the ways of training on bad images, by the names of -adversarial.
var methods = []string{"pgd", "trades", "fast", "free"}

// hardening is training on bad images of a ball round the good ones.
type hardening struct {
	attack.Perturber
	method string
	warm   int     // training steps in which the radius grows to Eps
	beta   float64 // weight of the divergence in TRADES

	replays int            // of each batch, by free training; else 1
	shift   *tensor.Tensor // free training: how far the samples of the last batch were moved
}

// newHardening is that of a run of c with so many batches of samples an epoch.
func newHardening(c *config, sample []int, batches int) *hardening {
	h := &hardening{Perturber: attack.Perturber{Norm: attack.Linf, Eps: c.eps, Steps: cmp.Or(c.steps, 7), Seed: c.seed},
		method: c.adversarial, beta: c.beta, replays: 1}
	switch c.adversarial {
	case "fast":
		h.Steps = 1
	case "free":
		h.replays = cmp.Or(c.steps, 8)
		h.shift = tensor.New(append([]int{c.batch}, sample...)...)
	}
	h.warm = max((c.epochs*batches*h.replays+1)/2, 1)
	return h
}

// Walk names what a checkpoint has to keep.
func (h *hardening) Walk(w *nn.Walker) {
	if h.shift != nil {
		w.Buffer("shift", h.shift)
	}
}

// radius is that of a training step. A network that meets the whole ball before it
// can tell classes apart learns to answer the same always.
func (h *hardening) radius(step int) float64 {
	return h.Eps * min(1, float64(step+1)/float64(h.warm))
}

// loss is that of a training step, and the logits by which it judges the network.
func (h *hardening) loss(net nn.Module, tape *autograd.Tape, x *tensor.Tensor, labels []int, step int) (loss, logits autograd.Var) {
	eps := h.radius(step)
	switch h.method {
	case "trades": // Zhang et al., 2019
		bad := x.Clone()
		h.Diverge(net, bad, eps, uint64(step))
		logits = net.Forward(tape.Input(x))
		apart := nn.KL(net.Forward(tape.Input(bad)), autograd.Softmax(logits))
		return autograd.Add(nn.CrossEntropy(logits, labels), autograd.Affine(apart, float32(h.beta), 0)), logits
	case "fast": // Wong, Rice and Kolter, 2020
		h.Step = 1.25 * eps
	}
	h.Perturb(net, x, labels, eps, uint64(step))
	logits = net.Forward(tape.Input(x))
	return nn.CrossEntropy(logits, labels), logits
}

// moved is the batch x as the last replay left it.
func (h *hardening) moved(x *tensor.Tensor, eps float64) *tensor.Tensor {
	y := x.Clone()
	for i, d := range h.shift.Data()[:x.Len()] {
		y.Data()[i] += d
	}
	attack.Linf.Project(y.Data(), x.Data(), eps)
	return y
}

// move takes a step of free training (Shafahi et al., 2019): the gradient g with respect
// to the moved batch comes from the pass that trains the weights.
func (h *hardening) move(x, moved, g *tensor.Tensor, eps float64) {
	wide := make([]float64, g.Len())
	for i, v := range g.Data() {
		wide[i] = -float64(v)
	}
	attack.BallStep(attack.Linf, eps, &eps, x.Data())(moved.Data(), wide)
	for i, v := range moved.Data() {
		h.shift.Data()[i] = v - x.Data()[i]
	}
}
