package eval_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// A layer that returns its input is right where the largest value is at the label.
func ExampleCollect() {
	x := tensor.FromSlice([]float32{2, 0, 0, 0, 1, 0, 3, 0, 1, 0, 0, 5}, 4, 3)
	test, err := data.NewTensors(x, []int{0, 1, 2, 2}, 3)
	if err != nil {
		log.Fatal(err)
	}
	out, err := eval.Collect(context.Background(), nn.Identity{}, test, eval.Options{BatchSize: 2})
	if err != nil {
		log.Fatal(err)
	}
	c := out.Calibration(15)
	fmt.Printf("accuracy %.2f, in the first two %.2f, ECE %.3f\n", out.Accuracy(), out.TopK(2), c.ECE)
	fmt.Println(out.Confusion())
	// Output:
	// accuracy 0.75, in the first two 1.00, ECE 0.373
	// [[1 0 0] [0 1 0] [1 0 1]]
}

// Several heads on features that are made once.
func ExampleOutputs_Through() {
	rng := rand.New(rand.NewPCG(1, 0))
	net := &nn.Classifier{
		Backbone: &nn.Backbone{Pool: nn.Stage{Name: "fc1", Width: 8, Module: nn.NewLinear(rng, 4, 8)}},
		Head:     nn.NewLinear(rng, 8, 3), HeadName: "fc2",
	}
	test, err := data.NewTensors(tensor.New(5, 4), []int{0, 1, 2, 0, 1}, 3)
	if err != nil {
		log.Fatal(err)
	}
	features, err := eval.Collect(context.Background(), net.Backbone, test, eval.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		fmt.Println(features.Through(net.Head).Y.Shape())
		net.Head = nn.NewLinear(rng, 8, 3) // another to try
	}
	// Output:
	// [5 3]
	// [5 3]
}
