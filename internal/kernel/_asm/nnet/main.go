// Command nnet generates the inner loops of normalisation, pooling and softmax for
// AVX2 and AVX-512.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("!purego")
	for _, v := range []isa{avx2, avx512} {
		bnStats(v)
		bnApply(v)
		bnSums(v)
		bnGrad(v)
		expSum(v)
		rowSums(v)
	}
	maxPool2()
	maxPool2Grad()
	maxPoolRow()
	Generate()
}
