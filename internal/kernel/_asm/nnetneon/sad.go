package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

// pa and the register after it point into the rows of the two arrays.
const pa = 6

// blocks generates a loop over h rows of w elements of two arrays, in pieces of
// these sizes; end ends a row.
func blocks(shift int, sizes []int, step func(size int), end func()) {
	const a, as, b, bs, w, h, pb, left = 0, 1, 2, 3, 4, 5, pa + 1, 8
	Load("a", a)
	LoadBytes("as", as, shift)
	Load("b", b)
	LoadBytes("bs", bs, shift)
	Load("w", w)
	Load("h", h)
	Label("row")
	Line("MOVD R%d, R%d", a, pa)
	Line("MOVD R%d, R%d", b, pb)
	Line("MOVD R%d, R%d", w, left)
	for _, n := range sizes {
		Line("SUBS $%d, R%d", n, left)
		Line("BLT less%d", n)
		Label("loop%d", n)
		step(n)
		Line("SUBS $%d, R%d", n, left)
		Line("BGE loop%d", n)
		Label("less%d", n)
		Line("ADD $%d, R%d", n, left)
	}
	end()
	Line("ADD R%d, R%d", as, a)
	Line("ADD R%d, R%d", bs, b)
	Line("SUBS $1, R%d", h)
	Line("BNE row")
}

func sadFloats() {
	begin("sadFloats", "(a []float32, as int, b []float32, bs, w, h int) float32")
	const x, y, sum = 0, 2, 4 // two each
	Zero(sum)
	Zero(sum + 1)
	blocks(2, []int{8, 4, 1}, func(n int) {
		for i, v := range []int{x, y} {
			switch n {
			case 8:
				Line("VLD1.P 32(R%d), %s", pa+i, List(v, 2))
			case 4:
				Line("FMOVQ.P 16(R%d), F%d", pa+i, v)
			case 1:
				Line("FMOVS.P 4(R%d), F%d", pa+i, v)
			}
		}
		for k := range max(1, n/4) {
			AbsDiff(x+k, x+k, y+k)
			Add(sum+k, sum+k, x+k)
		}
	}, func() {})
	Add(sum, sum, sum+1)
	AddPairs(sum, sum, sum)
	AddPairs(sum, sum, sum)
	Line("FMOVS F%d, %s", sum, Arg("ret"))
	Line("RET")
}

func sadBytes() {
	begin("sadBytes", "(a []uint8, as int, b []uint8, bs, w, h int) int")
	const x, y, row, sum = 0, 1, 2, 3
	Zero(sum)
	Zero(row)
	blocks(0, []int{16, 8, 1}, func(n int) {
		load := map[int]string{16: "FMOVQ.P 16(R%d), F%d", 8: "FMOVD.P 8(R%d), F%d", 1: "VLD1.P 1(R%d), V%d.B[0]"}[n]
		if n == 1 {
			Zero(x)
			Zero(y)
		}
		Line(load, pa, x)
		Line(load, pa+1, y)
		AbsDiff8(x, x, y)
		PairSums8(x, x)
		AddPairs16(row, x)
	}, func() {
		AddPairs32(sum, row)
		Zero(row)
	})
	Line("VMOV V%d.D[0], R0", sum)
	Line("VMOV V%d.D[1], R1", sum)
	Line("ADD R1, R0")
	Line("MOVD R0, %s", Arg("ret"))
	Line("RET")
}
