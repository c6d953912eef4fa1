// Peers times Gorgonia on the training step that internal/bench calls
// train/smallcnn_b64: two convolutions with batch normalisation, batch 64. It
// prints the case, the least and the median milliseconds a step. Run it as
//
//	ASSUME_NO_MOVING_GC_UNSAFE_RISK_IT_WITH=go1.26 go run -C internal/bench/peers .
//
// meta_attack.py beside it is the Meta Attack in PyTorch, and meta_attack.log what it and
// ours printed.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand"
	"runtime"
	"slices"
	"time"

	_ "go4.org/unsafe/assume-no-moving-gc" // the newest, which knows the variable above
	. "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const batch = 64

func main() {
	threads := flag.Int("threads", 1, "GOMAXPROCS")
	seconds := flag.Float64("seconds", 4, "how long to repeat the step")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)
	step, err := smallCNN()
	if err != nil {
		log.Fatal(err)
	}
	var times []float64
	for end := time.Now().Add(time.Duration(*seconds * float64(time.Second))); time.Now().Before(end) || len(times) < 5; {
		t := time.Now()
		if err := step(); err != nil {
			log.Fatal(err)
		}
		times = append(times, time.Since(t).Seconds()*1e3)
	}
	times = times[min(2, len(times)-1):]
	slices.Sort(times)
	fmt.Printf("%-34s %10.3f %10.3f\n", "train/smallcnn_b64", times[0], times[len(times)/2])
}

// smallCNN builds the network and returns a function that takes one SGD step.
func smallCNN() (func() error, error) {
	g := NewGraph()
	x := NewTensor(g, tensor.Float32, 4, WithShape(batch, 1, 28, 28), WithName("x"), WithInit(Gaussian(0, 1)))
	y := NewMatrix(g, tensor.Float32, WithShape(batch, 10), WithName("y"))
	var learn Nodes
	param := func(name string, shape ...int) *Node {
		n := NewTensor(g, tensor.Float32, len(shape), WithShape(shape...), WithName(name), WithInit(GlorotN(1)))
		learn = append(learn, n)
		return n
	}
	h := x
	for i, c := range [][2]int{{1, 16}, {16, 32}} {
		var err error
		if h, err = Conv2d(h, param(fmt.Sprint("w", i), c[1], c[0], 3, 3), tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}); err != nil {
			return nil, err
		}
		norm, scale, bias, _, err := BatchNorm(h, nil, nil, 0.1, 1e-5)
		if err != nil {
			return nil, err
		}
		learn = append(learn, scale, bias)
		if h, err = Rectify(norm); err != nil {
			return nil, err
		}
		if h, err = MaxPool2D(h, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}); err != nil {
			return nil, err
		}
	}
	h, err := Reshape(h, tensor.Shape{batch, 1568})
	if err != nil {
		return nil, err
	}
	z, err := Mul(h, param("fc", 1568, 10))
	if err != nil {
		return nil, err
	}
	p, err := SoftMax(z)
	if err != nil {
		return nil, err
	}
	logp, err := Log(p)
	if err != nil {
		return nil, err
	}
	picked, err := HadamardProd(logp, y)
	if err != nil {
		return nil, err
	}
	mean, err := Mean(picked)
	if err != nil {
		return nil, err
	}
	loss, err := Neg(mean)
	if err != nil {
		return nil, err
	}
	if _, err := Grad(loss, learn...); err != nil {
		return nil, err
	}
	labels := tensor.New(tensor.WithShape(batch, 10), tensor.Of(tensor.Float32))
	for i := range batch {
		if err := labels.SetAt(float32(1), i, rand.Intn(10)); err != nil {
			return nil, err
		}
	}
	if err := Let(y, labels); err != nil {
		return nil, err
	}
	vm := NewTapeMachine(g, BindDualValues(learn...))
	solver := NewMomentum(WithLearnRate(0.01), WithMomentum(0.9))
	return func() error {
		defer vm.Reset()
		if err := vm.RunAll(); err != nil {
			return err
		}
		return solver.Step(NodesToValueGrads(learn))
	}, nil
}
