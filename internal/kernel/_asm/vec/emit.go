package main

import (
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// An isa is a vector width; one description of an operation serves both.
type isa struct {
	name  string // of the set, the suffix of its functions
	lanes int    // float32 lanes
	wide  bool   // AVX-512: masks are registers of their own
}

var (
	avx2   = &isa{name: "AVX2", lanes: 8}
	avx512 = &isa{name: "AVX512", lanes: 16, wide: true}
)

func (a *isa) reg() reg.VecVirtual {
	if a.wide {
		return ZMM()
	}
	return YMM()
}

// half returns a register of half the width.
func (a *isa) half() reg.VecVirtual {
	if a.wide {
		return YMM()
	}
	return XMM()
}

// bytes is the size of a vector.
func (a *isa) bytes() int { return 4 * a.lanes }

// A vec is a value of an operation: one register for each of the vectors that
// are worked on side by side. Functions of emit return fresh registers unless
// their names say "in place".
type vec []reg.VecVirtual

// A mask is the outcome of a comparison: opmask registers or all-ones lanes.
type mask []reg.Register

// emit writes the instructions of an operation on some vectors side by side.
type emit struct {
	*isa
	width int // vectors side by side
}

func (e *emit) new() vec {
	v := make(vec, e.width)
	for i := range v {
		v[i] = e.reg()
	}
	return v
}

func (e *emit) one(f func(...Op), a vec) vec {
	r := e.new()
	for i := range r {
		f(a[i], r[i])
	}
	return r
}

// two applies an instruction to a and b in the order of the mathematics, which
// the assembler's operands reverse.
func (e *emit) two(f func(...Op), a, b vec) vec {
	r := e.new()
	for i := range r {
		f(b[i], a[i], r[i])
	}
	return r
}

func (e *emit) add(a, b vec) vec { return e.two(VADDPS, a, b) }
func (e *emit) sub(a, b vec) vec { return e.two(VSUBPS, a, b) }
func (e *emit) mul(a, b vec) vec { return e.two(VMULPS, a, b) }
func (e *emit) div(a, b vec) vec { return e.two(VDIVPS, a, b) }
func (e *emit) and(a, b vec) vec { return e.two(VANDPS, a, b) }
func (e *emit) or(a, b vec) vec  { return e.two(VORPS, a, b) }
func (e *emit) xor(a, b vec) vec { return e.two(VXORPS, a, b) }
func (e *emit) sqrt(a vec) vec   { return e.one(VSQRTPS, a) }

// max is a > b ? a : b, so b if either is NaN; min likewise.
func (e *emit) max(a, b vec) vec { return e.two(VMAXPS, a, b) }
func (e *emit) min(a, b vec) vec { return e.two(VMINPS, a, b) }

// fma is a*b + c, fnma c - a*b, fms a*b - c.
func (e *emit) fma(a, b, c vec) vec  { return e.fused(VFMADD231PS, a, b, c) }
func (e *emit) fnma(a, b, c vec) vec { return e.fused(VFNMADD231PS, a, b, c) }
func (e *emit) fms(a, b, c vec) vec  { return e.fused(VFMSUB213PS, b, c, a) }

func (e *emit) fused(f func(...Op), a, b, c vec) vec {
	r := e.copy(c)
	for i := range r {
		f(b[i], a[i], r[i])
	}
	return r
}

func (e *emit) copy(a vec) vec { return e.one(VMOVAPS, a) }

// fmaInPlace does p = p*a + b.
func (e *emit) fmaInPlace(p, a, b vec) {
	for i := range p {
		VFMADD213PS(b[i], a[i], p[i])
	}
}

// fnmaInPlace does c = c - a*b.
func (e *emit) fnmaInPlace(c, a, b vec) {
	for i := range c {
		VFNMADD231PS(b[i], a[i], c[i])
	}
}

// poly evaluates the polynomial with coefficients c, constant first, by
// Horner's rule.
func (e *emit) poly(x vec, c ...float32) vec {
	p := e.new()
	top := len(c) - 1
	for i := range p {
		VBROADCASTSS(constant(c[top]), p[i])
	}
	for k := top - 1; k >= 0; k-- {
		if e.wide {
			for i := range p {
				VFMADD213PS_BCST(constant(c[k]), x[i], p[i])
			}
		} else {
			e.fmaInPlace(p, x, e.c(c[k]))
		}
	}
	return p
}

// c spreads a constant: one register, standing for all vectors.
func (e *emit) c(x float32) vec { return e.bits(math.Float32bits(x)) }

func (e *emit) bits(b uint32) vec {
	r := e.reg()
	VBROADCASTSS(constantBits(b), r)
	return e.same(r)
}

func (e *emit) same(r reg.VecVirtual) vec {
	v := make(vec, e.width)
	for i := range v {
		v[i] = r
	}
	return v
}

func (e *emit) zero() vec {
	r := e.reg()
	VXORPS(r, r, r)
	return e.same(r)
}

func (e *emit) abs(a vec) vec { return e.and(a, e.bits(0x7fffffff)) }
func (e *emit) neg(a vec) vec { return e.xor(a, e.bits(0x80000000)) }

// withSign gives the magnitude a the sign of s.
func (e *emit) withSign(a, s vec) vec { return e.or(a, e.and(s, e.bits(0x80000000))) }

// round rounds to the nearest integer, ties to even.
func (e *emit) round(a vec) vec {
	r := e.new()
	for i := range r {
		if e.wide {
			VRNDSCALEPS(Imm(8), a[i], r[i])
		} else {
			VROUNDPS(Imm(8), a[i], r[i])
		}
	}
	return r
}

// Integer operations on the bits of lanes.

func (e *emit) toInt(a vec) vec   { return e.one(VCVTPS2DQ, a) }
func (e *emit) fromInt(a vec) vec { return e.one(VCVTDQ2PS, a) }
func (e *emit) addInt(a, b vec) vec {
	return e.two(VPADDD, a, b)
}
func (e *emit) subInt(a, b vec) vec {
	return e.two(VPSUBD, a, b)
}

func (e *emit) shift(f func(...Op), a vec, n uint64) vec {
	r := e.new()
	for i := range r {
		f(Imm(n), a[i], r[i])
	}
	return r
}

func (e *emit) shiftLeft(a vec, n uint64) vec  { return e.shift(VPSLLD, a, n) }
func (e *emit) shiftRight(a vec, n uint64) vec { return e.shift(VPSRLD, a, n) }
func (e *emit) shiftArith(a vec, n uint64) vec { return e.shift(VPSRAD, a, n) }

// pow2 is 2^n for integral n in [-126, 127].
func (e *emit) pow2(n vec) vec { return e.pow2Int(e.toInt(n)) }

func (e *emit) pow2Int(n vec) vec {
	return e.shiftLeft(e.addInt(n, e.bits(127)), 23)
}

// scale is a * 2^n, rounded once, for integral n in [-152, 129].
func (e *emit) scale(a, n vec) vec {
	if e.wide {
		return e.two(VSCALEFPS, a, n)
	}
	whole := e.toInt(n)
	half := e.shiftArith(whole, 1)
	a = e.mul(a, e.pow2Int(half))
	return e.mul(a, e.pow2Int(e.subInt(whole, half)))
}

// A predicate is the immediate of a comparison.
type predicate uint64

const (
	equal        predicate = 0x00
	lessEqual    predicate = 0x12
	less         predicate = 0x11
	unordered    predicate = 0x03
	notEqual     predicate = 0x04 // or unordered
	notLess      predicate = 0x15 // or unordered
	notLessEqual predicate = 0x16 // or unordered
	greaterEqual predicate = 0x1d
	greater      predicate = 0x1e
)

func (e *emit) compare(p predicate, a, b vec) mask {
	m := make(mask, e.width)
	for i := range m {
		if e.wide {
			m[i] = K()
		} else {
			m[i] = YMM()
		}
		VCMPPS(Imm(uint64(p)), b[i], a[i], m[i])
	}
	return m
}

// choose is m ? a : b.
func (e *emit) choose(m mask, a, b vec) vec {
	r := e.new()
	for i := range r {
		if e.wide {
			VBLENDMPS(a[i], b[i], m[i], r[i])
		} else {
			VBLENDVPS(m[i], a[i], b[i], r[i])
		}
	}
	return r
}

// where is m ? a : 0.
func (e *emit) where(m mask, a vec) vec {
	r := e.new()
	for i := range r {
		if e.wide {
			VMOVAPS_Z(a[i], m[i], r[i])
		} else {
			VANDPS(a[i], m[i], r[i])
		}
	}
	return r
}

// A wide value holds the lanes of a vec as float64, two registers for each.
type wide [][2]reg.VecVirtual

func (e *emit) newWide() wide {
	w := make(wide, e.width)
	for i := range w {
		w[i] = [2]reg.VecVirtual{e.reg(), e.reg()}
	}
	return w
}

func (e *emit) widen(a vec) wide {
	w := e.newWide()
	for i := range w {
		upper := e.half()
		if e.isa.wide {
			VEXTRACTF64X4(Imm(1), a[i], upper)
			VCVTPS2PD(a[i].AsY(), w[i][0])
		} else {
			VEXTRACTF128(Imm(1), a[i], upper)
			VCVTPS2PD(a[i].AsX(), w[i][0])
		}
		VCVTPS2PD(upper, w[i][1])
	}
	return w
}

// narrow rounds to float32.
func (e *emit) narrow(w wide) vec {
	r := e.new()
	for i := range r {
		upper := e.half()
		if e.isa.wide {
			VCVTPD2PS(w[i][0], r[i].AsY())
			VCVTPD2PS(w[i][1], upper)
			VINSERTF64X4(Imm(1), upper, r[i], r[i])
		} else {
			VCVTPD2PSY(w[i][0], r[i].AsX())
			VCVTPD2PSY(w[i][1], upper)
			VINSERTF128(Imm(1), upper, r[i], r[i])
		}
	}
	return r
}

func (e *emit) mulWide(a, b wide) wide {
	r := e.newWide()
	for i := range r {
		for k := range 2 {
			VMULPD(b[i][k], a[i][k], r[i][k])
		}
	}
	return r
}

// polyWide is poly in float64.
func (e *emit) polyWide(x wide, c []float64) wide {
	p := e.newWide()
	top := len(c) - 1
	for i := range p {
		for k := range 2 {
			VBROADCASTSD(constant64(c[top]), p[i][k])
		}
	}
	for j := top - 1; j >= 0; j-- {
		k := e.reg()
		VBROADCASTSD(constant64(c[j]), k)
		for i := range p {
			VFMADD213PD(k, x[i][0], p[i][0])
			VFMADD213PD(k, x[i][1], p[i][1])
		}
	}
	return p
}

// The constants of all functions, in one table at the end of the file.
var (
	constants     []uint32
	constantIndex = map[uint32]int{}
)

func constant(x float32) Mem { return constantBits(math.Float32bits(x)) }

func constantBits(b uint32) Mem {
	i, ok := constantIndex[b]
	if !ok {
		i = len(constants)
		constantIndex[b] = i
		constants = append(constants, b)
	}
	return NewDataAddr(NewStaticSymbol("vecConstants"), 4*i)
}

var constants64 []uint64

func constant64(x float64) Mem { return constant64Bits(math.Float64bits(x)) }

func constant64Bits(b uint64) Mem {
	i := slices.Index(constants64, b)
	if i < 0 {
		i = len(constants64)
		constants64 = append(constants64, b)
	}
	return NewDataAddr(NewStaticSymbol("vecConstants64"), 8*i)
}

// tailMasks is the address of the AVX2 mask for the first n lanes of a vector,
// less 4n: eight words of ones, eight of zeros.
func tailMasks() Mem { return NewDataAddr(NewStaticSymbol("vecTailMasks"), 32) }

// data writes the tables.
func data() {
	GLOBL("vecConstants", RODATA|NOPTR)
	for i, b := range constants {
		DATA(4*i, U32(b))
	}
	if len(constants64) > 0 {
		GLOBL("vecConstants64", RODATA|NOPTR)
		for i, c := range constants64 {
			DATA(8*i, U64(c))
		}
	}
	GLOBL("vecTailMasks", RODATA|NOPTR)
	for i := range 16 {
		ones := U32(0)
		if i < 8 {
			ones = math.MaxUint32
		}
		DATA(4*i, ones)
	}
}

// align begins a loop on a cache line.
func align() {
	Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []Op{Imm(64)}})
}
