// Command gemmneon writes the register tile of the packed matrix product and the
// transposition that packs for it, for arm64, to standard output.
package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

const (
	maxRows = 8
	rowVecs = 2 // four columns each

	// Sums are V0 to V15, two to a row.
	vecA = 16 // and 17: numbers of A, one to a row
	vecB = 18 // and 19: a row of B
)

func main() {
	Main("gemmneon", func() {
		product()
		transposition()
	}, nil)
}

func product() {
	Func("gemmTileNEON", "(c []float32, ldc int, a []float32, as int, b []float32, bs int, k, rows, accumulate int)", "")
	for r, name := range []string{"c", "ldc", "a", "as", "b", "bs", "k", "rows", "accumulate"} {
		Load(name, r)
	}
	for _, step := range []int{1, 3, 5} {
		Line("LSL $2, R%d", step)
	}
	for rows := maxRows; rows > 1; rows-- {
		Line("CMP $%d, R7", rows)
		Line("BEQ r%d", rows)
	}
	for rows := 1; rows <= maxRows; rows++ {
		tile(rows)
	}
}

// tile writes the code for so many rows.
func tile(rows int) {
	Label("r%d", rows)
	for v := range rows * rowVecs {
		Zero(v)
	}
	Line("CBZ R6, r%d_end", rows)
	Label("r%d_loop", rows)
	Line("VLD1 (R4), %s", List(vecB, rowVecs))
	Line("ADD R5, R4")
	Few(vecA, rows, 2, 9)
	Line("ADD R3, R2")
	for r := range rows {
		for v := range rowVecs {
			MulAddBy(r*rowVecs+v, vecB+v, vecA+r/4, r%4)
		}
	}
	Line("SUBS $1, R6")
	Line("BNE r%d_loop", rows)

	Label("r%d_end", rows)
	Line("CBZ R8, r%d_store", rows)
	Line("MOVD R0, R9")
	for r := range rows {
		Line("VLD1 (R9), %s", List(vecA, rowVecs))
		for v := range rowVecs {
			Add(r*rowVecs+v, vecA+v, r*rowVecs+v)
		}
		Line("ADD R1, R9")
	}
	Label("r%d_store", rows)
	for r := range rows {
		Line("VST1 %s, (R0)", List(r*rowVecs, rowVecs))
		Line("ADD R1, R0")
	}
	Line("RET")
}

// transposition writes the packing of rows turned over: four rows at a time, by
// squares, then one.
func transposition() {
	Func("packTransposeNEON", "(dst []float32, ds int, src []float32, ss int, lanes, k int)", "")
	const dst, ds, src, ss, lanes, k, row, to, left = 0, 1, 2, 3, 4, 5, 6, 10, 11 // row and three more
	Load("dst", dst)
	LoadBytes("ds", ds, 2)
	Load("src", src)
	LoadBytes("ss", ss, 2)
	Load("lanes", lanes)
	Load("k", k)
	Line("CBZ R%d, done", k)
	Line("SUBS $4, R%d", lanes)
	Line("BLT ones")
	Label("four")
	Line("MOVD R%d, R%d", src, row)
	for i := 1; i < 4; i++ {
		Line("ADD R%d, R%d, R%d", ss, row+i-1, row+i)
	}
	Line("MOVD R%d, R%d", dst, to)
	Line("SUBS $4, R%d, R%d", k, left)
	Line("BLT tail")
	Label("square")
	for i := range 4 {
		Line("FMOVQ.P 16(R%d), F%d", row+i, i)
	}
	Transpose(0, 4)
	for i := range 4 {
		Line("VST1.P [V%d.S4], (R%d)(R%d)", i, to, ds)
	}
	Line("SUBS $4, R%d", left)
	Line("BGE square")
	Label("tail")
	Line("ADDS $4, R%d", left)
	Line("BEQ next")
	Label("column")
	for i := range 4 {
		Line("VLD1.P 4(R%d), V0.S[%d]", row+i, i)
	}
	Line("VST1.P [V0.S4], (R%d)(R%d)", to, ds)
	Line("SUBS $1, R%d", left)
	Line("BNE column")
	Label("next")
	Line("ADD R%d<<2, R%d", ss, src)
	Line("ADD $16, R%d", dst)
	Line("SUBS $4, R%d", lanes)
	Line("BGE four")
	Label("ones")
	Line("ADDS $4, R%d", lanes)
	Line("BEQ done")
	Label("one")
	Line("MOVD R%d, R%d", src, row)
	Line("MOVD R%d, R%d", dst, to)
	Line("MOVD R%d, R%d", k, left)
	Label("number")
	Line("FMOVS.P 4(R%d), F0", row)
	Line("VST1.P V0.S[0], (R%d)(R%d)", to, ds)
	Line("SUBS $1, R%d", left)
	Line("BNE number")
	Line("ADD R%d, R%d", ss, src)
	Line("ADD $4, R%d", dst)
	Line("SUBS $1, R%d", lanes)
	Line("BNE one")
	Label("done")
	Line("RET")
}
