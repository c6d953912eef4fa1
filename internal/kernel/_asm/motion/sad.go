package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A sadLoop goes over candidates.
type sadLoop struct {
	dst, off, left, cur, ref, stride, h reg.GPVirtual
	at                                  reg.GPVirtual // of the candidate
}

func sadParams() (l sadLoop) {
	gp := func(c gotypes.Component) reg.GPVirtual { return Load(c, GP64()).(reg.GPVirtual) }
	l.dst, l.off, l.left = gp(Param("dst").Base()), gp(Param("off").Base()), gp(Param("off").Len())
	l.cur, l.ref, l.stride, l.h = gp(Param("cur").Base()), gp(Param("ref").Base()), gp(Param("stride")), gp(Param("h"))
	base := gp(Param("base"))
	ADDQ(base, l.ref)
	l.at = GP64()
	return l
}

// emit writes the loop. body leaves the sums of the candidate's rows in a register.
func (l sadLoop) emit(name string, body func() reg.VecVirtual) {
	Label(name)
	MOVLQSX(Mem{Base: l.off}, l.at)
	ADDQ(l.ref, l.at)
	sum := body()
	x, hi := sum.AsX(), XMM()
	if sum.Size() == 64 {
		y := YMM()
		VEXTRACTI64X4(Imm(1), sum, y)
		VPADDD(y, sum.AsY(), sum.AsY())
	}
	if sum.Size() > 16 {
		VEXTRACTI128(Imm(1), sum.AsY(), hi)
		VPADDD(hi, x, x)
	}
	VPSHUFD(Imm(0x4e), x, hi)
	VPADDD(hi, x, x)
	VMOVD(x, Mem{Base: l.dst})
	ADDQ(Imm(4), l.off)
	ADDQ(Imm(4), l.dst)
	DECQ(l.left)
	JNE(LabelRef(name))
	VZEROUPPER()
	RET()
}

// rows sums over the rows of the candidate one by one.
func (l sadLoop) rows(name string, sum, row reg.VecVirtual, step func(cur, ref Mem)) {
	a, left := GP64(), GP64()
	MOVQ(l.cur, a)
	MOVQ(l.h, left)
	VPXOR(sum.AsX(), sum.AsX(), sum.AsX())
	Label(name)
	step(Mem{Base: a}, Mem{Base: l.at})
	VPADDD(row, sum, sum)
	ADDQ(l.stride, a)
	ADDQ(l.stride, l.at)
	DECQ(left)
	JNE(LabelRef(name))
}

// quad is where four rows are: at p, one, two and three strides below.
func quad(p, stride, stride3 reg.GPVirtual) [4]Mem {
	return [4]Mem{{Base: p}, {Base: p, Index: stride, Scale: 1}, {Base: p, Index: stride, Scale: 2}, {Base: p, Index: stride3, Scale: 1}}
}

func (l sadLoop) stride3() reg.GPVirtual {
	s := GP64()
	LEAQ(Mem{Base: l.stride, Index: l.stride, Scale: 2}, s)
	return s
}

// square compares blocks of so many rows and columns, which stay in registers. pair loads two
// rows into one.
func (l sadLoop) square(rows int, pair func(a, b Mem) reg.VecVirtual) {
	s3, p := l.stride3(), GP64()
	var block []reg.VecVirtual
	MOVQ(l.cur, p)
	for range rows / 4 {
		q := quad(p, l.stride, s3)
		block = append(block, pair(q[0], q[1]), pair(q[2], q[3]))
		LEAQ(Mem{Base: p, Index: l.stride, Scale: 4}, p)
	}
	l.emit("square", func() (sum reg.VecVirtual) {
		for k := 0; k < len(block); k += 2 {
			q := quad(l.at, l.stride, s3)
			for i := range 2 {
				v := pair(q[2*i], q[2*i+1])
				VPSADBW(block[k+i], v, v)
				if sum == nil {
					sum = v
				} else {
					VPADDD(v, sum, sum)
				}
			}
			if k+2 < len(block) {
				LEAQ(Mem{Base: l.at, Index: l.stride, Scale: 4}, l.at)
			}
		}
		return sum
	})
}

func sads16() {
	TEXT("sads16AVX2", NOSPLIT, "func(dst, off []int32, cur, ref []uint8, base, stride, h int)")
	Doc("sads16AVX2 is sadsGeneric for w = 16.")
	l := sadParams()
	CMPQ(l.h, Imm(16))
	JNE(LabelRef("anyHeight"))
	l.square(16, func(a, b Mem) reg.VecVirtual {
		v := YMM()
		VMOVDQU(a, v.AsX())
		VINSERTI128(Imm(1), b, v, v)
		return v
	})
	Label("anyHeight")
	l.emit("candidate", func() reg.VecVirtual {
		sum, v := XMM(), XMM()
		l.rows("row", sum, v, func(cur, ref Mem) {
			VMOVDQU(cur, v)
			VPSADBW(ref, v, v)
		})
		return sum
	})
}

func sads8() {
	TEXT("sads8AVX2", NOSPLIT, "func(dst, off []int32, cur, ref []uint8, base, stride, h int)")
	Doc("sads8AVX2 is sadsGeneric for w = 8.")
	l := sadParams()
	CMPQ(l.h, Imm(8))
	JNE(LabelRef("anyHeight"))
	l.square(8, func(a, b Mem) reg.VecVirtual {
		v := XMM()
		VMOVQ(a, v)
		VPINSRQ(Imm(1), b, v, v)
		return v
	})
	Label("anyHeight")
	l.emit("candidate", func() reg.VecVirtual {
		sum, v, r := XMM(), XMM(), XMM()
		l.rows("row", sum, v, func(cur, ref Mem) {
			VMOVQ(cur, v)
			VMOVQ(ref, r)
			VPSADBW(r, v, v)
		})
		return sum
	})
}

func sadsMasked() {
	TEXT("sadsMaskedAVX512", NOSPLIT, "func(dst, off []int32, cur, ref []uint8, base, stride, w, h int)")
	Doc("sadsMaskedAVX512 is sadsGeneric for w of at most 64.")
	l := sadParams()
	bits, k := GP64(), K()
	Load(Param("w"), reg.RCX)
	MOVQ(I32(-1), bits)
	NEGQ(reg.RCX)
	SHRQ(reg.CL, bits) // by 64-w
	KMOVQ(bits, k)
	l.emit("candidate", func() reg.VecVirtual {
		sum, v, r := ZMM(), ZMM(), ZMM()
		l.rows("row", sum, v, func(cur, ref Mem) {
			VMOVDQU8_Z(cur, k, v)
			VMOVDQU8_Z(ref, k, r)
			VPSADBW(r, v, v)
		})
		return sum
	})
}

func half() {
	TEXT("halfAVX2", NOSPLIT, "func(h, v, d, a, b []uint8)")
	Doc("halfAVX2 is halfGeneric for at least 32 pixels.")
	gp := func(name string) reg.GPVirtual { return Load(Param(name).Base(), GP64()).(reg.GPVirtual) }
	h, v, d, a, b := gp("h"), gp("v"), gp("d"), gp("a"), gp("b")
	n := Load(Param("h").Len(), GP64()).(reg.GPVirtual)
	ones, x := YMM(), GP64()
	VPCMPEQB(ones, ones, ones)
	VPABSB(ones, ones)
	XORQ(x, x)
	SUBQ(Imm(32), n)
	at := func(p reg.GPVirtual, disp int) Mem { return Mem{Base: p, Index: x, Scale: 1, Disp: disp} }
	Label("loop")
	p, q, r, s, t := YMM(), YMM(), YMM(), YMM(), YMM()
	VMOVDQU(at(a, 0), p)
	VMOVDQU(at(a, 1), q)
	VMOVDQU(at(b, 0), r)
	VMOVDQU(at(b, 1), s)
	VPAVGB(p, r, t)
	VMOVDQU(t, at(v, 0))
	top, bottom := YMM(), YMM()
	VPAVGB(p, q, top)
	VMOVDQU(top, at(h, 0))
	VPAVGB(r, s, bottom)
	// The average of averages, each rounded up, is one too much where one of the two
	// was rounded and they are of different parity.
	VPXOR(p, q, p)
	VPXOR(r, s, r)
	VPOR(p, r, p)
	VPXOR(top, bottom, t)
	VPAND(p, t, t)
	VPAND(ones, t, t)
	VPAVGB(top, bottom, top)
	VPSUBB(t, top, top)
	VMOVDQU(top, at(d, 0))
	CMPQ(x, n)
	JEQ(LabelRef("done"))
	// The last vector overlaps the one before.
	ADDQ(Imm(32), x)
	CMPQ(x, n)
	CMOVQGT(n, x)
	JMP(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
