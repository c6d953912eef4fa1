package attack

import (
	"slices"
	"sync"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// Learned is the decoder that a network computes, such as the second half of an
// auto-encoder trained on natural images (AutoZOOM-AE of Tu et al., 2019). The network's
// output is the modifier. A code of zeros does not give a modifier of 0. Attacks that run
// at the same time may share a Learned.
type Learned struct {
	Network nn.Module // maps [1, Code...] to [1, sample...]
	Code    []int     // shape of a code, such as [1, 14, 14]

	tapes sync.Pool
}

// Name implements Decoder.
func (*Learned) Name() string { return "learned" }

// Dim implements Decoder.
func (l *Learned) Dim([]int) int {
	n := 1
	for _, d := range l.Code {
		n *= d
	}
	return n
}

// Decode implements Decoder. It panics if the network's output does not have the sample's
// size.
func (l *Learned) Decode(dst, code []float32, shape []int) {
	tape, ok := l.tapes.Get().(*autograd.Tape)
	if !ok {
		tape = autograd.NewTape(autograd.Inference, 0)
	}
	defer l.tapes.Put(tape)
	tape.Reset()
	y := l.Network.Forward(tape.Input(tensor.FromSlice(code, append([]int{1}, l.Code...)...)))
	if !slices.Equal(y.Shape()[1:], shape) {
		tensor.Panic("attack.Learned.Decode", "the network's answer is not a sample", y.Shape(), shape)
	}
	copy(dst, y.Data())
}
