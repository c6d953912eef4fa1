package ssl

import (
	"cmp"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// apart passes views through the tower one after the other, each with batch statistics of
// its own.
func (t *Tower) apart(tape *autograd.Tape, views []*tensor.Tensor) (out Output) {
	for _, x := range views {
		r := t.Encoder.Forward(tape.Input(x))
		out.Features = append(out.Features, r)
		out.Specific = append(out.Specific, t.Projector.Forward(r))
	}
	return out
}

// SimSiamOptions are the settings of [SimSiam].
type SimSiamOptions struct {
	Hidden    int    `json:"hidden,omitempty"`    // of the projector; 0 means 2048, or 4 times the width of an encoder below 512
	Out       int    `json:"out,omitempty"`       // 0 means Hidden
	Predictor int    `json:"predictor,omitempty"` // the bottleneck; 0 means a quarter of Out
	Layers    int    `json:"layers,omitempty"`    // of the projector, 2 or 3; 0 means 3, or 2 (the paper's for CIFAR) for an encoder below 512
	Seed      uint64 `json:"seed"`

	// Through lets the gradient flow into the predicted side too. The features then
	// collapse: for demonstration only.
	Through bool `json:"through,omitempty"`
}

// SimSiam predicts the projection of one view from that of the other, and stops the
// gradient at the predicted one (Chen and He, "Exploring simple Siamese representation
// learning", 2021):
//
//	-1/2 [ cos(h(z_1), z_2) + cos(h(z_2), z_1) ]
//
// It takes two views. The paper keeps the learning rate of the predictor h constant: give h
// an optimiser of its own (optim.Join), and change only the other's rate.
type SimSiam struct {
	Tower     *Tower
	Predictor nn.Module
	Options   SimSiamOptions
}

// NewSimSiam returns the method for an encoder. It panics if an option is out of range.
func NewSimSiam(e Encoder, o SimSiamOptions) *SimSiam {
	const op = "ssl.NewSimSiam"
	o.Hidden = sized(o.Hidden, e, 2048, 4*e.Width())
	o.Layers = sized(o.Layers, e, 3, 2)
	o.Out = cmp.Or(o.Out, o.Hidden)
	o.Predictor = cmp.Or(o.Predictor, max(o.Out/4, 1))
	positive(op, "Hidden", o.Hidden, "Out", o.Out, "Predictor", o.Predictor, "Layers", o.Layers)
	rng := generator(o.Seed)
	widths := []int{e.Width()}
	for range o.Layers - 1 {
		widths = append(widths, o.Hidden)
	}
	return &SimSiam{
		Tower:     &Tower{e, perceptron(rng, throughout, append(widths, o.Out)...)},
		Predictor: perceptron(rng, inside, o.Out, o.Predictor, o.Out),
		Options:   o,
	}
}

// Loss implements [Method].
func (s *SimSiam) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	xs, _, err := viewsOf("SimSiam", b, 2, 2)
	if err != nil {
		return Output{}, err
	}
	out := s.Tower.apart(t, xs)
	z := out.Specific
	side := func(z, target autograd.Var) autograd.Var {
		if !s.Options.Through {
			target = autograd.Detach(target)
		}
		return autograd.Mean(autograd.CosineSimilarity(s.Predictor.Forward(z), target, tiny))
	}
	out.Loss = autograd.Scale(autograd.Add(side(z[0], z[1]), side(z[1], z[0])), -0.5)
	return finite("SimSiam", out)
}

// Update does nothing.
func (s *SimSiam) Update() {}

// Walk names projector and predictor.
func (s *SimSiam) Walk(w *nn.Walker) {
	w.Child("projector", s.Tower.Projector)
	w.Child("predictor", s.Predictor)
}

// BarlowOptions are the settings of [Barlow].
type BarlowOptions struct {
	Lambda float64 `json:"lambda,omitempty"` // 0 means 0.0051
	Hidden int     `json:"hidden,omitempty"` // 0 means 8192, or 1024 for an encoder below 512
	Out    int     `json:"out,omitempty"`    // 0 means Hidden
	Seed   uint64  `json:"seed"`
}

// Barlow makes the cross-correlation of two views the identity: see [BarlowTwins]. The
// projector has three layers. It takes two views.
type Barlow struct {
	Tower   *Tower
	Options BarlowOptions
}

// NewBarlow returns the method for an encoder. It panics if an option is out of range.
func NewBarlow(e Encoder, o BarlowOptions) *Barlow {
	o.Lambda = cmp.Or(o.Lambda, 0.0051)
	o.Hidden = sized(o.Hidden, e, 8192, 1024)
	o.Out = cmp.Or(o.Out, o.Hidden)
	positive("ssl.NewBarlow", "Lambda", o.Lambda, "Hidden", o.Hidden, "Out", o.Out)
	p := perceptron(generator(o.Seed), inside, e.Width(), o.Hidden, o.Hidden, o.Out)
	return &Barlow{&Tower{e, p}, o}
}

// Loss implements [Method].
func (m *Barlow) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	xs, _, err := viewsOf("Barlow Twins", b, 2, 2)
	if err != nil {
		return Output{}, err
	}
	out := m.Tower.apart(t, xs)
	out.Loss = BarlowTwins(out.Specific[0], out.Specific[1], m.Options.Lambda, 1e-5)
	return finite("Barlow Twins", out)
}

// Update does nothing.
func (m *Barlow) Update() {}

// Walk names projector.
func (m *Barlow) Walk(w *nn.Walker) { w.Child("projector", m.Tower.Projector) }

// VICRegOptions are the settings of [Variance].
type VICRegOptions struct {
	Weights VICRegWeights `json:"weights,omitzero"`
	Hidden  int           `json:"hidden,omitempty"` // 0 means 8192, or 1024 for an encoder below 512
	Out     int           `json:"out,omitempty"`    // 0 means Hidden
	Seed    uint64        `json:"seed"`
}

// Variance is the method [VICReg], with a three-layer projector. It takes two views.
type Variance struct {
	Tower   *Tower
	Options VICRegOptions
}

func (w VICRegWeights) withDefaults() VICRegWeights {
	return VICRegWeights{cmp.Or(w.Invariance, 25), cmp.Or(w.Variance, 25), cmp.Or(w.Covariance, 1)}
}

// NewVICReg returns the method for an encoder. It panics if an option is out of range.
func NewVICReg(e Encoder, o VICRegOptions) *Variance {
	o.Weights = o.Weights.withDefaults()
	o.Hidden = sized(o.Hidden, e, 8192, 1024)
	o.Out = cmp.Or(o.Out, o.Hidden)
	positive("ssl.NewVICReg", "Hidden", o.Hidden, "Out", o.Out, "Invariance", o.Weights.Invariance, "Variance", o.Weights.Variance, "Covariance", o.Weights.Covariance)
	p := perceptron(generator(o.Seed), inside, e.Width(), o.Hidden, o.Hidden, o.Out)
	return &Variance{&Tower{e, p}, o}
}

// Loss implements [Method].
func (m *Variance) Loss(t *autograd.Tape, b data.Batch) (Output, error) {
	xs, _, err := viewsOf("VICReg", b, 2, 2)
	if err != nil {
		return Output{}, err
	}
	out := m.Tower.apart(t, xs)
	out.Loss = VICReg(out.Specific[0], out.Specific[1], m.Options.Weights)
	return finite("VICReg", out)
}

// Update does nothing.
func (m *Variance) Update() {}

// Walk names projector.
func (m *Variance) Walk(w *nn.Walker) { w.Child("projector", m.Tower.Projector) }
