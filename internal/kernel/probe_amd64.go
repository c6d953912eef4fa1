//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

//go:generate go run -C _asm ./probe -out ../probe_amd64.s -stubs ../probe_stubs_amd64.go -pkg kernel

var avx2Probe = probeOps{
	lanes:        8,
	pair:         probePairAVX2,
	step:         boxStepAVX2,
	displacePair: displacePairAVX2,
	climb:        climbAVX2,
}

var avx512Probe = probeOps{
	lanes:        16,
	pair:         probePairAVX512,
	step:         boxStepAVX512,
	displacePair: displacePairAVX512,
	climb:        climbAVX512,
	signs:        signStepsAVX512,
}

func init() {
	if cpu.X86.HasAVX512VPCLMULQDQ {
		archSets[1].probe.fold = foldAVX512
	}
}
