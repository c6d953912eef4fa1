package main

import (
	"math"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

// expTerms is the degree of the polynomial for exp on [-ln2/2, ln2/2]: the
// Taylor series, whose next term is below 2^-52.
const expTerms = 12

// expSum takes four floats at a time and computes in doubles, two vectors of them:
// x = n·ln2 + r, exp(x) = 2^n·exp(r). Below 2^-1021 results are 0.
func expSum() {
	numbers := []float64{math.Log2E, 0x1.62e42feep-1, 0x1.a39ef35793c76p-33, 0, -707, -707, 709, 709}
	f := 1.0
	for i := range expTerms + 2 {
		numbers = append(numbers, 1/f)
		f *= float64(i + 1)
	}
	Print("\n")
	for i, v := range numbers {
		Print("DATA expNumbers<>+%d(SB)/8, $0x%016x\n", 8*i, math.Float64bits(v))
	}
	Print("GLOBL expNumbers<>(SB), RODATA|NOPTR, $%d\n\n", 8*len(numbers))
	// The first 1, 2 or 3 of four numbers, from the third, second or first word on.
	for i := range 6 {
		bits := uint64(0)
		if i < 3 {
			bits--
		}
		Print("DATA expMasks<>+%d(SB)/8, $0x%x\n", 8*i, bits)
	}
	Print("GLOBL expMasks<>(SB), RODATA|NOPTR, $48\n")

	begin("expSum", "(dst, x []float32, shift float32) float64")
	const rDst, rX, rN, rAt, rTmp = 0, 1, 2, 3, 4
	const in, out, arg, whole, under, square, even, odd, next = 0, 1, 2, 4, 6, 8, 10, 12, 14 // two each from arg on
	const consts, low, high, series, shift, sum = 16, 18, 19, 20, 27, 28                     // and 29: two sums
	const log2e, ln2Hi, ln2Lo = 0, 1, 2
	const mask = 30 // and 31
	Load("dst", rDst)
	Load("x", rX)
	Line("MOVD %s, R%d", Len("x"), rN)
	Spread("shift", shift, rTmp)
	Wide(shift, shift)
	Line("MOVD $expNumbers<>(SB), R%d", rAt)
	for v := consts; v < shift; v++ {
		Line("FMOVQ.P 16(R%d), F%d", rAt, v)
	}
	Zero(sum)
	Zero(sum + 1)
	both := func(f func(k int)) {
		f(0)
		f(1)
	}
	by := func(f func(d, n, m, i int), d, n, c int) { f(d, n, consts+c/2, c%2) }
	// chain evaluates the terms from, from-2, ... of the series in the square of the
	// argument.
	chain := func(p, from int) {
		term := func(d, i int) { Line("VDUP V%d.D[%d], V%d.D2", series+i/2, i%2, d) }
		both(func(k int) { term(p+k, from) })
		for i := from - 2; i >= 0; i -= 2 {
			both(func(k int) {
				term(next+k, i)
				MulAdd64(next+k, p+k, square+k)
				Move(p+k, next+k)
			})
		}
	}
	// step does the floats in the register in and leaves the results in out.
	step := func(masked bool) {
		Wide(arg, in)
		WideUpper(arg+1, in)
		both(func(k int) { Sub64(arg+k, arg+k, shift) })
		both(func(k int) { Above64(under+k, low, arg+k) })
		both(func(k int) { Max64(arg+k, arg+k, low) })
		both(func(k int) { Min64(arg+k, arg+k, high) })
		both(func(k int) { by(MulBy64, whole+k, arg+k, log2e) })
		both(func(k int) { Round64(whole+k, whole+k) })
		both(func(k int) { by(MulSubBy64, arg+k, whole+k, ln2Hi) })
		both(func(k int) { by(MulSubBy64, arg+k, whole+k, ln2Lo) })
		both(func(k int) { Mul64(square+k, arg+k, arg+k) })
		chain(even, expTerms)
		chain(odd, expTerms-1)
		both(func(k int) { MulAdd64(even+k, odd+k, arg+k) })
		both(func(k int) { Int64(whole+k, whole+k) })
		both(func(k int) { Line("VSHL $52, V%d.D2, V%d.D2", whole+k, whole+k) })
		both(func(k int) { Line("VADD V%d.D2, V%d.D2, V%d.D2", whole+k, even+k, even+k) })
		both(func(k int) { AndNot(even+k, even+k, under+k) })
		Short(out, even)
		ShortUpper(out, even+1)
		both(func(k int) {
			if masked {
				And(even+k, even+k, mask+k)
			}
			Add64(sum+k, sum+k, even+k)
		})
	}
	Line("SUBS $4, R%d", rN)
	Line("BLT less")
	Label("loop")
	Line("FMOVQ.P 16(R%d), F%d", rX, in)
	step(false)
	Line("CBZ R%d, dropped", rDst)
	Line("FMOVQ.P F%d, 16(R%d)", out, rDst)
	Label("dropped")
	Line("SUBS $4, R%d", rN)
	Line("BGE loop")
	Label("less")
	Line("ADDS $4, R%d", rN)
	Line("BEQ total")
	Line("MOVD $expMasks<>+24(SB), R%d", rAt)
	Line("SUB R%d<<3, R%d", rN, rAt)
	Line("VLD1 (R%d), %s", rAt, List(mask, 2))
	// one moves the last one, two or three numbers.
	few := func(label, instruction string) {
		for lane := range 3 {
			if lane > 0 {
				Line("CMP $%d, R%d", lane, rN)
				Line("BLE %s", label)
			}
			Line(instruction, lane)
		}
		Label(label)
	}
	Zero(in)
	few("read", "VLD1.P 4(R1), V0.S[%d]")
	step(true)
	Line("CBZ R%d, total", rDst)
	few("total", "VST1.P V1.S[%d], 4(R0)")
	Add64(sum, sum, sum+1)
	AddPair64(0, sum)
	Line("FMOVD F0, %s", Arg("ret"))
	Line("RET")
}
