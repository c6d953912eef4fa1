package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// carryless is VPCLMULQDQ of four pairs, for which avo has no form.
func carryless(which uint64, a, b, to reg.Register) {
	Instruction(&ir.Instruction{Opcode: "VPCLMULQDQ", Operands: []Op{Imm(which), a, b, to}, Inputs: []Op{a, b}, Outputs: []Op{to},
		ISA: []string{"AVX512F", "VPCLMULQDQ"}})
}

// fold takes 256 bytes at a time: a product by x^2048, whose two halves are k, moves what
// was read before to where the next 256 bytes are.
func fold() {
	v := avx512
	text(v, "fold", "func(n int, to, p *byte, k *[2]uint64, first uint32)")
	to, p, k, first := pointer("to"), pointer("p"), v.Vec(), XMM()
	VBROADCASTI64X2(Mem{Base: pointer("k")}, k)
	VMOVD(Load(Param("first"), GP32()), first)
	var sums []reg.VecVirtual
	for i := range 4 {
		sums = append(sums, v.Vec())
		VMOVDQU64(Mem{Base: p, Disp: 64 * i}, sums[i])
	}
	VPXORD(first.AsZ(), sums[0], sums[0])
	n, i := Load(Param("n"), GP64()), GP64()
	MOVQ(U64(256), i)
	CMPQ(i, n)
	JGE(LabelRef("done"))
	Label("loop")
	for j, s := range sums {
		PREFETCHT0(Mem{Base: p, Index: i, Scale: 1, Disp: ahead + 64*j})
		low := v.Vec()
		carryless(0x00, k, s, low)
		carryless(0x11, k, s, s)
		VPTERNLOGD(Imm(0x96), Mem{Base: p, Index: i, Scale: 1, Disp: 64 * j}, low, s)
	}
	ADDQ(U32(256), i)
	CMPQ(i, n)
	JLT(LabelRef("loop"))
	Label("done")
	for i, s := range sums {
		VMOVDQU64(s, Mem{Base: to, Disp: 64 * i})
	}
	VZEROUPPER()
	RET()
}
