package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Where the fields of flowNormal are.
const (
	normalOut    = 0
	normalCur    = 24
	normalRef    = 48
	normalVX     = 72
	normalVY     = 96
	normalWX     = 120
	normalWY     = 144
	normalYF     = 148
	normalH      = 160
	normalW      = 168
	normalStride = 176
	normalCS     = 184
	normalCells  = 192
)

// normal works on a vector of pixels, that is half a vector of cells, at a time.
func normal(v isa) {
	TEXT("flowNormal"+v.Name, NOSPLIT, "func(n *byte)")
	Doc("flowNormal" + v.Name + " is flowNormalGeneric; n points to a flowNormal.")
	n := Load(Param("n"), GP64()).(reg.GPVirtual)
	field := func(offset int) reg.GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: n, Disp: offset}, r)
		return r
	}
	out, cur, ref, vx, vy, wx := field(normalOut), field(normalCur), field(normalRef), field(normalVX), field(normalVY), field(normalWX)
	s, s3, cs, cs3 := field(normalStride), GP64(), field(normalCS), GP64()
	SHLQ(Imm(2), s)
	SHLQ(Imm(2), cs)
	LEAQ(Mem{Base: s, Index: s, Scale: 2}, s3)
	LEAQ(Mem{Base: cs, Index: cs, Scale: 2}, cs3)

	// What does not change lies on the stack, as there are few registers in AVX2.
	slot := func() Mem { return AllocLocal(v.bytes()) }
	spread := func(x reg.Register) Mem {
		m := slot()
		VMOVUPS(x, m)
		return m
	}
	whole := func(offset int) Mem {
		x := v.Vec()
		VCVTSI2SSQ(Mem{Base: n, Disp: offset}, zeroed(), x.AsX())
		VBROADCASTSS(x.AsX(), x)
		return spread(x)
	}
	single := func(offset int) Mem {
		x := v.Vec()
		VBROADCASTSS(Mem{Base: n, Disp: offset}, x)
		return spread(x)
	}
	width, height, weight, yf := whole(normalW), whole(normalH), single(normalWY), single(normalYF)
	rowSize, x5 := slot(), v.Vec()
	{
		t := GP64()
		MOVQ(Mem{Base: n, Disp: normalStride}, t)
		LEAQ(Mem{Base: t, Index: t, Scale: 4}, t)
		VMOVD(t.As32(), x5.AsX())
		VPBROADCASTD(x5.AsX(), x5)
		if v.Wide() {
			VMOVDQU32(x5, rowSize)
		} else {
			VMOVDQU(x5, rowSize)
		}
	}
	one := func(f float32) func(int) Constant { return func(int) Constant { return U32(math.Float32bits(f)) } }
	half, quarter := constant("flowHalf", one(0.5)), constant("flowQuarter", one(0.25))
	pairs := v.Vec()
	twice := constant("flowTwice", func(i int) Constant { return U32(i / 2) })
	if v.Wide() {
		VMOVDQU32(twice, pairs)
	} else {
		VMOVDQU(twice, pairs)
	}
	px := v.Vec()
	VMOVUPS(constant("flowIota", func(i int) Constant { return U32(math.Float32bits(float32(i))) }), px)
	left := GP64()
	MOVQ(Mem{Base: n, Disp: normalCells}, left)

	// sums adds the equations of the pixels to those of the cells. b, a are the linear and
	// quadratic parts, (dx, dy) the way.
	sums := func(bx, axx, by, axy, ayy, dx, dy reg.VecVirtual) {
		VFMADD231PS(axx, dx, bx)
		VFMADD231PS(axy, dy, bx)
		VFMADD231PS(axy, dx, by)
		VFMADD231PS(ayy, dy, by)
		w, t := dx, dy // no longer needed
		VMOVUPS(Mem{Base: wx}, w)
		VMULPS(weight, w, w)
		for k := range 5 {
			switch k {
			case 0:
				VMULPS(axy, axy, t)
				VFMADD231PS(axx, axx, t)
			case 1:
				VADDPS(axx, ayy, t)
				VMULPS(axy, t, t)
			case 2:
				VMULPS(axy, axy, t)
				VFMADD231PS(ayy, ayy, t)
			case 3:
				VMULPS(axy, by, t)
				VFMADD231PS(axx, bx, t)
			case 4:
				VMULPS(axy, bx, t)
				VFMADD231PS(ayy, by, t)
			}
			VMULPS(w, t, t)
			m, c := row(out, cs, cs3, k), v.Half()
			if v.Wide() {
				next := v.Vec()
				VMOVSHDUP(t, next)
				VADDPS(next, t, t)
				VPMOVQD(t, c)
			} else {
				VHADDPS(t, t, t)
				VPERMPD(Imm(0x08), t, t)
				VMOVAPS(t.AsX(), c)
			}
			VADDPS(m, c, c)
			VMOVUPS(c, m)
		}
	}

	Label("loop")
	// The flow of the cells, and rounded.
	flow := func(at reg.Register) (f, r reg.VecVirtual) {
		f, r = v.Half(), v.Half()
		VMOVUPS(Mem{Base: at}, f)
		if v.Wide() {
			VRNDSCALEPS(Imm(8), f, r)
		} else {
			VROUNDPS(Imm(8), f, r)
		}
		return f, r
	}
	fx, rx := flow(vx)
	fy, ry := flow(vy)
	same := func(r reg.VecVirtual) reg.Register { // ones where the cell moves as the first does
		b := v.Half()
		VBROADCASTSS(r.AsX(), b)
		if v.Wide() {
			k := K()
			VCMPPS(Imm(0), r, b, k)
			return k
		}
		VCMPPS(Imm(0), r, b, b)
		return b
	}
	sameX, sameY := same(rx), same(ry)
	expand := func(r reg.VecVirtual) reg.VecVirtual {
		e := v.Vec()
		VPERMPS(v.sized(r), pairs, e)
		return e
	}
	prx, pry := expand(rx), expand(ry)
	qx, qy := v.Vec(), v.Vec()
	VADDPS(px, prx, qx)
	VADDPS(yf, pry, qy)
	// Which pixels stay inside.
	var in reg.Register
	if v.Wide() {
		zero, k := v.Vec(), K()
		v.Clear(zero)
		VCMPPS(Imm(13), zero, qx, k)
		VCMPPS(Imm(13), zero, qy, k, k)
		VCMPPS(Imm(1), width, qx, k, k)
		VCMPPS(Imm(1), height, qy, k, k)
		in = k
	} else {
		m, t := v.Vec(), v.Vec()
		v.Clear(m)
		VCMPPS(Imm(13), m, qy, t)
		VCMPPS(Imm(13), m, qx, m)
		VANDPS(t, m, m)
		VCMPPS(Imm(1), width, qx, t)
		VANDPS(t, m, m)
		VCMPPS(Imm(1), height, qy, t)
		VANDPS(t, m, m)
		in = m
	}
	VCVTPS2DQ(qx, qx)
	VCVTPS2DQ(qy, qy)
	VPMULLD(rowSize, qy, qy)
	at := qx
	VPADDD(qy, qx, at)
	// All inside and moving the same way is frequent, and quick.
	bits, all := GP32(), GP32()
	if v.Wide() {
		KANDW(sameX, sameY, sameX)
		KMOVW(sameX, bits)
		KMOVW(in, all)
	} else {
		VANDPS(sameX, sameY, sameX)
		VMOVMSKPS(sameX, bits)
		VMOVMSKPS(in, all)
	}
	XORL(U32(uint32(1)<<(v.Lanes/2)-1), bits)
	XORL(U32(uint32(1)<<v.Lanes-1), all)
	ORL(all, bits)
	JNE(LabelRef("gather"))

	coefficients := func(other func(k int, own, r reg.VecVirtual)) (c [5]reg.VecVirtual) {
		for k := range c {
			own, r := v.Vec(), v.Vec()
			VMOVUPS(row(cur, s, s3, k), own)
			other(k, own, r)
			if k == 0 || k == 2 {
				VSUBPS(r, own, own)
			} else {
				VADDPS(r, own, own)
			}
			if k == 3 {
				VMULPS(quarter, own, own)
			} else {
				VMULPS(half, own, own)
			}
			c[k] = own
		}
		return c
	}
	{
		first := GP64()
		VMOVD(at.AsX(), first.As32())
		MOVLQSX(first.As32(), first)
		LEAQ(Mem{Base: ref, Index: first, Scale: 4}, first)
		c := coefficients(func(k int, own, r reg.VecVirtual) { VMOVUPS(row(first, s, s3, k), r) })
		sums(c[0], c[1], c[2], c[3], c[4], prx, pry)
		JMP(LabelRef("next"))
	}

	Label("gather")
	{
		// What leads outside is replaced by the pixel's own, and keeps its flow.
		dx, dy := expand(fx), expand(fy)
		if v.Wide() {
			VMOVAPS(prx, in, dx)
			VMOVAPS(pry, in, dy)
		} else {
			VBLENDVPS(in, prx, dx, dx)
			VBLENDVPS(in, pry, dy, dy)
		}
		p := GP64()
		MOVQ(ref, p)
		c := coefficients(func(k int, own, r reg.VecVirtual) {
			VMOVAPS(own, r)
			if v.Wide() {
				m := K()
				KMOVW(in, m)
				VGATHERDPS(Mem{Base: p, Index: at, Scale: 4}, m, r)
			} else {
				m := v.Vec()
				VMOVAPS(in, m)
				VGATHERDPS(m, Mem{Base: p, Index: at, Scale: 4}, r)
			}
			ADDQ(s, p)
		})
		sums(c[0], c[1], c[2], c[3], c[4], dx, dy)
	}

	Label("next")
	VADDPS(constant("flowStep"+v.Name, one(float32(v.Lanes))), px, px)
	ADDQ(Imm(uint64(v.bytes())), cur)
	ADDQ(Imm(uint64(v.bytes())), wx)
	for _, p := range []reg.GPVirtual{out, vx, vy} {
		ADDQ(Imm(uint64(v.bytes()/2)), p)
	}
	SUBQ(Imm(uint64(v.Lanes/2)), left)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// zeroed returns a register of zeros, for instructions that keep what they do not set.
func zeroed() reg.Register {
	x := XMM()
	VXORPS(x, x, x)
	return x
}
