package attack_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A network that tells dark pictures (class 0) from bright ones: of two pictures, the one
// that is nearly as bright as dark is not robust.
func ExampleAutoAttack() {
	layer := nn.NewLinear(rand.New(rand.NewPCG(1, 1)), 64, 2)
	layer.Weight.Update(func(w []float32) {
		for i := range w {
			w[i] = float32(2*(i/64) - 1)
		}
	})
	layer.Bias.Update(func(b []float32) { b[0], b[1] = 32, -32 })
	net := nn.NewSequential(nn.Flatten{}, layer)
	victim, err := zoo.NewModel(net, zoo.Info{Name: "brightness", Shape: []int{1, 8, 8}, Classes: 2}, data.Preprocess{})
	if err != nil {
		log.Fatal(err)
	}
	var samples []attack.Sample
	for _, gray := range []float32{0.2, 0.45} {
		x := tensor.New(1, 8, 8)
		x.Fill(gray)
		samples = append(samples, attack.Sample{X: x, Label: 0})
	}

	a := attack.AutoAttack{Norm: attack.Linf, Eps: 0.1}
	c := attack.Campaign{Job: attack.WithGradients(a, victim), Workers: 64, Gather: 64}
	res, err := c.Run(context.Background(), samples)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(a.Robustness(res, "grey pictures", 2, 0))
	// Output:
	// brightness on grey pictures, 2 samples, Linf of 0.1: clean accuracy 100.00 %
	//   after apgd-ce   robust accuracy  50.00 %  (1 of 2 broken)
	//   after fab-t     robust accuracy  50.00 %  (0 of 1 broken)
	//   after square    robust accuracy  50.00 %  (0 of 1 broken)
}
