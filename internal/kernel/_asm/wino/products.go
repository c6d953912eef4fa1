package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// unroll is how many steps of the sum a loop iteration does.
const unroll = 4

// products writes the small matrix products, one for every number of rows that a
// block may have.
func (g *gen) products() {
	if g.wide() {
		for _, rows := range []int{2, 4, 6, 8, 10, 12, 14} {
			g.forward(rows, 2)
			g.outer(rows, 2)
		}
		for _, rows := range []int{2, 4, 6, 8, 10, 12, 14, 16} {
			g.forward(rows, 1)
			g.outer(rows, 1)
		}
		return
	}
	for _, rows := range []int{2, 4, 6} {
		g.forward(rows, 2)
		g.outer(rows, 2)
	}
}

// A tile is a block of sums in registers.
type tile struct {
	g          *gen
	rows, cols int // cols counts vectors
	acc        [][]reg.VecVirtual
}

func (g *gen) newTile(rows, cols int) tile {
	t := tile{g: g, rows: rows, cols: cols, acc: make([][]reg.VecVirtual, rows)}
	for i := range t.acc {
		for range cols {
			t.acc[i] = append(t.acc[i], g.vec())
		}
	}
	return t
}

// start sets the sums to zero, or to C if add is not.
func (t tile) start(add Op, c, ldc reg.Register) {
	for _, row := range t.acc {
		for _, r := range row {
			t.g.zero(r)
		}
	}
	CMPQ(add, Imm(0))
	JEQ(LabelRef("start"))
	from := GP64()
	MOVQ(c, from)
	for _, row := range t.acc {
		for j, r := range row {
			VMOVUPS(Mem{Base: from, Disp: j * t.g.bytes}, r)
		}
		ADDQ(ldc, from)
	}
	Label("start")
}

// step adds the product of a column of A, whose entries a addresses, and a row of
// B at b.
func (t tile) step(a func(i int) Mem, b Mem) {
	bv := make([]reg.VecVirtual, t.cols)
	for j := range bv {
		bv[j] = t.g.copyOf(b.Offset(j * t.g.bytes))
	}
	for i, row := range t.acc {
		if t.cols == 1 && t.g.wide() {
			VFMADD231PS_BCST(a(i), bv[0], row[0])
			continue
		}
		x := t.g.vec()
		VBROADCASTSS(a(i), x)
		for j, r := range row {
			VFMADD231PS(bv[j], x, r)
		}
	}
}

// rowBases returns registers for every fourth of rows rows that begin at base.
func rowBases(rows int, base, stride reg.Register) []reg.GPVirtual {
	var b []reg.GPVirtual
	for i := 0; i < rows; i += 4 {
		r := GP64()
		if i == 0 {
			MOVQ(base, r)
		} else {
			LEAQ(Mem{Base: b[len(b)-1], Index: stride, Scale: 4}, r)
		}
		b = append(b, r)
	}
	return b
}

// forward: blocks of rows x (cols vectors) of C = sum over segments of A B, plus C
// if add is set.
func (g *gen) forward(rows, cols int) {
	g.function(fmt.Sprintf("Product%dx%d", rows, cols*g.bytes/4), "func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int)",
		fmt.Sprintf("multiplies blocks of %d rows.", rows))
	c, a := param("c", 0), param("a", 0)
	ldc, lda, ldb := param("ldc", 2), param("lda", 2), param("ldb", 2)
	lda3, ldb3 := times(3, lda), times(3, ldb)
	Label("blocks")
	t := g.newTile(rows, cols)
	t.start(argument("add"), c, ldc)
	segs, b := param("segs", 0), param("b", 0)
	start := GP64()
	MOVQ(a, start)
	Label("segment")
	base := rowBases(rows, start, lda)
	at := func(k int) func(i int) Mem {
		return func(i int) Mem { return strided(base[i/4], lda, lda3, nil, i%4, 4*k) }
	}
	k := param("k", 0)
	SUBQ(Imm(unroll), k)
	JL(LabelRef("tail"))
	align()
	Label("loop")
	for u := range unroll {
		t.step(at(u), strided(b, ldb, ldb3, nil, u, 0))
	}
	for _, r := range base {
		ADDQ(Imm(4*unroll), r)
	}
	LEAQ(Mem{Base: b, Index: ldb, Scale: unroll}, b)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(unroll), k)
	JZ(LabelRef("done"))
	Label("one")
	t.step(at(0), Mem{Base: b})
	for _, r := range base {
		ADDQ(Imm(4), r)
	}
	ADDQ(ldb, b)
	DECQ(k)
	JNE(LabelRef("one"))
	Label("done")
	seg := param("seg", 2)
	ADDQ(seg, start)
	DECQ(segs)
	JNE(LabelRef("segment"))
	for i, row := range t.acc {
		for j, r := range row {
			VMOVUPS(r, Mem{Base: c, Disp: j * g.bytes})
		}
		ADDQ(ldc, c)
		if i%4 == 3 || i == rows-1 {
			step := GP64()
			IMUL3Q(Imm(uint64(i%4+1)), lda, step)
			ADDQ(step, a)
		}
	}
	DECQ(argument("blocks"))
	JNE(LabelRef("blocks"))
	finish()
}

// outer: rows x (cols vectors) of C, plus C if add is set, = the sum over k of
// the outer product of a row of A and a row of B.
func (g *gen) outer(rows, cols int) {
	g.function(fmt.Sprintf("Outer%dx%d", rows, cols*g.bytes/4), "func(c, a, b *float32, ldc, lda, ldb, k, add int)",
		fmt.Sprintf("sums outer products of %d rows.", rows))
	c, a, b := param("c", 0), param("a", 0), param("b", 0)
	ldc, lda, ldb := param("ldc", 2), param("lda", 2), param("ldb", 2)
	lda3, ldb3 := times(3, lda), times(3, ldb)
	k := param("k", 0)
	t := g.newTile(rows, cols)
	t.start(argument("add"), c, ldc)
	at := func(u int) func(i int) Mem {
		return func(i int) Mem { return strided(a, lda, lda3, nil, u, 4*i) }
	}
	SUBQ(Imm(unroll), k)
	JL(LabelRef("tail"))
	align()
	Label("loop")
	for u := range unroll {
		t.step(at(u), strided(b, ldb, ldb3, nil, u, 0))
	}
	LEAQ(Mem{Base: a, Index: lda, Scale: unroll}, a)
	LEAQ(Mem{Base: b, Index: ldb, Scale: unroll}, b)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(unroll), k)
	JZ(LabelRef("done"))
	Label("one")
	t.step(at(0), Mem{Base: b})
	ADDQ(lda, a)
	ADDQ(ldb, b)
	DECQ(k)
	JNE(LabelRef("one"))
	Label("done")
	for _, row := range t.acc {
		for j, r := range row {
			VMOVUPS(r, Mem{Base: c, Disp: j * g.bytes})
		}
		ADDQ(ldc, c)
	}
	finish()
}
