package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A mover moves one vector: a whole one, or the first lanes of one at the end.
type mover struct {
	load  func(m Mem, r reg.VecVirtual)
	store func(r reg.VecVirtual, m Mem)
	merge func(m Mem, r reg.VecVirtual) // a load that leaves those lanes as they were
}

var whole = mover{
	load:  func(m Mem, r reg.VecVirtual) { VMOVUPS(m, r) },
	store: func(r reg.VecVirtual, m Mem) { VMOVUPS(r, m) },
	merge: func(m Mem, r reg.VecVirtual) { VMOVUPS(m, r) },
}

// loops writes a loop over vectors: body with width vectors side by side, then
// with one, whole or in part. at counts the elements done, n those left.
func loops(i *isa, n, at reg.Register, width int, body func(width int, move mover)) {
	step := uint64(width * i.lanes)
	SUBQ(Imm(step), n)
	JLT(LabelRef("rest"))
	align()
	Label("loop")
	body(width, whole)
	ADDQ(Imm(step), at)
	SUBQ(Imm(step), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(Imm(step), n)
	JEQ(LabelRef("done"))

	if i.wide {
		ones := GP32()
		MOVL(U32(0xffff), ones)
		Label("tail")
		bits, k := GP32(), K()
		BZHIL(n.(reg.GP).As32(), ones, bits) // all ones if 16 or more are left
		KMOVW(bits, k)
		body(1, mover{
			load:  func(m Mem, r reg.VecVirtual) { VMOVUPS_Z(m, k, r) },
			store: func(r reg.VecVirtual, m Mem) { VMOVUPS(r, k, m) },
			merge: func(m Mem, r reg.VecVirtual) { VMOVUPS(m, k, r) },
		})
		ADDQ(Imm(16), at)
		SUBQ(Imm(16), n)
		JGT(LabelRef("tail"))
	} else {
		Label("single")
		CMPQ(n, Imm(8))
		JLT(LabelRef("tail"))
		body(1, whole)
		ADDQ(Imm(8), at)
		SUBQ(Imm(8), n)
		JNE(LabelRef("single"))
		JMP(LabelRef("done"))
		Label("tail")
		k := tailMask(n)
		body(1, mover{
			load:  func(m Mem, r reg.VecVirtual) { VMASKMOVPS(m, k, r) },
			store: func(r reg.VecVirtual, m Mem) { VMASKMOVPS(r, k, m) },
			merge: func(m Mem, r reg.VecVirtual) {
				x := YMM()
				VMASKMOVPS(m, k, x)
				VBLENDVPS(k, x, r, r)
			},
		})
	}
	Label("done")
}

// tailMask returns an AVX2 mask of the first n < 8 lanes. It destroys n.
func tailMask(n reg.Register) reg.VecVirtual {
	table, k := GP64(), YMM()
	LEAQ(tailMasks(), table)
	SHLQ(Imm(2), n)
	SUBQ(n, table)
	VMOVDQU(Mem{Base: table}, k)
	return k
}

// finish ends a function.
func finish() {
	VZEROUPPER()
	RET()
}

// begin opens a function that does op and returns its name.
func begin(i *isa, name, signature, doc string) string {
	f := "vec" + name + i.name
	TEXT(f, NOSPLIT, signature)
	set := "AVX2"
	if i.wide {
		set = "AVX-512"
	}
	Doc(f + " is " + doc + " by " + set + ".")
	Pragma("noescape")
	return f
}

func pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// counter returns a register that is 0.
func counter() reg.GPVirtual {
	r := GP64()
	XORQ(r, r)
	return r
}
