//go:build !purego

package kernel

var archSets = []*Set{{
	Name:      "neon",
	Available: true, // part of the arm64 baseline
	gemm:      neonGemm,
	conv:      neonConv,
	wino:      neonWino,
	vec:       vecNEON,
	nnet:      neonNN,
	motion:    neonMotion,
	flow:      neonFlow,
}}
