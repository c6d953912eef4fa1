package zoo

import "github.com/mettleml/mettle/nn"

// Steady makes fine-tuning change a meta attacker's convolutions more slowly: it
// multiplies by factor, which must be positive, the weights and biases of each
// convolution that a ReLU and then a batch normalisation by the statistics of the
// batch follow, and returns their number. The normalisation takes the factor out
// again, so that predictions change only as far as its epsilon weighed in; but Adam's
// steps are as long as before and so turn the weights factor times less: their
// effective learning rate is lower (van Laarhoven, 2017). What a network learned of
// other models then outlives the measurements of one victim longer. It is ours, not
// the paper's.
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
