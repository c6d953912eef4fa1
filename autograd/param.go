package autograd

import (
	"sync/atomic"

	"github.com/mettleml/mettle/tensor"
)

// A Param is a tensor that training changes: a weight or a bias. It may be read
// by many goroutines with tapes of their own; changing it needs it alone.
//
// Its version counts the changes. A backward pass through a parameter whose
// version is not that of the forward pass panics instead of being wrong.
type Param struct {
	value   *tensor.Tensor
	version atomic.Uint64
	frozen  atomic.Bool
}

// NewParam returns a parameter that starts as v and owns it from now on.
func NewParam(v *tensor.Tensor) *Param { return &Param{value: v} }

// Value returns the parameter's tensor, for reading. Whoever writes to it does so
// inside [Param.Update].
func (p *Param) Value() *tensor.Tensor { return p.value }

// Shape returns the dimensions; they must not be modified.
func (p *Param) Shape() []int { return p.value.Shape() }

// Len returns the number of elements.
func (p *Param) Len() int { return p.value.Len() }

// Update calls f with the elements, for reading and writing, and counts one
// change.
func (p *Param) Update(f func(v []float32)) {
	p.version.Add(1)
	f(p.value.Data())
}

// Version returns the number of changes so far.
func (p *Param) Version() uint64 { return p.version.Load() }

// SetFrozen freezes the parameter or thaws it. No gradient is computed for a
// frozen parameter, so optimisers leave it alone.
func (p *Param) SetFrozen(frozen bool) { p.frozen.Store(frozen) }

// Frozen reports whether the parameter is frozen.
func (p *Param) Frozen() bool { return p.frozen.Load() }

// Clone returns a parameter with a copy of the value, frozen if p is.
func (p *Param) Clone() *Param {
	q := NewParam(p.value.Clone())
	q.SetFrozen(p.Frozen())
	return q
}
