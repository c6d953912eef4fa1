package nn

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// A Promise is what a [Module] promises of its Forward beyond the result. [Sequential]
// and the networks made of it rely on it: to free memory early, to cut a batch into
// pieces, and to compute neighbours in one pass. A module that promises nothing is
// computed as it stands.
type Promise uint8

const (
	// KeepsNothing: when Forward has returned, the module holds no Var, and the
	// result is the argument itself or a new Var.
	KeepsNothing Promise = 1 << iota

	// PerExample: in Inference mode an example, an entry along the first axis, has
	// the same bits in any batch. Forward keeps the first axis, uses no Var but its
	// argument and the parameters that it enters on the argument's tape, and may be
	// called by several goroutines at once. It includes KeepsNothing.
	PerExample

	// Increasing: the result is one function, which never decreases, of every
	// element, so that it may be taken after a maximum in place of before.
	Increasing

	// Maximum: every element of the result is the largest of some of the argument.
	Maximum

	// FusesNextReLU: the module is a [ReLUNextFuser].
	FusesNextReLU

	// FusesPriorReLU: the module is a [ReLUPriorFuser].
	FusesPriorReLU
)

// A Promiser is a Module that makes promises.
//
// A struct that embeds a module has its methods too, and maybe a Forward of its own,
// for which the promises of the embedded one were not made. So Promises is told of
// whom it speaks, and must return 0 unless self is of the type whose Forward it
// knows. [Promised] does that:
//
//	func (s *Scale) Promises(self nn.Module) nn.Promise {
//		return nn.Promised[*Scale](self, nn.PerExample|nn.Increasing)
//	}
type Promiser interface {
	Module
	Promises(self Module) Promise
}

// A ReLUNextFuser computes a ReLU that follows it in the same pass.
// ForwardThenReLU(x) is the ReLU of Forward(x).
type ReLUNextFuser interface {
	ForwardThenReLU(x autograd.Var) autograd.Var
}

// A ReLUPriorFuser computes a ReLU before it as it reads. ForwardAfterReLU(x) is
// Forward of the ReLU of x.
type ReLUPriorFuser interface {
	ForwardAfterReLU(x autograd.Var) autograd.Var
}

// Promised returns p if self is an M, and otherwise no promise.
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

// Together returns the promises, of KeepsNothing and PerExample, that hold of modules
// applied one after the other, or of whatever else is made of them alone: what all of
// them promise. A block of one's own promises it so:
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
