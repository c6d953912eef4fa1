package models_test

import (
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

// The features and the maps of a network, whatever network it is.
func Example() {
	spec, ok := models.Find("resnet20")
	if !ok {
		log.Fatal("no such network")
	}
	net, err := spec.Classifier(1, 100)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range net.Backbone.Stages {
		fmt.Println(s.Name, s.Width)
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	x := tape.Input(tensor.New(2, 3, 32, 32))
	maps := net.Backbone.Maps(x, "layer2", "layer3")
	features := net.Backbone.Pool.Module.Forward(maps[1])
	fmt.Println(maps[0].Shape(), maps[1].Shape(), features.Shape(), net.Head.Forward(features).Shape())
	// Output:
	// stem 16
	// layer1 16
	// layer2 32
	// layer3 64
	// [2 32 16 16] [2 64 8 8] [2 64] [2 100]
}

// A head for other classes, trained alone.
func ExampleResNet20() {
	net := models.ResNet20(1, 10)
	net.Head = nn.NewLinear(rand.New(rand.NewPCG(2, 0)), net.Backbone.Width(), 3)
	nn.SetFrozen(net.Backbone, true)
	nn.SetStatistics(net.Backbone, nn.Frozen)
	tape := autograd.NewTape(autograd.Training, 1)
	loss := nn.CrossEntropy(net.Forward(tape.Input(tensor.New(4, 3, 32, 32))), []int{0, 1, 2, 0})
	fmt.Println(tape.Gradients(loss).Len(), "gradients, of", len(nn.Params(net)), "parameters")
	// Output: 2 gradients, of 59 parameters
}

// A file that says what it holds.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "models")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "shapes.safetensors")
	info := models.Info{
		Model: "lenet5", Classes: 3, ClassNames: []string{"circle", "square", "star"},
		Preprocess: data.Preprocess{Mean: []float32{0.5}, Std: []float32{0.5}},
	}
	if err := models.Save(path, models.LeNet5(1, 3), info, nn.SaveOptions{DType: tensor.F16}); err != nil {
		log.Fatal(err)
	}
	net, read, err := models.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(read.Model, read.ClassNames, nn.Count(net))
	// Output: lenet5 [circle square star] 43831
}
