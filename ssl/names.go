package ssl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// Settings are the options of [New], those that methods share. The zero value gives every
// method its own defaults.
type Settings struct {
	Temperature float64 `json:"temperature,omitempty"` // of contrastive methods
	Queue       int     `json:"queue,omitempty"`       // of MoCo
	Groups      int     `json:"groups,omitempty"`      // of MoCo; more than 1 shuffles keys
	Out         int     `json:"out,omitempty"`         // width of the specific features
	Hidden      int     `json:"hidden,omitempty"`      // of the heads
	Random      bool    `json:"random,omitempty"`      // of Rotation: turn each sample once
	Samples     int     `json:"samples,omitempty"`     // of the data set, for InstDisc
	Steps       int     `json:"steps,omitempty"`       // of the run, for BYOL's momentum; 0 means a constant momentum
	Seed        uint64  `json:"seed"`
}

var makers = map[string]struct {
	views int
	make  func(e Encoder, s Settings) Method
}{
	"rotation": {1, func(e Encoder, s Settings) Method {
		return NewRotation(e, RotationOptions{Out: s.Out, Random: s.Random, Seed: s.Seed})
	}},
	"jigsaw": {1, func(e Encoder, s Settings) Method {
		return NewJigsaw(e, JigsawOptions{Hidden: s.Out, Seed: s.Seed})
	}},
	"instdisc": {1, func(e Encoder, s Settings) Method {
		return NewInstDisc(e, InstDiscOptions{Samples: s.Samples, Temperature: s.Temperature, Out: s.Out, Seed: s.Seed})
	}},
	"simclr": {2, func(e Encoder, s Settings) Method {
		return NewSimCLR(e, SimCLROptions{Temperature: s.Temperature, Hidden: s.Hidden, Out: s.Out, Seed: s.Seed})
	}},
	"supcon": {2, func(e Encoder, s Settings) Method {
		return NewSupCon(e, SimCLROptions{Temperature: s.Temperature, Hidden: s.Hidden, Out: s.Out, Seed: s.Seed})
	}},
	"moco1": {2, func(e Encoder, s Settings) Method { return NewMoCo(e, s.moco(1)) }},
	"moco2": {2, func(e Encoder, s Settings) Method { return NewMoCo(e, s.moco(2)) }},
	"byol": {2, func(e Encoder, s Settings) Method {
		o := BYOLOptions{Hidden: s.Hidden, Out: s.Out, Seed: s.Seed}
		if s.Steps > 0 {
			o.Momentum = CosineMomentum(0.996, s.Steps)
		}
		return NewBYOL(e, o)
	}},
	"simsiam": {2, func(e Encoder, s Settings) Method {
		return NewSimSiam(e, SimSiamOptions{Hidden: s.Hidden, Out: s.Out, Seed: s.Seed})
	}},
	"barlow": {2, func(e Encoder, s Settings) Method {
		return NewBarlow(e, BarlowOptions{Hidden: s.Hidden, Out: s.Out, Seed: s.Seed})
	}},
	"vicreg": {2, func(e Encoder, s Settings) Method {
		return NewVICReg(e, VICRegOptions{Hidden: s.Hidden, Out: s.Out, Seed: s.Seed})
	}},
}

func (s Settings) moco(version int) MoCoOptions {
	return MoCoOptions{Version: version, Queue: s.Queue, Temperature: s.Temperature, Hidden: s.Hidden, Out: s.Out,
		Groups: s.Groups, Shuffle: s.Groups > 1, Seed: s.Seed}
}

// Names returns the names for [New], in alphabetical order.
func Names() []string {
	var list []string
	for name := range makers {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// ViewsOf returns the number of views per sample of the named method, or 0 if there is
// none.
func ViewsOf(name string) int { return makers[name].views }

// New returns the named method for an encoder. It is an error if there is no such method,
// or if a setting is out of range.
func New(name string, e Encoder, s Settings) (m Method, err error) {
	maker, ok := makers[name]
	if !ok {
		return nil, fmt.Errorf("ssl: no method %q; there are %s", name, strings.Join(Names(), ", "))
	}
	err = tensor.Try(func() error {
		m = maker.make(e, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ssl: %s: %w", name, err)
	}
	return m, nil
}

// ScaledRate returns rate·batch/256, the usual linear scaling rule for learning rates.
func ScaledRate(rate float64, batch int) float64 { return rate * float64(batch) / 256 }

// Recipe returns settings of SGD with momentum 0.9 for the named method, for images of
// CIFAR's size and batches up to 512, and a learning rate schedule: a linear warm-up of
// warmUp steps, then a cosine to 0 at steps. The rates are close to those of the papers or
// their programs for such images, scaled by the batch size. The papers' settings for large
// batches of ImageNet differ: SimCLR, BYOL and Barlow Twins use optim.LARS there, SimCLR
// with a rate of 0.3·B/256 and a decay of 1e-6. It is an error if no method has the name.
func Recipe(name string, batch, steps, warmUp int) (o optim.SGDOptions, rate optim.Schedule, err error) {
	r, ok := recipes[name]
	if !ok {
		return o, nil, fmt.Errorf("ssl: no method %q; there are %s", name, strings.Join(Names(), ", "))
	}
	o = optim.SGDOptions{LR: r.rate, Momentum: 0.9, WeightDecay: r.decay}
	if r.scaled {
		o.LR = ScaledRate(r.rate, batch)
	}
	return o, optim.WarmUp(optim.Cosine(o.LR, 0, steps), warmUp), nil
}

// recipes are learning rates and decays for CIFAR and batches up to 512.
var recipes = map[string]struct {
	rate, decay float64
	scaled      bool
}{
	"rotation": {0.1, 2e-4, false}, // SSP (Yang and Xu, 2020), batch 128
	"jigsaw":   {0.1, 2e-4, false},
	"instdisc": {0.03, 5e-4, false},
	"simclr":   {0.3, 1e-4, true},
	"supcon":   {0.5, 1e-4, true},
	"moco1":    {0.03, 1e-4, true},
	"moco2":    {0.03, 5e-4, true},
	"byol":     {0.3, 1e-4, true},
	"simsiam":  {0.03, 5e-4, true},
	"barlow":   {0.2, 1e-4, true},
	"vicreg":   {0.2, 1e-4, true},
}
