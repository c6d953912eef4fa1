package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/examples/internal/recipes"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

// small is a network for gray digits: three convolutions with batch normalisation, 64
// features.
func small(seed uint64, classes int) *nn.Classifier {
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

// network makes the network of a name.
func network(name string, seed uint64, classes int) (*nn.Classifier, error) {
	if name == "small" {
		return small(seed, classes), nil
	}
	spec, ok := models.Find(name)
	if !ok {
		return nil, fmt.Errorf("-model %s: neither small nor a network of package models", name)
	}
	return spec.Classifier(seed, classes)
}

// modelFor is the network that suits the data, unless one is named.
func modelFor(name string, d *recipes.Data) string {
	shape := d.Test.Shape()
	switch {
	case name != "":
		return name
	case shape[0] == 1:
		return "small"
	case shape[1] <= 64:
		return "resnet20"
	}
	return "resnet10"
}

// save writes a tree with what is needed to make its network again.
func save(path string, tree nn.Tree, model string, classes int) error {
	return nn.SaveWith(path, tree, nn.SaveOptions{Metadata: map[string]string{"model": model, "classes": strconv.Itoa(classes)}})
}

// load reads a network that save wrote, alone or with a method beside it, whose tensors it
// leaves out.
func load(path string, seed uint64) (net *nn.Classifier, model string, classes int, err error) {
	f, err := tensor.OpenSafetensors(path)
	if err != nil {
		return nil, "", 0, err
	}
	defer f.Close()
	meta := f.Metadata()
	model = meta["model"]
	classes, err = strconv.Atoi(meta["classes"])
	if model == "" || err != nil {
		return nil, "", 0, fmt.Errorf("%s was not written by this program: its metadata do not name model and classes", path)
	}
	if net, err = network(model, seed, classes); err != nil {
		return nil, "", 0, fmt.Errorf("%s: %w", path, err)
	}
	err = nn.LoadFrom(f, net, nn.LoadOptions{Rename: func(name string) string {
		if strings.HasPrefix(name, "ssl.") {
			return ""
		}
		return name
	}})
	return net, model, classes, err
}
