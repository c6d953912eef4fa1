package data

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
)

// Solarize replaces every value v of at least Threshold by 1-v. BYOL applies it to a fifth
// of its second views: RandomApply{Solarize{}, 0.2}.
type Solarize struct {
	Threshold float32 // in (0, 1]; 0 means 0.5
}

// Shape returns in. It panics if Threshold is out of range.
func (s Solarize) Shape(in []int) []int {
	frames("data.Solarize", in)
	if !(s.Threshold >= 0 && s.Threshold <= 1) {
		tensor.Panic("data.Solarize", fmt.Sprintf("threshold %v", s.Threshold), in)
	}
	return in
}

// Apply draws nothing.
func (s Solarize) Apply(dst, src *tensor.Tensor, rng *rand.Rand) {
	threshold := cmp.Or(s.Threshold, 0.5)
	in, out := src.Data(), dst.Data()
	for i, v := range in[:len(out)] {
		if v >= threshold {
			v = 1 - v
		}
		out[i] = v
	}
}
