package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Conversions work on whole blocks of 16 elements; package kernel does the rest
// with its Go functions, which give the same bits.
const block = 16

// conversion writes the loop over blocks; n is a positive multiple of block. one
// converts a block that begins size bytes times at into either array.
func conversion(i *isa, name, signature string, one func(dst, src func(scale, disp int) Mem)) {
	begin(i, name, signature, "the conversion")
	n, dst, src := pointer("n"), pointer("dst"), pointer("a")
	at := counter()
	mem := func(base reg.Register) func(scale, disp int) Mem {
		return func(scale, disp int) Mem {
			return Mem{Base: base, Index: at, Scale: uint8(scale), Disp: disp}
		}
	}
	align()
	Label("loop")
	one(mem(dst), mem(src))
	ADDQ(Imm(block), at)
	CMPQ(at, n)
	JLT(LabelRef("loop"))
	finish()
}

func generateConversions(i *isa) {
	if i.wide { // F16C has no flag of its own that Go programs see; AVX-512F implies it
		conversion(i, "ToFloat16", "func(n int, dst *uint16, a *float32)", func(dst, src func(scale, disp int) Mem) {
			x := ZMM()
			VMOVUPS(src(4, 0), x)
			VCVTPS2PH(Imm(0), x, dst(2, 0))
		})
		conversion(i, "FromFloat16", "func(n int, dst *float32, a *uint16)", func(dst, src func(scale, disp int) Mem) {
			x := ZMM()
			VCVTPH2PS(src(2, 0), x)
			VMOVUPS(x, dst(4, 0))
		})
	}
}
