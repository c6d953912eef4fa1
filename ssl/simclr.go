package ssl

import (
	"cmp"
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
)

// SimCLROptions are the settings of [SimCLR] and [SupCon].
type SimCLROptions struct {
	Temperature float64 `json:"temperature,omitempty"` // 0 means 0.5, the paper's for CIFAR (0.1 for ImageNet), and 0.1 for SupCon
	Hidden      int     `json:"hidden,omitempty"`      // width of the projector's hidden layer; 0 means the encoder's
	Out         int     `json:"out,omitempty"`         // 0 means 128
	Seed        uint64  `json:"seed"`                  // of the projector's weights
}

// SimCLR distinguishes the two views of a sample from those of all others (Chen et al.,
// 2020): [NTXent] after a two-layer projector. Both views go through the encoder in one
// batch and so share batch statistics. It takes two views.
type SimCLR struct {
	Tower   *Tower
	Options SimCLROptions
}

// NewSimCLR returns the method for an encoder. It panics if an option is out of range.
func NewSimCLR(e Encoder, o SimCLROptions) *SimCLR {
	o.Temperature = cmp.Or(o.Temperature, 0.5)
	return &SimCLR{contrastTower("ssl.NewSimCLR", e, &o), o}
}

func contrastTower(op string, e Encoder, o *SimCLROptions) *Tower {
	o.Hidden, o.Out = cmp.Or(o.Hidden, e.Width()), cmp.Or(o.Out, 128)
	positive(op, "Temperature", o.Temperature, "Hidden", o.Hidden, "Out", o.Out)
	return &Tower{e, perceptron(generator(o.Seed), inside, e.Width(), o.Hidden, o.Out)}
}

// joint passes two views through the tower in one batch.
func (t *Tower) joint(tape *autograd.Tape, b data.Batch) (z autograd.Var, out Output) {
	n := len(b.Y)
	r := t.Encoder.Forward(tape.Input(b.X.Slice(0, 2*n)))
	z = t.Projector.Forward(r)
	return z, Output{Features: halves(r), Specific: halves(z)}
}

// Loss implements [Method].
func (s *SimCLR) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	if _, _, err := viewsOf("SimCLR", b, 2, 2); err != nil {
		return Output{}, err
	}
	z, out := s.Tower.joint(t, b)
	out.Loss = ntXent("ssl.SimCLR", z, s.Options.Temperature)
	return finite("SimCLR", out)
}

// Update does nothing.
func (s *SimCLR) Update() {}

// Walk names projector.
func (s *SimCLR) Walk(w *nn.Walker) { w.Child("projector", s.Tower.Projector) }

// SupCon is SimCLR with labels: all views of samples of one class are positives (Khosla et
// al., "Supervised contrastive learning", 2020; [SupervisedNCE]). It takes two views.
type SupCon struct {
	Tower   *Tower
	Options SimCLROptions
}

// NewSupCon returns the method for an encoder; Temperature 0 means 0.1. It panics if an
// option is out of range.
func NewSupCon(e Encoder, o SimCLROptions) *SupCon {
	o.Temperature = cmp.Or(o.Temperature, 0.1)
	return &SupCon{contrastTower("ssl.NewSupCon", e, &o), o}
}

// Loss implements [Method].
func (s *SupCon) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	if _, _, err := viewsOf("SupCon", b, 2, 2); err != nil {
		return Output{}, err
	}
	labels := make([]int, 0, 2*len(b.Y))
	for _, y := range b.Y {
		if y < 0 {
			return Output{}, fmt.Errorf("ssl: SupCon needs labels and a sample has %d", y)
		}
		labels = append(labels, y)
	}
	labels = append(labels, labels...)
	z, out := s.Tower.joint(t, b)
	out.Loss = SupervisedNCE(z, labels, s.Options.Temperature)
	return finite("SupCon", out)
}

// Update does nothing.
func (s *SupCon) Update() {}

// Walk names projector.
func (s *SupCon) Walk(w *nn.Walker) { w.Child("projector", s.Tower.Projector) }
