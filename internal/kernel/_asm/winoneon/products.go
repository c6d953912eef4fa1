package main

import (
	"fmt"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

// maxRows is the height of the largest block: its sums, four vectors a row, take
// 24 registers.
const maxRows = 6

const (
	rowVecs = 4
	vecA    = maxRows * rowVecs // one a row in a product, two in an outer one
)

// startSums sets the sums of rows to zero or, if R add is not 0, to C.
func startSums(rows, c, ldc, add, tmp int) {
	for v := range rows * rowVecs {
		Zero(v)
	}
	Line("CBZ R%d, start", add)
	move(c, tmp)
	for r := range rows {
		Line("VLD1 (R%d), %s", tmp, List(r*rowVecs, rowVecs))
		Line("ADD R%d, R%d", ldc, tmp)
	}
	Label("start")
}

// storeSums writes them and moves c on.
func storeSums(rows, c, ldc int) {
	for r := range rows {
		Line("VST1 %s, (R%d)", List(r*rowVecs, rowVecs), c)
		Line("ADD R%d, R%d", ldc, c)
	}
}

// product: blocks of rows x 16 numbers of C = sum over segments of A B, plus C if
// add is set.
func product(rows int) {
	begin(fmt.Sprintf("Product%dx16", rows), "(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int)",
		fmt.Sprintf("multiplies blocks of %d rows.", rows))
	const c, a, b, ldc, lda, ldb, seg, k, segs, blocks, add = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
	const at, start, left, count, tmp, row = 11, 12, 13, 14, 15, 19
	for r, name := range []string{"c", "a", "b"} {
		Load(name, r)
	}
	for i, name := range []string{"ldc", "lda", "ldb", "seg"} {
		LoadBytes(name, ldc+i, 2)
	}
	for i, name := range []string{"k", "segs", "blocks", "add"} {
		Load(name, k+i)
	}
	vecB, pairs := 28, 2
	if rows == maxRows {
		vecB, pairs = 30, 1
	}
	// step adds the products of lane u of the rows of A and a row of B.
	step := func(u int) {
		for j := 0; j < rowVecs; j += 2 {
			v := vecB + j%(2*pairs)
			Line("FLDPQ %d(R%d), (F%d, F%d)", 16*j, at, v, v+1)
			if j == 0 && pairs == 2 {
				continue
			}
			for i := range rows {
				for col := j + 2 - 2*pairs; col < j+2; col++ {
					MulAddBy(i*rowVecs+col, vecB+col%(2*pairs), vecA+i, u)
				}
			}
		}
		Line("ADD R%d, R%d", ldb, at)
	}
	repeat("block", blocks, 0, func() {
		startSums(rows, c, ldc, add, tmp)
		move(b, at, a, start, segs, left)
		repeat("segment", left, 0, func() {
			move(start, row)
			for r := 1; r < rows; r++ {
				Line("ADD R%d, R%d, R%d", lda, row+r-1, row+r)
			}
			Line("SUBS $4, R%d, R%d", k, count)
			Line("BLT tail")
			Label("loop")
			for r := range rows {
				Line("FMOVQ.P 16(R%d), F%d", row+r, vecA+r)
			}
			for u := range 4 {
				step(u)
			}
			Line("SUBS $4, R%d", count)
			Line("BGE loop")
			Label("tail")
			Line("ADDS $4, R%d", count)
			Line("BEQ done")
			repeat("one", count, 0, func() {
				for r := range rows {
					Line("FMOVS.P 4(R%d), F%d", row+r, vecA+r)
				}
				step(0)
			})
			Label("done")
			Line("ADD R%d, R%d", seg, start)
		})
		storeSums(rows, c, ldc)
		for range rows / 2 {
			Line("ADD R%d<<1, R%d", lda, a)
		}
	})
	Line("RET")
}

// outer: rows x 16 numbers of C, plus C if add is set, = the sum over k of the
// outer product of a row of A and a row of B.
func outer(rows int) {
	begin(fmt.Sprintf("Outer%dx16", rows), "(c, a, b *float32, ldc, lda, ldb, k, add int)",
		fmt.Sprintf("sums outer products of %d rows.", rows))
	const c, a, b, ldc, lda, ldb, k, add, tmp = 0, 1, 2, 3, 4, 5, 6, 7, 8
	const vecB = vecA + 2
	for r, name := range []string{"c", "a", "b"} {
		Load(name, r)
	}
	for i, name := range []string{"ldc", "lda", "ldb"} {
		LoadBytes(name, ldc+i, 2)
	}
	Load("k", k)
	Load("add", add)
	startSums(rows, c, ldc, add, tmp)
	repeat("loop", k, 0, func() {
		Few(vecA, rows, a, tmp)
		Line("VLD1 (R%d), %s", b, List(vecB, rowVecs))
		Line("ADD R%d, R%d", lda, a)
		Line("ADD R%d, R%d", ldb, b)
		for i := range rows {
			for j := range rowVecs {
				MulAddBy(i*rowVecs+j, vecB+j, vecA+i/4, i%4)
			}
		}
	})
	storeSums(rows, c, ldc)
	Line("RET")
}
