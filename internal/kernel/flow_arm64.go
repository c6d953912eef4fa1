//go:build !purego

package kernel

import "unsafe"

// There is nothing to gather with.
var neonFlow = flowOps{
	taps: flowTapsNEON, interleave: interleaveGeneric, deinterleave: deinterleaveGeneric,
	normal: flowNormalGeneric, solve: flowSolveNEON,
	primal: func(r *tvRow) { tvPrimalNEON((*byte)(unsafe.Pointer(r))) },
	dual:   func(r *tvRow) { tvDualNEON((*byte)(unsafe.Pointer(r))) },
}

func flowTapsNEON(dst []float32, ds int, x []float32, rows []int32, taps []float32, outs, width int) {
	switch outs {
	case 1:
		flowTaps1NEON(dst, ds, x, rows, taps, width)
	case 2:
		flowTaps2NEON(dst, ds, x, rows, taps, width)
	case 3:
		flowTaps3NEON(dst, ds, x, rows, taps, width)
	}
}
