//go:build !purego

package main

import "golang.org/x/sys/cpu"

//go:generate go run -C ../kernel/_asm ./peak -out ../../bench/peak_amd64.s -stubs ../../bench/peak_stubs_amd64.go -pkg main

// fmaChains is the number of multiply-adds in the loops of peak_amd64.s.
const fmaChains = 12

// fmaLoop returns the widest multiply-add loop the processor runs and the
// floating-point operations of one iteration.
func fmaLoop() (loop func(n int), flops int) {
	if cpu.X86.HasAVX512F {
		return fmaAVX512, 2 * 16 * fmaChains
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		return fmaAVX2, 2 * 8 * fmaChains
	}
	return nil, 0
}
