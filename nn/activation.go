package nn

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
)

// A plain layer has neither parameters nor buffers.
type plain struct{}

// Walk names nothing.
func (plain) Walk(*Walker) {}

// ReLU is max(x, 0).
type ReLU struct{ plain }

// Forward applies the layer.
func (ReLU) Forward(x autograd.Var) autograd.Var { return autograd.ReLU(x) }

// Promises: see [Promiser].
func (ReLU) Promises(self Module) Promise { return Promised[ReLU](self, PerExample|Increasing) }

// LeakyReLU is x where that is positive and Slope·x elsewhere.
type LeakyReLU struct {
	plain
	Slope float32
}

// Forward applies the layer.
func (l LeakyReLU) Forward(x autograd.Var) autograd.Var { return autograd.LeakyReLU(x, l.Slope) }

// Promises: see [Promiser].
func (l LeakyReLU) Promises(self Module) Promise { return Promised[LeakyReLU](self, PerExample) }

// Settings: see [HasSettings].
func (l LeakyReLU) Settings() string { return fmt.Sprint(l.Slope) }

// Tanh is the hyperbolic tangent.
type Tanh struct{ plain }

// Forward applies the layer.
func (Tanh) Forward(x autograd.Var) autograd.Var { return autograd.Tanh(x) }

// Promises: see [Promiser].
func (Tanh) Promises(self Module) Promise { return Promised[Tanh](self, PerExample|Increasing) }

// Sigmoid is 1/(1+exp(-x)).
type Sigmoid struct{ plain }

// Forward applies the layer.
func (Sigmoid) Forward(x autograd.Var) autograd.Var { return autograd.Sigmoid(x) }

// Promises: see [Promiser].
func (Sigmoid) Promises(self Module) Promise { return Promised[Sigmoid](self, PerExample|Increasing) }

// GELU is x·Φ(x), with Φ the standard normal distribution function.
type GELU struct{ plain }

// Forward applies the layer.
func (GELU) Forward(x autograd.Var) autograd.Var { return autograd.GELU(x) }

// Promises: see [Promiser].
func (GELU) Promises(self Module) Promise { return Promised[GELU](self, PerExample) }

// Dropout sets elements to 0 with probability P in Training mode and scales the
// rest by 1/(1-P).
type Dropout struct {
	plain
	P float64
}

// Forward applies the layer.
func (d Dropout) Forward(x autograd.Var) autograd.Var { return autograd.Dropout(x, d.P) }

// Promises: see [Promiser].
func (d Dropout) Promises(self Module) Promise { return Promised[Dropout](self, PerExample) }

// Settings: see [HasSettings].
func (d Dropout) Settings() string { return fmt.Sprint(d.P) }

// Flatten turns [N, ...] into [N, rest].
type Flatten struct{ plain }

// Forward applies the layer.
func (Flatten) Forward(x autograd.Var) autograd.Var { return autograd.Flatten(x) }

// Promises: see [Promiser].
func (Flatten) Promises(self Module) Promise { return Promised[Flatten](self, PerExample) }

// Identity returns its input.
type Identity struct{ plain }

// Forward returns x.
func (Identity) Forward(x autograd.Var) autograd.Var { return x }

// Promises: see [Promiser].
func (Identity) Promises(self Module) Promise { return Promised[Identity](self, PerExample) }
