package autograd

import (
	"sync/atomic"

	"github.com/mettleml/mettle/tensor"
)

// A Param is a tensor that training changes: a weight or a bias. Goroutines with tapes
// of their own may read it at the same time. A change needs the parameter alone.
//
// A parameter counts its changes as its version. A backward pass panics if the version
// is no longer the one of the forward pass, because its result would be wrong.
type Param struct {
	value   *tensor.Tensor
	version atomic.Uint64
	frozen  atomic.Bool
}

// NewParam returns a parameter with the value v, which it owns from now on.
func NewParam(v *tensor.Tensor) *Param { return &Param{value: v} }

// Value returns the parameter's tensor, for reading. [Param.Update] writes to it.
func (p *Param) Value() *tensor.Tensor { return p.value }

// Shape returns the dimensions. The slice must not be modified.
func (p *Param) Shape() []int { return p.value.Shape() }

// Len returns the number of elements.
func (p *Param) Len() int { return p.value.Len() }

// Update counts one change and calls f with the elements in row-major order, for
// reading and writing.
func (p *Param) Update(f func(v []float32)) {
	p.version.Add(1)
	f(p.value.Data())
}

// Version returns the number of changes so far.
func (p *Param) Version() uint64 { return p.version.Load() }

// SetFrozen freezes or thaws the parameter. [Tape.Gradients] computes no gradient for
// a parameter that was frozen when it entered the tape, so optimisers leave it alone.
func (p *Param) SetFrozen(frozen bool) { p.frozen.Store(frozen) }

// Frozen reports whether the parameter is frozen.
func (p *Param) Frozen() bool { return p.frozen.Load() }

// Clone returns a parameter with a copy of the value and version 0, frozen if p is.
func (p *Param) Clone() *Param {
	q := NewParam(p.value.Clone())
	q.SetFrozen(p.Frozen())
	return q
}
