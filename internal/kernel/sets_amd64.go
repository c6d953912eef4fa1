//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

var archSets = []*Set{
	{
		Name:      "avx2",
		Available: cpu.X86.HasAVX2 && cpu.X86.HasFMA,
		gemm:      avx2Gemm,
		conv:      avx2Conv,
		wino:      avx2Wino,
		vec:       vecAVX2,
		nnet:      avx2NN,
		motion:    avx2Motion,
		flow:      avx2Flow,
		probe:     avx2Probe,
	},
	{
		Name: "avx512",
		Available: cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ &&
			cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL,
		gemm:   avx512Gemm,
		conv:   avx512Conv,
		wino:   avx512Wino,
		vec:    vecAVX512,
		nnet:   avx512NN,
		motion: avx512Motion,
		flow:   avx512Flow,
		probe:  avx512Probe,
	},
}
