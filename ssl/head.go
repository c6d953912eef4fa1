package ssl

import (
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
)

// A norm says where a multilayer perceptron normalises.
type norm uint8

const (
	noNorm     norm = iota
	inside          // before every ReLU
	throughout      // before every ReLU and at the end, there without scale and shift
)

// perceptron returns linear layers of the given widths with ReLU between them, as a
// PyTorch Sequential numbers them. A layer before a normalisation has no bias, which that
// would take away.
func perceptron(rng *rand.Rand, where norm, widths ...int) *nn.Sequential {
	s := nn.NewSequential()
	last := len(widths) - 2
	for i := range widths[:len(widths)-1] {
		l := nn.NewLinear(rng, widths[i], widths[i+1])
		s.Layers = append(s.Layers, l)
		switch {
		case i < last && where != noNorm:
			l.Bias = nil
			s.Layers = append(s.Layers, nn.NewBatchNorm(widths[i+1]))
		case i == last && where == throughout:
			l.Bias = nil
			b := nn.NewBatchNorm(widths[i+1])
			b.Weight, b.Bias = nil, nil
			s.Layers = append(s.Layers, b)
		}
		if i < last {
			s.Layers = append(s.Layers, nn.ReLU{})
		}
	}
	return s
}

// A Tower is an encoder with its projector. A target or a key encoder is a copy of a Tower.
type Tower struct {
	Encoder   Encoder
	Projector nn.Module
}

// Forward returns the projections of x.
func (t *Tower) Forward(x autograd.Var) autograd.Var {
	return t.Projector.Forward(t.Encoder.Forward(x))
}

// Walk names encoder and projector.
func (t *Tower) Walk(w *nn.Walker) {
	w.Child("encoder", t.Encoder)
	w.Child("projector", t.Projector)
}

// A Projecting is a method that makes its specific features by a projector on an encoder, as
// those of this package do but [Jigsaw], whose samples are in pieces. So they can be had of any
// samples and not of its batches alone: figure 5.1 looks at both ends of the tower.
type Projecting interface {
	Method
	Projection() *Tower
}

// Projection implements [Projecting].
func (m *Rotation) Projection() *Tower { return m.Tower }

// Projection implements [Projecting].
func (m *InstDisc) Projection() *Tower { return m.Tower }

// Projection implements [Projecting].
func (s *SimCLR) Projection() *Tower { return s.Tower }

// Projection implements [Projecting].
func (s *SupCon) Projection() *Tower { return s.Tower }

// Projection implements [Projecting].
func (m *MoCo) Projection() *Tower { return m.Tower }

// Projection implements [Projecting].
func (m *BYOL) Projection() *Tower { return m.Tower }

// Projection implements [Projecting].
func (s *SimSiam) Projection() *Tower { return s.Tower }

// Projection implements [Projecting].
func (m *Barlow) Projection() *Tower { return m.Tower }

// Projection implements [Projecting].
func (m *Variance) Projection() *Tower { return m.Tower }

// wide tells an encoder for which a head has the sizes of the paper, which are for 512
// features or more, from one for which it has ours.
func wide(e Encoder) bool { return e.Width() >= 512 }

// sized returns v, or if that is 0 the paper's size for a wide encoder and else ours.
func sized(v int, e Encoder, paper, ours int) int {
	switch {
	case v != 0:
		return v
	case wide(e):
		return paper
	}
	return ours
}

// generator draws the weights of a method's heads.
func generator(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x73736c)) }
