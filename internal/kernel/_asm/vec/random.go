package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// See package kernel's vec_random.go for the order of the words of a group.

// philoxRows are constants of generatePhilox spread over a vector: multipliers,
// Weyl increments, and as 64-bit lanes one, the numbers of blocks in a vector pair
// and the even blocks.
func philoxRows() {
	GLOBL("vecPhiloxRows", RODATA|NOPTR)
	for r, v := range []uint32{0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85} {
		for k := range 16 {
			DATA(64*r+4*k, U32(v))
		}
	}
	for r, v := range []int{1, avx2.lanes, avx512.lanes, 0} {
		for k := range 8 {
			if r == 3 {
				v = 2 * k
			}
			DATA(64*(4+r)+8*k, U64(v))
		}
	}
}

func row(r int) Mem { return NewDataAddr(NewStaticSymbol("vecPhiloxRows"), 64*r) }

// generatePhilox writes groups of 64 words. A register holds one word of as many
// blocks as it has 64-bit lanes, in their lower halves; what lies above does no
// harm, for products read the lower halves alone. Even and odd blocks are kept
// apart and interleaved at the end.
func generatePhilox(i *isa) {
	begin(i, "Philox", "func(groups int, dst *float32, seed, counter uint64)", "genericPhilox")
	groups, dst := pointer("groups"), pointer("dst")
	var key [2]reg.VecVirtual
	seed := pointer("seed")
	for k := range key {
		x := XMM()
		VMOVQ(seed, x)
		key[k] = i.reg()
		VPBROADCASTD(x, key[k])
		SHRQ(Imm(32), seed)
	}
	mul := [2]Mem{row(0), row(1)}
	weyl := [2]Mem{row(2), row(3)}

	// ctr counts the even blocks of the group's first part.
	first := GP64()
	Load(Param("counter"), first)
	SHLQ(Imm(4), first)
	ctr := i.reg()
	spreadQ(first, ctr)
	VPADDQ(row(7), ctr, ctr)
	one, next := row(4), row(5)
	if i.wide {
		next = row(6)
	}
	var odd reg.Register
	if i.wide {
		bits := GP32()
		MOVL(U32(0xaaaa), bits)
		odd = K()
		KMOVW(bits, odd)
	}

	xor := func(a, b, r reg.VecVirtual) { // r ^= a ^ b
		if i.wide {
			VPTERNLOGD(Imm(0x96), a, b, r)
		} else {
			VPXOR(a, r, r)
			VPXOR(b, r, r)
		}
	}
	align()
	Label("loop")
	for part := range block / i.lanes {
		var k [2]reg.VecVirtual
		for j := range k {
			k[j] = i.reg()
			VMOVAPS(key[j], k[j])
		}
		var x [2][4]reg.VecVirtual // even and odd blocks
		for s := range x {
			for w := range x[s] {
				x[s][w] = i.reg()
			}
			if s == 0 {
				VMOVAPS(ctr, x[s][0])
			} else {
				VPADDQ(one, ctr, x[s][0])
			}
			VPSRLQ(Imm(32), x[s][0], x[s][1])
			for w := 2; w < 4; w++ {
				clearInts(i, x[s][w])
			}
		}
		VPADDQ(next, ctr, ctr)
		for round := range 10 {
			for s := range x {
				p, q := i.reg(), i.reg()
				VPMULUDQ(mul[0], x[s][0], p)
				VPMULUDQ(mul[1], x[s][2], q)
				u, v := i.reg(), i.reg()
				VPSRLQ(Imm(32), q, u)
				VPSRLQ(Imm(32), p, v)
				xor(x[s][1], k[0], u)
				xor(x[s][3], k[1], v)
				x[s] = [4]reg.VecVirtual{u, q, v, p}
			}
			if round < 9 {
				VPADDD(weyl[0], k[0], k[0])
				VPADDD(weyl[1], k[1], k[1])
			}
		}
		for w := range 4 {
			VPSLLQ(Imm(32), x[1][w], x[1][w])
			if i.wide {
				VPBLENDMD(x[1][w], x[0][w], odd, x[0][w])
			} else {
				VPBLENDD(Imm(0xaa), x[1][w], x[0][w], x[0][w])
			}
			VMOVUPS(x[0][w], Mem{Base: dst, Disp: 64*w + part*i.bytes()})
		}
	}
	ADDQ(U32(256), dst)
	DECQ(groups)
	JNE(LabelRef("loop"))
	finish()
}

// clearInts clears r.
func clearInts(i *isa, r reg.VecVirtual) {
	if i.wide {
		VPXORD(r, r, r)
	} else {
		VPXOR(r, r, r)
	}
}

func spreadQ(from reg.GPVirtual, to reg.VecVirtual) {
	x := XMM()
	VMOVQ(from, x)
	VPBROADCASTQ(x, to)
}

// Sine and cosine of πf, |f| <= 1/4: sin(πf)/f and cos(πf) in f²; error 2^-25
// and 2^-31 of 1.
var (
	sinCoeffs = []float32{3.1415927, -5.1677337, 2.550829, -0.6001416}
	cosCoeffs = []float32{1, -4.934802, 4.0586963, -1.3347349, 0.228722}
)

// generateNormals writes the Box-Muller transform of genericNormals.
func generateNormals(i *isa) {
	begin(i, "Normals", "func(groups int, dst *float32, mean, std float32)", "genericNormals")
	groups, dst := pointer("groups"), pointer("dst")
	mean, std := spreadParam(i, "mean"), spreadParam(i, "std")
	ADDQ(groups, groups) // halves: two words of sixteen blocks
	align()
	Label("loop")
	for part := range block / i.lanes {
		e := &emit{i, 1}
		radius := Mem{Base: dst, Disp: part * i.bytes()}
		angle := Mem{Base: dst, Disp: 64 + part*i.bytes()}
		bits, turn := e.new(), e.new()
		VMOVUPS(radius, bits[0])
		VMOVUPS(angle, turn[0])

		u := e.add(e.fromUint(bits), e.c(1))
		r := e.sqrt(e.mul(e.logNormal(e.mul(u, e.c(0x1p-32)), nil), e.c(-2)))

		v := e.mul(e.fromInt(e.shiftArith(turn, 8)), e.c(0x1p-23)) // half turns
		q := e.round(e.add(v, v))
		f := e.fnma(q, e.c(0.5), v)
		ff := e.mul(f, f)
		sin := e.mul(f, e.poly(ff, sinCoeffs...))
		cos := e.poly(ff, cosCoeffs...)
		// Quarter turns: swap if odd, and the signs.
		quarter := e.toInt(q)
		swap := e.lessInt(e.shiftLeft(quarter, 31), e.zero())
		top := e.bits(0x80000000)
		s := e.xor(e.choose(swap, cos, sin), e.and(e.shiftLeft(quarter, 30), top))
		c := e.xor(e.choose(swap, sin, cos), e.and(e.shiftLeft(e.addInt(quarter, e.bits(1)), 30), top))

		m, d := e.same(mean), e.same(std)
		x := e.fma(d, e.mul(r, c), m)
		y := e.fma(d, e.mul(r, s), m)
		VMOVUPS(x[0], radius)
		VMOVUPS(y[0], angle)
	}
	ADDQ(U32(128), dst)
	DECQ(groups)
	JNE(LabelRef("loop"))
	finish()
}

// fromUint converts unsigned lanes, rounded once.
func (e *emit) fromUint(a vec) vec {
	if e.wide {
		return e.one(VCVTUDQ2PS, a)
	}
	upper := e.fromInt(e.shiftRight(a, 16))
	lower := e.fromInt(e.and(a, e.bits(0xffff)))
	return e.fma(upper, e.c(1<<16), lower)
}
