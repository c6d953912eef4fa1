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

// vectors returns how many vectors of float32 a block has.
func (i *isa) vectors() int { return block / i.lanes }

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
	conversion(i, "ToBFloat16", "func(n int, dst *uint16, a *float32)", func(dst, src func(scale, disp int) Mem) {
		e := &emit{i, i.vectors()}
		x := e.new()
		for k := range x {
			VMOVUPS(src(4, k*i.bytes()), x[k])
		}
		odd := e.and(e.shiftRight(x, 16), e.bits(1))
		y := e.shiftRight(e.addInt(e.addInt(x, e.bits(0x7fff)), odd), 16)
		quiet := e.or(e.shiftRight(x, 16), e.bits(0x40))
		y = e.choose(e.compare(unordered, x, x), quiet, y)
		if i.wide {
			VPMOVDW(y[0], dst(2, 0))
			return
		}
		VPACKUSDW(y[1], y[0], y[0])
		VPERMQ(Imm(0b11011000), y[0], y[0]) // the halves were packed apart
		VMOVDQU(y[0], dst(2, 0))
	})
	conversion(i, "FromBFloat16", "func(n int, dst *float32, a *uint16)", func(dst, src func(scale, disp int) Mem) {
		e := &emit{i, i.vectors()}
		x := e.new()
		for k := range x {
			VPMOVZXWD(src(2, k*i.bytes()/2), x[k])
		}
		x = e.shiftLeft(x, 16)
		x = e.choose(e.compare(unordered, x, x), e.or(x, e.bits(1<<22)), x)
		for k := range x {
			VMOVUPS(x[k], dst(4, k*i.bytes()))
		}
	})
	conversion(i, "ToFloat64", "func(n int, dst *float64, a *float32)", func(dst, src func(scale, disp int) Mem) {
		for k := range 2 * i.vectors() {
			x := i.reg()
			VCVTPS2PD(src(4, k*i.bytes()/2), x)
			VMOVUPD(x, dst(8, k*i.bytes()))
		}
	})
	conversion(i, "FromFloat64", "func(n int, dst *float32, a *float64)", func(dst, src func(scale, disp int) Mem) {
		for k := range 2 * i.vectors() {
			x, y := i.reg(), i.half()
			VMOVUPD(src(8, k*i.bytes()), x)
			if i.wide {
				VCVTPD2PS(x, y)
			} else {
				VCVTPD2PSY(x, y)
			}
			VMOVUPS(y, dst(4, k*i.bytes()/2))
		}
	})
	conversion(i, "ToBytes", "func(n int, dst *byte, a *float32, unit float32)", func(dst, src func(scale, disp int) Mem) {
		e := &emit{i, i.vectors()}
		unit := e.same(spreadParam(i, "unit"))
		x := e.new()
		for k := range x {
			VMOVUPS(src(4, k*i.bytes()), x[k])
		}
		x = e.min(e.max(e.mul(x, unit), e.zero()), e.c(255))
		y := e.toInt(x)
		if i.wide {
			VPMOVDB(y[0], dst(1, 0))
			return
		}
		VPACKUSDW(y[1], y[0], y[0])
		VPERMQ(Imm(0b11011000), y[0], y[0])
		upper := XMM()
		VEXTRACTI128(Imm(1), y[0], upper)
		VPACKUSWB(upper, y[0].AsX(), upper)
		VMOVDQU(upper, dst(1, 0))
	})
	conversion(i, "FromBytes", "func(n int, dst *float32, a *byte, unit float32)", func(dst, src func(scale, disp int) Mem) {
		e := &emit{i, i.vectors()}
		unit := e.same(spreadParam(i, "unit"))
		x := e.new()
		for k := range x {
			VPMOVZXBD(src(1, k*i.lanes), x[k])
		}
		x = e.div(e.fromInt(x), unit)
		for k := range x {
			VMOVUPS(x[k], dst(4, k*i.bytes()))
		}
	})
}
