package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const reduceSignature = "func(n int, a, b *float32) float64"

// A sumSpec describes a sum: the term of one element in float64.
type sumSpec struct {
	name      string
	two       bool // takes b
	term      func(i *isa, a, b reg.VecVirtual) reg.VecVirtual
	magnitude bool // the term's sign is dropped
}

func self(_ *isa, a, _ reg.VecVirtual) reg.VecVirtual { return a }

func square64(i *isa, a, _ reg.VecVirtual) reg.VecVirtual {
	VMULPD(a, a, a)
	return a
}

func difference64(_ *isa, a, b reg.VecVirtual) reg.VecVirtual {
	VSUBPD(b, a, a)
	return a
}

var sumSpecs = []sumSpec{
	{name: "Sum", term: self},
	{name: "SumAbs", term: self, magnitude: true},
	{name: "SumSquares", term: square64},
	{name: "Dot", two: true, term: func(_ *isa, a, b reg.VecVirtual) reg.VecVirtual {
		VMULPD(b, a, a)
		return a
	}},
	{name: "Dist1", two: true, term: difference64, magnitude: true},
	{name: "Dist2", two: true, term: func(i *isa, a, b reg.VecVirtual) reg.VecVirtual {
		return square64(i, difference64(i, a, b), nil)
	}},
}

// sums is how many partial sums run side by side.
const sums = 8

func (s *sumSpec) generate(i *isa) string {
	f := begin(i, s.name, reduceSignature, "op"+s.name)
	n := pointer("n")
	a := pointer("a")
	var b reg.GPVirtual
	if s.two {
		b = pointer("b")
	}
	var signs reg.VecVirtual
	if s.magnitude {
		signs = i.reg()
		VBROADCASTSD(constant64Bits(1<<63-1), signs)
	}
	at := counter()
	acc := make([]reg.VecVirtual, sums)
	for k := range acc {
		acc[k] = i.reg()
		VXORPD(acc[k], acc[k], acc[k])
	}

	lanes := i.lanes / 2
	mem := func(base reg.Register, k int) Mem {
		return Mem{Base: base, Index: at, Scale: 4, Disp: 4 * lanes * k}
	}
	// one adds the k-th vector's terms; load widens it, clear drops lanes.
	one := func(k int, load func(m Mem, r reg.VecVirtual), clear func(r reg.VecVirtual)) {
		x := i.reg()
		load(mem(a, k), x)
		var y reg.VecVirtual
		if s.two {
			y = i.reg()
			load(mem(b, k), y)
		}
		term := s.term(i, x, y)
		if s.magnitude {
			VANDPD(signs, term, term)
		}
		clear(term)
		VADDPD(term, acc[k], acc[k])
	}
	widen := func(m Mem, r reg.VecVirtual) { VCVTPS2PD(m, r) }
	keep := func(reg.VecVirtual) {}

	step := uint64(sums * lanes)
	SUBQ(Imm(step), n)
	JLT(LabelRef("rest"))
	align()
	Label("loop")
	for k := range acc {
		// A long single stream gains a tenth from being fetched across pages.
		if !s.two && 4*lanes*k%64 == 0 {
			PREFETCHT0(mem(a, k).Offset(4096))
		}
		one(k, widen, keep)
	}
	ADDQ(Imm(step), at)
	SUBQ(Imm(step), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(Imm(step), n)

	Label("single")
	CMPQ(n, Imm(uint64(lanes)))
	JLT(LabelRef("tail"))
	one(0, widen, keep)
	ADDQ(Imm(uint64(lanes)), at)
	SUBQ(Imm(uint64(lanes)), n)
	JMP(LabelRef("single"))
	Label("tail")
	TESTQ(n, n)
	JEQ(LabelRef("done"))
	if i.wide {
		bits, k := GP32(), K()
		MOVL(U32(0xff), bits)
		BZHIL(n.As32(), bits, bits)
		KMOVW(bits, k)
		one(0, func(m Mem, r reg.VecVirtual) { VCVTPS2PD_Z(m, k, r) },
			func(r reg.VecVirtual) { VMOVAPD_Z(r, k, r) })
	} else {
		k := tailMask(n)
		long := YMM()
		VPMOVSXDQ(k.AsX(), long)
		one(0, func(m Mem, r reg.VecVirtual) {
			x := XMM()
			VMASKMOVPS(m, k.AsX(), x)
			VCVTPS2PD(x, r)
		}, func(r reg.VecVirtual) { VANDPD(long, r, r) })
	}
	Label("done")
	total := addUp(i, acc)
	Store(total, ReturnIndex(0))
	finish()
	return f
}

// addUp adds vectors of float64 and then their lanes, pairwise.
func addUp(i *isa, acc []reg.VecVirtual) reg.Register {
	for half := len(acc) / 2; half > 0; half /= 2 {
		for k := range half {
			VADDPD(acc[k+half], acc[k], acc[k])
		}
	}
	v := acc[0]
	if i.wide {
		upper := YMM()
		VEXTRACTF64X4(Imm(1), v, upper)
		VADDPD(upper, v.AsY(), v.AsY())
	}
	upper := XMM()
	VEXTRACTF128(Imm(1), v.AsY(), upper)
	VADDPD(upper, v.AsX(), v.AsX())
	VPERMILPD(Imm(1), v.AsX(), upper)
	VADDSD(upper, v.AsX(), v.AsX())
	return v.AsX()
}

// An extremeSpec describes a fold by maximum or minimum.
type extremeSpec struct {
	name string
	pick func(...Op)
	of   func(e *emit, a vec) vec
}

var extremeSpecs = []extremeSpec{
	{"Max", VMAXPS, func(_ *emit, a vec) vec { return a }},
	{"Min", VMINPS, func(_ *emit, a vec) vec { return a }},
	{"MaxAbs", VMAXPS, (*emit).abs},
}

func (s *extremeSpec) generate(i *isa) string {
	f := begin(i, s.name, reduceSignature, "op"+s.name)
	n, a := pointer("n"), pointer("a")
	at := counter()
	const width = 4
	// The first element fills lanes that have none.
	first := i.reg()
	VBROADCASTSS(Mem{Base: a}, first)
	var best vec
	{
		e := &emit{i, 1}
		x := s.of(e, vec{first})
		best = make(vec, width)
		for k := range best {
			best[k] = i.reg()
			VMOVAPS(x[0], best[k])
		}
	}
	// Where a NaN was seen: the picks forget it.
	nan := i.reg()
	VXORPS(nan, nan, nan)

	body := func(count int, move mover) {
		e := &emit{i, count}
		x := e.new()
		for k := range x {
			VMOVAPS(first, x[k])
			move.merge(Mem{Base: a, Index: at, Scale: 4, Disp: k * i.bytes()}, x[k])
		}
		v := s.of(e, x)
		for k := range v {
			if i.wide {
				bad := K()
				VCMPPS(Imm(uint64(unordered)), v[k], v[k], bad)
				VMOVAPS(v[k], bad, nan)
			} else {
				bad := YMM()
				VCMPPS(Imm(uint64(unordered)), v[k], v[k], bad)
				VORPS(bad, nan, nan)
			}
			s.pick(v[k], best[k], best[k])
		}
	}
	loops(i, n, at, width, body)

	for half := width / 2; half > 0; half /= 2 {
		for k := range half {
			s.pick(best[k+half], best[k], best[k])
		}
	}
	v := best[0]
	if i.wide {
		upper := YMM()
		VEXTRACTF64X4(Imm(1), v, upper)
		s.pick(upper, v.AsY(), v.AsY())
	}
	upper := XMM()
	x := v.AsX()
	VEXTRACTF128(Imm(1), v.AsY(), upper)
	s.pick(upper, x, x)
	VPERMILPS(Imm(0b1110), x, upper)
	s.pick(upper, x, x)
	VPERMILPS(Imm(1), x, upper)
	s.pick(upper, x, x)

	seen := GP32()
	if i.wide {
		bad := K()
		VCMPPS(Imm(uint64(unordered)), nan, nan, bad)
		KMOVW(bad, seen)
	} else {
		VMOVMSKPS(nan, seen)
	}
	TESTL(seen, seen)
	JEQ(LabelRef("number"))
	VMOVSS(constantBits(0x7fc00000), x)
	Label("number")
	VCVTSS2SD(x, x, x)
	Store(x, ReturnIndex(0))
	finish()
	return f
}

func generateFind(i *isa, name string, p predicate, self bool) string {
	f := begin(i, name, "func(n int, a *float32, v float32) int", "genericFind for numbers or for NaN")
	n, a := pointer("n"), pointer("a")
	v := spreadParam(i, "v")
	at := counter()
	x, hit := i.reg(), GP32()
	test := func(load func()) {
		load()
		y := v
		if self {
			y = x
		}
		if i.wide {
			k := K()
			VCMPPS(Imm(uint64(p)), y, x, k)
			KMOVW(k, hit)
		} else {
			m := YMM()
			VCMPPS(Imm(uint64(p)), y, x, m)
			VMOVMSKPS(m, hit)
		}
	}
	lanes := uint64(i.lanes)
	mem := Mem{Base: a, Index: at, Scale: 4}
	SUBQ(Imm(lanes), n)
	JLT(LabelRef("rest"))
	Label("loop")
	test(func() { VMOVUPS(mem, x) })
	TESTL(hit, hit)
	JNE(LabelRef("found"))
	ADDQ(Imm(lanes), at)
	SUBQ(Imm(lanes), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(Imm(lanes), n)
	JEQ(LabelRef("none"))
	bits := GP32()
	MOVL(U32(1<<lanes-1), bits)
	BZHIL(n.As32(), bits, bits)
	end := GP64()
	LEAQ(Mem{Base: at, Index: n, Scale: 1}, end)
	if i.wide {
		k := K()
		KMOVW(bits, k)
		test(func() { VMOVUPS_Z(mem, k, x) })
	} else {
		k := tailMask(n)
		test(func() { VMASKMOVPS(mem, k, x) })
	}
	ANDL(bits, hit)
	JNE(LabelRef("found"))
	Store(end, ReturnIndex(0))
	finish()
	Label("none")
	Store(at, ReturnIndex(0))
	finish()
	Label("found")
	TZCNTL(hit, hit)
	ADDQ(hit.As64(), at)
	Store(at, ReturnIndex(0))
	finish()
	return f
}

// generateAccumulate writes the sums of columns, of a or of a*b, in float64: acc
// += each of the rows, which lie stride elements apart.
func generateAccumulate(i *isa, product bool) string {
	name, params := "Accumulate", "a *float32"
	if product {
		name, params = "AccumulateMul", "a, b *float32"
	}
	f := begin(i, name, "func(rows, n, stride int, acc *float64, "+params+")", "generic"+name)
	rows, n, stride, acc, a := pointer("rows"), pointer("n"), pointer("stride"), pointer("acc"), pointer("a")
	b, atB := a, GP64()
	if product {
		b = pointer("b")
	}
	SHLQ(Imm(2), stride)
	lanes := i.lanes / 2

	// columns adds width vectors of every row; the movers differ for the last lanes.
	left, atA := GP64(), GP64()
	columns := func(label string, width int, load func(m Mem, r reg.VecVirtual), get func(m Mem, r reg.VecVirtual), put func(r reg.VecVirtual, m Mem)) {
		sum := make([]reg.VecVirtual, width)
		for k := range sum {
			sum[k] = i.reg()
			get(Mem{Base: acc, Disp: 8 * lanes * k}, sum[k])
		}
		MOVQ(rows, left)
		MOVQ(a, atA)
		if product {
			MOVQ(b, atB)
		}
		Label(label)
		for k := range sum {
			x := i.reg()
			load(Mem{Base: atA, Disp: 4 * lanes * k}, x)
			if product {
				y := i.reg()
				load(Mem{Base: atB, Disp: 4 * lanes * k}, y)
				VMULPD(y, x, x)
			}
			VADDPD(x, sum[k], sum[k])
		}
		ADDQ(stride, atA)
		if product {
			ADDQ(stride, atB)
		}
		DECQ(left)
		JNE(LabelRef(label))
		for k := range sum {
			put(sum[k], Mem{Base: acc, Disp: 8 * lanes * k})
		}
	}
	advance := func(width int) {
		ADDQ(U32(8*lanes*width), acc)
		ADDQ(Imm(uint64(4*lanes*width)), a)
		if product {
			ADDQ(Imm(uint64(4*lanes*width)), b)
		}
	}
	widen := func(m Mem, r reg.VecVirtual) { VCVTPS2PD(m, r) }
	get := func(m Mem, r reg.VecVirtual) { VMOVUPD(m, r) }
	put := func(r reg.VecVirtual, m Mem) { VMOVUPD(r, m) }

	const width = 4
	for _, w := range []int{width, 1} {
		block, next := "block"+string(rune('0'+w)), "next"+string(rune('0'+w))
		Label(block)
		SUBQ(Imm(uint64(w*lanes)), n)
		JLT(LabelRef(next))
		columns(block+"rows", w, widen, get, put)
		advance(w)
		JMP(LabelRef(block))
		Label(next)
		ADDQ(Imm(uint64(w*lanes)), n)
	}
	JEQ(LabelRef("done"))
	if i.wide {
		bits, k := GP32(), K()
		MOVL(U32(0xff), bits)
		BZHIL(n.As32(), bits, bits)
		KMOVW(bits, k)
		columns("tail", 1,
			func(m Mem, r reg.VecVirtual) { VCVTPS2PD_Z(m, k, r) },
			func(m Mem, r reg.VecVirtual) { VMOVUPD_Z(m, k, r) },
			func(r reg.VecVirtual, m Mem) { VMOVUPD(r, k, m) })
	} else {
		k := tailMask(n)
		long := YMM()
		VPMOVSXDQ(k.AsX(), long)
		columns("tail", 1,
			func(m Mem, r reg.VecVirtual) {
				x := XMM()
				VMASKMOVPS(m, k.AsX(), x)
				VCVTPS2PD(x, r)
			},
			func(m Mem, r reg.VecVirtual) { VMASKMOVPD(m, long, r) },
			func(r reg.VecVirtual, m Mem) { VMASKMOVPD(r, long, m) })
	}
	Label("done")
	finish()
	return f
}
