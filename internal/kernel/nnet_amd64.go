//go:build !purego

package kernel

//go:generate go run -C _asm ./nnet -out ../nnet_amd64.s -stubs ../nnet_stubs_amd64.go -pkg kernel

var avx2NN = nnOps{
	bnStats:      bnStatsAVX2,
	bnApply:      bnApplyAVX2,
	bnSums:       bnSumsAVX2,
	bnGrad:       bnGradAVX2,
	maxPool2:     maxPool2Generic,
	maxPool2Grad: maxPool2GradGeneric,
	rowSums:      rowSumsAVX2,
	expSum:       expSumAVX2,
	sadBytes:     sadBytesWholeAVX2,
	sadFloats:    sadFloatsAVX2,
}

var avx512NN = nnOps{
	bnStats:      bnStatsAVX512,
	bnApply:      bnApplyAVX512,
	bnSums:       bnSumsAVX512,
	bnGrad:       bnGradAVX512,
	maxPool2:     maxPool2AVX512,
	maxPool2Grad: maxPool2GradAVX512,
	maxPoolRow:   maxPoolRowAVX512,
	rowSums:      rowSumsAVX512,
	expSum:       expSumAVX512,
	sadBytes:     sadBytesAVX512,
	sadFloats:    sadFloatsAVX512,
}

// sadBytesWholeAVX2 leaves what is over 16 columns to the generic loop.
func sadBytesWholeAVX2(a []uint8, as int, b []uint8, bs, w, h int) int {
	n, sum := w&^15, 0
	if n > 0 {
		sum = sadBytesAVX2(a, as, b, bs, n, h)
	}
	if n < w {
		sum += sadBytesGeneric(a[n:], as, b[n:], bs, w-n, h)
	}
	return sum
}
