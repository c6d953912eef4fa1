package tensor

import "math/rand/v2"

// FillUniform fills t with numbers drawn uniformly between lo and hi, in
// row-major order, one draw each. The same generator gives the same numbers on every
// machine.
func (t *Tensor) FillUniform(rng *rand.Rand, lo, hi float32) {
	for i := range t.data {
		t.data[i] = min(lo+float32((hi-lo)*rng.Float32()), hi)
	}
}

// FillNormal fills t with numbers drawn from a normal distribution, in row-major
// order. The same generator gives the same numbers on every machine.
func (t *Tensor) FillNormal(rng *rand.Rand, mean, std float32) {
	for i := range t.data {
		t.data[i] = mean + float32(std*float32(rng.NormFloat64()))
	}
}
