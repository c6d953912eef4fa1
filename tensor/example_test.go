package tensor_test

import (
	"bytes"
	"fmt"
	"log"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

func Example() {
	// Two samples of three logits, and what they say.
	logits := tensor.FromSlice([]float32{2, 1, 0, 0, 3, 1}, 2, 3)
	fmt.Println(logits.Softmax())
	fmt.Println("classes", logits.ArgMaxAxis(1))

	// A view along the first axis shares memory with the tensor.
	logits.Index(1).Fill(-1)
	fmt.Println(logits)
	// Output:
	// tensor [2 3]
	// [[0.6652 0.2447 0.0900]
	//  [0.0420 0.8438 0.1142]]
	// classes [0 1]
	// tensor [2 3]
	// [[ 2  1  0]
	//  [-1 -1 -1]]
}

func ExampleTensor_Add() {
	images := tensor.New(2, 1, 2) // broadcast against one row for each
	shift := tensor.FromSlice([]float32{1, 2, 3}, 3, 1)
	fmt.Println(images.Add(shift))
	// Output:
	// tensor [2 3 2]
	// [[[1 1]
	//   [2 2]
	//   [3 3]]
	//
	//  [[1 1]
	//   [2 2]
	//   [3 3]]]
}

func ExampleTensor_Norm() {
	x := tensor.New(3, 32, 32)
	x.FillUniform(rand.New(rand.NewPCG(1, 2)), 0, 1)
	adversarial := x.AddScalar(0.03).Clamp(0, 1)
	fmt.Printf("%.4f\n", adversarial.Sub(x).Norm(math.Inf(1)))
	// Output: 0.0300
}

func ExampleTry() {
	err := tensor.Try(func() error {
		tensor.New(2, 3).MatMul(tensor.New(2, 3))
		return nil
	})
	fmt.Println(err)
	// Output: tensor.MatMul: [2 3] and [2 3]: not the shapes of a matrix product
}

func ExampleNewSafetensors() {
	var file bytes.Buffer
	err := tensor.WriteSafetensors(&file, map[string]*tensor.Tensor{
		"fc.weight": tensor.New(10, 84),
		"fc.bias":   tensor.New(10),
	}, map[string]string{"format": "pt"})
	if err != nil {
		log.Fatal(err)
	}
	s, err := tensor.NewSafetensors(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range s.Entries() {
		fmt.Println(e.Name, e.DType, e.Shape)
	}
	if _, err := s.Load("fc.scale"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// fc.bias F32 [10]
	// fc.weight F32 [10 84]
	// safetensors: tensor "fc.scale": not in the file
}
