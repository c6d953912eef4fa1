// Command probe generates the loops of an attack's steps for AVX2 and AVX-512: each is
// one pass over memory that no cache holds.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/mettleml/mettle/internal/kernel/_asm/x86"
)

// An isa is an instruction set.
type isa struct{ x86.ISA }

var (
	avx2   = isa{x86.AVX2}
	avx512 = isa{x86.AVX512}
)

// narrow rounds a vector of float64 to half a vector of float32.
func (v isa) narrow(from, to reg.Register) {
	if v.Lanes == 16 {
		VCVTPD2PS(from, to)
	} else {
		VCVTPD2PSY(from, to)
	}
}

// ahead is how many bytes before its use memory is asked for. The processor itself looks
// no further than the end of a page of 4 KB.
const ahead = 2048

// loop runs body for i = 0, step, ... n bytes. Every function has its n first.
func loop(step int, body func(i reg.Register)) {
	n := Load(Param("n"), GP64())
	i := GP64()
	XORQ(i, i)
	Label("loop")
	body(i)
	ADDQ(Imm(uint64(step)), i)
	CMPQ(i, n)
	JLT(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func pointer(name string) reg.Register { return Load(Param(name), GP64()) }

func double(v isa, name string) reg.VecVirtual {
	r := v.Vec()
	m, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSD(m.Addr, r)
	return r
}

func text(v isa, name, signature string) {
	TEXT(name+v.Name, NOSPLIT, signature)
	Doc(name + v.Name + " is a loop of package kernel's probeOps.")
}

func at(p, i reg.Register, scale uint8) Mem { return Mem{Base: p, Index: i, Scale: scale} }

func fetch(p, i reg.Register) { PREFETCHT0(Mem{Base: p, Index: i, Scale: 1, Disp: ahead}) }

func probePair(v isa) {
	text(v, "probePair", "func(n int, up, down, x, du, dd *float32, lo, hi float32)")
	up, down, x, du, dd := pointer("up"), pointer("down"), pointer("x"), pointer("du"), pointer("dd")
	lo, hi := v.Broadcast("lo"), v.Broadcast("hi")
	loop(4*v.Lanes, func(i reg.Register) {
		if v.Lanes == 16 {
			fetch(x, i)
			fetch(up, i)
			fetch(down, i)
		}
		here := v.Vec()
		VMOVUPS(at(x, i, 1), here)
		for _, p := range [][2]reg.Register{{du, up}, {dd, down}} {
			w := v.Vec()
			VADDPS(at(p[0], i, 1), here, w)
			VMAXPS(w, lo, w)
			VMINPS(w, hi, w)
			VMOVUPS(w, at(p[1], i, 1))
		}
	})
}

func boxStep(v isa) {
	text(v, "boxStep", "func(n int, x, d, lo, hi *float32)")
	x, d, lo, hi := pointer("x"), pointer("d"), pointer("lo"), pointer("hi")
	loop(4*v.Lanes, func(i reg.Register) {
		if v.Lanes == 16 {
			fetch(x, i)
			fetch(lo, i)
			fetch(hi, i)
		}
		w, low, high := v.Vec(), v.Vec(), v.Vec()
		VMOVUPS(at(x, i, 1), w)
		VMOVUPS(at(lo, i, 1), low)
		VMOVUPS(at(hi, i, 1), high)
		VADDPS(at(d, i, 1), w, w)
		VMAXPS(w, low, w)
		VMINPS(w, high, w)
		VMOVUPS(w, at(x, i, 1))
	})
}

// displacePair is of float64; n are bytes of float32.
func displacePair(v isa) {
	text(v, "displacePair", "func(n int, du, dd *float32, v, e *float64, pv, pe, mv, me float64)")
	du, dd, pv, pe := pointer("du"), pointer("dd"), pointer("v"), pointer("e")
	var c []reg.VecVirtual
	for _, name := range []string{"pv", "pe", "mv", "me"} {
		c = append(c, double(v, name))
	}
	loop(2*v.Lanes, func(i reg.Register) {
		a, b := v.Vec(), v.Vec()
		VMOVUPD(at(pv, i, 2), a)
		VMOVUPD(at(pe, i, 2), b)
		up, x, to := v.Vec(), v.Vec(), v.Half()
		VMULPD(c[0], a, up)
		VMULPD(c[1], b, x)
		VADDPD(x, up, up)
		v.narrow(up, to)
		VMOVUPS(to, at(du, i, 1))
		down, y, on := v.Vec(), v.Vec(), v.Half()
		VMULPD(c[2], a, down)
		VMULPD(c[3], b, y)
		VSUBPD(y, down, down)
		v.narrow(down, on)
		VMOVUPS(on, at(dd, i, 1))
	})
}

func climb(v isa) {
	text(v, "climb", "func(n int, v, e *float64, s float64)")
	p, e, s := pointer("v"), pointer("e"), double(v, "s")
	loop(4*v.Lanes, func(i reg.Register) {
		w := v.Vec()
		VMULPD(at(e, i, 1), s, w)
		VADDPD(at(p, i, 1), w, w)
		VMOVUPD(w, at(p, i, 1))
	})
}

// signSteps is of float64; n are bytes of float32.
func signSteps(v isa) {
	text(v, "signSteps", "func(n int, d *float32, guess *float64, h float32)")
	d, g, h := pointer("d"), pointer("guess"), YMM()
	VBROADCASTSS(NewParamAddr("h", 24), h)
	zero, sign, bits := v.Vec(), YMM(), GP32()
	v.Clear(zero)
	MOVL(U32(1<<31), bits)
	VPBROADCASTD(bits, sign)
	loop(2*v.Lanes, func(i reg.Register) {
		a, w, some := v.Vec(), YMM(), K()
		VMOVUPD(at(g, i, 2), a)
		VCMPPD(Imm(12), zero, a, some) // ordered and not equal
		VCVTPD2PS(a, w)
		VPANDD(sign, w, w)
		VPXORD(h, w, w)
		VMOVAPS_Z(w, some, w)
		VMOVUPS(w, at(d, i, 1))
	})
}

func main() {
	ConstraintExpr("!purego")
	for _, v := range []isa{avx2, avx512} {
		probePair(v)
		boxStep(v)
		displacePair(v)
		climb(v)
	}
	signSteps(avx512)
	fold()
	Generate()
}
