package data_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

func Example() {
	// Ten gray images of 2 by 2 pixels in two classes.
	x := tensor.New(10, 1, 2, 2)
	y := []int{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}
	all, err := data.NewTensors(x, y, 2)
	if err != nil {
		log.Fatal(err)
	}
	train, test := data.SplitStratified(all, 0.8, 1)
	fmt.Println(data.ClassCounts(train), data.ClassCounts(test))

	loader, err := data.NewLoader(train, data.LoaderOptions{BatchSize: 3, Shuffle: true, Transform: data.RandomCrop{Padding: 1}})
	if err != nil {
		log.Fatal(err)
	}
	for batch, err := range loader.Batches(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(batch.X.Shape(), len(batch.Y))
	}
	epoch, next := loader.Position()
	fmt.Println("next: epoch", epoch, "batch", next)
	// Output:
	// [4 4] [1 1]
	// [3 1 2 2] 3
	// [3 1 2 2] 3
	// [2 1 2 2] 2
	// next: epoch 1 batch 0
}

func ExampleLoader_Seek() {
	d, err := data.NewTensors(tensor.New(6, 1, 1, 1), make([]int, 6), 1)
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(d, data.LoaderOptions{BatchSize: 2, Shuffle: true, Seed: 9})
	if err != nil {
		log.Fatal(err)
	}
	// A program that stopped after two batches of epoch 4 goes on with the third.
	loader.Seek(4, 2)
	for batch, err := range loader.Batches(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(batch.Indices), "samples")
	}
	fmt.Println(loader.Position())
	// Output:
	// 2 samples
	// 5 0
}

func ExampleCompose() {
	simCLR := data.Compose(
		data.RandomResizedCrop{H: 32, W: 32},
		data.RandomHorizontalFlip{},
		data.RandomApply{P: 0.8, Transform: data.ColorJitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1}},
		data.RandomGrayscale{P: 0.2},
	)
	fmt.Println(simCLR.Shape([]int{3, 48, 64}))
	// Output: [3 32 32]
}
