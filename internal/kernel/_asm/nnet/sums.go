package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowSums adds up contiguous rows, half a vector of floats at a time, in doubles.
func rowSums(v isa) {
	TEXT("rowSums"+v.Name, NOSPLIT, "func(y, x []float32, n int, scale float64)")
	Doc("rowSums" + v.Name + " is rowSumsGeneric.")
	y, x := Load(Param("y").Base(), GP64()).(reg.GPVirtual), Load(Param("x").Base(), GP64()).(reg.GPVirtual)
	rows := Load(Param("y").Len(), GP64()).(reg.GPVirtual)
	n := Load(Param("n"), GP64()).(reg.GPVirtual)
	scale := XMM()
	Load(Param("scale"), scale)
	lanes := v.Lanes / 2
	rest, steps, left := GP64(), GP64(), GP64()
	MOVQ(n, rest)
	ANDQ(I32(int32(lanes-1)), rest)
	MOVQ(n, steps)
	SUBQ(rest, steps)
	mask := v.tailMask(rest, lanes)
	step := func(sum reg.VecVirtual, disp int, mask reg.Register) {
		in, d := v.Half(), v.Vec()
		v.load(Mem{Base: x, Disp: disp}, mask, in)
		VCVTPS2PD(in, d)
		VADDPD(d, sum, sum)
	}
	Label("row")
	sum, second := v.zero(), v.zero()
	MOVQ(steps, left)
	SUBQ(I32(int32(2*lanes)), left)
	JLT(LabelRef("odd"))
	Label("pair")
	step(sum, 0, nil)
	step(second, 4*lanes, nil)
	ADDQ(I32(int32(8*lanes)), x)
	SUBQ(I32(int32(2*lanes)), left)
	JGE(LabelRef("pair"))
	Label("odd")
	ADDQ(I32(int32(lanes)), left)
	JLT(LabelRef("tail"))
	step(sum, 0, nil)
	ADDQ(I32(int32(4*lanes)), x)
	Label("tail")
	TESTQ(rest, rest)
	JE(LabelRef("total"))
	step(second, 0, mask)
	LEAQ(Mem{Base: x, Index: rest, Scale: 4}, x)
	Label("total")
	VADDPD(second, sum, sum)
	v.foldDoubles(sum)
	VMULSD(scale, sum.AsX(), sum.AsX())
	VCVTSD2SS(sum.AsX(), sum.AsX(), sum.AsX())
	VMOVSS(sum.AsX(), Mem{Base: y})
	ADDQ(Imm(4), y)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// foldDoubles adds up the lanes of r, by halves, into its lowest.
func (v isa) foldDoubles(r reg.VecVirtual) {
	if v.Wide() {
		hi := YMM()
		VEXTRACTF64X4(Imm(1), r, hi)
		VADDPD(hi, r.AsY(), r.AsY())
	}
	hi, x := XMM(), r.AsX()
	VEXTRACTF128(Imm(1), r.AsY(), hi)
	VADDPD(hi, x, x)
	VPERMILPD(Imm(1), x, hi)
	VADDSD(hi, x, x)
}
