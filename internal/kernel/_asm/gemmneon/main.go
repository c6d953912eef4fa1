// Command gemmneon writes the register tile of the packed matrix product for
// arm64 to standard output.
package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

const (
	maxRows = 8
	rowVecs = 2 // four columns each

	// Sums are V0 to V15, two to a row.
	vecA = 16 // and 17: numbers of A, one to a row
	vecB = 18 // and 19: a row of B
)

func main() { Main("gemmneon", product, nil) }

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
