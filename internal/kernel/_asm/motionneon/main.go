// Command motionneon writes the innermost loops of block matching and dense flow for
// arm64 to standard output: assembly, or with the argument go its declarations. Their
// generic forms say what they do.
package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

func main() { Main("motionneon", generate, nil) }

func generate() {
	sads()
	half()
	flow()
}

func sads() {
	Func("sadsNEON", "(dst, off []int32, cur, ref []uint8, base, stride, w, h int)", "is sadsGeneric.")
	const dst, off, count, cur, ref, stride, width, height, a, b, x, y, left, t = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
	const u, v, row, sum = 0, 1, 2, 3
	Load("dst", dst)
	Load("off", off)
	Line("MOVD %s, R%d", Len("off"), count)
	Load("cur", cur)
	Load("ref", ref)
	Load("base", t)
	Line("ADD R%d, R%d", t, ref)
	Load("stride", stride)
	Load("w", width)
	Load("h", height)
	Label("candidate")
	Line("MOVW.P 4(R%d), R%d", off, t)
	Line("ADD R%d, R%d, R%d", t, ref, b)
	Line("MOVD R%d, R%d", cur, a)
	Line("MOVD R%d, R%d", height, left)
	Zero(sum)
	Label("row")
	Line("MOVD R%d, R%d", a, x)
	Line("MOVD R%d, R%d", b, y)
	Line("MOVD R%d, R%d", width, t)
	Zero(row)
	for _, n := range []int{16, 8, 1} {
		load := map[int]string{16: "FMOVQ.P 16(R%d), F%d", 8: "FMOVD.P 8(R%d), F%d", 1: "VLD1.P 1(R%d), V%d.B[0]"}[n]
		Line("SUBS $%d, R%d", n, t)
		Line("BLT less%d", n)
		Label("loop%d", n)
		if n == 1 {
			Zero(u)
			Zero(v)
		}
		Line(load, x, u)
		Line(load, y, v)
		AbsDiff8(u, u, v)
		PairSums8(u, u)
		AddPairs16(row, u)
		Line("SUBS $%d, R%d", n, t)
		Line("BGE loop%d", n)
		Label("less%d", n)
		Line("ADD $%d, R%d", n, t)
	}
	AddPairs32(sum, row)
	Line("ADD R%d, R%d", stride, a)
	Line("ADD R%d, R%d", stride, b)
	Line("SUBS $1, R%d", left)
	Line("BNE row")
	Line("VMOV V%d.D[0], R%d", sum, x)
	Line("VMOV V%d.D[1], R%d", sum, y)
	Line("ADD R%d, R%d", y, x)
	Line("MOVW.P R%d, 4(R%d)", x, dst)
	Line("SUBS $1, R%d", count)
	Line("BNE candidate")
	Line("RET")
}

func half() {
	Func("halfNEON", "(h, v, d, a, b []uint8)", "is halfGeneric for at least 16 pixels.")
	const h, v, d, a, b, x, last, t = 0, 1, 2, 3, 4, 5, 6, 7
	const p, q, r, s, top, bottom, odd, ones = 0, 1, 2, 3, 4, 5, 6, 7
	for i, name := range []string{"h", "v", "d", "a", "b"} {
		Load(name, i)
	}
	Line("MOVD %s, R%d", Len("h"), last)
	Line("SUB $16, R%d", last)
	Line("MOVD $0, R%d", x)
	Line("VMOVI $1, V%d.B16", ones)
	Label("loop")
	VecAt(p, a, x)
	VecAt(r, b, x)
	Line("ADD $1, R%d, R%d", x, t)
	VecAt(q, a, t)
	VecAt(s, b, t)
	Average8(odd, p, r)
	PutAt(odd, v, x)
	Average8(top, p, q)
	PutAt(top, h, x)
	Average8(bottom, r, s)
	// The average of averages, each rounded up, is one too much where one of the two
	// was rounded and they are of different parity.
	Line("VEOR V%d.B16, V%d.B16, V%d.B16", p, q, p)
	Line("VEOR V%d.B16, V%d.B16, V%d.B16", r, s, r)
	Line("VORR V%d.B16, V%d.B16, V%d.B16", p, r, p)
	Line("VEOR V%d.B16, V%d.B16, V%d.B16", top, bottom, odd)
	And(odd, odd, p)
	And(odd, odd, ones)
	Average8(top, top, bottom)
	Line("VSUB V%d.B16, V%d.B16, V%d.B16", odd, top, top)
	PutAt(top, d, x)
	Line("CMP R%d, R%d", last, x)
	Line("BEQ done")
	// The last vector overlaps the one before.
	Line("ADD $16, R%d", x)
	Line("CMP R%d, R%d", last, x)
	Line("CSEL GT, R%d, R%d, R%d", last, x, x)
	Line("B loop")
	Label("done")
	Line("RET")
}
