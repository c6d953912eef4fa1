package nn

import "github.com/mettleml/mettle/autograd"

// A plain layer has neither parameters nor buffers.
type plain struct{}

// Walk names nothing.
func (plain) Walk(*Walker) {}

// ReLU is max(x, 0).
type ReLU struct{ plain }

// Forward applies the layer.
func (ReLU) Forward(x autograd.Var) autograd.Var { return autograd.ReLU(x) }

// LeakyReLU is x where that is positive and Slope·x elsewhere.
type LeakyReLU struct {
	plain
	Slope float32
}

// Forward applies the layer.
func (l LeakyReLU) Forward(x autograd.Var) autograd.Var { return autograd.LeakyReLU(x, l.Slope) }

// Tanh is the hyperbolic tangent.
type Tanh struct{ plain }

// Forward applies the layer.
func (Tanh) Forward(x autograd.Var) autograd.Var { return autograd.Tanh(x) }

// Sigmoid is 1/(1+exp(-x)).
type Sigmoid struct{ plain }

// Forward applies the layer.
func (Sigmoid) Forward(x autograd.Var) autograd.Var { return autograd.Sigmoid(x) }

// GELU is x·Φ(x).
type GELU struct{ plain }

// Forward applies the layer.
func (GELU) Forward(x autograd.Var) autograd.Var { return autograd.GELU(x) }

// Dropout sets elements to 0 with probability P in Training mode and scales the
// rest by 1/(1-P).
type Dropout struct {
	plain
	P float64
}

// NewDropout returns a dropout layer.
func NewDropout(p float64) Dropout { return Dropout{P: p} }

// Forward applies the layer.
func (d Dropout) Forward(x autograd.Var) autograd.Var { return autograd.Dropout(x, d.P) }

// Flatten turns [N, ...] into [N, rest].
type Flatten struct{ plain }

// Forward applies the layer.
func (Flatten) Forward(x autograd.Var) autograd.Var { return autograd.Flatten(x) }

// Identity returns its input.
type Identity struct{ plain }

// Forward returns x.
func (Identity) Forward(x autograd.Var) autograd.Var { return x }

// MaxPool takes the largest element of each window.
type MaxPool struct {
	plain
	Options autograd.PoolOptions
}

// MaxPool2D returns pooling of images by square windows side by side.
func MaxPool2D(size int) MaxPool {
	return MaxPool{Options: autograd.PoolOptions{Kernel: []int{size, size}}}
}

// MaxPool3D returns pooling of volumes by windows side by side, of the given depth,
// height and width.
func MaxPool3D(depth, height, width int) MaxPool {
	return MaxPool{Options: autograd.PoolOptions{Kernel: []int{depth, height, width}}}
}

// Forward applies the layer.
func (p MaxPool) Forward(x autograd.Var) autograd.Var { return autograd.MaxPool(x, p.Options) }

// AvgPool takes the mean of each window.
type AvgPool struct {
	plain
	Options autograd.PoolOptions
}

// AvgPool2D returns pooling of images by square windows side by side.
func AvgPool2D(size int) AvgPool {
	return AvgPool{Options: autograd.PoolOptions{Kernel: []int{size, size}}}
}

// Forward applies the layer.
func (p AvgPool) Forward(x autograd.Var) autograd.Var { return autograd.AvgPool(x, p.Options) }

// GlobalAvgPool turns [N, C, ...] into the means [N, C].
type GlobalAvgPool struct{ plain }

// Forward applies the layer.
func (GlobalAvgPool) Forward(x autograd.Var) autograd.Var { return autograd.GlobalAvgPool(x) }
