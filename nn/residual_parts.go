package nn

import (
	"github.com/mettleml/mettle/autograd"
)

// Residual is a residual block of any layers: the ReLU of Norm(Branch(x)) + Shortcut(x).
// [BasicBlock] and [Bottleneck] are those of He et al. (2016).
type Residual struct {
	Branch   *Sequential // the layers before the last normalisation; their names have no prefix
	Norm     *BatchNorm  // the last normalisation, computed in one pass with the sum and the ReLU
	NormName string      // of Norm in a state
	Shortcut *Sequential // called downsample; nil for the identity
}

// Forward applies the block.
func (b *Residual) Forward(x autograd.Var) autograd.Var {
	h := b.Branch.Forward(x)
	r := x
	if b.Shortcut != nil {
		r = b.Shortcut.Forward(x)
	}
	y := b.Norm.forward(h, false, true, r)
	if promises(b.Branch)&KeepsNothing != 0 && h != x {
		h.Free()
	}
	if r != x && promises(b.Shortcut)&KeepsNothing != 0 {
		r.Free()
	}
	return y
}

// Promises: see [Promiser].
func (b *Residual) Promises(self Module) Promise {
	p := Together(b.Branch, b.Norm)
	if b.Shortcut != nil {
		p &= promises(b.Shortcut)
	}
	return Promised[*Residual](self, p)
}

// Walk names the children.
func (b *Residual) Walk(w *Walker) {
	w.Child("", b.Branch)
	w.Child(b.NormName, b.Norm)
	if b.Shortcut != nil {
		w.Child("downsample", b.Shortcut)
	}
}
