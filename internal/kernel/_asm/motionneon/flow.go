package main

import (
	"fmt"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

func flow() {
	for outs := range 3 {
		taps(outs + 1)
	}
	solve()
	tvPrimal()
	tvDual()
}

// taps filters rows: outs results from each, 16 numbers at a time.
func taps(outs int) {
	Func(fmt.Sprintf("flowTaps%dNEON", outs), "(dst []float32, ds int, x []float32, rows []int32, taps []float32, width int)",
		fmt.Sprintf("is flowTapsGeneric for outs = %d.", outs))
	const dst, ds, x, rows, count, weights, left, r, c, k, p = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
	const in, tap, acc = 0, 4, 8
	Load("dst", dst)
	LoadBytes("ds", ds, 2)
	Load("x", x)
	Load("rows", rows)
	Line("MOVD %s, R%d", Len("rows"), count)
	Load("taps", weights)
	Load("width", left)
	Label("loop")
	for u := range 4 * outs {
		Zero(acc + u)
	}
	Line("MOVD R%d, R%d", rows, r)
	Line("MOVD R%d, R%d", weights, c)
	Line("MOVD R%d, R%d", count, k)
	Label("row")
	Line("MOVW.P 4(R%d), R%d", r, p)
	Line("ADD R%d<<2, R%d, R%d", p, x, p)
	Line("VLD1 (R%d), %s", p, List(in, 4))
	for j := range outs {
		Line("FMOVS.P 4(R%d), F%d", c, tap)
		for u := range 4 {
			MulAddBy(acc+4*j+u, in+u, tap, 0)
		}
	}
	Line("SUBS $1, R%d", k)
	Line("BNE row")
	Line("MOVD R%d, R%d", dst, p)
	for j := range outs {
		Line("VST1 %s, (R%d)", List(acc+4*j, 4), p)
		Line("ADD R%d, R%d", ds, p)
	}
	Line("ADD $64, R%d", dst)
	Line("ADD $64, R%d", x)
	Line("SUBS $16, R%d", left)
	Line("BNE loop")
	Line("RET")
}

func solve() {
	Func("flowSolveNEON", "(vx, vy, g []float32, gs int, lambda float32)", "is flowSolveGeneric.")
	const vx, vy, g, gs, left, p, t = 0, 1, 2, 3, 4, 5, 6
	const g11, g12, g22, h1, h2, x, y, d, u, lambda = 0, 1, 2, 3, 4, 5, 6, 7, 8, 16
	Load("vx", vx)
	Load("vy", vy)
	Load("g", g)
	LoadBytes("gs", gs, 2)
	Line("MOVD %s, R%d", Len("vx"), left)
	Spread("lambda", lambda, t)
	Label("loop")
	Line("MOVD R%d, R%d", g, p)
	for k := range 5 {
		Vec(g11+k, p, 0)
		Line("ADD R%d, R%d", gs, p)
	}
	Vec(x, vx, 0)
	Vec(y, vy, 0)
	MulSub(h1, g11, x)
	MulSub(h1, g12, y)
	MulSub(h2, g12, x)
	MulSub(h2, g22, y)
	Add(g11, g11, lambda)
	Add(g22, g22, lambda)
	Mul(d, g11, g22)
	MulSub(d, g12, g12)
	for _, c := range []struct{ v, at, a, b, e, f int }{{x, vx, g22, h1, g12, h2}, {y, vy, g11, h2, g12, h1}} {
		Mul(u, c.a, c.b)
		MulSub(u, c.e, c.f)
		Div(u, u, d)
		Add(c.v, c.v, u)
		Put(c.v, c.at, 0)
	}
	for _, p := range []int{vx, vy, g} {
		Line("ADD $16, R%d", p)
	}
	Line("SUBS $4, R%d", left)
	Line("BNE loop")
	Line("RET")
}

// Where the fields of tvRow are.
const (
	tvU     = 0
	tvBelow = 48
	tvP     = 96
	tvAbove = 192
	tvG     = 240
	tvMask  = 336
	tvN     = 360
	tvA     = 368
	tvTheta = 372
)

// Registers of the loops over a row: the tvRow, where the loop is in bytes, the number
// before or behind, the end; pointers begin with the first.
const (
	row, at, beside, end, tmp = 0, 13, 14, 15, 16
	first                     = 1
)

func field(offset, k, r int) { Line("MOVD %d(R%d), R%d", offset+24*k, row, r) }

func spread(offset, v int) {
	Line("MOVWU %d(R%d), R%d", offset, row, tmp)
	Line("VDUP R%d, V%d.S4", tmp, v)
}

// rowLoop runs over a row; step is added to the place to give the one beside.
func rowLoop(step int, body func()) {
	Line("MOVD %d(R%d), R%d", tvN, row, end)
	Line("LSL $2, R%d", end)
	Line("MOVD $0, R%d", at)
	Line("MOVD $%d, R%d", step, beside)
	Label("loop")
	body()
	Line("ADD $16, R%d", at)
	Line("ADD $16, R%d", beside)
	Line("CMP R%d, R%d", end, at)
	Line("BLT loop")
	Line("RET")
}

func tvPrimal() {
	Func("tvPrimalNEON", "(r *byte)", "is tvPrimalGeneric; r points to a tvRow.")
	const u, p, above, g = first, first + 2, first + 6, first + 8
	const w, grad, q, d, a, lowest, theta = 0, 2, 4, 5, 16, 17, 18
	Load("r", row)
	for k := range 4 {
		field(tvP, k, p+k)
		field(tvG, k, g+k)
		if k < 2 {
			field(tvU, k, u+k)
			field(tvAbove, k, above+k)
		}
	}
	spread(tvA, a)
	spread(tvTheta, theta)
	Neg(lowest, a)
	rowLoop(-4, func() {
		for k := range 2 {
			VecAt(w+k, u+k, at)
			VecAt(grad+k, g+k, at)
		}
		VecAt(q, g+2, at)
		MulAdd(q, grad, w)
		MulAdd(q, grad+1, w+1)
		VecAt(d, g+3, at)
		Mul(q, q, d)
		Min(q, q, a)
		Max(q, q, lowest)
		for k := range 2 {
			const t = 6
			MulSub(w+k, q, grad+k)
			VecAt(d, p+2*k, at)
			VecAt(t, p+2*k, beside)
			Sub(d, d, t)
			VecAt(t, p+2*k+1, at)
			Add(d, d, t)
			VecAt(t, above+k, at)
			Sub(d, d, t)
			MulAdd(w+k, d, theta)
			PutAt(w+k, u+k, at)
		}
	})
}

func tvDual() {
	Func("tvDualNEON", "(r *byte)", "is tvDualGeneric; r points to a tvRow.")
	const u, below, p, mask = first, first + 2, first + 4, first + 8
	const here, dx, dy, d, t, a, one = 0, 1, 2, 3, 4, 16, 17
	Load("r", row)
	for k := range 4 {
		field(tvP, k, p+k)
		if k < 2 {
			field(tvU, k, u+k)
			field(tvBelow, k, below+k)
		}
	}
	field(tvMask, 0, mask)
	spread(tvA, a)
	Line("FMOVS $1.0, F%d", one)
	Line("VDUP V%d.S[0], V%d.S4", one, one)
	rowLoop(4, func() {
		for k := range 2 {
			VecAt(here, u+k, at)
			VecAt(dx, u+k, beside)
			VecAt(dy, below+k, at)
			VecAt(t, mask, at)
			Sub(dx, dx, here)
			Sub(dy, dy, here)
			Mul(dx, dx, t)
			Mul(d, dx, dx)
			MulAdd(d, dy, dy)
			Sqrt(d, d)
			Mul(d, d, a)
			Add(d, d, one)
			for i, delta := range []int{dx, dy} {
				VecAt(t, p+2*k+i, at)
				MulAdd(t, a, delta)
				Div(t, t, d)
				PutAt(t, p+2*k+i, at)
			}
		}
	})
}
