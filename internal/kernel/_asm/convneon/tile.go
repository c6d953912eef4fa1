package main

import (
	"fmt"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

// Fields of convTile.
const (
	tileK, tileA, tileB, tileOffs, tileVecs, tileRuns = 0, 8, 16, 24, 32, 40
	tileC, tileStride, tileInit, tileFlags            = 48, 56, 64, 72
)

// tile generates the product of a strip of weights with vecs vectors of
// positions: rows x vecs sums in registers.
func tile(rows, vecs int) {
	begin(fmt.Sprintf("convTile%dx%dNEON", rows, vecs),
		fmt.Sprintf("does %d channels of %d vectors; t is a *convTile.", rows, vecs))
	acc := func(r, v int) int { return r*vecs + v }
	column := func(v int) (c []int) {
		for r := range rows {
			c = append(c, acc(r, v))
		}
		return c
	}
	const rFlags = rMask
	field(tileVecs, rList)
	field(tileRuns, rRuns)
	field(tileC, rTo)
	field(tileStride, rStride)
	field(tileFlags, rFlags)
	Line("TBNZ $%d, R%d, accumulate", accumulateBit, rFlags)
	field(tileInit, rA)
	for r := range rows {
		Line("VLD1R.P 4(R%d), [V%d.S4]", rA, acc(r, 0))
		for v := 1; v < vecs; v++ {
			Move(acc(r, v), acc(r, 0))
		}
	}

	Label("products")
	for v := range vecs {
		pointer(rList, v*vecSize+vecIn, tileB, rB+v)
	}
	field(tileA, rA)
	field(tileOffs, rOffs)
	field(tileK, rK)
	Line("CBZ R%d, finish", rK)
	Label("loop")
	Line("MOVW.P 4(R%d), R%d", rOffs, rOff)
	Few(vecA, rows, rA, rAt)
	Line("ADD $%d, R%d", 4*rows, rA)
	x := func(v int) int { return vecX + v%xs }
	for v := range min(vecs, xs) {
		VecAt(x(v), rB+v, rOff)
	}
	for v := range vecs {
		for r := range rows {
			MulAddBy(acc(r, v), x(v), vecA+r/4, r%4)
		}
		if v+xs < vecs {
			VecAt(x(v), rB+v+xs, rOff)
		}
	}
	Line("SUBS $1, R%d", rK)
	Line("BNE loop")

	Label("finish")
	field(tileFlags, rFlags)
	Line("TBZ $%d, R%d, write", reluBit, rFlags)
	for i := range rows * vecs {
		ReLU(i, vecX+i%xs)
	}
	Label("write")
	for v := range vecs {
		eachRun(fmt.Sprintf("w%d", v), v*vecSize, column(v), true)
	}
	Line("RET")

	Label("accumulate")
	for i := range rows * vecs {
		Zero(i)
	}
	for v := range vecs {
		eachRun(fmt.Sprintf("a%d", v), v*vecSize, column(v), false)
	}
	Line("B products")
}
