package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

// Registers of a window loop.
const (
	rSmall, rBig, rCodes         = 0, 1, 2 // one element a window, two, one
	rOH, rOW, rXW, rDZ           = 3, 4, 5, 6
	rBig1, rCode, rWindows, rRow = 7, 8, 9, 10
	rBack                        = 11

	codeNumber = 16 // the first of eight vectors full of 0, 1, ... 7
)

// windows generates a loop over oh rows of ow pairs of 2x2 windows, ow at least 4,
// one below the other at dz if that is not 0. step does four windows; a row's last
// ones are done with some of those before once more.
func windows(small, big string, step func()) {
	Load(small, rSmall)
	Load(big, rBig)
	Load("codes", rCodes)
	Load("oh", rOH)
	Load("ow", rOW)
	LoadBytes("xw", rXW, 2)
	LoadBytes("dz", rDZ, 2)
	for i := range 8 {
		spreadBits(uint32(i), codeNumber+i, rBack)
	}
	Line("MOVD R%d, R%d", rCodes, rCode)
	Label("row")
	Line("MOVD R%d, R%d", rBig, rBig1)
	Line("SUB $4, R%d, R%d", rOW, rWindows)
	Label("four")
	step()
	Line("ADD $32, R%d", rBig1)
	Line("ADD $16, R%d", rSmall)
	Line("ADD $4, R%d", rCode)
	Line("SUBS $4, R%d", rWindows)
	Line("BGE four")
	Line("ADDS $4, R%d, R%d", rWindows, rBack)
	Line("BEQ next")
	Line("ADD R%d<<3, R%d", rWindows, rBig1)
	Line("ADD R%d<<2, R%d", rWindows, rSmall)
	Line("ADD R%d, R%d", rWindows, rCode)
	Line("MOVD $0, R%d", rWindows)
	Line("B four")
	Label("next")
	Line("ADD R%d<<1, R%d", rXW, rBig)
	Line("SUBS $1, R%d", rOH)
	Line("BNE row")
	Line("RET")
}

// slices generates f for the two rows of the slice and, unless dz is 0, of the one
// below; first is the code of the row's first element.
func slices(f func(first int)) {
	Line("MOVD R%d, R%d", rBig1, rRow)
	for slice := range 2 {
		if slice == 1 {
			Line("CBZ R%d, flat", rDZ)
			Line("ADD R%d, R%d, R%d", rDZ, rBig1, rRow)
		}
		f(4 * slice)
		Line("ADD R%d, R%d", rXW, rRow)
		f(4*slice + 2)
	}
	Label("flat")
}

func maxPool2() {
	begin("maxPool2", "(y, x []float32, codes []uint8, oh, ow, xw, dz int)")
	const best, chosen, value, above, number = 0, 1, 2, 4, 5
	windows("y", "x", func() {
		slices(func(first int) {
			Line("VLD2 (R%d), %s", rRow, List(value, 2))
			for j := range 2 {
				v, code := value+j, codeNumber+first+j
				if first+j == 0 {
					Move(best, v)
					Move(chosen, code)
					continue
				}
				Above(above, v, best)
				Equal(number, v, v)
				OrNot(above, above, number)
				Select(best, v, above)
				Select(chosen, code, above)
			}
		})
		Put(best, rSmall, 0)
		Line("CBZ R%d, uncoded", rCodes)
		Narrow32(chosen, chosen)
		Narrow16(chosen, chosen)
		Line("FMOVS F%d, (R%d)", chosen, rCode)
		Label("uncoded")
	})
}

func maxPool2Grad() {
	begin("maxPool2Grad", "(dx, dy []float32, codes []uint8, oh, ow, xw, dz int)")
	const grad, chosen, part = 0, 1, 2
	windows("dy", "dx", func() {
		Vec(grad, rSmall, 0)
		Line("FMOVS (R%d), F%d", rCode, chosen)
		Line("VUXTL V%d.B8, V%d.H8", chosen, chosen)
		Line("VUXTL V%d.H4, V%d.S4", chosen, chosen)
		slices(func(first int) {
			for j := range 2 {
				SameBits(part+j, chosen, codeNumber+first+j)
				And(part+j, part+j, grad)
			}
			Line("VST2 %s, (R%d)", List(part, 2), rRow)
		})
	})
}
