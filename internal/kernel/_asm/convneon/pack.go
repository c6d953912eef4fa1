package main

import (
	"fmt"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

// Fields of convRows.
const rowsN, rowsVecs, rowsRuns, rowsSrc, rowsStride, rowsDst = 0, 8, 16, 24, 32, 40

// packRows generates the gathering of the positions of a list of vectors, with
// zeros in lanes that stand for no position.
func packRows(rows int) {
	begin(fmt.Sprintf("convRows%dNEON", rows), fmt.Sprintf("packs %d channels of a gradient; t is a *convRows.", rows))
	const rDst, rLeft = rA, rK
	field(rowsVecs, rList)
	field(rowsRuns, rRuns)
	field(rowsSrc, rTo)
	field(rowsStride, rStride)
	field(rowsDst, rDst)
	field(rowsN, rLeft)
	var v []int
	for r := range rows {
		v = append(v, r)
	}
	Label("vec")
	for _, r := range v {
		Zero(r)
	}
	eachRun("run", 0, v, false)
	Line("VST1.P %s, %d(R%d)", List(0, rows), 16*rows, rDst)
	Line("ADD $%d, R%d", vecSize, rList)
	Line("SUBS $1, R%d", rLeft)
	Line("BNE vec")
	Line("RET")
}

// Fields of convPanel.
const panelK, panelOffs, panelB, panelDst, panelRuns, panelIndex = 0, 8, 16, 24, 32, 40

// panels generates the gathering of one vector of positions for every tap: of one
// run by loading it, of two by merging two loads, of more lane by lane. What lanes
// without a position get are numbers that stand beside those of the others.
func panels() {
	Print("\nDATA convLaneBits<>+0(SB)/8, $0x0000000200000001\nDATA convLaneBits<>+8(SB)/8, $0x0000000800000004\n" +
		"GLOBL convLaneBits<>(SB), RODATA|NOPTR, $16\n")
	const rDst, rFrom = rA, rList
	panel := func(name, doc string, setUp, step func()) {
		begin(name, doc+" for every tap; t is a *convPanel.")
		setUp()
		field(panelOffs, rOffs)
		field(panelDst, rDst)
		field(panelK, rK)
		Label("loop")
		Line("MOVW.P 4(R%d), R%d", rOffs, rOff)
		step()
		Line("VST1.P [V0.S4], 16(R%d)", rDst)
		Line("SUBS $1, R%d", rK)
		Line("BNE loop")
		Line("RET")
	}
	run := func(i int) {
		field(panelB, rB+i)
		Line("MOVD %d(R%d), R%d", i*runSize+runOff, rRun, rAt)
		Line("ADD R%d, R%d", rAt, rB+i)
	}
	panel("convPanel1NEON", "gathers a vector of one run", func() {
		field(panelRuns, rRun)
		run(0)
	}, func() { VecAt(0, rB, rOff) })
	panel("convPanel2NEON", "gathers a vector of two runs", func() {
		field(panelRuns, rRun)
		run(0)
		run(1)
		Line("MOVWU %d(R%d), R%d", runSize+runMask, rRun, rMask)
		Line("VDUP R%d, V2.S4", rMask)
		Line("MOVD $convLaneBits<>(SB), R%d", rAt)
		Vec(3, rAt, 0)
		And(2, 2, 3)
		SameBits(2, 2, 3)
	}, func() {
		VecAt(0, rB, rOff)
		VecAt(1, rB+1, rOff)
		Select(0, 1, 2)
	})
	panel("convPanelGatherNEON", "gathers a vector of any lanes", func() {
		field(panelIndex, rFrom)
		for i := range 4 {
			pointer(rFrom, 4*i, panelB, rB+i)
		}
	}, func() {
		for i := range 4 {
			Line("ADD R%d, R%d, R%d", rOff, rB+i, rAt)
			if i == 0 {
				Line("FMOVS (R%d), F0", rAt)
			} else {
				Line("VLD1 (R%d), V0.S[%d]", rAt, i)
			}
		}
	})
}
