//go:build !purego

package kernel

import "unsafe"

var neonNN = nnOps{
	bnStats:      bnStatsNEON,
	bnApply:      bnApplyNEON,
	bnSums:       bnSumsNEON,
	bnGrad:       bnGradNEON,
	maxPool2:     maxPool2WideNEON,
	maxPool2Grad: maxPool2GradWideNEON,
	rowSums:      rowSumsNEON,
	expSum:       expSumNEON,
}

// The assembly of the pools wants at least four windows in a row.

func maxPool2WideNEON(y, x []float32, codes []uint8, oh, ow, xw, dz int) {
	if ow < 4 {
		maxPool2Generic(y, x, codes, oh, ow, xw, dz)
		return
	}
	maxPool2NEON(y, x, codes, oh, ow, xw, dz)
}

func maxPool2GradWideNEON(dx, dy []float32, codes []uint8, oh, ow, xw, dz int) {
	if ow < 4 {
		maxPool2GradGeneric(dx, dy, codes, oh, ow, xw, dz)
		return
	}
	maxPool2GradNEON(dx, dy, codes, oh, ow, xw, dz)
}

func rowSumsNEON(y, x []float32, n int, scale float64) {
	for i := range y {
		row := unsafe.SliceData(x[i*n:][:n])
		y[i] = float32(vecSumNEON(n, row, row) * scale)
	}
}
