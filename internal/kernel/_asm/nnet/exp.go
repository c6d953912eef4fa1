package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// expTerms is the degree of the polynomial for exp on [-ln2/2, ln2/2]: the
// Taylor series, whose next term is below 2^-52.
const expTerms = 12

// expSum takes half a vector of floats at a time and computes in doubles:
// x = n·ln2 + r, exp(x) = 2^n·exp(r). Below 2^-1021 results are 0.
func expSum(v isa) {
	consts := GLOBL("expConsts"+v.Name, RODATA|NOPTR)
	names := map[string]Mem{}
	for i, c := range []struct {
		name  string
		value float64
	}{
		{"low", -707}, {"high", 709}, {"log2e", math.Log2E}, {"round", 3 << 51},
		{"ln2Hi", 0x1.62e42feep-1}, {"ln2Lo", 0x1.a39ef35793c76p-33},
	} {
		DATA(8*i, U64(math.Float64bits(c.value)))
		names[c.name] = consts.Offset(8 * i)
	}
	f := 1.0
	var series []Mem
	for i := range expTerms + 1 {
		DATA(8*(6+i), U64(math.Float64bits(1/f)))
		series = append(series, consts.Offset(8*(6+i)))
		f *= float64(i + 1)
	}

	TEXT("expSum"+v.Name, NOSPLIT, "func(dst, x []float32, shift float32) float64")
	Doc("expSum" + v.Name + " is expSumGeneric.")
	dst, x := Load(Param("dst").Base(), GP64()), Load(Param("x").Base(), GP64())
	n := Load(Param("x").Len(), GP64()).(reg.GPVirtual)
	lanes := v.Lanes / 2
	toHalf := func(r reg.VecVirtual) reg.Register {
		if v.Wide() {
			return r.AsY()
		}
		return r.AsX()
	}
	constant := func(m Mem) reg.VecVirtual {
		r := v.Vec()
		VBROADCASTSD(m, r)
		return r
	}
	shift := v.Broadcast("shift")
	VCVTPS2PD(toHalf(shift), shift)
	low, log2e, round := constant(names["low"]), constant(names["log2e"]), constant(names["round"])
	ln2Hi, ln2Lo := constant(names["ln2Hi"]), constant(names["ln2Lo"])
	sum := v.zero()

	rest := GP64()
	MOVQ(n, rest)
	ANDQ(I32(int32(lanes-1)), rest)
	mask := v.tailMask(rest, lanes)
	step := func(mask reg.Register) {
		in, a, k, r, p := v.Half(), v.Vec(), v.Vec(), v.Vec(), v.Vec()
		v.load(Mem{Base: x}, mask, in)
		VCVTPS2PD(in, a)
		VSUBPD(shift, a, a)
		under := v.Vec()
		// The second operand is the result where one is NaN.
		VMAXPD(a, low, r)
		VMOVAPD(r, p)
		var tiny reg.Register
		if v.Wide() {
			tiny = K()
			VCMPPD(Imm(5), low, a, tiny) // not below
		} else {
			VCMPPD(Imm(5), low, a, under)
		}
		VBROADCASTSD(names["high"], k)
		VMINPD(p, k, r)
		VMOVAPD(round, k)
		VFMADD231PD(r, log2e, k) // n in the low bits
		VSUBPD(round, k, p)
		VFNMADD231PD(p, ln2Hi, r)
		VFNMADD231PD(p, ln2Lo, r)
		// The even and the odd powers of the series are two chains, each half as
		// long: what limits the loop is how many steps can be under way.
		r2, q := v.Vec(), v.Vec()
		VMULPD(r, r, r2)
		chain := func(p reg.Register, from int) {
			VBROADCASTSD(series[from], p)
			for i := from - 2; i >= 0; i -= 2 {
				if v.Wide() {
					VFMADD213PD_BCST(series[i], r2, p)
				} else {
					c := v.Vec()
					VBROADCASTSD(series[i], c)
					VFMADD213PD(c, r2, p)
				}
			}
		}
		chain(p, expTerms)
		chain(q, expTerms-1)
		VFMADD231PD(q, r, p)
		VPSLLQ(Imm(52), k, k)
		if v.Wide() {
			VPADDQ(k, p, p)
			VMOVAPD_Z(p, tiny, p)
		} else {
			VPADDQ(k, p, p)
			VANDPD(under, p, p)
		}
		out := v.Half()
		if v.Wide() {
			VCVTPD2PS(p, out)
			if mask != nil {
				VMOVAPD_Z(p, mask, p)
			}
		} else {
			VCVTPD2PSY(p, out)
			if mask != nil {
				wideMask := v.Vec()
				VPMOVSXDQ(mask, wideMask)
				VANDPD(wideMask, p, p)
			}
		}
		VADDPD(p, sum, sum)
		stored := "stored"
		if mask != nil {
			stored = "tailStored"
		}
		TESTQ(dst, dst)
		JE(LabelRef(stored))
		v.store(out, mask, Mem{Base: dst})
		if mask == nil {
			ADDQ(I32(int32(4*lanes)), dst)
		}
		Label(stored)
	}
	SUBQ(I32(int32(lanes)), n)
	JLT(LabelRef("tail"))
	Label("loop")
	step(nil)
	ADDQ(I32(int32(4*lanes)), x)
	SUBQ(I32(int32(lanes)), n)
	JGE(LabelRef("loop"))
	Label("tail")
	TESTQ(rest, rest)
	JE(LabelRef("end"))
	step(mask)
	Label("end")
	v.foldDoubles(sum)
	Store(sum.AsX(), ReturnIndex(0))
	VZEROUPPER()
	RET()
}
