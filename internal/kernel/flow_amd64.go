//go:build !purego

package kernel

import "unsafe"

var avx2Flow = flowOps{
	filters:    [3]func([]float32, int, []float32, []int32, []float32, int){flowTaps1AVX2, flowTaps2AVX2, flowTaps3AVX2},
	interleave: interleaveAVX2, deinterleave: deinterleaveAVX2,
	normal: func(n *flowNormal) { flowNormalAVX2((*byte)(unsafe.Pointer(n))) },
	solve:  flowSolveAVX2,
	primal: func(r *tvRow) { tvPrimalAVX2((*byte)(unsafe.Pointer(r))) },
	dual:   func(r *tvRow) { tvDualAVX2((*byte)(unsafe.Pointer(r))) },
}

var avx512Flow = flowOps{
	filters:    [3]func([]float32, int, []float32, []int32, []float32, int){flowTaps1AVX512, flowTaps2AVX512, flowTaps3AVX512},
	interleave: interleaveAVX512, deinterleave: deinterleaveAVX512,
	normal: func(n *flowNormal) { flowNormalAVX512((*byte)(unsafe.Pointer(n))) },
	solve:  flowSolveAVX512,
	primal: func(r *tvRow) { tvPrimalAVX512((*byte)(unsafe.Pointer(r))) },
	dual:   func(r *tvRow) { tvDualAVX512((*byte)(unsafe.Pointer(r))) },
}
