package main

import (
	"math"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The interpolation points are 0, ±s, ±t and infinity.
const (
	s = math.Sqrt2 / 2
	t = math.Sqrt2
)

// values are the constants of the transforms.
var values = []struct {
	name  string
	value float64
}{
	{"half", 0.5},
	{"two", 2},
	{"fiveHalves", 2.5},
	{"s", s},
	{"t", t},
	{"s3", s / 2},
	{"t3", 2 * t},
	{"third", 1. / 3},
	{"sixth", 1. / 6},
	{"twoThirds", 2. / 3},
	{"twoThirdsS", 2 * s / 3},
	{"sixthT", t / 6},
}

var table = map[string]Mem{}

// constants writes every constant 16 times over, for use as a memory operand.
func constants() {
	for _, v := range values {
		m := GLOBL("wino"+strings.ToUpper(v.name[:1])+v.name[1:], RODATA|NOPTR)
		for i := range lanes {
			DATA(4*i, U32(math.Float32bits(float32(v.value)))) // F32 would print 2 as an integer
		}
		table[v.name] = m
	}
}

// A sink takes the results of a one-dimensional transform.
type sink func(i int, r reg.VecVirtual)

// input1 is Bᵀd: six values of d in registers, the constants too.
func (g *gen) input1(d [6]Op, k map[string]Op, out sink) {
	r := g.copyOf(d[4])
	VFNMADD231PS(d[2], k["fiveHalves"], r)
	VADDPS(d[0], r, r)
	out(0, r)
	for i, c := range []struct{ square, root string }{{"two", "s"}, {"half", "t"}} {
		even, odd := g.copyOf(d[4]), g.copyOf(d[3])
		VFNMADD231PS(d[2], k[c.square], even)
		VFNMADD231PS(d[1], k[c.square], odd)
		r = g.copyOf(even)
		VFMADD231PS(odd, k[c.root], r)
		out(1+2*i, r)
		VFNMADD231PS(odd, k[c.root], even)
		out(2+2*i, even)
	}
	r = g.copyOf(d[5])
	VFNMADD231PS(d[3], k["fiveHalves"], r)
	VADDPS(d[1], r, r)
	out(5, r)
}

// output1 is Aᵀm: six values to four.
func (g *gen) output1(m [6]Op, out sink) {
	p, u := g.copyOf(m[1]), g.copyOf(m[3])
	q, v := g.vec(), g.vec()
	VSUBPS(m[2], p, q)
	VADDPS(m[2], p, p)
	VSUBPS(m[4], u, v)
	VADDPS(m[4], u, u)
	r := g.vec()
	VADDPS(m[0], p, r)
	VADDPS(u, r, r)
	out(0, r)
	r = g.vec()
	VMULPS(table["half"], p, r)
	VFMADD231PS(table["two"], u, r)
	out(2, r)
	r = g.vec()
	VMULPS(table["s"], q, r)
	VFMADD231PS(table["t"], v, r)
	out(1, r)
	VFMADD213PS(m[5], table2(g, "s3"), q)
	VFMADD231PS(table["t3"], v, q)
	out(3, q)
}

// table2 returns a constant in a fresh register.
func table2(g *gen, name string) reg.VecVirtual { return g.copyOf(table[name]) }

// gradient1 is Ay: four values to six.
func (g *gen) gradient1(y [4]Op, out sink) {
	out(0, g.copyOf(y[0]))
	for i, c := range []struct{ square, root string }{{"half", "s"}, {"two", "t"}} {
		even, odd, r := g.copyOf(y[0]), g.copyOf(y[1]), g.vec()
		k := table2(g, c.square)
		VFMADD231PS(y[2], k, even)
		VFMADD231PS(y[3], k, odd)
		VMOVUPS(even, r)
		VFMADD231PS(table[c.root], odd, r)
		out(1+2*i, r)
		VFNMADD231PS(table[c.root], odd, even)
		out(2+2*i, even)
	}
	out(5, g.copyOf(y[3]))
}

// filter1 is Gf: three values to six.
func (g *gen) filter1(f [3]Op, out sink) {
	out(0, g.copyOf(f[0]))
	f0, f2 := g.copyOf(f[0]), g.copyOf(f[2])
	third := table2(g, "third")
	even, odd := g.vec(), g.copyOf(f[1])
	VMULPS(table["twoThirds"], f0, even)
	VFMADD231PS(f2, third, even)
	r := g.vec()
	VXORPS(r, r, r)
	VSUBPS(even, r, r)
	VMOVUPS(r, even)
	VFNMADD231PS(table["twoThirdsS"], odd, r)
	out(1, r)
	VFMADD231PS(table["twoThirdsS"], odd, even)
	out(2, even)
	VMULPS(table["sixth"], f0, f0)
	VFMADD231PS(f2, third, f0)
	r = g.copyOf(f0)
	VFMADD231PS(table["sixthT"], odd, r)
	out(3, r)
	VFNMADD231PS(table["sixthT"], odd, f0)
	out(4, f0)
	out(5, f2)
}

// filterPair1 is Gf for filters with a zero at the end, or, if high, at the
// beginning; f are the other two taps. What would be zero is left out.
func (g *gen) filterPair1(f [2]Op, high bool, out sink) {
	end, middle := g.copyOf(f[0]), g.copyOf(f[1])
	evenS, evenT := "twoThirds", "sixth"
	if high {
		end, middle = middle, end
		evenS, evenT = "third", "third"
		out(5, end)
	} else {
		out(0, end)
	}
	odd, even, r := g.vec(), g.vec(), g.vec()
	VMULPS(table["twoThirdsS"], middle, odd)
	VMOVUPS(odd, r)
	VFMADD231PS(table[evenS], end, r)
	VXORPS(even, even, even)
	VSUBPS(r, even, r)
	out(1, r)
	r = g.vec()
	VMOVUPS(odd, r)
	VFNMADD231PS(table[evenS], end, r)
	out(2, r)
	even, r = g.vec(), g.vec()
	VMULPS(table[evenT], end, even)
	VMOVUPS(even, r)
	VFMADD231PS(table["sixthT"], middle, r)
	out(3, r)
	r = g.vec()
	VMOVUPS(even, r)
	VFNMADD231PS(table["sixthT"], middle, r)
	out(4, r)
}

// filterPair: n filters of which 2x2 taps are not zero, those of the rows and
// columns 1 and 2 where high, else 0 and 1.
func (g *gen) filterPair(highRow, highCol bool) {
	name := map[bool]string{false: "Low", true: "High"}
	g.function("Filter"+name[highRow]+name[highCol], "func(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int)",
		"transforms n filters of 2x2 taps.")
	u, src, tmp := param("u", 0), param("src", 0), param("tmp", 0)
	pos := newPositions()
	uStep, tap, srcStep := param("uStep", 2), param("srcTap", 2), param("srcStep", 2)
	n := param("n", 0)
	tap3 := times(3, tap)
	align()
	Label("filter")
	g.halves(func(off int) {
		mid := plane{g: g, cols: 2, tmp: tmp}
		second := GP64()
		LEAQ(Mem{Base: src, Index: tap3, Scale: 1}, second)
		for j := range 2 {
			in := [2]Op{strided(src, tap, nil, nil, j, off), strided(second, tap, nil, nil, j, off)}
			g.filterPair1(in, highRow, func(i int, r reg.VecVirtual) { mid.put(i, j, r) })
		}
		to := GP64()
		MOVQ(u, to)
		for i := range 6 {
			if dead := map[bool]int{false: 5, true: 0}[highRow]; i != dead {
				g.filterPair1([2]Op{mid.at(i, 0), mid.at(i, 1)}, highCol, func(j int, r reg.VecVirtual) {
					VMOVUPS(r, strided(to, pos.s, pos.s3, pos.s5, j, off))
				})
			}
			if i < 5 {
				ADDQ(pos.s6, to)
			}
		}
	})
	ADDQ(uStep, u)
	ADDQ(srcStep, src)
	DECQ(n)
	JNE(LabelRef("filter"))
	finish()
}

// filterGradient1 is Gᵀu: six values to three.
func (g *gen) filterGradient1(u [6]Op, out sink) {
	p, v := g.copyOf(u[1]), g.copyOf(u[3])
	q, w := g.vec(), g.vec()
	VSUBPS(u[2], p, q)
	VADDPS(u[2], p, p)
	VSUBPS(u[4], v, w)
	VADDPS(u[4], v, v)
	r := g.copyOf(u[0])
	VFNMADD231PS(table["twoThirds"], p, r)
	VFMADD231PS(table["sixth"], v, r)
	out(0, r)
	VMULPS(table["sixthT"], w, w)
	VFNMADD231PS(table["twoThirdsS"], q, w)
	out(1, w)
	VSUBPS(p, v, v)
	r = g.copyOf(u[5])
	VFMADD231PS(table["third"], v, r)
	out(2, r)
}

// A plane holds what the first half of a two-dimensional transform made, in
// registers if there are enough of them, else in the memory at tmp.
type plane struct {
	g    *gen
	cols int
	reg  [6][6]reg.VecVirtual
	tmp  reg.Register
}

func (p *plane) put(i, j int, r reg.VecVirtual) {
	if p.g.wide() {
		p.reg[i][j] = r
	} else {
		VMOVUPS(r, Mem{Base: p.tmp, Disp: (i*p.cols + j) * p.g.bytes})
	}
}

func (p *plane) at(i, j int) Op {
	if p.g.wide() {
		return p.reg[i][j]
	}
	return Mem{Base: p.tmp, Disp: (i*p.cols + j) * p.g.bytes}
}

// positions are the addresses of a tile's 36 transformed positions: those of row
// i lie at base + i*6*stride.
type positions struct{ s, s3, s5, s6 reg.Register }

// newPositions loads the stride between positions, a parameter in floats.
func newPositions() positions {
	s := param("pos", 2)
	s6 := times(3, s)
	SHLQ(Imm(1), s6)
	return positions{s, times(3, s), times(5, s), s6}
}

// input: rows x tiles input tiles from pixels to positions.
func (g *gen) input() {
	g.function("Input", "func(v, src, tmp *float32, pos, vTile, srcRow, rows, tiles int)",
		"transforms rows of input tiles.")
	v, src, tmp0 := param("v", 0), param("src", 0), param("tmp", 0)
	pos := newPositions()
	vTile, srcRow := param("vTile", 2), param("srcRow", 6)
	srcRow3, srcRow5 := times(3, srcRow), times(5, srcRow)
	k := map[string]Op{}
	for _, name := range []string{"half", "two", "fiveHalves", "s", "t"} {
		k[name] = table2(g, name)
	}
	// Columns transformed vertically go to tmp, column by column, six vectors each.
	vertical := func(src, tmp reg.Register, col, off int) {
		var d [6]Op
		for i := range d {
			d[i] = g.copyOf(strided(src, srcRow, srcRow3, srcRow5, i, col*pixel+off))
		}
		g.input1(d, k, func(i int, r reg.VecVirtual) {
			VMOVUPS(r, Mem{Base: tmp, Disp: col*6*pixel + i*pixel + off})
		})
	}
	rows, tiles := argument("rows"), argument("tiles")
	Label("row")
	tmp, from := GP64(), GP64()
	MOVQ(tmp0, tmp)
	MOVQ(src, from)
	g.halves(func(off int) {
		vertical(from, tmp, 0, off)
		vertical(from, tmp, 1, off)
	})
	n := GP64()
	MOVQ(tiles, n)
	align()
	Label("tile")
	for col := 2; col < 6; col++ {
		g.halves(func(off int) { vertical(from, tmp, col, off) })
	}
	to := GP64()
	MOVQ(v, to)
	for i := range 6 {
		g.halves(func(off int) {
			var d [6]Op
			for j := range d {
				d[j] = g.copyOf(Mem{Base: tmp, Disp: j*6*pixel + i*pixel + off})
			}
			g.input1(d, k, func(j int, r reg.VecVirtual) {
				VMOVUPS(r, strided(to, pos.s, pos.s3, pos.s5, j, off))
			})
		})
		if i < 5 {
			ADDQ(pos.s6, to)
		}
	}
	ADDQ(vTile, v)
	ADDQ(U32(4*pixel), from)
	ADDQ(U32(4*6*pixel), tmp)
	DECQ(n)
	JNE(LabelRef("tile"))
	LEAQ(Mem{Base: src, Index: srcRow, Scale: 4}, src)
	DECQ(rows)
	JNE(LabelRef("row"))
	finish()
}

// output: rows x tiles transformed results to 4x4 pixels each.
func (g *gen) output() {
	g.function("Output", "func(dst, m, tmp, bias *float32, floor float32, pos, mTile, dstRow, rows, tiles int)",
		"transforms rows of result tiles back.")
	m, tmp, bias := param("m", 0), param("tmp", 0), param("bias", 0)
	floor := g.vec()
	VBROADCASTSS(argument("floor"), floor)
	pos := newPositions()
	mTile, dstRow := param("mTile", 2), param("dstRow", 6)
	dstRow3 := times(3, dstRow)
	rows, tiles := argument("rows"), argument("tiles")
	Label("row")
	to, n := param("dst", 0), GP64()
	MOVQ(tiles, n)
	align()
	Label("tile")
	g.halves(func(off int) {
		mid := plane{g: g, cols: 4, tmp: tmp}
		from := GP64()
		MOVQ(m, from)
		for i := range 6 {
			var in [6]Op
			for j := range in {
				in[j] = strided(from, pos.s, pos.s3, pos.s5, j, off)
			}
			g.output1(in, func(j int, r reg.VecVirtual) { mid.put(i, j, r) })
			if i < 5 {
				ADDQ(pos.s6, from)
			}
		}
		for j := range 4 {
			var in [6]Op
			for i := range in {
				in[i] = mid.at(i, j)
			}
			g.output1(in, func(i int, r reg.VecVirtual) {
				VADDPS(Mem{Base: bias, Disp: off}, r, r)
				VMAXPS(r, floor, r)
				VMOVUPS(r, strided(to, dstRow, dstRow3, nil, i, j*pixel+off))
			})
		}
	})
	ADDQ(mTile, m)
	ADDQ(U32(4*pixel), to)
	DECQ(n)
	JNE(LabelRef("tile"))
	advance(dstRow, 4, "dst")
	DECQ(rows)
	JNE(LabelRef("row"))
	finish()
}

// advance adds n times stride to a parameter in memory.
func advance(stride reg.Register, n uint64, name string) {
	step := GP64()
	IMUL3Q(Imm(n), stride, step)
	ADDQ(step, argument(name))
}

// gradient: rows x tiles of 4x4 pixels to positions, the adjoint of output.
func (g *gen) gradient() {
	g.function("Gradient", "func(m, src, tmp *float32, pos, mTile, srcRow, rows, tiles int)",
		"transforms rows of tiles of the result's gradient.")
	m, src, tmp := param("m", 0), param("src", 0), param("tmp", 0)
	pos := newPositions()
	mTile, srcRow := param("mTile", 2), param("srcRow", 6)
	srcRow3 := times(3, srcRow)
	rows, tiles := argument("rows"), argument("tiles")
	Label("row")
	from, n := GP64(), GP64()
	MOVQ(src, from)
	MOVQ(tiles, n)
	align()
	Label("tile")
	g.halves(func(off int) {
		mid := plane{g: g, cols: 4, tmp: tmp}
		for j := range 4 {
			var in [4]Op
			for i := range in {
				in[i] = strided(from, srcRow, srcRow3, nil, i, j*pixel+off)
			}
			g.gradient1(in, func(i int, r reg.VecVirtual) { mid.put(i, j, r) })
		}
		to := GP64()
		MOVQ(m, to)
		for i := range 6 {
			var in [4]Op
			for j := range in {
				in[j] = mid.at(i, j)
			}
			g.gradient1(in, func(j int, r reg.VecVirtual) {
				VMOVUPS(r, strided(to, pos.s, pos.s3, pos.s5, j, off))
			})
			if i < 5 {
				ADDQ(pos.s6, to)
			}
		}
	})
	ADDQ(mTile, m)
	ADDQ(U32(4*pixel), from)
	DECQ(n)
	JNE(LabelRef("tile"))
	LEAQ(Mem{Base: src, Index: srcRow, Scale: 4}, src)
	DECQ(rows)
	JNE(LabelRef("row"))
	finish()
}

// filter: n filters of 3x3 taps to positions.
func (g *gen) filter() {
	g.function("Filter", "func(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int)",
		"transforms n filters.")
	u, src, tmp := param("u", 0), param("src", 0), param("tmp", 0)
	pos := newPositions()
	uStep, tap, srcStep := param("uStep", 2), param("srcTap", 2), param("srcStep", 2)
	n := param("n", 0)
	tap3 := times(3, tap)
	align()
	Label("filter")
	g.halves(func(off int) {
		mid := plane{g: g, cols: 3, tmp: tmp}
		var row [3]reg.GPVirtual
		for i := range row {
			row[i] = GP64()
			if i == 0 {
				MOVQ(src, row[i])
			} else {
				LEAQ(Mem{Base: row[i-1], Index: tap3, Scale: 1}, row[i])
			}
		}
		for j := range 3 {
			var in [3]Op
			for i := range in {
				in[i] = strided(row[i], tap, nil, nil, j, off)
			}
			g.filter1(in, func(i int, r reg.VecVirtual) { mid.put(i, j, r) })
		}
		to := GP64()
		MOVQ(u, to)
		for i := range 6 {
			g.filter1([3]Op{mid.at(i, 0), mid.at(i, 1), mid.at(i, 2)}, func(j int, r reg.VecVirtual) {
				VMOVUPS(r, strided(to, pos.s, pos.s3, pos.s5, j, off))
			})
			if i < 5 {
				ADDQ(pos.s6, to)
			}
		}
	})
	ADDQ(uStep, u)
	ADDQ(srcStep, src)
	DECQ(n)
	JNE(LabelRef("filter"))
	finish()
}

// filterGradient: n sets of 36 positions, each the sum of parts, to 3x3 taps.
func (g *gen) filterGradient() {
	g.function("FilterGradient", "func(dst, u, tmp *float32, pos, uStep, part, parts, dstStep, n int)",
		"sums parts and transforms n gradients of filters back.")
	dst, u, tmp := param("dst", 0), param("u", 0), param("tmp", 0)
	pos := newPositions()
	uStep, part, parts := param("uStep", 2), param("part", 2), param("parts", 0)
	dstStep, n := param("dstStep", 2), param("n", 0)
	align()
	Label("filter")
	// The sums of the parts go to tmp, position by position; the first half of the
	// transform goes behind them.
	at := func(i, off int) Mem { return Mem{Base: tmp, Disp: i*pixel + off} }
	first, left := GP64(), GP64()
	MOVQ(u, first)
	MOVQ(parts, left)
	sum := func(add bool) {
		from := GP64()
		MOVQ(first, from)
		for i := range 6 {
			for j := range 6 {
				g.halves(func(off int) {
					r := g.copyOf(strided(from, pos.s, pos.s3, pos.s5, j, off))
					if add {
						VADDPS(at(i*6+j, off), r, r)
					}
					VMOVUPS(r, at(i*6+j, off))
				})
			}
			if i < 5 {
				ADDQ(pos.s6, from)
			}
		}
	}
	sum(false)
	Label("part")
	DECQ(left)
	JZ(LabelRef("summed"))
	ADDQ(part, first)
	sum(true)
	JMP(LabelRef("part"))
	Label("summed")
	g.halves(func(off int) {
		behind := GP64()
		LEAQ(at(36, 0), behind)
		mid := plane{g: g, cols: 6, tmp: behind}
		for j := range 6 {
			var in [6]Op
			for i := range in {
				in[i] = at(i*6+j, off)
			}
			g.filterGradient1(in, func(i int, r reg.VecVirtual) { mid.put(i, j, r) })
		}
		for i := range 3 {
			var in [6]Op
			for j := range in {
				in[j] = mid.at(i, j)
			}
			g.filterGradient1(in, func(j int, r reg.VecVirtual) {
				VMOVUPS(r, Mem{Base: dst, Disp: (i*3+j)*pixel + off})
			})
		}
	})
	ADDQ(uStep, u)
	ADDQ(dstStep, dst)
	DECQ(n)
	JNE(LabelRef("filter"))
	finish()
}
