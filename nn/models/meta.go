package models

import (
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
)

// A metaLayer is one row of the meta attacker's table.
type metaLayer struct {
	transposed              bool
	in, out, kernel, stride int
	padding                 int
}

// MetaAttackerMNIST is the auto-encoder of the meta attack for [N, 1, 28, 28]: 136,081
// parameters. It predicts the gradient of the attack's loss with respect to the image.
//
// Each convolution but the last is followed by a ReLU and then by batch
// normalisation, which always uses the statistics of the batch, even of a single
// image. Weights are drawn from N(0, 2/fan-in), biases are 0.
func MetaAttackerMNIST(seed uint64) *nn.Sequential {
	return metaAttacker(seed, []metaLayer{
		{false, 1, 16, 3, 1, 1}, {false, 16, 32, 4, 2, 1}, {false, 32, 64, 4, 2, 1}, {false, 64, 64, 4, 2, 1},
		{true, 64, 32, 3, 2, 0}, {true, 32, 16, 4, 2, 1}, {true, 16, 8, 4, 2, 1}, {true, 8, 1, 3, 1, 1},
	})
}

// MetaAttackerCIFAR is the auto-encoder of the meta attack for [N, 3, H, W] with H
// and W multiples of 8 and at least 16, such as CIFAR's 32 and Tiny ImageNet's 64:
// 1,380,099 parameters. See [MetaAttackerMNIST].
func MetaAttackerCIFAR(seed uint64) *nn.Sequential {
	return metaAttacker(seed, []metaLayer{
		{false, 3, 32, 3, 1, 1}, {false, 32, 64, 4, 2, 1}, {false, 64, 128, 4, 2, 1}, {false, 128, 256, 4, 2, 1},
		{true, 256, 128, 4, 2, 1}, {true, 128, 64, 4, 2, 1}, {true, 64, 32, 4, 2, 1}, {true, 32, 3, 3, 1, 1},
	})
}

func metaAttacker(seed uint64, rows []metaLayer) *nn.Sequential {
	r := newRand(seed)
	var layers []nn.Module
	for i, l := range rows {
		c := nn.ConvOptions{Stride: l.stride, Padding: l.padding}
		var weight *autograd.Param
		if l.transposed {
			m := nn.NewConvTranspose2D(nil, l.in, l.out, l.kernel, c)
			weight, layers = m.Weight, append(layers, m)
		} else {
			m := nn.NewConv2D(nil, l.in, l.out, l.kernel, c)
			weight, layers = m.Weight, append(layers, m)
		}
		nn.KaimingNormal(r, weight)
		if i < len(rows)-1 {
			bn := nn.NewBatchNorm(l.out)
			bn.Statistics = nn.Batch
			layers = append(layers, nn.ReLU{}, bn)
		}
	}
	return nn.NewSequential(layers...)
}
