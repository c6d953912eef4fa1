package recipes

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
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

// WriteNetwork writes a tree, a network alone or with a method beside it, with what is needed to
// make its network again.
func WriteNetwork(path string, tree nn.Tree, model string, classes int) error {
	return nn.SaveWith(path, tree, nn.SaveOptions{Metadata: map[string]string{"model": model, "classes": strconv.Itoa(classes)}})
}

// ReadNetwork reads a network that WriteNetwork or a [Lab] wrote, without what was beside it.
func ReadNetwork(path string, seed uint64) (net *nn.Classifier, model string, classes int, err error) {
	f, err := tensor.OpenSafetensors(path)
	if err != nil {
		return nil, "", 0, err
	}
	defer f.Close()
	meta := f.Metadata()
	model = meta["model"]
	classes, err = strconv.Atoi(meta["classes"])
	if model == "" || err != nil {
		return nil, "", 0, fmt.Errorf("%s was not written by these programs: its metadata do not name model and classes", path)
	}
	if net, err = Network(model, seed, classes); err != nil {
		return nil, "", 0, fmt.Errorf("%s: %w", path, err)
	}
	return net, model, classes, loadWithout(f, net)
}

// loadWithout reads a network and leaves out what is self-supervised beside it.
func loadWithout(f *tensor.Safetensors, net nn.Tree) error {
	return nn.LoadFrom(f, net, nn.LoadOptions{Rename: func(name string) string {
		if strings.HasPrefix(name, "ssl.") {
			return ""
		}
		return name
	}})
}
