package main

import (
	"fmt"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

// Fields of convDot.
const dotN, dotVecs, dotB, dotOffs, dotDY, dotOut = 0, 8, 16, 24, 32, 40

// dot generates the products of rows gradients with cols taps, summed over
// positions: rows x cols sums of vectors, each added up across at the end.
func dot(rows, cols int) {
	begin(fmt.Sprintf("convDot%dx%dNEON", rows, cols),
		fmt.Sprintf("does %d channels and %d taps; t is a *convDot.", rows, cols))
	const rDY, rOut = rA, rAt
	const vecG, vecX, xs = maxSums, 28, 4
	for i := range (rows*cols + 3) / 4 * 4 {
		Zero(i)
	}
	field(dotOffs, rOffs)
	for j := range cols {
		pointer(rOffs, 4*j, dotB, rB+j)
	}
	field(dotDY, rDY)
	field(dotVecs, rList)
	field(dotN, rN)
	Label("loop")
	Line("MOVW %d(R%d), R%d", vecIn, rList, rOff)
	Line("ADD $%d, R%d", vecSize, rList)
	Line("VLD1.P %d(R%d), %s", 16*rows, rDY, List(vecG, rows))
	x := func(j int) int { return vecX + j%xs }
	for j := range min(cols, xs) {
		VecAt(x(j), rB+j, rOff)
	}
	for j := range cols {
		for r := range rows {
			MulAdd(j*rows+r, x(j), vecG+r)
		}
		if j+xs < cols {
			VecAt(x(j), rB+j+xs, rOff)
		}
	}
	Line("SUBS $1, R%d", rN)
	Line("BNE loop")

	// Four sums at a time, of one tap and four rows or of up to four taps.
	field(dotOut, rOut)
	for i := 0; i < rows*cols; i += 4 {
		AddPairs(i, i, i+1)
		AddPairs(i+2, i+2, i+3)
		AddPairs(i, i, i+2)
		left := rows*cols - i
		if left >= 4 {
			Vec(vecX, rOut, 4*i)
			Add(i, i, vecX)
			Put(i, rOut, 4*i)
			continue
		}
		for lane := range left {
			Line("FMOVS %d(R%d), F%d", 4*(i+lane), rOut, vecX)
			Line("VDUP V%d.S[%d], V%d.S4", i, lane, vecG)
			Add(vecX, vecX, vecG)
			Line("FMOVS F%d, %d(R%d)", vecX, 4*(i+lane), rOut)
		}
	}
	Line("RET")
}
