package optim

import (
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
)

// An EMA keeps an exponential moving average of a network's parameters in a copy of
// it: the slow teacher of self-supervised methods, or smoother weights for
// evaluation.
type EMA[M nn.Tree] struct {
	Model M       // the average; its parameters are frozen
	Decay float64 // the weight of the old

	average, source []nn.Entry
}

// NewEMA returns an average that begins as a copy of model ([nn.Clone]).
func NewEMA[M nn.Tree](model M, decay float64) *EMA[M] {
	e := &EMA[M]{Model: nn.Clone(model), Decay: decay}
	nn.SetFrozen(e.Model, true)
	for s := range nn.State(model) {
		e.source = append(e.source, s)
	}
	for a := range nn.State(e.Model) {
		e.average = append(e.average, a)
	}
	return e
}

// Update moves the average towards the model: parameters by a = Decay·a +
// (1-Decay)·p, and buffers, which are averages themselves, to the model's values.
func (e *EMA[M]) Update() {
	for i, a := range e.average {
		src := e.source[i].Value().Data()
		if a.Param == nil {
			copy(a.Buffer.Data(), src)
			continue
		}
		a.Param.Update(func(v []float32) { kernel.Lerp(v, v, src, float32(1-e.Decay)) })
	}
}
