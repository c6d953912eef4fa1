package nn

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// A Promise is a property of a [Module]'s Forward, a set of bits. [Sequential] and the
// networks made of it use it to free memory early, to split a batch, and to compute
// adjacent layers in one pass. Without promises they call Forward and nothing else.
type Promise uint8

const (
	// KeepsNothing: when Forward has returned, the module holds no Var, and the
	// result is the argument itself or a new Var.
	KeepsNothing Promise = 1 << iota

	// PerExample: in Inference mode an example, an entry along the first axis, has the same
	// bits in any batch. Forward keeps the first axis, uses only its argument and the
	// module's parameters, and may be called by several goroutines at once. PerExample
	// includes KeepsNothing.
	PerExample

	// Increasing: every element goes through the same non-decreasing function, so it may be
	// applied after a maximum instead of before it.
	Increasing

	// Maximum: every element of the result is the largest of some elements of the argument.
	Maximum

	// FusesNextReLU: the module is a [ReLUNextFuser].
	FusesNextReLU

	// FusesPriorReLU: the module is a [ReLUPriorFuser].
	FusesPriorReLU
)

// A Promiser is a Module that makes promises.
//
// A struct that embeds a module inherits its method Promises, although it may have another
// Forward. Promises therefore gets the outer module as self, and must return 0 unless self
// has the type that it speaks for. [Promised] does that:
//
//	func (s *Scale) Promises(self nn.Module) nn.Promise {
//		return nn.Promised[*Scale](self, nn.PerExample|nn.Increasing)
//	}
type Promiser interface {
	Module
	Promises(self Module) Promise
}

// A ReLUNextFuser computes itself and a following ReLU in one pass. ForwardThenReLU(x) is
// the ReLU of Forward(x).
type ReLUNextFuser interface {
	ForwardThenReLU(x autograd.Var) autograd.Var
}

// A ReLUPriorFuser computes a preceding ReLU and itself in one pass. ForwardAfterReLU(x) is
// Forward of the ReLU of x.
type ReLUPriorFuser interface {
	ForwardAfterReLU(x autograd.Var) autograd.Var
}

// Promised returns p if self is an M, and otherwise 0.
func Promised[M Module](self Module, p Promise) Promise {
	if _, ok := self.(M); ok {
		return p
	}
	return 0
}

// promises returns what m promises of itself.
func promises(m Module) Promise {
	p, ok := m.(Promiser)
	if !ok {
		return 0
	}
	have := p.Promises(m)
	if have&PerExample != 0 {
		have |= KeepsNothing
	}
	return have
}

// Together returns the promises that a module made of the given ones alone keeps: those of
// KeepsNothing and PerExample that all of them make. A block of your own promises it like
// this:
//
//	func (b *Block) Promises(self nn.Module) nn.Promise {
//		return nn.Promised[*Block](self, nn.Together(b.Conv, b.Norm))
//	}
func Together(modules ...Module) Promise {
	have := KeepsNothing | PerExample
	for _, m := range modules {
		have &= promises(m)
	}
	return have
}

// fuser is m as the F that its promise says it is.
func fuser[F any](m Module, promise string) F {
	f, ok := m.(F)
	if !ok {
		tensor.Panic("nn.Sequential", fmt.Sprintf("%T promises %s and does not have its method", m, promise))
	}
	return f
}
