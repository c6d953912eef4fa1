package optim

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// Buffers says what an [EMA] does with a network's buffers, such as the running
// statistics of batch normalisation.
type Buffers uint8

const (
	// CopyBuffers copies the network's, which are averages already.
	CopyBuffers Buffers = iota

	// AverageBuffers averages them like parameters. Counters are copied.
	AverageBuffers

	// OwnBuffers does not change them: forward passes of the average in Training mode
	// update them, as in MoCo's key encoder.
	OwnBuffers
)

// EMAOptions are the settings of [EMA].
type EMAOptions struct {
	Decay   float64 // weight of the old average, in [0,1]: 0 copies, 1 changes nothing
	Buffers Buffers
}

// An EMA keeps an exponential moving average of a network's parameters in a copy of the
// network: the slow teacher of self-supervised methods, or smoother weights for evaluation.
// As an nn.Tree it names the contents of Model.
type EMA[M nn.Tree] struct {
	Model M       // the average; its parameters are frozen
	Decay float64 // may change between updates, for a schedule

	buffers Buffers
	pairs   []averaged
}

// averaged is an entry of the average and the one of the network that it follows.
type averaged struct{ average, source nn.Entry }

// NewEMA returns an average that begins as a copy of model ([nn.Clone]). It panics if the
// decay is not in [0,1]. The average follows the parameters that model has now: if one is
// replaced later, for example by a new head, make a new EMA.
func NewEMA[M nn.Tree](model M, o EMAOptions) *EMA[M] {
	e := &EMA[M]{Model: nn.Clone(model), Decay: o.Decay, buffers: o.Buffers}
	e.check()
	if o.Buffers > OwnBuffers {
		tensor.Panic("optim.NewEMA", fmt.Sprintf("no mode %d for buffers", o.Buffers))
	}
	nn.SetFrozen(e.Model, true)
	var sources []nn.Entry
	for s := range nn.State(model) {
		sources = append(sources, s)
	}
	seen := make(map[nn.Entry]bool) // what has two names moves once
	i := 0
	for a := range nn.State(e.Model) {
		id := a
		id.Name = ""
		if !seen[id] {
			seen[id] = true
			e.pairs = append(e.pairs, averaged{a, sources[i]})
		}
		i++
	}
	return e
}

func (e *EMA[M]) check() {
	if !(e.Decay >= 0 && e.Decay <= 1) {
		tensor.Panic("optim.EMA", fmt.Sprintf("decay %v is not in [0,1]", e.Decay))
	}
}

// Update moves the average a of each parameter p to Decay·a + (1-Decay)·p, and updates
// buffers as option Buffers says. It panics if Decay is not in [0,1].
func (e *EMA[M]) Update() {
	e.check()
	for _, p := range e.pairs {
		switch a, s := p.average, p.source; {
		case a.Param != nil:
			a.Param.Update(func(v []float32) { e.move(v, s.Param.Value().Data()) })
		case e.buffers == OwnBuffers:
		case a.Counter != nil:
			*a.Counter = *s.Counter
		case e.buffers == CopyBuffers:
			a.Buffer.CopyFrom(s.Buffer)
		case e.buffers == AverageBuffers:
			e.move(a.Buffer.Data(), s.Buffer.Data())
		}
	}
}

func (e *EMA[M]) move(v, src []float32) {
	switch e.Decay {
	case 0:
		copy(v, src)
	case 1:
	default:
		kernel.Lerp(v, v, src, float32(1-e.Decay))
	}
}

// Walk names the contents of Model.
func (e *EMA[M]) Walk(w *nn.Walker) { e.Model.Walk(w) }
