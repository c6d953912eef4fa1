package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// An isa is what the tile needs to know of an instruction set.
type isa struct {
	name  string
	lanes int
	rows  int // of the largest tile, which is two vectors wide
	vec   func(i int) reg.VecPhysical
	masks bool // columns beyond the last are masked off rather than read and written
}

var (
	avx512 = isa{"AVX512", 16, 14, func(i int) reg.VecPhysical { return zmm[i] }, true}
	avx2   = isa{"AVX2", 8, 6, func(i int) reg.VecPhysical { return ymm[i] }, false}
)

var zmm = []reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

var ymm = []reg.VecPhysical{
	reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
}

// wideRows is the height up to which tiles of four vectors exist: so few rows
// make too few sums two vectors wide to hide the latency of the additions.
const wideRows = 6

// aheadA is how many bytes ahead packed rows of A are asked for, strips lying one
// behind the other: the time of a few hundred multiply-adds, longer than memory
// takes.
const aheadA = 4096

// General registers of the tile.
var (
	cPtr, cStep        = reg.RDI, reg.RDX
	aPtr, aStep, aPtr3 = reg.RSI, reg.R8, reg.R9
	bPtr, bStep, bPtr3 = reg.RBX, reg.R10, reg.R11
	count, rest        = reg.RCX, reg.R12
	nRows, nCols       = reg.R13, reg.R14
	temp, ptr          = reg.RAX, reg.R15

	// While the products are done, in place of temp, count and nRows.
	soon3, soonStep, soon = reg.RAX, reg.RCX, reg.R13
)

// Bits of the tile's flags; the same as in gemm_tile.go.
const (
	flagAccumulate = 1
	flagReLU       = 2
)

// tile generates the function that computes one register tile.
func tile(s isa) {
	name := "gemmTile" + s.name
	TEXT(name, NOSPLIT, "func(c []float32, ldc int, a []float32, as int, b []float32, bs int, "+
		"k, rows, cols, flags int, rowBias, colBias []float32, soon *float32, soonStep int)")
	doc := fmt.Sprintf("%s does up to %d rows and %d columns, or %d and %d; see gemmOps.tile.",
		name, s.rows, 2*s.lanes, wideRows, 4*s.lanes)
	if !s.masks {
		doc = fmt.Sprintf("%s does up to %d rows and exactly %d columns; see gemmOps.tile.", name, s.rows, 2*s.lanes)
	}
	Doc(doc)
	Pragma("noescape")

	Load(Param("c").Base(), cPtr)
	Load(Param("ldc"), cStep)
	Load(Param("a").Base(), aPtr)
	Load(Param("as"), aStep)
	Load(Param("b").Base(), bPtr)
	Load(Param("bs"), bStep)
	Load(Param("k"), count)
	Load(Param("rows"), nRows)
	Load(Param("cols"), nCols)
	for _, step := range []reg.GPPhysical{cStep, aStep, bStep} {
		SHLQ(Imm(2), step)
	}
	LEAQ(Mem{Base: aStep, Index: aStep, Scale: 2}, aPtr3)
	ADDQ(aPtr, aPtr3)
	LEAQ(Mem{Base: bStep, Index: bStep, Scale: 2}, bPtr3)
	ADDQ(bPtr, bPtr3)
	MOVQ(count, rest)
	ANDQ(Imm(3), rest)
	SHRQ(Imm(2), count)

	if !s.masks {
		byRows(s, 2, s.rows)
		return
	}
	// K1 to K4 mask the vectors of a row.
	XCHGQ(count, nCols) // shifts count in CL
	MOVQ(I32(-1), temp)
	SHLQ(reg.CL, temp)
	NOTQ(temp)
	CMPQ(count, Imm(64))
	JLT(LabelRef("masked"))
	MOVQ(I32(-1), temp)
	Label("masked")
	for v := range 4 {
		KMOVW(temp.As32(), mask(v))
		SHRQ(Imm(16), temp)
	}
	XCHGQ(count, nCols)
	CMPQ(nCols, Imm(16))
	JLE(LabelRef("narrow"))
	CMPQ(nCols, Imm(32))
	JGT(LabelRef("wide"))
	byRows(s, 2, s.rows)
	Label("narrow")
	byRows(s, 1, s.rows)
	Label("wide")
	byRows(s, 4, wideRows)
}

// byRows generates the tiles of every height up to most and the jumps to them.
func byRows(s isa, vecs, most int) {
	label := func(rows int) string { return fmt.Sprintf("v%d_r%d", vecs, rows) }
	for rows := most; rows > 1; rows-- {
		CMPQ(nRows, Imm(uint64(rows)))
		JEQ(LabelRef(label(rows)))
	}
	for rows := 1; rows <= most; rows++ {
		Label(label(rows))
		oneTile(s, vecs, rows, label(rows))
	}
}

// oneTile generates the whole life of a tile of rows x vecs vectors: the
// products, then the epilogue.
func oneTile(s isa, vecs, rows int, label string) {
	size := 4 * s.lanes
	acc := func(r, v int) reg.VecPhysical { return s.vec(r*vecs + v) }
	last := 31
	if s.lanes == 8 {
		last = 15
	}
	var b []reg.VecPhysical
	for v := range vecs {
		b = append(b, s.vec(last-v))
	}
	broadcast := []reg.VecPhysical{s.vec(last - vecs), s.vec(last - vecs - 1)}
	load := func(m Mem, v int, to reg.VecPhysical) {
		if s.masks {
			VMOVUPS_Z(m, mask(v), to)
		} else {
			VMOVUPS(m, to)
		}
	}

	for r := range rows {
		for v := range vecs {
			VXORPS(acc(r, v), acc(r, v), acc(r, v))
		}
	}
	// The result is needed at the end; ask for it now.
	MOVQ(cPtr, ptr)
	for r := range rows {
		for v := range vecs {
			if v*size%64 == 0 {
				PREFETCHT0(Mem{Base: ptr, Disp: v * size})
			}
		}
		if r < rows-1 {
			ADDQ(cStep, ptr)
		}
	}

	// step does the products of one k, whose operands lie at a and bm.
	step := func(a, bm Mem) {
		for v := range vecs {
			load(bm.Offset(v*size), v, b[v])
		}
		for r := range rows {
			x := broadcast[r%2]
			VBROADCASTSS(a.Offset(4*r), x)
			for v := range vecs {
				VFMADD231PS(x, b[v], acc(r, v))
			}
		}
	}
	TESTQ(count, count)
	JEQ(LabelRef(label + "_rest"))
	MOVQ(count, ptr)
	Load(Param("soon"), soon)
	Load(Param("soonStep"), soonStep)
	SHLQ(Imm(2), soonStep)
	LEAQ(Mem{Base: soonStep, Index: soonStep, Scale: 2}, soon3)
	ADDQ(soon, soon3)
	align64()
	Label(label + "_four")
	for line := 0; line < 4*4*rows; line += 64 {
		PREFETCHT0(Mem{Base: aPtr, Disp: aheadA + line})
	}
	PREFETCHT0(Mem{Base: soon})
	PREFETCHT0(Mem{Base: soon, Index: soonStep, Scale: 1})
	PREFETCHT0(Mem{Base: soon, Index: soonStep, Scale: 2})
	PREFETCHT0(Mem{Base: soon3})
	step(Mem{Base: aPtr}, Mem{Base: bPtr})
	step(Mem{Base: aPtr, Index: aStep, Scale: 1}, Mem{Base: bPtr, Index: bStep, Scale: 1})
	step(Mem{Base: aPtr, Index: aStep, Scale: 2}, Mem{Base: bPtr, Index: bStep, Scale: 2})
	step(Mem{Base: aPtr3}, Mem{Base: bPtr3})
	for _, p := range [][2]reg.GPPhysical{{aStep, aPtr}, {aStep, aPtr3}, {bStep, bPtr}, {bStep, bPtr3}, {soonStep, soon}, {soonStep, soon3}} {
		LEAQ(Mem{Base: p[1], Index: p[0], Scale: 4}, p[1])
	}
	DECQ(ptr)
	JNE(LabelRef(label + "_four"))
	Label(label + "_rest")
	TESTQ(rest, rest)
	JEQ(LabelRef(label + "_end"))
	Label(label + "_one")
	step(Mem{Base: aPtr}, Mem{Base: bPtr})
	ADDQ(aStep, aPtr)
	ADDQ(bStep, bPtr)
	DECQ(rest)
	JNE(LabelRef(label + "_one"))

	Label(label + "_end")
	epilogue(s, vecs, rows, label, acc, b)
	VZEROUPPER()
	RET()
}

// epilogue adds what there was, adds the biases, applies the activation and
// stores. free are two vectors that are not sums.
func epilogue(s isa, vecs, rows int, label string, acc func(r, v int) reg.VecPhysical, free []reg.VecPhysical) {
	size := 4 * s.lanes
	each := func(do func(r, v int, at Mem)) {
		MOVQ(cPtr, ptr)
		for r := range rows {
			for v := range vecs {
				do(r, v, Mem{Base: ptr, Disp: v * size})
			}
			if r < rows-1 {
				ADDQ(cStep, ptr)
			}
		}
	}
	Load(Param("flags"), temp)
	TESTQ(U32(flagAccumulate), temp)
	JEQ(LabelRef(label + "_row"))
	each(func(r, v int, at Mem) {
		if s.masks {
			VADDPS(at, acc(r, v), mask(v), acc(r, v))
		} else {
			VADDPS(at, acc(r, v), acc(r, v))
		}
	})

	Label(label + "_row")
	Load(Param("rowBias").Base(), ptr)
	TESTQ(ptr, ptr)
	JEQ(LabelRef(label + "_col"))
	for r := range rows {
		VBROADCASTSS(Mem{Base: ptr, Disp: 4 * r}, free[0])
		for v := range vecs {
			VADDPS(free[0], acc(r, v), acc(r, v))
		}
	}

	Label(label + "_col")
	Load(Param("colBias").Base(), ptr)
	TESTQ(ptr, ptr)
	JEQ(LabelRef(label + "_act"))
	for v := range vecs {
		at := Mem{Base: ptr, Disp: v * size}
		if s.masks {
			VMOVUPS_Z(at, mask(v), free[0])
		} else {
			VMOVUPS(at, free[0])
		}
		for r := range rows {
			VADDPS(free[0], acc(r, v), acc(r, v))
		}
	}

	Label(label + "_act")
	TESTQ(U32(flagReLU), temp)
	JEQ(LabelRef(label + "_store"))
	VXORPS(free[0], free[0], free[0])
	for r := range rows {
		for v := range vecs {
			VMAXPS(acc(r, v), free[0], acc(r, v)) // of NaN and 0 the sum, which comes second in Intel's order
		}
	}

	Label(label + "_store")
	if s.masks {
		CMPQ(nCols, Imm(uint64(vecs*s.lanes)))
		JLT(LabelRef(label + "_tail"))
	}
	each(func(r, v int, at Mem) { VMOVUPS(acc(r, v), at) })
	if s.masks {
		VZEROUPPER()
		RET()
		Label(label + "_tail")
		each(func(r, v int, at Mem) { VMOVUPS(acc(r, v), mask(v), at) })
	}
}

func mask(v int) reg.OpmaskPhysical { return []reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3, reg.K4}[v] }
