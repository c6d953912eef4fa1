// Command convneon writes the innermost loops of direct convolution for arm64 to
// standard output: assembly, or with the argument go its declarations.
//
// Every function takes one pointer, to a struct of the kernel package that the
// comment of its generator names; the offsets here are those of its fields.
package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

// Fields of convVec and convRun, and bits of convTile.flags.
const (
	vecSize, vecIn, vecCount, vecFirst = 16, 0, 4, 8
	runSize, runOff, runMask           = 16, 0, 8

	accumulateBit = 0
	reluBit       = 1
)

// Registers. Sums come first among the vectors, 24 of them at most.
const (
	rT, rK, rA, rOffs, rOff = 0, 1, 2, 3, 4
	rB                      = 5 // and up to seven more: where taps begin
	rList, rRuns, rTo       = 13, 14, 15
	rStride, rN, rMask      = 19, 20, 21
	rRun, rAt               = 22, 23

	maxSums = 24
	vecA    = 24 // and 25: factors of up to eight rows
	vecX    = 26 // and up to five more: numbers at several positions
	xs      = 6
)

func main() { Main("convneon", generate, nil) }

func generate() {
	for _, t := range []struct {
		rows int
		vecs []int
	}{{8, []int{3, 2, 1}}, {4, []int{6, 4, 3, 2, 1}}, {3, []int{8, 4, 2, 1}}, {2, []int{8, 4, 2, 1}}, {1, []int{8, 4, 2, 1}}} {
		for _, v := range t.vecs {
			tile(t.rows, v)
		}
	}
	for _, d := range []struct{ rows, cols int }{{4, 6}, {1, 8}} {
		for j := 1; j <= d.cols; j++ {
			dot(d.rows, j)
		}
		packRows(d.rows)
	}
	panels()
}

// begin begins a function of one pointer.
func begin(name, doc string) {
	Func(name, "(t *byte)", doc)
	Load("t", rT)
}

// field reads the 8 bytes at offset disp of the argument.
func field(disp, r int) { Line("MOVD %d(R%d), R%d", disp, rT, r) }

// pointer reads an offset of 4 bytes at disp behind from, which counts from the
// argument's pointer at offset base.
func pointer(from, disp, base, r int) {
	field(base, r)
	Line("MOVW %d(R%d), R%d", disp, from, rOff)
	Line("ADD R%d, R%d", rOff, r)
}

// eachRun moves one number of a row to or from each of the vectors for every lane
// in the runs of the vector at vec in the list. The rows lie a stride apart.
func eachRun(label string, vec int, rows []int, store bool) {
	whole, part := "VLD1.P (R%d)(R%d), [V%d.S4]", "VLD1.P (R%d)(R%d), V%d.S[%d]"
	if store {
		whole, part = "VST1.P [V%[3]d.S4], (R%[1]d)(R%[2]d)", "VST1.P V%[3]d.S[%[4]d], (R%[1]d)(R%[2]d)"
	}
	Line("MOVW %d(R%d), R%d", vec+vecCount, rList, rN)
	Line("MOVD %d(R%d), R%d", vec+vecFirst, rList, rRun)
	Line("ADD R%d, R%d", rRuns, rRun)
	Line("CBZ R%d, %sDone", rN, label)
	Label(label)
	Line("MOVD %d(R%d), R%d", runOff, rRun, rOff)
	Line("ADD R%d, R%d", rTo, rOff)
	Line("MOVWU %d(R%d), R%d", runMask, rRun, rMask)
	Line("CMP $15, R%d", rMask)
	Line("BNE %sPart", label)
	for _, v := range rows {
		Line(whole, rOff, rStride, v)
	}
	Line("B %sNext", label)
	Label("%sPart", label)
	for lane := range 4 {
		Line("TBZ $%d, R%d, %sLane%d", lane, rMask, label, lane)
		Line("ADD $%d, R%d, R%d", 4*lane, rOff, rAt)
		for _, v := range rows {
			Line(part, rAt, rStride, v, lane)
		}
		Label("%sLane%d", label, lane)
	}
	Label("%sNext", label)
	Line("ADD $%d, R%d", runSize, rRun)
	Line("SUBS $1, R%d", rN)
	Line("BNE %s", label)
	Label("%sDone", label)
}
