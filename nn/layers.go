package nn

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

func newParam(shape ...int) *autograd.Param { return autograd.NewParam(tensor.New(shape...)) }

// param enters p, which may be nil, on the tape of x.
func param(x autograd.Var, p *autograd.Param) autograd.Var {
	if p == nil {
		return autograd.Var{}
	}
	return x.Tape().Param(p)
}

// Linear is the map x·wᵀ + b of [N, in] to [N, out].
type Linear struct {
	Weight *autograd.Param // [out, in]
	Bias   *autograd.Param // [out], or nil
}

// NewLinear returns a layer with weights and biases drawn uniformly from ±1/sqrt(in), as in
// PyTorch. With a nil generator they are 0. Set Bias to nil for a map without a bias.
func NewLinear(rng *rand.Rand, in, out int) *Linear {
	l := &Linear{newParam(out, in), newParam(out)}
	initDefault(rng, l.Weight, l.Bias)
	return l
}

// Forward applies the layer.
func (l *Linear) Forward(x autograd.Var) autograd.Var { return l.forward(x, false) }

// ForwardThenReLU returns the ReLU of Forward.
func (l *Linear) ForwardThenReLU(x autograd.Var) autograd.Var { return l.forward(x, true) }

// Promises: see [Promiser].
func (l *Linear) Promises(self Module) Promise {
	return Promised[*Linear](self, PerExample|FusesNextReLU)
}

func (l *Linear) forward(x autograd.Var, relu bool) autograd.Var {
	return autograd.Linear(x, param(x, l.Weight), param(x, l.Bias), relu)
}

// Walk names weight and bias.
func (l *Linear) Walk(w *Walker) {
	w.Param("weight", l.Weight)
	w.Param("bias", l.Bias)
}

// Conv is a convolution in one to three spatial dimensions, according to the rank of its
// weight.
type Conv struct {
	Weight  *autograd.Param // [out, in/Groups, kernel...]
	Bias    *autograd.Param // [out], or nil
	Options autograd.ConvOptions
}

// ConvOptions are the settings of a convolution with the same sizes along all spatial axes.
type ConvOptions struct {
	Stride        int // 0 means 1
	Padding       int
	Dilation      int // 0 means 1
	Groups        int // 0 means 1
	OutputPadding int // of a transposed convolution
	NoBias        bool
}

func (o ConvOptions) axes(kernel int, dims int) ConvAxes {
	return ConvAxes{
		Kernel: slices.Repeat([]int{kernel}, dims), Stride: []int{max(o.Stride, 1)}, Padding: []int{o.Padding},
		Dilation: []int{max(o.Dilation, 1)}, Groups: o.Groups, OutputPadding: []int{o.OutputPadding}, NoBias: o.NoBias,
	}
}

// ConvAxes are the settings of a convolution that differ from axis to axis. Kernel has one
// entry per spatial axis. The other slices have one entry for all axes, or one per axis.
type ConvAxes struct {
	Kernel        []int
	Stride        []int // nil means 1
	Padding       []int // nil means 0
	Dilation      []int // nil means 1
	Groups        int   // 0 means 1
	OutputPadding []int // of a transposed convolution; nil means 0
	NoBias        bool
}

func (a ConvAxes) options() autograd.ConvOptions {
	return autograd.ConvOptions{Stride: a.Stride, Padding: a.Padding, Dilation: a.Dilation, Groups: max(a.Groups, 1), OutputPadding: a.OutputPadding}
}

// weights returns weights [first, second/Groups, kernel...] and biases for out
// channels, or panics for op.
func (a ConvAxes) weights(op string, rng *rand.Rand, first, second, out int) (w, b *autograd.Param) {
	groups := max(a.Groups, 1)
	if first%groups != 0 || second%groups != 0 {
		tensor.Panic(op, fmt.Sprintf("%d groups do not divide %d and %d channels", groups, first, second))
	}
	w = newParam(append([]int{first, second / groups}, a.Kernel...)...)
	if !a.NoBias {
		b = newParam(out)
	}
	initDefault(rng, w, b)
	return w, b
}

// NewConv returns a convolution with weights and biases drawn as by [NewLinear]. It panics
// if the groups do not divide both numbers of channels. A factor of R(2+1)D is
//
//	nn.NewConv(rng, 64, 144, nn.ConvAxes{Kernel: []int{1, 3, 3}, Padding: []int{0, 1, 1}})
func NewConv(rng *rand.Rand, in, out int, a ConvAxes) *Conv {
	w, b := a.weights("nn.NewConv", rng, out, in, out)
	return &Conv{w, b, a.options()}
}

// NewConv2D returns a convolution of images with a square kernel; see [NewConv].
func NewConv2D(rng *rand.Rand, in, out, kernel int, o ConvOptions) *Conv {
	return NewConv(rng, in, out, o.axes(kernel, 2))
}

// NewConv3D returns a convolution of volumes with a cubic kernel; see [NewConv].
func NewConv3D(rng *rand.Rand, in, out, kernel int, o ConvOptions) *Conv {
	return NewConv(rng, in, out, o.axes(kernel, 3))
}

// Forward applies the layer.
func (c *Conv) Forward(x autograd.Var) autograd.Var { return c.forward(x, false) }

// ForwardThenReLU returns the ReLU of Forward.
func (c *Conv) ForwardThenReLU(x autograd.Var) autograd.Var { return c.forward(x, true) }

// Promises: see [Promiser].
func (c *Conv) Promises(self Module) Promise {
	return Promised[*Conv](self, PerExample|FusesNextReLU)
}

func (c *Conv) forward(x autograd.Var, relu bool) autograd.Var {
	o := c.Options
	o.ReLU = o.ReLU || relu
	return autograd.Conv(x, param(x, c.Weight), param(x, c.Bias), o)
}

// normalized applies the layer, a normalisation and perhaps a ReLU.
func (c *Conv) normalized(x autograd.Var, b *BatchNorm, relu bool) autograd.Var {
	o := b.options(x)
	o.PostReLU = relu
	return autograd.ConvBatchNorm(x, param(x, c.Weight), param(x, c.Bias), c.Options, param(x, b.Weight), param(x, b.Bias), o)
}

// Walk names weight and bias.
func (c *Conv) Walk(w *Walker) {
	w.Param("weight", c.Weight)
	w.Param("bias", c.Bias)
}

// Settings: see [HasSettings].
func (c *Conv) Settings() string { return fmt.Sprintf("%+v", c.Options) }

// ConvTranspose is a transposed convolution in one to three spatial dimensions.
type ConvTranspose struct {
	Weight  *autograd.Param // [in, out/Groups, kernel...]
	Bias    *autograd.Param // [out], or nil
	Options autograd.ConvOptions
}

// NewConvTranspose2D returns a transposed convolution of images with a square kernel, with
// weights and biases drawn as by [NewConv]. Its number of inputs counts as out·kernel², as
// in PyTorch.
func NewConvTranspose2D(rng *rand.Rand, in, out, kernel int, o ConvOptions) *ConvTranspose {
	a := o.axes(kernel, 2)
	w, b := a.weights("nn.NewConvTranspose2D", rng, in, out, out)
	return &ConvTranspose{w, b, a.options()}
}

// Forward applies the layer.
func (c *ConvTranspose) Forward(x autograd.Var) autograd.Var { return c.forward(x, false) }

// ForwardThenReLU returns the ReLU of Forward.
func (c *ConvTranspose) ForwardThenReLU(x autograd.Var) autograd.Var { return c.forward(x, true) }

// Promises: see [Promiser].
func (c *ConvTranspose) Promises(self Module) Promise {
	return Promised[*ConvTranspose](self, PerExample|FusesNextReLU)
}

func (c *ConvTranspose) forward(x autograd.Var, relu bool) autograd.Var {
	o := c.Options
	o.ReLU = o.ReLU || relu
	return autograd.ConvTranspose(x, param(x, c.Weight), param(x, c.Bias), o)
}

// Walk names weight and bias.
func (c *ConvTranspose) Walk(w *Walker) {
	w.Param("weight", c.Weight)
	w.Param("bias", c.Bias)
}

// Settings: see [HasSettings].
func (c *ConvTranspose) Settings() string { return fmt.Sprintf("%+v", c.Options) }
