package nn

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
)

// MaxPool takes the largest element of each window of an image [N, C, H, W] or a volume [N,
// C, D, H, W]. Sizes have one entry for all spatial axes, or one per axis.
type MaxPool struct {
	plain
	Kernel  []int // size of a window
	Stride  []int // nil means Kernel: windows side by side
	Padding []int // nil means 0; at most half of Kernel
	Ceil    bool  // round the size of the result up: see [autograd.PoolOptions]
}

// Forward applies the layer.
func (p MaxPool) Forward(x autograd.Var) autograd.Var {
	return autograd.MaxPool(x, autograd.PoolOptions{Kernel: p.Kernel, Stride: p.Stride, Padding: p.Padding, Ceil: p.Ceil})
}

// Promises: see [Promiser].
func (p MaxPool) Promises(self Module) Promise { return Promised[MaxPool](self, PerExample|Maximum) }

// Settings: see [HasSettings].
func (p MaxPool) Settings() string { return fmt.Sprint(p.Kernel, p.Stride, p.Padding, p.Ceil) }

// AvgPool takes the mean of each window; see [MaxPool].
type AvgPool struct {
	plain
	Kernel         []int // size of a window
	Stride         []int // nil means Kernel: windows side by side
	Padding        []int // nil means 0; at most half of Kernel
	Ceil           bool  // round the size of the result up: see [autograd.PoolOptions]
	ExcludePadding bool  // leave the zeros of the padding out of the mean
}

// Forward applies the layer.
func (p AvgPool) Forward(x autograd.Var) autograd.Var {
	return autograd.AvgPool(x, autograd.PoolOptions{Kernel: p.Kernel, Stride: p.Stride, Padding: p.Padding, Ceil: p.Ceil, ExcludePadding: p.ExcludePadding})
}

// Promises: see [Promiser].
func (p AvgPool) Promises(self Module) Promise { return Promised[AvgPool](self, PerExample) }

// Settings: see [HasSettings].
func (p AvgPool) Settings() string {
	return fmt.Sprint(p.Kernel, p.Stride, p.Padding, p.Ceil, p.ExcludePadding)
}

// GlobalAvgPool turns [N, C, ...] into the means [N, C].
type GlobalAvgPool struct{ plain }

// Forward applies the layer.
func (GlobalAvgPool) Forward(x autograd.Var) autograd.Var { return autograd.GlobalAvgPool(x) }

// Promises: see [Promiser].
func (GlobalAvgPool) Promises(self Module) Promise { return Promised[GlobalAvgPool](self, PerExample) }
