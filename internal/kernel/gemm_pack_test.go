package kernel

import "testing"

// TestPackTransposeKeepsToItsLanes: rows of dst that lie apart keep what is
// between them.
func TestPackTransposeKeepsToItsLanes(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		ops := &Active().gemm
		for lanes := 1; lanes <= ops.transposeLanes; lanes++ {
			for _, k := range []int{0, 1, 7, 8, 9, 16, 25, 40} {
				for _, gap := range []int{0, 1, 5, 16} {
					ds, ss := lanes+gap, k+rng.Intn(4)
					src := normal(rng, lanes*ss+16)
					dst := normal(rng, k*ds+16)
					want := append([]float32(nil), dst...)
					for p := range k {
						for l := range lanes {
							want[p*ds+l] = src[l*ss+p]
						}
					}
					ops.packTranspose(dst, ds, src, ss, lanes, k)
					if i := sameBits(dst, want); i >= 0 {
						t.Fatalf("%d lanes %d apart, %d numbers: element %d is %v, want %v", lanes, ds, k, i, dst[i], want[i])
					}
				}
			}
		}
	})
}
