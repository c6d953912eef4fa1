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
}
