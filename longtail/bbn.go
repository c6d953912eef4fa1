package longtail

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// Cumulative returns α = 1 - (t/T)² of cumulative learning (Zhou et al., "BBN:
// Bilateral-branch network with cumulative learning for long-tailed visual recognition",
// 2020) for epoch t, counted from 0, of T: 1 at first, and 0 at the end of training. It
// panics unless 0 <= epoch <= epochs and epochs is positive.
func Cumulative(epoch, epochs int) float64 {
	if epochs < 1 || epoch < 0 || epoch > epochs {
		tensor.Panic("longtail.Cumulative", fmt.Sprintf("epoch %d of %d", epoch, epochs))
	}
	t := float64(epoch) / float64(epochs)
	return 1 - t*t
}

// BBN is the loss of the bilateral-branch network of Zhou et al. (2020). One branch gets
// samples from the usual sampler ([Instance]), the other from the reversed sampler
// ([Reversed]). The logits are mixed, and the weight moves from the first branch to the
// second:
//
//	z = α·z1 + (1-α)·z2,   L = α·loss(z, y1) + (1-α)·loss(z, y2)
//
// with α from [Cumulative]. The network is a [Branched] with two branches. Both batches
// pass through the trunk, one after the other. Prediction uses α = 1/2. A step is
//
//	z1 := net.Branch(0).Forward(tape.Input(usual.X))
//	z2 := net.Branch(1).Forward(tape.Input(reversed.X))
//	loss := longtail.BBN(nn.CrossEntropy, longtail.Cumulative(epoch, epochs), z1, usual.Y, z2, reversed.Y)
//
// The loss is the paper's; the authors' program doubles z. For CIFAR-LT they train for 200
// epochs with batches of 128, by SGD with momentum 0.9 and weight decay 2e-4. The learning
// rate is 0.1 after a warm-up of 5 epochs, and is multiplied by 0.01 at epochs 120 and 160.
// An epoch takes two passes per sample. BBN panics if α is not in [0, 1] or the batches
// differ in size.
func BBN(loss Loss, alpha float64, z1 autograd.Var, y1 []int, z2 autograd.Var, y2 []int) autograd.Var {
	const op = "longtail.BBN"
	if !(alpha >= 0 && alpha <= 1) {
		tensor.Panic(op, fmt.Sprintf("alpha %v is not in [0, 1]", alpha))
	}
	if z1.Rank() != 2 || z2.Rank() != 2 || z1.Dim(0) != z2.Dim(0) || z1.Dim(1) != z2.Dim(1) || len(y1) != z1.Dim(0) || len(y2) != len(y1) {
		tensor.Panic(op, fmt.Sprintf("two batches of one size, with %d and %d labels", len(y1), len(y2)), z1.Shape(), z2.Shape())
	}
	z := autograd.Add(autograd.Scale(z1, float32(alpha)), autograd.Scale(z2, float32(1-alpha)))
	return Mixed(loss, z, data.Pairs{A: y1, B: y2, Lambda: alpha})
}
