package models

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/mettleml/mettle/nn"
)

// The networks of this file take [N, 1, 28, 28] and are the classifiers of the meta
// attack's MNIST experiments. Convolutions have no padding and stride 1; layers are
// initialised as PyTorch does by default, and numbered through in a state, as those of
// its Sequential. Stages are called stage1, stage2 and so on. classes of 0 means 10.

// A part is a stage, by what it makes and its layers.
type part struct {
	width  int
	layers []nn.Module
}

func stage(width int, layers ...nn.Module) part { return part{width, layers} }

// numbered returns the classifier of some stages, of which the last makes the features,
// and a linear head.
func numbered(r *rand.Rand, classes int, parts ...part) *nn.Classifier {
	b := &nn.Backbone{}
	number := 0
	for i, p := range parts {
		m := &nn.Sequential{Layers: p.layers}
		for range p.layers {
			m.Names = append(m.Names, strconv.Itoa(number))
			number++
		}
		s := nn.Stage{Name: fmt.Sprintf("stage%d", i+1), Width: p.width, Module: m, Inline: true}
		if i < len(parts)-1 {
			b.Stages = append(b.Stages, s)
		} else {
			s.Name, b.Pool = "features", s
		}
	}
	return &nn.Classifier{Backbone: b, Head: nn.NewLinear(r, b.Width(), or(classes, 10)), HeadName: strconv.Itoa(number)}
}

func conv(r *rand.Rand, in, out, kernel int) nn.Module {
	return nn.NewConv2D(r, in, out, kernel, nn.ConvOptions{})
}

var (
	relu  = nn.ReLU{}
	tanh  = nn.Tanh{}
	flat  = nn.Flatten{}
	halve = nn.MaxPool{Kernel: []int{2}}
)

// LeNet5 has two convolutions and three linear layers: 44,426 parameters, 84 features.
func LeNet5(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	return numbered(r, classes,
		stage(6, conv(r, 1, 6, 5), relu, halve),
		stage(16, conv(r, 6, 16, 5), relu, halve),
		stage(84, flat, nn.NewLinear(r, 256, 120), relu, nn.NewLinear(r, 120, 84), relu))
}

// Net1 has two convolutions and two linear layers: 431,080 parameters, 500 features.
func Net1(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	return numbered(r, classes,
		stage(20, conv(r, 1, 20, 5), relu, halve),
		stage(50, conv(r, 20, 50, 5), relu, halve),
		stage(500, flat, nn.NewLinear(r, 800, 500), relu))
}

// Net2 has two convolutions without pooling, and dropout: 3,382,346 parameters, 128
// features.
func Net2(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	return numbered(r, classes,
		stage(64, conv(r, 1, 64, 5), relu),
		stage(64, conv(r, 64, 64, 5), relu, nn.Dropout{P: 0.25}),
		stage(128, flat, nn.NewLinear(r, 25600, 128), relu, nn.Dropout{P: 0.5}))
}

// Net3 drops pixels of its input and has three convolutions with large kernels:
// 893,258 parameters, 18,432 features.
func Net3(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	return numbered(r, classes,
		stage(64, nn.Dropout{P: 0.2}, conv(r, 1, 64, 8), relu),
		stage(128, conv(r, 64, 128, 6), relu),
		stage(128, conv(r, 128, 128, 5), relu, nn.Dropout{P: 0.5}),
		stage(18432, flat))
}

// Net4 has two convolutions with tanh: 281,290 parameters, 128 features. It is the victim
// of the MNIST experiments.
func Net4(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	return numbered(r, classes,
		stage(128, conv(r, 1, 128, 3), tanh, halve),
		stage(64, conv(r, 128, 64, 3), tanh, halve),
		stage(128, flat, nn.NewLinear(r, 1600, 128), relu))
}

// Net5 has five linear layers with dropout: 509,410 parameters, 300 features.
func Net5(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	half := nn.Dropout{P: 0.5}
	return numbered(r, classes,
		stage(300, flat, nn.NewLinear(r, 784, 300), tanh, half),
		stage(300, nn.NewLinear(r, 300, 300), tanh, half),
		stage(300, nn.NewLinear(r, 300, 300), relu, half),
		stage(300, nn.NewLinear(r, 300, 300), relu, half))
}

// Net6 has four convolutions and three linear layers; it is the MNIST network of
// Carlini and Wagner (2017). 312,202 parameters, 200 features.
func Net6(seed uint64, classes int) *nn.Classifier {
	r := newRand(seed)
	return numbered(r, classes,
		stage(32, conv(r, 1, 32, 3), relu, conv(r, 32, 32, 3), relu, halve),
		stage(64, conv(r, 32, 64, 3), relu, conv(r, 64, 64, 3), relu, halve),
		stage(200, flat, nn.NewLinear(r, 1024, 200), relu, nn.Dropout{P: 0.5}, nn.NewLinear(r, 200, 200), relu))
}
