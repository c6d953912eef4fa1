//go:build !purego

package kernel

import "unsafe"

// There is nothing to gather with.
var neonFlow = flowOps{
	filters:    [3]func([]float32, int, []float32, []int32, []float32, int){flowTaps1NEON, flowTaps2NEON, flowTaps3NEON},
	interleave: interleaveGeneric, deinterleave: deinterleaveGeneric,
	normal: flowNormalGeneric, solve: flowSolveNEON,
	primal: func(r *tvRow) { tvPrimalNEON((*byte)(unsafe.Pointer(r))) },
	dual:   func(r *tvRow) { tvDualNEON((*byte)(unsafe.Pointer(r))) },
}
