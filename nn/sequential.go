package nn

import (
	"strconv"

	"github.com/mettleml/mettle/autograd"
)

// Sequential applies modules one after the other. Its children are called 0, 1, ...
// It merges neighbours that can be computed in one pass; see the package
// documentation.
type Sequential struct{ Layers []Module }

// NewSequential returns the composition of layers.
func NewSequential(layers ...Module) *Sequential { return &Sequential{layers} }

// Forward applies the layers. In Inference mode, if they are this package's and treat
// examples independently, it cuts a large batch into pieces that stay in the cache
// and shares these among the workers.
func (s *Sequential) Forward(x autograd.Var) autograd.Var {
	if x.Tape().Mode() == autograd.Inference && independent(s) {
		return autograd.PerExample(x, func(x autograd.Var) autograd.Var { return chain(x, s.Layers) })
	}
	return chain(x, s.Layers)
}

// independent reports whether m is made of this package's layers and gives an
// example the same result in any batch.
func independent(m Module) bool {
	switch m := m.(type) {
	case *Sequential:
		for _, l := range m.Layers {
			if !independent(l) {
				return false
			}
		}
		return true
	case *BasicBlock:
		return independent(m.BN1) && independent(m.BN2) && (m.Downsample == nil || independent(m.Downsample))
	case *Bottleneck:
		return independent(m.BN1) && independent(m.BN2) && independent(m.BN3) && (m.Downsample == nil || independent(m.Downsample))
	case *BatchNorm:
		return m.Statistics != Batch
	}
	return isOurs(m)
}

// Walk names the layers by their position.
func (s *Sequential) Walk(w *Walker) {
	for i, l := range s.Layers {
		w.Child(strconv.Itoa(i), l)
	}
}

// chain applies layers in turn. In Inference mode it frees what passes between two
// layers of this package, which keep no Var.
func chain(x autograd.Var, layers []Module) autograd.Var {
	free := false // x was made here and nobody else has it
	for len(layers) > 0 {
		y, n := fused(x, layers)
		known := true
		for _, l := range layers[:n] {
			known = known && isOurs(l)
		}
		if free && known && y != x {
			x.Free()
		}
		free = known && (y != x || free)
		x, layers = y, layers[n:]
	}
	return x
}

// fused applies the first layers at once if they merge, or the first alone, and
// returns how many it applied.
func fused(x autograd.Var, layers []Module) (autograd.Var, int) {
	next := func(i int) Module {
		if i < len(layers) {
			return layers[i]
		}
		return nil
	}
	_, relu := next(1).(ReLU)
	// A ReLU goes along with the layer before it, unless what follows does better: a
	// normalisation applies it as it reads, a maximum leaves fewer elements.
	_, normal := next(2).(*BatchNorm)
	relu = relu && !isMaxPool(next(2))
	switch l := layers[0].(type) {
	case *BatchNorm:
		if relu {
			return l.forward(x, false, true, autograd.Var{}), 2
		}
	// The concrete types, not an interface: a type that embeds one of them has its
	// methods too, and a Forward of its own.
	case *Linear:
		if relu && !normal {
			return l.forward(x, true), 2
		}
	case *Conv:
		if relu && !normal {
			return l.forward(x, true), 2
		}
	case *ConvTranspose:
		if relu && !normal {
			return l.forward(x, true), 2
		}
	case ReLU:
		if b, ok := next(1).(*BatchNorm); ok {
			return b.forward(x, true, false, autograd.Var{}), 2
		}
	}
	// An increasing function of a maximum is the maximum of the function: take it of
	// fewer elements.
	if isIncreasing(layers[0]) && isMaxPool(next(1)) {
		pooled := layers[1].Forward(x)
		y := layers[0].Forward(pooled)
		pooled.Free()
		return y, 2
	}
	return layers[0].Forward(x), 1
}

func isMaxPool(m Module) bool {
	_, ok := m.(MaxPool)
	return ok
}

func isIncreasing(m Module) bool {
	switch m.(type) {
	case ReLU, Tanh, Sigmoid:
		return true
	}
	return false
}

// isOurs reports whether m is a layer of this package that keeps no Var and returns
// either its input or a new Var.
func isOurs(m Module) bool {
	switch m.(type) {
	case *Linear, *Conv, *ConvTranspose, *BatchNorm, *LayerNorm, *Sequential, *BasicBlock, *Bottleneck,
		ReLU, LeakyReLU, Tanh, Sigmoid, GELU, Dropout, Flatten, Identity, MaxPool, AvgPool, GlobalAvgPool:
		return true
	}
	return false
}
