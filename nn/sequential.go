package nn

import (
	"fmt"
	"strconv"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// Sequential applies modules one after the other. It merges neighbours that can be
// computed in one pass; see the package documentation.
type Sequential struct {
	Layers []Module
	Names  []string // of the layers; nil means 0, 1, ...
}

// NewSequential returns the composition of layers.
func NewSequential(layers ...Module) *Sequential { return &Sequential{Layers: layers} }

// Forward applies the layers. In Inference mode, if all of them promise to treat examples
// independently ([PerExample]), it splits a large batch into pieces that fit the cache and
// distributes them over the workers.
func (s *Sequential) Forward(x autograd.Var) autograd.Var {
	if x.Tape().Mode() == autograd.Inference && Together(s.Layers...)&PerExample != 0 {
		return autograd.PerExample(x, func(x autograd.Var) autograd.Var { return chain(x, s.Layers) })
	}
	return chain(x, s.Layers)
}

// Promises returns what all layers promise.
func (s *Sequential) Promises(self Module) Promise {
	return Promised[*Sequential](self, Together(s.Layers...))
}

// Walk names the layers. It panics if Names is not nil and does not have one name per
// layer.
func (s *Sequential) Walk(w *Walker) {
	if s.Names != nil && len(s.Names) != len(s.Layers) {
		tensor.Panic("nn.Sequential", fmt.Sprintf("%d names for %d layers", len(s.Names), len(s.Layers)))
	}
	for i, l := range s.Layers {
		name := strconv.Itoa(i)
		if s.Names != nil {
			name = s.Names[i]
		}
		w.Child(name, l)
	}
}

// chain applies layers in turn. In Inference mode it frees what passes between two
// layers that keep nothing.
func chain(x autograd.Var, layers []Module) autograd.Var {
	var room [16]Promise
	have := room[:0] // what each layer promises
	for _, l := range layers {
		have = append(have, promises(l))
	}
	free := false // x was made here and nobody else has it
	for len(layers) > 0 {
		y, n := fused(x, layers, have)
		pure := keepNothing(have[:n])
		if free && pure && y != x {
			x.Free()
		}
		free = pure && (y != x || free)
		x, layers, have = y, layers[n:], have[n:]
	}
	return x
}

// keepNothing reports whether all of some layers keep nothing.
func keepNothing(have []Promise) bool {
	for _, p := range have {
		if p&KeepsNothing == 0 {
			return false
		}
	}
	return true
}

// fused applies the first layers at once if they merge, or the first alone, and
// returns how many it applied. have is what each layer promises.
func fused(x autograd.Var, layers []Module, have []Promise) (autograd.Var, int) {
	if len(layers) == 1 {
		return layers[0].Forward(x), 1
	}
	if c, ok := layers[0].(*Conv); ok && x.Tape().Mode() == autograd.Inference {
		if b, ok := layers[1].(*BatchNorm); ok {
			n := 2
			if len(layers) > 2 && layers[2] == (ReLU{}) {
				n = 3
			}
			return c.normalized(x, b, n == 3), n
		}
	}
	first, second, third := have[0], have[1], Promise(0)
	if len(layers) > 2 {
		third = have[2]
	}
	_, relu := layers[1].(ReLU)
	// A ReLU goes along with the layer before it, unless what follows does better: a
	// normalisation applies it as it reads, a maximum leaves fewer elements. A
	// normalisation before it takes it also from another.
	better := third&Maximum != 0 || third&FusesPriorReLU != 0 && first&FusesPriorReLU == 0
	if relu && first&FusesNextReLU != 0 && !better {
		return fuser[ReLUNextFuser](layers[0], "FusesNextReLU").ForwardThenReLU(x), 2
	}
	if _, ok := layers[0].(ReLU); ok && second&FusesPriorReLU != 0 {
		return fuser[ReLUPriorFuser](layers[1], "FusesPriorReLU").ForwardAfterReLU(x), 2
	}
	// An increasing function of a maximum is the maximum of the function: take it of
	// fewer elements.
	if first&Increasing != 0 && second&Maximum != 0 {
		pooled := layers[1].Forward(x)
		y := layers[0].Forward(pooled)
		if y != pooled && keepNothing(have[:2]) {
			pooled.Free()
		}
		return y, 2
	}
	return layers[0].Forward(x), 1
}
