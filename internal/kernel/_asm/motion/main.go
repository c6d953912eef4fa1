// Command motion generates the inner loops of block matching and dense flow for AVX2
// and AVX-512.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("!purego")
	sads16()
	sads8()
	sadsMasked()
	half()
	for _, v := range []isa{avx2, avx512} {
		for outs := range 3 {
			taps(v, outs+1)
		}
		interleave(v)
		deinterleave(v)
		normal(v)
		solve(v)
		tvPrimal(v)
		tvDual(v)
	}
	Generate()
}
