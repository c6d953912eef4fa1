package zoo

import "github.com/mettleml/mettle/nn"

// Steady makes fine-tuning change a meta attacker's convolutions more slowly: it multiplies
// the weights and biases of each convolution that is followed by a ReLU and a batch
// normalisation by factor, and returns the number of such convolutions. factor must be
// positive. The normalisation uses the statistics of the batch and removes the factor
// again, so predictions change only through its epsilon. Adam's steps are as long as before
// and so turn larger weights less: the effective learning rate is lower (van Laarhoven,
// 2017). The network then forgets less of what it learned from other models. Steady is
// ours, not the paper's.
func Steady(net *nn.Sequential, factor float32) int {
	n := 0
	for i, l := range net.Layers[:max(len(net.Layers)-2, 0)] {
		_, rectified := net.Layers[i+1].(nn.ReLU)
		norm, ok := net.Layers[i+2].(*nn.BatchNorm)
		if !rectified || !ok || norm.Statistics != nn.Batch {
			continue
		}
		switch l.(type) {
		case *nn.Conv, *nn.ConvTranspose:
			for _, p := range nn.Params(l) {
				p.Update(func(v []float32) {
					for k := range v {
						v[k] *= factor
					}
				})
			}
			n++
		}
	}
	return n
}
