package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/mettleml/mettle/internal/kernel/_asm/x86"
)

// The numbers of a channel, as the Go side lays them out.
const (
	coefMean = 4 * iota
	coefScale
	coefShift
	coefA
	coefB
	coefC
	coefPivot
	coefs    = 8
	sumLanes = 8
)

// An isa is an instruction set, as far as these loops see it.
type isa struct{ x86.ISA }

var (
	avx2   = isa{x86.AVX2}
	avx512 = isa{x86.AVX512}
)

func (v isa) zero() reg.VecVirtual {
	r := v.Vec()
	v.Clear(r)
	return r
}

// load reads a vector; with a mask, its first lanes, and 0 in the others.
func (v isa) load(m Op, mask reg.Register, dst reg.Register) {
	switch {
	case mask == nil:
		VMOVUPS(m, dst)
	case v.Wide():
		VMOVUPS_Z(m, mask, dst)
	default:
		VMASKMOVPS(m, mask, dst)
	}
}

func (v isa) store(src reg.Register, mask reg.Register, m Op) {
	switch {
	case mask == nil:
		VMOVUPS(src, m)
	case v.Wide():
		VMOVUPS(src, mask, m)
	default:
		VMASKMOVPS(src, mask, m)
	}
}

// notAtOrBelow is the predicate of a comparison that holds if the first is
// above the second or one of them is NaN.
const notAtOrBelow = 6

// keepAbove clears the lanes of g where u <= floor. It may overwrite u.
func (v isa) keepAbove(u, floor, g reg.Register) {
	if v.Wide() {
		k := K()
		VCMPPS(Imm(notAtOrBelow), floor, u, k)
		VMOVAPS_Z(g, k, g)
		return
	}
	VCMPPS(Imm(notAtOrBelow), floor, u, u)
	VANDPS(u, g, g)
}

// tailMask returns a mask of the first r lanes of width lanes, r in a register.
func (v isa) tailMask(r reg.GPVirtual, lanes int) reg.Register {
	if v.Wide() {
		one := GP64()
		cx := reg.RCX
		MOVQ(r, cx)
		MOVQ(U32(1), one)
		SHLQ(reg.CL, one)
		DECQ(one)
		k := K()
		KMOVW(one.As32(), k)
		return k
	}
	table := maskTable()
	at := GP64()
	LEAQ(table, at)
	off := GP64()
	MOVQ(U32(8), off)
	SUBQ(r, off)
	var m reg.VecVirtual
	if lanes == 4 {
		m = XMM()
	} else {
		m = YMM()
	}
	VMOVUPS(Mem{Base: at, Index: off, Scale: 4}, m)
	return m
}

var masks *Mem

// maskTable is eight lanes of ones followed by eight of zeros.
func maskTable() Mem {
	if masks == nil {
		m := GLOBL("nnetMasks", RODATA|NOPTR)
		for i := range 16 {
			x := uint32(0)
			if i < 8 {
				x = 0xffffffff
			}
			DATA(4*i, U32(x))
		}
		masks = &m
	}
	return *masks
}

// A channelLoop runs over n samples of arrays [n, channels, s] whose samples are
// stride apart, row after row of s floats, in steps of so many lanes.
type channelLoop struct {
	n, s               reg.GPVirtual
	ptrs               []reg.GPVirtual // to the rows; moved on
	coef, sums         reg.GPVirtual   // to the channel's numbers; moved on and back
	coefSize, sumsSize int             // their bytes in a channel

	lanes, unroll int
	label         string

	// ahead lists the arrays that are fetched into the cache a sample ahead,
	// written ones too: no hardware follows a stride of more than a page.
	ahead []int

	// body does one step: at(i) is where array i is, u the place in the unrolled
	// loop. enter and leave frame a row, block ends a run of unroll steps; they
	// may be nil.
	body                func(at func(i int) Mem, u int, mask reg.Register)
	enter, block, leave func()
}

// channelParams loads the parameters of a channelLoop.
func channelParams(sums bool, ptrs ...string) (l channelLoop) {
	l.coef = Load(Param("coef").Base(), GP64()).(reg.GPVirtual)
	l.coefSize = 4 * coefs
	if sums {
		l.sums = Load(Param("sums").Base(), GP64()).(reg.GPVirtual)
		l.sumsSize = 8 * 2 * sumLanes
	}
	for _, p := range ptrs {
		l.ptrs = append(l.ptrs, Load(Param(p).Base(), GP64()).(reg.GPVirtual))
	}
	l.n = Load(Param("n"), GP64()).(reg.GPVirtual)
	l.s = Load(Param("s"), GP64()).(reg.GPVirtual)
	return l
}

// emit writes the loop. No size may be 0. Registers are scarce: what a row does
// not need is read from the arguments again.
func (l channelLoop) emit(v isa) {
	size := 4 * l.lanes
	rest := GP64()
	MOVQ(l.s, rest)
	ANDQ(I32(l.lanes-1), rest)
	mask := v.tailMask(rest, l.lanes)
	SHLQ(Imm(2), l.s)
	ahead := GP64()
	Load(Param("stride"), ahead)
	SHLQ(Imm(2), ahead)
	ref := func(s string) LabelRef { return LabelRef(l.label + s) }

	Label(l.label + "Sample")
	channels := GP64()
	Load(Param("channels"), channels)
	Label(l.label + "Row")
	if l.enter != nil {
		l.enter()
	}
	left, x := GP64(), GP64()
	MOVQ(l.s, left)
	at := func(u int) func(i int) Mem {
		return func(i int) Mem { return Mem{Base: l.ptrs[i], Disp: u * size} }
	}
	fetch := func(u int) {
		for _, i := range l.ahead {
			PREFETCHT0(Mem{Base: l.ptrs[i], Index: ahead, Scale: 1, Disp: u * size})
		}
	}
	advance := func(by int) {
		for _, p := range l.ptrs {
			ADDQ(I32(by), p)
		}
		SUBQ(I32(by), left)
	}
	SUBQ(I32(size*l.unroll), left)
	JLT(ref("Steps"))
	Label(l.label + "Blocks")
	for u := range l.unroll {
		fetch(u)
		l.body(at(u), u, nil)
	}
	if l.block != nil {
		l.block()
	}
	advance(size * l.unroll)
	JGE(ref("Blocks"))
	Label(l.label + "Steps")
	ADDQ(I32(size*(l.unroll-1)), left)
	JLT(ref("Tail"))
	Label(l.label + "Step")
	fetch(0)
	l.body(at(0), 0, nil)
	advance(size)
	JGE(ref("Step"))
	Label(l.label + "Tail")
	ADDQ(I32(size), left)
	JEQ(ref("Leave"))
	fetch(0)
	l.body(at(0), 0, mask)
	for _, p := range l.ptrs {
		ADDQ(left, p)
	}
	Label(l.label + "Leave")
	if l.leave != nil {
		l.leave()
	}
	ADDQ(I32(l.coefSize), l.coef)
	if l.sumsSize != 0 {
		ADDQ(I32(l.sumsSize), l.sums)
	}
	DECQ(channels)
	JNE(ref("Row"))

	// Back to the first channel, of the next sample.
	Load(Param("channels"), channels)
	MOVQ(channels, x)
	IMULQ(l.s, x)
	SUBQ(ahead, x)
	for _, p := range l.ptrs {
		SUBQ(x, p)
	}
	IMUL3Q(I32(l.coefSize), channels, x)
	SUBQ(x, l.coef)
	if l.sumsSize != 0 {
		IMUL3Q(I32(l.sumsSize), channels, x)
		SUBQ(x, l.sums)
	}
	DECQ(l.n)
	JNE(ref("Sample"))
}

// A runningSum adds floats in vectors, and every so often adds those to doubles
// in memory: short runs of single precision cost no accuracy that shows, and
// conversions are dear.
type runningSum struct {
	v     isa
	short []reg.VecVirtual // one per place in the unrolled loop
	at    Mem
}

func newRunningSum(v isa, unroll int, at Mem) *runningSum {
	s := &runningSum{v: v, at: at}
	for range unroll {
		s.short = append(s.short, v.Vec())
	}
	return s
}

func (s *runningSum) clear() {
	for _, r := range s.short {
		s.v.Clear(r)
	}
}

// widen moves the short sums to the doubles.
func (s *runningSum) widen() {
	for n := len(s.short); n > 1; n /= 2 {
		for i := range n / 2 {
			VADDPS(s.short[i+n/2], s.short[i], s.short[i])
		}
	}
	v, r, hi, d := s.v, s.short[0], s.v.Half(), s.v.Vec()
	if v.Wide() {
		VEXTRACTF64X4(Imm(1), r, hi)
		VCVTPS2PD(r.AsY(), d)
	} else {
		VEXTRACTF128(Imm(1), r, hi)
		VCVTPS2PD(r.AsX(), d)
	}
	VCVTPS2PD(hi, r)
	VADDPD(r, d, d)
	VADDPD(s.at, d, d)
	VMOVUPD(d, s.at)
}
