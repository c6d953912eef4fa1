package nn

import (
	"fmt"
	"math/rand/v2"

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

// The constructors of this file draw weights and biases as PyTorch does by default,
// uniformly from ±1/sqrt(number of inputs). A nil generator leaves them 0, for an
// initialiser to follow.

// NewLinear returns a layer with a bias.
func NewLinear(rng *rand.Rand, in, out int) *Linear {
	l := &Linear{newParam(out, in), newParam(out)}
	initDefault(rng, l.Weight, l.Bias)
	return l
}

// Forward applies the layer.
func (l *Linear) Forward(x autograd.Var) autograd.Var { return l.forward(x, false) }

func (l *Linear) forward(x autograd.Var, relu bool) autograd.Var {
	return autograd.Linear(x, param(x, l.Weight), param(x, l.Bias), relu)
}

// Walk names weight and bias.
func (l *Linear) Walk(w *Walker) {
	w.Param("weight", l.Weight)
	w.Param("bias", l.Bias)
}

// ConvConfig are the settings of a convolution that is alike in all spatial
// dimensions.
type ConvConfig struct {
	Stride        int // 0 means 1
	Padding       int
	Dilation      int // 0 means 1
	Groups        int // 0 means 1
	OutputPadding int // of a transposed convolution
	NoBias        bool
}

func (c ConvConfig) options() autograd.ConvOptions {
	return autograd.ConvOptions{
		Stride:        []int{max(c.Stride, 1)},
		Padding:       []int{c.Padding},
		Dilation:      []int{max(c.Dilation, 1)},
		Groups:        max(c.Groups, 1),
		OutputPadding: []int{c.OutputPadding},
	}
}

// Conv is a convolution in one to three spatial dimensions; the rank of its weight
// says in how many.
type Conv struct {
	Weight  *autograd.Param // [out, in/Groups, kernel...]
	Bias    *autograd.Param // [out], or nil
	Options autograd.ConvOptions
}

// NewConv returns a convolution with the given kernel size in each spatial
// dimension. It panics if the groups do not divide both numbers of channels.
func NewConv(rng *rand.Rand, in, out int, kernel []int, o autograd.ConvOptions, bias bool) *Conv {
	groups := max(o.Groups, 1)
	if in%groups != 0 || out%groups != 0 {
		tensor.Panic("nn.NewConv", fmt.Sprintf("%d groups do not divide %d and %d channels", groups, in, out))
	}
	c := &Conv{Weight: newParam(append([]int{out, in / groups}, kernel...)...), Options: o}
	if bias {
		c.Bias = newParam(out)
	}
	initDefault(rng, c.Weight, c.Bias)
	return c
}

// NewConv2D returns a convolution of images with a square kernel.
func NewConv2D(rng *rand.Rand, in, out, kernel int, c ConvConfig) *Conv {
	return NewConv(rng, in, out, []int{kernel, kernel}, c.options(), !c.NoBias)
}

// NewConv3D returns a convolution of volumes with a cubic kernel.
func NewConv3D(rng *rand.Rand, in, out, kernel int, c ConvConfig) *Conv {
	return NewConv(rng, in, out, []int{kernel, kernel, kernel}, c.options(), !c.NoBias)
}

// Forward applies the layer.
func (c *Conv) Forward(x autograd.Var) autograd.Var { return c.forward(x, false) }

func (c *Conv) forward(x autograd.Var, relu bool) autograd.Var {
	o := c.Options
	o.ReLU = o.ReLU || relu
	return autograd.Conv(x, param(x, c.Weight), param(x, c.Bias), o)
}

// Walk names weight and bias.
func (c *Conv) Walk(w *Walker) {
	w.Param("weight", c.Weight)
	w.Param("bias", c.Bias)
}

// ConvTranspose is a transposed convolution in one to three spatial dimensions.
type ConvTranspose struct {
	Weight  *autograd.Param // [in, out/Groups, kernel...]
	Bias    *autograd.Param // [out], or nil
	Options autograd.ConvOptions
}

// NewConvTranspose2D returns a transposed convolution of images with a square kernel;
// its number of inputs is taken to be out·kernel², as PyTorch has it.
func NewConvTranspose2D(rng *rand.Rand, in, out, kernel int, c ConvConfig) *ConvTranspose {
	groups := max(c.Groups, 1)
	if in%groups != 0 || out%groups != 0 {
		tensor.Panic("nn.NewConvTranspose2D", fmt.Sprintf("%d groups do not divide %d and %d channels", groups, in, out))
	}
	l := &ConvTranspose{Weight: newParam(in, out/groups, kernel, kernel), Options: c.options()}
	if !c.NoBias {
		l.Bias = newParam(out)
	}
	initDefault(rng, l.Weight, l.Bias)
	return l
}

// Forward applies the layer.
func (c *ConvTranspose) Forward(x autograd.Var) autograd.Var { return c.forward(x, false) }

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
