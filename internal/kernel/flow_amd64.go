//go:build !purego

package kernel

import "unsafe"

var avx2Flow = flowOps{
	taps: flowTapsAVX2, interleave: interleaveAVX2, deinterleave: deinterleaveAVX2,
	normal: func(n *flowNormal) { flowNormalAVX2((*byte)(unsafe.Pointer(n))) },
	solve:  flowSolveAVX2,
	primal: func(r *tvRow) { tvPrimalAVX2((*byte)(unsafe.Pointer(r))) },
	dual:   func(r *tvRow) { tvDualAVX2((*byte)(unsafe.Pointer(r))) },
}

var avx512Flow = flowOps{
	taps: flowTapsAVX512, interleave: interleaveAVX512, deinterleave: deinterleaveAVX512,
	normal: func(n *flowNormal) { flowNormalAVX512((*byte)(unsafe.Pointer(n))) },
	solve:  flowSolveAVX512,
	primal: func(r *tvRow) { tvPrimalAVX512((*byte)(unsafe.Pointer(r))) },
	dual:   func(r *tvRow) { tvDualAVX512((*byte)(unsafe.Pointer(r))) },
}

func flowTapsAVX2(dst []float32, ds int, x []float32, rows []int32, taps []float32, outs, width int) {
	switch outs {
	case 1:
		flowTaps1AVX2(dst, ds, x, rows, taps, width)
	case 2:
		flowTaps2AVX2(dst, ds, x, rows, taps, width)
	case 3:
		flowTaps3AVX2(dst, ds, x, rows, taps, width)
	}
}

func flowTapsAVX512(dst []float32, ds int, x []float32, rows []int32, taps []float32, outs, width int) {
	switch outs {
	case 1:
		flowTaps1AVX512(dst, ds, x, rows, taps, width)
	case 2:
		flowTaps2AVX512(dst, ds, x, rows, taps, width)
	case 3:
		flowTaps3AVX512(dst, ds, x, rows, taps, width)
	}
}
