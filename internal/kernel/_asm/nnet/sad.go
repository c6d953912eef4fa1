package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A blockLoop runs over h rows of w elements of two arrays. step gets the places
// of one vector of each and a mask or nil.
type blockLoop struct {
	a, b, as, bs, w, h reg.GPVirtual // distances in bytes
	lanes, size        int           // elements of a vector, bytes of an element
	mask               func(rest reg.GPVirtual) reg.Register
	step               func(a, b Mem, mask reg.Register)
}

func blockParams(size int) (l blockLoop) {
	l.a, l.b = Load(Param("a").Base(), GP64()).(reg.GPVirtual), Load(Param("b").Base(), GP64()).(reg.GPVirtual)
	for _, p := range []struct {
		name string
		to   *reg.GPVirtual
	}{{"as", &l.as}, {"bs", &l.bs}, {"w", &l.w}, {"h", &l.h}} {
		*p.to = GP64()
		Load(Param(p.name), *p.to)
	}
	l.size = size
	if size == 4 {
		SHLQ(Imm(2), l.as)
		SHLQ(Imm(2), l.bs)
	}
	return l
}

func (l blockLoop) emit() {
	rest, whole, x := GP64(), GP64(), GP64()
	MOVQ(l.w, rest)
	ANDQ(I32(int32(l.lanes-1)), rest)
	MOVQ(l.w, whole)
	SUBQ(rest, whole)
	var mask reg.Register
	if l.mask != nil {
		mask = l.mask(rest)
	}
	at := func(p reg.GPVirtual) Mem { return Mem{Base: p, Index: x, Scale: uint8(l.size)} }
	Label("row")
	XORQ(x, x)
	CMPQ(x, whole)
	JGE(LabelRef("tail"))
	Label("whole")
	l.step(at(l.a), at(l.b), nil)
	ADDQ(I32(int32(l.lanes)), x)
	CMPQ(x, whole)
	JLT(LabelRef("whole"))
	Label("tail")
	if l.mask != nil {
		TESTQ(rest, rest)
		JE(LabelRef("next"))
		l.step(at(l.a), at(l.b), mask)
		Label("next")
	}
	ADDQ(l.as, l.a)
	ADDQ(l.bs, l.b)
	DECQ(l.h)
	JNE(LabelRef("row"))
}

func sadFloats(v isa) {
	TEXT("sadFloats"+v.name, NOSPLIT, "func(a []float32, as int, b []float32, bs, w, h int) float32")
	Doc("sadFloats" + v.name + " is sadFloatsGeneric.")
	l := blockParams(4)
	l.lanes = v.lanes
	l.mask = func(rest reg.GPVirtual) reg.Register { return v.tailMask(rest, v.lanes) }
	sum, abs := v.zero(), v.vec()
	c := GP32()
	MOVL(U32(0x7fffffff), c)
	cx := XMM()
	VMOVD(c, cx)
	VBROADCASTSS(cx, abs)
	l.step = func(a, b Mem, mask reg.Register) {
		x, y := v.vec(), v.vec()
		v.load(a, mask, x)
		v.load(b, mask, y)
		VSUBPS(y, x, x)
		if v.wide() {
			VPANDD(abs, x, x)
		} else {
			VANDPS(abs, x, x)
		}
		VADDPS(x, sum, sum)
	}
	l.emit()
	if v.wide() {
		hi := YMM()
		VEXTRACTF64X4(Imm(1), sum, hi)
		VADDPS(hi, sum.AsY(), sum.AsY())
	}
	hi, x := XMM(), sum.AsX()
	VEXTRACTF128(Imm(1), sum.AsY(), hi)
	VADDPS(hi, x, x)
	VPERMILPS(Imm(0x4e), x, hi)
	VADDPS(hi, x, x)
	VPERMILPS(Imm(0xb1), x, hi)
	VADDSS(hi, x, x)
	Store(x, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// sadBytes has no masks for bytes in AVX2: there w must be a multiple of 16.
func sadBytes(v isa) {
	TEXT("sadBytes"+v.name, NOSPLIT, "func(a []uint8, as int, b []uint8, bs, w, h int) int")
	l := blockParams(1)
	var sum reg.VecVirtual
	if v.wide() {
		Doc("sadBytesAVX512 is sadBytesGeneric.")
		l.lanes, sum = 64, v.zero()
		l.mask = func(rest reg.GPVirtual) reg.Register {
			bits := GP64()
			MOVQ(rest, reg.RCX)
			MOVQ(U32(1), bits)
			SHLQ(reg.CL, bits)
			DECQ(bits)
			k := K()
			KMOVQ(bits, k)
			return k
		}
	} else {
		Doc("sadBytesAVX2 is sadBytesGeneric for w a multiple of 16.")
		l.lanes, sum = 16, XMM()
		VPXOR(sum, sum, sum)
	}
	l.step = func(a, b Mem, mask reg.Register) {
		if !v.wide() {
			x := XMM()
			VMOVDQU(a, x)
			VPSADBW(b, x, x)
			VPADDQ(x, sum, sum)
			return
		}
		x, y := ZMM(), ZMM()
		if mask == nil {
			VMOVDQU8(a, x)
			VMOVDQU8(b, y)
		} else {
			VMOVDQU8_Z(a, mask, x)
			VMOVDQU8_Z(b, mask, y)
		}
		VPSADBW(y, x, x)
		VPADDQ(x, sum, sum)
	}
	l.emit()
	hi, x := XMM(), sum.AsX()
	if v.wide() {
		half := YMM()
		VEXTRACTI64X4(Imm(1), sum, half)
		VPADDQ(half, sum.AsY(), sum.AsY())
		VEXTRACTI128(Imm(1), sum.AsY(), hi)
		VPADDQ(hi, x, x)
	}
	VPSHUFD(Imm(0x4e), x, hi)
	VPADDQ(hi, x, x)
	total := GP64()
	VMOVQ(x, total)
	Store(total, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
