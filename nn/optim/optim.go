// Package optim updates parameters: [SGD], [Adam] and AdamW with PyTorch's exact rules,
// [LARS], learning-rate schedules, gradient clipping and moving averages of weights
// ([EMA]). [Join] combines several optimisers into one, for groups of parameters.
//
// An optimiser belongs to a fixed list of parameters. A step takes a tape's gradients and
// skips parameters without one, as PyTorch does where grad is None:
//
//	opt := optim.NewSGD(nn.Params(model), optim.SGDOptions{LR: 0.01, Momentum: 0.9})
//	if err := opt.Step(tape.Gradients(loss)); err != nil { ... }
//
// Its state is an [nn.Tree], so [nn.Save] and [nn.Load] store it. A run that restores the
// network, the optimiser and the step continues bit for bit.
package optim

import (
	"errors"
	"fmt"
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// ErrNotFinite is wrapped by the error of a Step with a gradient that is NaN or infinite:
// the training has diverged. Such a step changes nothing.
var ErrNotFinite = errors.New("a gradient is not finite")

// An Optimizer updates a fixed list of parameters.
type Optimizer interface {
	nn.Tree // its state

	// Step updates the parameters that have a gradient in g. It returns an error
	// that wraps [ErrNotFinite], and changes nothing, if one is not finite.
	Step(g *autograd.Gradients) error

	// LR returns the learning rate of the next step, SetLR changes it.
	LR() float64
	SetLR(lr float64)
}

// base is what all optimisers share.
type base struct {
	params []*autograd.Param
	lr     float64
	steps  []int64 // updates of each parameter so far
}

func newBase(op string, params []*autograd.Param, lr float64) base {
	checkOption(op, "LR", lr, math.Inf(1))
	b := base{params: params, lr: lr}
	seen := make(map[*autograd.Param]bool)
	for _, p := range params {
		if p == nil || seen[p] {
			tensor.Panic(op, "a parameter is nil or listed twice")
		}
		seen[p] = true
	}
	b.steps = make([]int64, len(params))
	return b
}

// checkOption panics unless an option is in [0, end).
func checkOption(op, name string, v, end float64) {
	if !(v >= 0 && v < end) {
		tensor.Panic(op, fmt.Sprintf("%s of %v is not in [0, %v)", name, v, end))
	}
}

// Params returns the parameters that the optimiser updates.
func (b *base) Params() []*autograd.Param { return b.params }

// LR returns the learning rate of the next step.
func (b *base) LR() float64 { return b.lr }

// SetLR changes the learning rate of the next step.
func (b *base) SetLR(lr float64) { b.lr = lr }

// each calls update for every parameter with a gradient, after checking all of
// them. n counts the parameter's updates, this one included.
func (b *base) each(g *autograd.Gradients, update func(i int, n int64, p, d []float32)) error {
	for i, p := range b.params {
		if d := g.Of(p); d != nil && !finite(d) {
			return fmt.Errorf("optim: parameter %d of shape %v: %w", i, p.Shape(), ErrNotFinite)
		}
	}
	for i, p := range b.params {
		d := g.Of(p)
		if d == nil {
			continue
		}
		b.steps[i]++
		n := b.steps[i]
		p.Update(func(v []float32) { update(i, n, v, d.Data()) })
	}
	return nil
}

// walk names the counts and one kind of moment per parameter.
func (b *base) walk(w *nn.Walker, kind string, moments []*tensor.Tensor) {
	for i, m := range moments {
		w.Buffer(fmt.Sprintf("%d.%s", i, kind), m)
	}
}

func (b *base) walkSteps(w *nn.Walker) {
	for i := range b.steps {
		w.Counter(fmt.Sprintf("%d.step", i), &b.steps[i])
	}
}

func (b *base) moments() []*tensor.Tensor {
	m := make([]*tensor.Tensor, len(b.params))
	for i, p := range b.params {
		m[i] = tensor.New(p.Shape()...)
	}
	return m
}

// ClipNorm scales all gradients by one factor so that their joint Euclidean norm is at most
// limit. It returns the norm before scaling.
func ClipNorm(g *autograd.Gradients, limit float64) float64 {
	norm := g.Norm()
	if norm > limit {
		s := float32(limit / (norm + 1e-6))
		for _, d := range g.All() {
			kernel.Scale(d.Data(), d.Data(), s)
		}
	}
	return norm
}

// ClipValue limits every element of every gradient to [-limit, limit].
func ClipValue(g *autograd.Gradients, limit float64) {
	for _, d := range g.All() {
		kernel.Clamp(d.Data(), d.Data(), float32(-limit), float32(limit))
	}
}
