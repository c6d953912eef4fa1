package recipes

import (
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
)

// Small is the name of a network for gray digits that package models does not have: three
// convolutions with batch normalisation, 64 features.
const Small = "small"

// Network makes the classifier of a name: that of package models, or [Small].
func Network(name string, seed uint64, classes int) (*nn.Classifier, error) {
	if name == Small {
		return smallNetwork(seed, classes), nil
	}
	spec, ok := models.Find(name)
	if !ok || spec.Classes == 0 {
		return nil, fmt.Errorf("model %s: neither %s nor a classifier of package models", name, Small)
	}
	c, ok := spec.New(seed, classes).(*nn.Classifier)
	if !ok {
		return nil, fmt.Errorf("model %s has no backbone", name)
	}
	return c, nil
}

func smallNetwork(seed uint64, classes int) *nn.Classifier {
	rng := rand.New(rand.NewPCG(seed, 0))
	b := &nn.Backbone{Pool: nn.Stage{Name: "pool", Width: 64, Module: nn.GlobalAvgPool{}}}
	in := 1
	for i, out := range []int{16, 32, 64} {
		c := nn.NewConv2D(nil, in, out, 3, nn.ConvOptions{Padding: 1, NoBias: true})
		nn.KaimingNormal(rng, c.Weight)
		m := nn.NewSequential(c, nn.NewBatchNorm(out), nn.ReLU{})
		if i < 2 {
			m.Layers = append(m.Layers, nn.MaxPool{Kernel: []int{2}})
		}
		b.Stages = append(b.Stages, nn.Stage{Name: fmt.Sprintf("stage%d", i+1), Width: out, Module: m})
		in = out
	}
	return &nn.Classifier{Backbone: b, Head: nn.NewLinear(rng, 64, classes), HeadName: "fc"}
}
