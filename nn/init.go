package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// Fans returns the number of inputs and outputs of one weight of shape [out, in,
// kernel...], as PyTorch counts them: the first two dimensions times the size of
// the kernel.
func Fans(shape []int) (in, out int) {
	if len(shape) < 2 {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return n, n
	}
	field := 1
	for _, d := range shape[2:] {
		field *= d
	}
	return shape[1] * field, shape[0] * field
}

func fill(p *autograd.Param, next func() float64) {
	p.Update(func(v []float32) {
		for i := range v {
			v[i] = float32(next())
		}
	})
}

// Constant sets every element to v.
func Constant(p *autograd.Param, v float32) { fill(p, func() float64 { return float64(v) }) }

// Uniform draws every element uniformly from [lo, hi).
func Uniform(rng *rand.Rand, p *autograd.Param, lo, hi float64) {
	fill(p, func() float64 { return lo + (hi-lo)*rng.Float64() })
}

// Normal draws every element from the normal distribution with the given mean and standard
// deviation.
func Normal(rng *rand.Rand, p *autograd.Param, mean, std float64) {
	fill(p, func() float64 { return mean + std*rng.NormFloat64() })
}

// TruncatedNormal draws from the normal distribution limited to [lo, hi], by rejection: it
// is slow if few draws fall into the interval. It panics if the interval is empty or all of
// it is more than 4 standard deviations from the mean.
func TruncatedNormal(rng *rand.Rand, p *autograd.Param, mean, std, lo, hi float64) {
	if !(lo < hi && lo <= mean+4*std && hi >= mean-4*std) {
		tensor.Panic("nn.TruncatedNormal", fmt.Sprintf("N(%g, %g²) hardly ever lies in [%g, %g]", mean, std, lo, hi), p.Shape())
	}
	fill(p, func() float64 {
		for {
			if x := mean + std*rng.NormFloat64(); x >= lo && x <= hi {
				return x
			}
		}
	})
}

// KaimingNormal draws from N(0, 2/in), for layers before a ReLU (He et al., 2015).
func KaimingNormal(rng *rand.Rand, p *autograd.Param) {
	in, _ := Fans(p.Shape())
	Normal(rng, p, 0, math.Sqrt(2/float64(in)))
}

// KaimingNormalOut draws from N(0, 2/out): it keeps the variance of gradients
// rather than that of activations.
func KaimingNormalOut(rng *rand.Rand, p *autograd.Param) {
	_, out := Fans(p.Shape())
	Normal(rng, p, 0, math.Sqrt(2/float64(out)))
}

// KaimingUniform draws from the uniform distribution with mean 0 and variance 2/in.
func KaimingUniform(rng *rand.Rand, p *autograd.Param) {
	in, _ := Fans(p.Shape())
	b := math.Sqrt(6 / float64(in))
	Uniform(rng, p, -b, b)
}

// XavierNormal draws from N(0, 2/(in+out)) (Glorot and Bengio, 2010).
func XavierNormal(rng *rand.Rand, p *autograd.Param) {
	in, out := Fans(p.Shape())
	Normal(rng, p, 0, math.Sqrt(2/float64(in+out)))
}

// XavierUniform draws from the uniform distribution with mean 0 and variance
// 2/(in+out).
func XavierUniform(rng *rand.Rand, p *autograd.Param) {
	in, out := Fans(p.Shape())
	b := math.Sqrt(6 / float64(in+out))
	Uniform(rng, p, -b, b)
}

// initDefault is PyTorch's default for linear and convolution layers: weights and
// biases uniform in ±1/sqrt(in). Without a generator it leaves zeros.
func initDefault(rng *rand.Rand, w, b *autograd.Param) {
	if rng == nil {
		return
	}
	in, _ := Fans(w.Shape())
	bound := 1 / math.Sqrt(float64(max(in, 1)))
	Uniform(rng, w, -bound, bound)
	if b != nil {
		Uniform(rng, b, -bound, bound)
	}
}
