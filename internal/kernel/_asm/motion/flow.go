package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// taps filters rows: outs results from each, so many vectors at a time.
func taps(v isa, outs int) {
	unroll := []int{4, 2, 2}[outs-1]
	name := fmt.Sprintf("flowTaps%d%s", outs, v.Name)
	TEXT(name, NOSPLIT, "func(dst []float32, ds int, x []float32, rows []int32, taps []float32, width int)")
	Doc(name + fmt.Sprintf(" is flowTapsGeneric for outs = %d.", outs))
	gp := func(name string) reg.GPVirtual { return Load(Param(name).Base(), GP64()).(reg.GPVirtual) }
	dst, x, rows, taps := gp("dst"), gp("x"), gp("rows"), gp("taps")
	count := Load(Param("rows").Len(), GP64()).(reg.GPVirtual)
	left := Load(Param("width"), GP64()).(reg.GPVirtual)
	ds := GP64()
	if outs > 1 {
		Load(Param("ds"), ds)
		SHLQ(Imm(2), ds)
	}
	step := func(label string, n int) {
		size := n * v.Lanes
		SUBQ(Imm(uint64(size)), left)
		JLT(LabelRef(label + "Done"))
		Label(label)
		var acc [3][]reg.VecVirtual
		for j := range outs {
			for range n {
				r := v.Vec()
				v.Clear(r)
				acc[j] = append(acc[j], r)
			}
		}
		r, c, k, off := GP64(), GP64(), GP64(), GP64()
		MOVQ(rows, r)
		MOVQ(taps, c)
		MOVQ(count, k)
		Label(label + "Row")
		MOVLQSX(Mem{Base: r}, off)
		var in []reg.VecVirtual
		at := func(u int) Mem { return Mem{Base: x, Index: off, Scale: 4, Disp: u * v.bytes()} }
		if outs > 1 {
			for u := range n {
				in = append(in, v.Vec())
				VMOVUPS(at(u), in[u])
			}
		}
		for j := range outs {
			t := v.Vec()
			VBROADCASTSS(Mem{Base: c, Disp: 4 * j}, t)
			for u := range n {
				if outs > 1 {
					VFMADD231PS(in[u], t, acc[j][u])
				} else {
					VFMADD231PS(at(u), t, acc[j][u])
				}
			}
		}
		ADDQ(Imm(4), r)
		ADDQ(Imm(uint64(4*outs)), c)
		DECQ(k)
		JNE(LabelRef(label + "Row"))
		for j := range outs {
			for u := range n {
				m := row(dst, ds, ds, j)
				m.Disp = u * v.bytes()
				VMOVUPS(acc[j][u], m)
			}
		}
		ADDQ(U32(uint32(4*size)), dst)
		ADDQ(U32(uint32(4*size)), x)
		SUBQ(Imm(uint64(size)), left)
		JGE(LabelRef(label))
		Label(label + "Done")
		ADDQ(Imm(uint64(size)), left)
	}
	step("block", unroll)
	step("vector", 1)
	VZEROUPPER()
	RET()
}

func interleave(v isa) {
	TEXT("interleave"+v.Name, NOSPLIT, "func(dst, a, b []float32)")
	Doc("interleave" + v.Name + " is interleaveGeneric.")
	gp := func(name string) reg.GPVirtual { return Load(Param(name).Base(), GP64()).(reg.GPVirtual) }
	dst, a, b := gp("dst"), gp("a"), gp("b")
	n := Load(Param("a").Len(), GP64()).(reg.GPVirtual)
	var first, second reg.VecVirtual
	if v.Wide() {
		first, second = v.Vec(), v.Vec()
		order := func(from int) func(i int) Constant {
			return func(i int) Constant { return U32(from + i/2 + i%2*16) }
		}
		VMOVDQU32(constant("flowZipLow", order(0)), first)
		VMOVDQU32(constant("flowZipHigh", order(8)), second)
	}
	Label("loop")
	x, y, lo, hi := v.Vec(), v.Vec(), v.Vec(), v.Vec()
	VMOVUPS(Mem{Base: a}, x)
	VMOVUPS(Mem{Base: b}, y)
	if v.Wide() {
		VMOVAPS(x, lo)
		VMOVAPS(x, hi)
		VPERMT2PS(y, first, lo)
		VPERMT2PS(y, second, hi)
	} else {
		t := v.Vec()
		VUNPCKLPS(y, x, lo)
		VUNPCKHPS(y, x, hi)
		VPERM2F128(Imm(0x20), hi, lo, t)
		VPERM2F128(Imm(0x31), hi, lo, hi)
		lo = t
	}
	VMOVUPS(lo, Mem{Base: dst})
	VMOVUPS(hi, Mem{Base: dst, Disp: v.bytes()})
	ADDQ(Imm(uint64(v.bytes())), a)
	ADDQ(Imm(uint64(v.bytes())), b)
	ADDQ(U32(uint32(2*v.bytes())), dst)
	SUBQ(Imm(uint64(v.Lanes)), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func deinterleave(v isa) {
	TEXT("deinterleave"+v.Name, NOSPLIT, "func(a, b, x []float32)")
	Doc("deinterleave" + v.Name + " is deinterleaveGeneric.")
	gp := func(name string) reg.GPVirtual { return Load(Param(name).Base(), GP64()).(reg.GPVirtual) }
	a, b, src := gp("a"), gp("b"), gp("x")
	n := Load(Param("a").Len(), GP64()).(reg.GPVirtual)
	var first, second reg.VecVirtual
	if v.Wide() {
		first, second = v.Vec(), v.Vec()
		VMOVDQU32(constant("flowEven", func(i int) Constant { return U32(2 * i) }), first)
		VMOVDQU32(constant("flowOdd", func(i int) Constant { return U32(2*i + 1) }), second)
	}
	Label("loop")
	x, y, even, odd := v.Vec(), v.Vec(), v.Vec(), v.Vec()
	VMOVUPS(Mem{Base: src}, x)
	VMOVUPS(Mem{Base: src, Disp: v.bytes()}, y)
	if v.Wide() {
		VMOVAPS(x, even)
		VMOVAPS(x, odd)
		VPERMT2PS(y, first, even)
		VPERMT2PS(y, second, odd)
	} else {
		VSHUFPS(Imm(0x88), y, x, even)
		VSHUFPS(Imm(0xdd), y, x, odd)
		VPERMPD(Imm(0xd8), even, even)
		VPERMPD(Imm(0xd8), odd, odd)
	}
	VMOVUPS(even, Mem{Base: a})
	VMOVUPS(odd, Mem{Base: b})
	ADDQ(Imm(uint64(v.bytes())), a)
	ADDQ(Imm(uint64(v.bytes())), b)
	ADDQ(U32(uint32(2*v.bytes())), src)
	SUBQ(Imm(uint64(v.Lanes)), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func solve(v isa) {
	TEXT("flowSolve"+v.Name, NOSPLIT, "func(vx, vy, g []float32, gs int, lambda float32)")
	Doc("flowSolve" + v.Name + " is flowSolveGeneric.")
	gp := func(name string) reg.GPVirtual { return Load(Param(name).Base(), GP64()).(reg.GPVirtual) }
	vx, vy, g := gp("vx"), gp("vy"), gp("g")
	n := Load(Param("vx").Len(), GP64()).(reg.GPVirtual)
	gs, gs3 := GP64(), GP64()
	Load(Param("gs"), gs)
	SHLQ(Imm(2), gs)
	LEAQ(Mem{Base: gs, Index: gs, Scale: 2}, gs3)
	lambda := v.Vec()
	p, err := Param("lambda").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(p.Addr, lambda)
	Label("loop")
	var r [5]reg.VecVirtual
	for k := range r {
		r[k] = v.Vec()
		VMOVUPS(row(g, gs, gs3, k), r[k])
	}
	g11, g12, g22, h1, h2 := r[0], r[1], r[2], r[3], r[4]
	x, y, d, u := v.Vec(), v.Vec(), v.Vec(), v.Vec()
	VMOVUPS(Mem{Base: vx}, x)
	VMOVUPS(Mem{Base: vy}, y)
	VFNMADD231PS(g11, x, h1)
	VFNMADD231PS(g12, y, h1)
	VFNMADD231PS(g12, x, h2)
	VFNMADD231PS(g22, y, h2)
	VADDPS(lambda, g11, g11)
	VADDPS(lambda, g22, g22)
	VMULPS(g12, g12, d)
	VFMSUB231PS(g11, g22, d)
	VMULPS(g12, h2, u)
	VFMSUB231PS(g22, h1, u)
	VDIVPS(d, u, u)
	VADDPS(u, x, x)
	VMOVUPS(x, Mem{Base: vx})
	VMULPS(g12, h1, u)
	VFMSUB231PS(g11, h2, u)
	VDIVPS(d, u, u)
	VADDPS(u, y, y)
	VMOVUPS(y, Mem{Base: vy})
	for _, p := range []reg.GPVirtual{vx, vy, g} {
		ADDQ(Imm(uint64(v.bytes())), p)
	}
	SUBQ(Imm(uint64(v.Lanes)), n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
