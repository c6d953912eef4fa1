package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// table defines constants, one int32 a lane.
func table(name string, values ...int) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, x := range values {
		DATA(4*i, U32(uint32(x)))
	}
	return m
}

// sequence returns the n numbers start, start+step, ...
func sequence(n, start, step int) (v []int) {
	for i := range n {
		v = append(v, start+i*step)
	}
	return v
}

// lowBits returns a mask of the first min(max(n+d, 0), 16) lanes.
func lowBits(n reg.GPVirtual, d int) reg.Register {
	bits, bound := GP64(), GP64()
	LEAQ(Mem{Base: n, Disp: d}, reg.RCX)
	XORQ(bound, bound)
	CMPQ(reg.RCX, bound)
	CMOVQLT(bound, reg.RCX)
	MOVQ(U32(16), bound)
	CMPQ(reg.RCX, bound)
	CMOVQGT(bound, reg.RCX)
	MOVQ(U32(1), bits)
	SHLQ(reg.CL, bits)
	DECQ(bits)
	k := K()
	KMOVW(bits.As32(), k)
	return k
}

// A windowLoop runs over oh rows of ow pairs of 2x2 windows, one below the other
// at dz if that is not 0, in steps of 16. It is for AVX-512 alone.
type windowLoop struct {
	small, codes reg.GPVirtual // one element a window
	big          reg.GPVirtual // two elements a window; the next row is xw on
	oh, ow       reg.GPVirtual
	xw, dz       reg.GPVirtual // in bytes
	label        string

	// step does the windows from index i; the masks are those of the windows
	// and of the two vectors of elements they cover, or nil.
	step func(i reg.GPVirtual, m, lo, hi reg.Register)
}

func windowParams(small, big string) (l windowLoop) {
	arg := func(c gotypes.Component) reg.GPVirtual { return Load(c, GP64()).(reg.GPVirtual) }
	l.small, l.big, l.codes = arg(Param(small).Base()), arg(Param(big).Base()), arg(Param("codes").Base())
	l.oh, l.ow, l.xw, l.dz = arg(Param("oh")), arg(Param("ow")), arg(Param("xw")), arg(Param("dz"))
	SHLQ(Imm(2), l.xw)
	SHLQ(Imm(2), l.dz)
	return l
}

func (l windowLoop) emit() {
	rest, whole, i := GP64(), GP64(), GP64()
	MOVQ(l.ow, rest)
	ANDQ(Imm(15), rest)
	MOVQ(l.ow, whole)
	SUBQ(rest, whole)
	m := lowBits(rest, 0)
	ADDQ(rest, rest)
	lo, hi := lowBits(rest, 0), lowBits(rest, -16)
	ref := func(s string) LabelRef { return LabelRef(l.label + s) }
	Label(l.label + "Row")
	XORQ(i, i)
	CMPQ(i, whole)
	JGE(ref("Tail"))
	Label(l.label + "Whole")
	l.step(i, nil, nil, nil)
	ADDQ(Imm(16), i)
	CMPQ(i, whole)
	JLT(ref("Whole"))
	Label(l.label + "Tail")
	CMPQ(i, l.ow)
	JGE(ref("Next"))
	l.step(i, m, lo, hi)
	Label(l.label + "Next")
	LEAQ(Mem{Base: l.small, Index: l.ow, Scale: 4}, l.small)
	LEAQ(Mem{Base: l.big, Index: l.xw, Scale: 2}, l.big)
	ADDQ(l.ow, l.codes)
	DECQ(l.oh)
	JNE(ref("Row"))
	VZEROUPPER()
	RET()
}

// fetchAhead is how many bytes ahead the big array is fetched: rows are short, and
// the hardware gives up at their ends.
const fetchAhead = 4096

// slices emits f for the slice at base and, unless dz is 0, for the one below.
func (l windowLoop) slices(i reg.GPVirtual, skip string, f func(row reg.GPVirtual, first int)) {
	for slice := range 2 {
		row := GP64()
		LEAQ(Mem{Base: l.big, Index: i, Scale: 8}, row)
		if slice == 1 {
			TESTQ(l.dz, l.dz)
			JE(LabelRef(skip))
			ADDQ(l.dz, row)
		}
		for r := range 2 {
			PREFETCHT0(Mem{Base: row, Disp: fetchAhead})
			PREFETCHT0(Mem{Base: row, Disp: fetchAhead + 64})
			f(row, 4*slice+2*r)
			if r == 0 {
				ADDQ(l.xw, row)
			}
		}
	}
	Label(skip)
}

// codeNumbers returns registers full of 0..7.
func codeNumbers() (code [8]reg.VecVirtual) {
	c := GP64()
	for i := range code {
		code[i] = ZMM()
		MOVQ(U32(uint32(i)), c)
		VPBROADCASTD(c.As32(), code[i])
	}
	return code
}

func maxPool2() {
	even, odd := table("evenLanes", sequence(16, 0, 2)...), table("oddLanes", sequence(16, 1, 2)...)
	TEXT("maxPool2AVX512", NOSPLIT, "func(y, x []float32, codes []uint8, oh, ow, xw, dz int)")
	Doc("maxPool2AVX512 is maxPool2Generic.")
	v, l := avx512, windowParams("y", "x")
	iEven, iOdd, code := ZMM(), ZMM(), codeNumbers()
	VMOVDQU32(even, iEven)
	VMOVDQU32(odd, iOdd)
	keep := GP64()
	MOVQ(l.codes, keep)
	var stored int
	l.label = "max"
	l.step = func(i reg.GPVirtual, m, lo, hi reg.Register) {
		best, chosen := ZMM(), ZMM()
		take := func(val reg.Register, n int) {
			if n == 0 {
				VMOVAPS(val, best)
				VMOVDQA32(code[0], chosen)
				return
			}
			const above, unordered = 30, 3
			take, nan := K(), K()
			VCMPPS(Imm(above), best, val, take)
			VCMPPS(Imm(unordered), val, val, nan)
			KORW(nan, take, take)
			VMOVAPS(val, take, best)
			VMOVDQA32(code[n], take, chosen)
		}
		stored++
		l.slices(i, fmt.Sprint("maxSlices", stored), func(row reg.GPVirtual, first int) {
			a, b, e := ZMM(), ZMM(), ZMM()
			v.load(Mem{Base: row}, lo, a)
			v.load(Mem{Base: row, Disp: 64}, hi, b)
			VMOVAPS(a, e)
			VPERMT2PS(b, iEven, e)
			VPERMT2PS(b, iOdd, a)
			take(e, first)
			take(a, first+1)
		})
		v.store(best, m, Mem{Base: l.small, Index: i, Scale: 4})
		TESTQ(keep, keep)
		done := fmt.Sprint("maxStored", stored)
		JE(LabelRef(done))
		at := Mem{Base: l.codes, Index: i, Scale: 1}
		if m == nil {
			VPMOVDB(chosen, at)
		} else {
			VPMOVDB(chosen, m, at)
		}
		Label(done)
	}
	l.emit()
}

func maxPool2Grad() {
	low, high := interleave("lowPairs", 0), interleave("highPairs", 8)
	TEXT("maxPool2GradAVX512", NOSPLIT, "func(dx, dy []float32, codes []uint8, oh, ow, xw, dz int)")
	Doc("maxPool2GradAVX512 is maxPool2GradGeneric.")
	v, l := avx512, windowParams("dy", "dx")
	iLow, iHigh, code := ZMM(), ZMM(), codeNumbers()
	VMOVDQU32(low, iLow)
	VMOVDQU32(high, iHigh)
	var steps int
	l.label = "grad"
	l.step = func(i reg.GPVirtual, m, lo, hi reg.Register) {
		g, chosen := ZMM(), ZMM()
		v.load(Mem{Base: l.small, Index: i, Scale: 4}, m, g)
		at := Mem{Base: l.codes, Index: i, Scale: 1}
		if m == nil {
			VPMOVZXBD(at, chosen)
		} else {
			VPMOVZXBD_Z(at, m, chosen)
		}
		steps++
		l.slices(i, fmt.Sprint("gradSlices", steps), func(row reg.GPVirtual, first int) {
			var part [2]reg.VecVirtual
			for j := range part {
				k := K()
				part[j] = ZMM()
				VPCMPEQD(code[first+j], chosen, k)
				VMOVAPS_Z(g, k, part[j])
			}
			a := ZMM()
			VMOVAPS(part[0], a)
			VPERMT2PS(part[1], iLow, a)
			v.store(a, lo, Mem{Base: row})
			VPERMT2PS(part[1], iHigh, part[0])
			v.store(part[0], hi, Mem{Base: row, Disp: 64})
		})
	}
	l.emit()
}

// interleave defines the permutation that takes eight lanes from start of each
// of two vectors in turn.
func interleave(name string, start int) Mem {
	var v []int
	for i := range 8 {
		v = append(v, start+i, 16+start+i)
	}
	return table(name, v...)
}
