package optim

import (
	"fmt"
	"math"
	"strconv"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// A Joined is several optimisers that step as one: see [Join].
type Joined struct {
	list  []Optimizer
	share []float64 // of the first one's learning rate
}

// Join returns an optimiser that steps all given ones, or none if a gradient is not finite.
// It is for groups of parameters with different options, such as no weight decay for biases
// and normalisations:
//
//	weights, others := optim.ByDecay(nn.Params(model))
//	opt := optim.Join(
//		optim.NewSGD(weights, optim.SGDOptions{LR: 0.1, Momentum: 0.9, WeightDecay: 5e-4}),
//		optim.NewSGD(others, optim.SGDOptions{LR: 0.1, Momentum: 0.9}))
//
// Its learning rate is the first one's. SetLR keeps the ratios of the other rates to it as
// they are at the time of Join. It panics if there is no optimiser, the first rate is 0
// while another is not, or two of this package update one parameter.
func Join(list ...Optimizer) *Joined {
	const op = "optim.Join"
	if len(list) == 0 {
		tensor.Panic(op, "no optimisers")
	}
	j := &Joined{list: list}
	seen := make(map[*autograd.Param]bool)
	first := list[0].LR()
	for i, o := range list {
		share := 1.0
		if lr := o.LR(); lr != first {
			if first == 0 {
				tensor.Panic(op, fmt.Sprintf("optimiser %d has a learning rate of %v and the first of 0, to which there is no proportion", i, lr))
			}
			share = lr / first
		}
		j.share = append(j.share, share)
		if p, ok := o.(interface{ Params() []*autograd.Param }); ok {
			for _, q := range p.Params() {
				if seen[q] {
					tensor.Panic(op, fmt.Sprintf("a parameter of optimiser %d belongs to another too", i), q.Shape())
				}
				seen[q] = true
			}
		}
	}
	return j
}

// Params returns the parameters of all optimisers of this package.
func (j *Joined) Params() []*autograd.Param {
	var all []*autograd.Param
	for _, o := range j.list {
		if p, ok := o.(interface{ Params() []*autograd.Param }); ok {
			all = append(all, p.Params()...)
		}
	}
	return all
}

// Step steps all optimisers. If the gradient of any parameter in g is not finite it
// changes nothing and returns an error that wraps [ErrNotFinite].
func (j *Joined) Step(g *autograd.Gradients) error {
	for s, d := range g.All() {
		if _, ok := s.(*autograd.Param); ok && !finite(d) {
			return fmt.Errorf("optim: a parameter of shape %v: %w", d.Shape(), ErrNotFinite)
		}
	}
	for _, o := range j.list {
		if err := o.Step(g); err != nil {
			return err
		}
	}
	return nil
}

func finite(d *tensor.Tensor) bool {
	sum := kernel.SumSquares(d.Data())
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

// LR returns the first optimiser's learning rate.
func (j *Joined) LR() float64 { return j.list[0].LR() }

// SetLR sets the first optimiser's learning rate, and the others' in proportion.
func (j *Joined) SetLR(lr float64) {
	for i, o := range j.list {
		o.SetLR(lr * j.share[i])
	}
}

// Walk names the optimisers 0, 1, ...
func (j *Joined) Walk(w *nn.Walker) {
	for i, o := range j.list {
		w.Child(strconv.Itoa(i), o)
	}
}

// ByDecay divides parameters into weights with two axes or more, for weight decay, and
// others: biases and the weights of normalisations.
func ByDecay(params []*autograd.Param) (weights, others []*autograd.Param) {
	for _, p := range params {
		if len(p.Shape()) >= 2 {
			weights = append(weights, p)
		} else {
			others = append(others, p)
		}
	}
	return weights, others
}
