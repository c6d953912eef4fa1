package main

import (
	"fmt"
	"math"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

// The interpolation points are 0, ±s, ±t and infinity.
const (
	s = math.Sqrt2 / 2
	t = math.Sqrt2
)

// values are the constants of the transforms, in groups of four that a register
// holds.
var values = []struct {
	name  string
	value float64
}{
	{"half", 0.5}, {"two", 2}, {"s", s}, {"t", t},
	{"fiveHalves", 2.5}, {"s3", s / 2}, {"t3", 2 * t}, {},
	{"third", 1. / 3}, {"sixth", 1. / 6}, {"twoThirds", 2. / 3}, {"twoThirdsS", 2 * s / 3},
	{"sixthT", t / 6}, {}, {}, {},
}

// A lane is a constant's place.
type lane struct{ v, i int }

// table says where the constants of the current function are.
var table map[string]lane

func constants() {
	Print("\n")
	for i, v := range values {
		Print("DATA winoConstants<>+%d(SB)/4, $0x%08x\n", 4*i, math.Float32bits(float32(v.value)))
	}
	Print("GLOBL winoConstants<>(SB), RODATA|NOPTR, $%d\n", 4*len(values))
}

// loadConstants loads two groups into the last registers, which with as many
// others as said are no longer free.
func loadConstants(group, others, tmp int) {
	reserve(2 + others)
	table = map[string]lane{}
	Line("MOVD $winoConstants<>+%d(SB), R%d", 16*group, tmp)
	Line("VLD1 (R%d), %s", tmp, List(30, 2))
	for i, v := range values[4*group:][:8] {
		table[v.name] = lane{30 + i/4, i % 4}
	}
}

func addTimes(d, n int, c string) { MulAddBy(d, n, table[c].v, table[c].i) }
func subTimes(d, n int, c string) { MulSubBy(d, n, table[c].v, table[c].i) }
func times(d, n int, c string)    { MulBy(d, n, table[c].v, table[c].i) }

// The one-dimensional transforms consume the registers they are given; those they
// pass to out are the caller's.
type sink func(i, r int)

// input1 is Bᵀd.
func input1(d [6]int, out sink) {
	even, odd := copyOf(d[4]), copyOf(d[3])
	subTimes(even, d[2], "two")
	subTimes(odd, d[1], "two")
	plusMinus(even, odd, "s", func(i, r int) { out(1+i, r) })
	subTimes(d[0], d[2], "fiveHalves")
	Add(d[0], d[0], d[4])
	out(0, d[0])
	subTimes(d[5], d[3], "fiveHalves")
	Add(d[5], d[5], d[1])
	out(5, d[5])
	subTimes(d[4], d[2], "half")
	subTimes(d[3], d[1], "half")
	give(d[1], d[2])
	plusMinus(d[4], d[3], "t", func(i, r int) { out(3+i, r) })
}

// plusMinus passes even + c·odd and even - c·odd to out.
func plusMinus(even, odd int, c string, out sink) {
	r := copyOf(even)
	addTimes(r, odd, c)
	subTimes(even, odd, c)
	give(odd)
	out(0, r)
	out(1, even)
}

// output1 is Aᵀm: six values to four.
func output1(m [6]int, out sink) {
	p, q, u, v := m[1], take(), m[3], m[2]
	Sub(q, m[1], m[2])
	Add(p, m[1], m[2])
	Sub(v, m[3], m[4])
	Add(u, m[3], m[4])
	give(m[4])
	Add(m[0], m[0], p)
	Add(m[0], m[0], u)
	out(0, m[0])
	times(p, p, "half")
	addTimes(p, u, "two")
	give(u)
	out(2, p)
	addTimes(m[5], q, "s3")
	addTimes(m[5], v, "t3")
	out(3, m[5])
	times(q, q, "s")
	addTimes(q, v, "t")
	give(v)
	out(1, q)
}

// gradient1 is Ay: four values to six.
func gradient1(y [4]int, out sink) {
	even, odd := copyOf(y[0]), copyOf(y[1])
	addTimes(even, y[2], "half")
	addTimes(odd, y[3], "half")
	plusMinus(even, odd, "s", func(i, r int) { out(1+i, r) })
	even = copyOf(y[0])
	out(0, y[0])
	addTimes(even, y[2], "two")
	addTimes(y[1], y[3], "two")
	give(y[2])
	out(5, y[3])
	plusMinus(even, y[1], "t", func(i, r int) { out(3+i, r) })
}

// filter1 is Gf: three values to six.
func filter1(f [3]int, out sink) {
	even, odd := take(), take()
	times(even, f[0], "twoThirds")
	addTimes(even, f[2], "third")
	Neg(even, even)
	Move(odd, even)
	subTimes(odd, f[1], "twoThirdsS")
	addTimes(even, f[1], "twoThirdsS")
	out(1, odd)
	out(2, even)
	even = take()
	times(even, f[0], "sixth")
	addTimes(even, f[2], "third")
	out(0, f[0])
	out(5, f[2])
	plusMinus(even, f[1], "sixthT", func(i, r int) { out(3+i, r) })
}

// filterGradient1 is Gᵀu: six values to three.
func filterGradient1(u [6]int, out sink) {
	p, q, v, w := u[1], take(), u[3], u[2]
	Sub(q, u[1], u[2])
	Add(p, u[1], u[2])
	Sub(w, u[3], u[4])
	Add(v, u[3], u[4])
	give(u[4])
	subTimes(u[0], p, "twoThirds")
	addTimes(u[0], v, "sixth")
	out(0, u[0])
	times(w, w, "sixthT")
	subTimes(w, q, "twoThirdsS")
	give(q)
	out(1, w)
	Sub(v, v, p)
	give(p)
	addTimes(u[5], v, "third")
	give(v)
	out(2, u[5])
}

// Registers that the loops over tiles share.
const (
	rTile                     = 4 // from a tile to the next
	rRow                      = 5 // from a row of pixels to the next
	rRows, rTiles             = 6, 7
	rTilesLeft, rQuartersLeft = 8, 9
	rPos                      = 19 // and four more: once to five times the stride of positions
	rPos6                     = 24
)

// loadPositions loads the stride between positions and its multiples.
func loadPositions() {
	LoadBytes("pos", rPos, 2)
	multiples(rPos, 6, rPos)
}

// input: rows x tiles input tiles from pixels to positions. Columns transformed
// vertically go to tmp, column by column, six pixels each: two of a tile's six are
// the last of the one before.
func input() {
	begin("Input", "(v, src, tmp *float32, pos, vTile, srcRow, rows, tiles int)", "transforms rows of input tiles.")
	const rV, rSrc, rTmp = 0, 1, 2
	const rFrom, rCols = 10, 11                              // of a tile
	const rFrom1, rCols1, rTo1, rAt, rTo = 12, 13, 14, 15, 3 // of a quarter
	Load("v", rV)
	Load("src", rSrc)
	Load("tmp", rTmp)
	LoadBytes("vTile", rTile, 2)
	LoadBytes("srcRow", rRow, 6)
	Load("rows", rRows)
	Load("tiles", rTiles)
	loadPositions()
	loadConstants(0, 0, rAt)
	vertical := func(col int) {
		var d [6]int
		Line("ADD $%d, R%d, R%d", col*pixel, rFrom1, rAt)
		for i := range d {
			d[i] = take()
			Line("VLD1.P (R%d)(R%d), [V%d.S4]", rAt, rRow, d[i])
		}
		input1(d, func(i, r int) {
			Put(r, rCols1, (col*6+i)*pixel)
			give(r)
		})
	}
	repeat("row", rRows, 0, func() {
		move(rSrc, rFrom, rTmp, rCols, rSrc, rFrom1, rTmp, rCols1)
		repeat("first", rQuartersLeft, 4, func() {
			vertical(0)
			vertical(1)
			advance(16, rFrom1, rCols1)
		})
		move(rTiles, rTilesLeft)
		repeat("tile", rTilesLeft, 0, func() {
			move(rFrom, rFrom1, rCols, rCols1, rV, rTo1)
			repeat("quarter", rQuartersLeft, 4, func() {
				for col := 2; col < 6; col++ {
					vertical(col)
				}
				move(rTo1, rTo)
				for i := range 6 {
					var d [6]int
					for j := range d {
						d[j] = take()
						Vec(d[j], rCols1, (j*6+i)*pixel)
					}
					input1(d, func(j, r int) {
						storeAt(r, rTo, rPos, j)
						give(r)
					})
					if i < 5 {
						Line("ADD R%d, R%d", rPos6, rTo)
					}
				}
				advance(16, rFrom1, rCols1, rTo1)
			})
			Line("ADD R%d, R%d", rTile, rV)
			advance(4*pixel, rFrom)
			advance(4*6*pixel, rCols)
		})
		Line("ADD R%d<<2, R%d", rRow, rSrc)
	})
	Line("RET")
}

// output: rows x tiles transformed results to 4x4 pixels each.
func output() {
	begin("Output", "(dst, m, tmp, bias *float32, floor float32, pos, mTile, dstRow, rows, tiles int)",
		"transforms rows of result tiles back.")
	const rDst, rM, rBias = 0, 1, 2
	const rFrom, rTo, rFrom1, rTo1, rBias1, rLine = 3, 10, 11, 12, 13, 14 // and 15, 16: of rows of pixels
	const vecBias, vecFloor = 29, 28
	Load("dst", rDst)
	Load("m", rM)
	Load("bias", rBias)
	Spread("floor", vecFloor, rTo)
	LoadBytes("mTile", rTile, 2)
	LoadBytes("dstRow", rRow, 6)
	Load("rows", rRows)
	Load("tiles", rTiles)
	loadPositions()
	multiples(rLine, 3, rRow)
	loadConstants(0, 2, rTo)
	repeat("row", rRows, 0, func() {
		move(rTiles, rTilesLeft, rDst, rTo)
		repeat("tile", rTilesLeft, 0, func() {
			move(rM, rFrom1, rTo, rTo1, rBias, rBias1)
			repeat("quarter", rQuartersLeft, 4, func() {
				var mid [6][4]int
				move(rFrom1, rFrom)
				for i := range mid {
					var in [6]int
					for j := range in {
						in[j] = take()
						loadAt(in[j], rFrom, rPos, j)
					}
					if i < 5 {
						Line("ADD R%d, R%d", rPos6, rFrom)
					}
					output1(in, func(j, r int) { mid[i][j] = r })
				}
				Line("FMOVQ.P 16(R%d), F%d", rBias1, vecBias)
				move(rTo1, rFrom)
				for j := range 4 {
					var in [6]int
					for i := range in {
						in[i] = mid[i][j]
					}
					output1(in, func(i, r int) {
						Add(r, r, vecBias)
						below := take()
						Above(below, vecFloor, r)
						Select(r, vecFloor, below)
						storeAt(r, rFrom, rLine, i)
						give(r, below)
					})
					if j < 3 {
						advance(pixel, rFrom)
					}
				}
				advance(16, rFrom1, rTo1)
			})
			Line("ADD R%d, R%d", rTile, rM)
			advance(4*pixel, rTo)
		})
		Line("ADD R%d<<2, R%d", rRow, rDst)
	})
	Line("RET")
}

// gradient: rows x tiles of 4x4 pixels to positions, the adjoint of output.
func gradient() {
	begin("Gradient", "(m, src, tmp *float32, pos, mTile, srcRow, rows, tiles int)",
		"transforms rows of tiles of the result's gradient.")
	const rM, rSrc = 0, 1
	const rTo, rFrom, rFrom1, rTo1, rAt, rLine = 2, 10, 11, 12, 13, 14 // and 15, 16
	Load("m", rM)
	Load("src", rSrc)
	LoadBytes("mTile", rTile, 2)
	LoadBytes("srcRow", rRow, 6)
	Load("rows", rRows)
	Load("tiles", rTiles)
	loadPositions()
	multiples(rLine, 3, rRow)
	loadConstants(0, 0, rTo)
	repeat("row", rRows, 0, func() {
		move(rTiles, rTilesLeft, rSrc, rFrom)
		repeat("tile", rTilesLeft, 0, func() {
			move(rFrom, rFrom1, rM, rTo1)
			repeat("quarter", rQuartersLeft, 4, func() {
				var mid [6][4]int
				move(rFrom1, rAt)
				for j := range 4 {
					var in [4]int
					for i := range in {
						in[i] = take()
						loadAt(in[i], rAt, rLine, i)
					}
					if j < 3 {
						advance(pixel, rAt)
					}
					gradient1(in, func(i, r int) { mid[i][j] = r })
				}
				move(rTo1, rTo)
				for i := range mid {
					gradient1(mid[i], func(j, r int) {
						storeAt(r, rTo, rPos, j)
						give(r)
					})
					if i < 5 {
						Line("ADD R%d, R%d", rPos6, rTo)
					}
				}
				advance(16, rFrom1, rTo1)
			})
			Line("ADD R%d, R%d", rTile, rM)
			advance(4*pixel, rFrom)
		})
		Line("ADD R%d<<2, R%d", rRow, rSrc)
	})
	Line("RET")
}

// filter: n filters of 3x3 taps to positions.
func filter() {
	begin("Filter", "(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int)", "transforms n filters.")
	const rU, rSrc, rTap, rN, rUStep, rSrcStep, rFrom1, rTo1, rAt = 0, 1, 2, 3, 4, 5, 6, 7, 10
	Load("u", rU)
	Load("src", rSrc)
	LoadBytes("uStep", rUStep, 2)
	LoadBytes("srcTap", rTap, 2)
	LoadBytes("srcStep", rSrcStep, 2)
	Load("n", rN)
	loadPositions()
	loadConstants(2, 0, rAt)
	repeat("filter", rN, 0, func() {
		move(rSrc, rFrom1, rU, rTo1)
		repeat("quarter", rQuartersLeft, 4, func() {
			var taps [3][3]int
			move(rFrom1, rAt)
			for i := range taps {
				for j := range taps[i] {
					taps[j][i] = take()
					Line("VLD1.P (R%d)(R%d), [V%d.S4]", rAt, rTap, taps[j][i])
				}
			}
			var mid [6][3]int
			for j := range taps {
				filter1(taps[j], func(i, r int) { mid[i][j] = r })
			}
			move(rTo1, rAt)
			for i := range mid {
				filter1(mid[i], func(j, r int) {
					storeAt(r, rAt, rPos, j)
					give(r)
				})
				if i < 5 {
					Line("ADD R%d, R%d", rPos6, rAt)
				}
			}
			advance(16, rFrom1, rTo1)
		})
		Line("ADD R%d, R%d", rUStep, rU)
		Line("ADD R%d, R%d", rSrcStep, rSrc)
	})
	Line("RET")
}

// filterGradient: n sets of 36 positions, each the sum of parts, to 3x3 taps.
func filterGradient() {
	begin("FilterGradient", "(dst, u, tmp *float32, pos, uStep, part, parts, dstStep, n int)",
		"sums parts and transforms n gradients of filters back.")
	const rDst, rU, rPos1, rUStep, rPart, rParts, rDstStep, rN = 0, 1, 2, 3, 4, 5, 6, 7
	const rFrom1, rTo1, rAt, rPart1 = 10, 11, 12, 13
	const rPosRow = rPos // and four more: once to five times six strides of positions
	Load("dst", rDst)
	Load("u", rU)
	LoadBytes("pos", rPos1, 2)
	LoadBytes("uStep", rUStep, 2)
	LoadBytes("part", rPart, 2)
	Load("parts", rParts)
	LoadBytes("dstStep", rDstStep, 2)
	Load("n", rN)
	Line("ADD R%d<<1, R%d, R%d", rPos1, rPos1, rAt)
	Line("LSL $1, R%d", rAt)
	multiples(rPosRow, 5, rAt)
	loadConstants(2, 0, rAt)
	repeat("filter", rN, 0, func() {
		move(rU, rFrom1, rDst, rTo1)
		repeat("quarter", rQuartersLeft, 4, func() {
			var mid [3][6]int
			for j := range 6 {
				var in [6]int
				if j == 0 {
					move(rFrom1, rAt)
				} else {
					Line("MOVD $%d, R%d", j, rPart1)
					Line("MADD R%d, R%d, R%d, R%d", rPos1, rFrom1, rPart1, rAt)
				}
				for i := range in {
					in[i] = take()
					loadAt(in[i], rAt, rPosRow, i)
				}
				Line("SUBS $1, R%d, R%d", rParts, rPart1)
				Line("BEQ summed%d", j)
				repeat(fmt.Sprintf("part%d", j), rPart1, 0, func() {
					Line("ADD R%d, R%d", rPart, rAt)
					v := take()
					for i := range in {
						loadAt(v, rAt, rPosRow, i)
						Add(in[i], in[i], v)
					}
					give(v)
				})
				Label("summed%d", j)
				filterGradient1(in, func(i, r int) { mid[i][j] = r })
			}
			for i := range mid {
				filterGradient1(mid[i], func(j, r int) {
					Put(r, rTo1, (i*3+j)*pixel)
					give(r)
				})
			}
			advance(16, rFrom1, rTo1)
		})
		Line("ADD R%d, R%d", rUStep, rU)
		Line("ADD R%d, R%d", rDstStep, rDst)
	})
	Line("RET")
}
