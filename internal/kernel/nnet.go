package kernel

// Generated on any machine, compiled on arm64 only.
//go:generate sh -c "go run -C _asm ./nnetneon > nnet_arm64.s"
//go:generate sh -c "go run -C _asm ./nnetneon go > nnet_stubs_arm64.go"

// nnOps are the innermost loops of pooling, normalisation and softmax. Their generic
// forms say what they do.
type nnOps struct {
	bnStats func(coef []float32, sums []float64, x []float32, n, channels, s, stride int, pre float32)
	bnApply func(coef, y, x, r []float32, n, channels, s, stride int, pre, post float32)
	bnSums  func(coef []float32, sums []float64, dr, dy, x, y []float32, n, channels, s, stride int, pre, post float32)
	bnGrad  func(coef, dx, dy, x []float32, n, channels, s, stride int, pre, post float32)

	maxPool2     func(y, x []float32, codes []uint8, oh, ow, xw, dz int)
	maxPool2Grad func(dx, dy []float32, codes []uint8, oh, ow, xw, dz int)

	// maxPoolRow may be nil.
	maxPoolRow func(y []float32, codes []uint8, x []float32, taps []int, masks []uint16, first []int32, base int32, kw, stride int)

	rowSums func(y, x []float32, n int, scale float64)

	expSum func(dst, x []float32, shift float32) float64
}

var genericNN = nnOps{
	bnStats:      bnStatsGeneric,
	bnApply:      bnApplyGeneric,
	bnSums:       bnSumsGeneric,
	bnGrad:       bnGradGeneric,
	maxPool2:     maxPool2Generic,
	maxPool2Grad: maxPool2GradGeneric,
	rowSums:      rowSumsGeneric,
	expSum:       expSumGeneric,
}
