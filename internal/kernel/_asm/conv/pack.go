package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Fields of convPanel.
const panelK, panelOffs, panelB, panelDst, panelRuns, panelIndex = 0, 8, 16, 24, 32, 40

// maskPanel generates the gathering of one vector of positions for every tap by
// masked loads, one a run of neighbours.
func maskPanel() {
	s := avx512
	for _, runs := range []int{1, 2, 3, 4, 5, 6, 7} {
		t := argument(fmt.Sprintf("convPanel%d%s", runs, s.name),
			fmt.Sprintf("gathers a vector of %d runs for every tap; t is a *convPanel.", runs))
		list := field(t, panelRuns)
		at := make([]reg.GPVirtual, runs)
		masks := make([]mask, runs)
		for i := range at {
			at[i] = GP64()
			MOVQ(Mem{Base: list, Disp: i*runSize + runOff}, at[i])
			ADDQ(Mem{Base: t, Disp: panelB}, at[i])
			masks[i] = s.mask(Mem{Base: list, Disp: i*runSize + runMask})
		}
		offs, dst, k, off := field(t, panelOffs), field(t, panelDst), field(t, panelK), GP64()
		align64()
		Label("loop")
		MOVLQSX(Mem{Base: offs}, off)
		v := s.vec()
		for i := range at {
			m := Mem{Base: at[i], Index: off, Scale: 1}
			if i == 0 {
				VMOVUPS_Z(m, masks[0].k, v)
			} else {
				masks[i].merge(m, v)
			}
		}
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(Imm(uint64(s.bytes())), dst)
		ADDQ(Imm(4), offs)
		DECQ(k)
		JNE(LabelRef("loop"))
		return_()
	}
}

// gatherPanel generates the same for lanes anywhere, by gather instructions.
func gatherPanel(s isa) {
	t := argument("convPanelGather"+s.name, "gathers a vector of any lanes for every tap; t is a *convPanel.")
	at, index := field(t, panelIndex), s.vec()
	VMOVUPS(Mem{Base: at}, index)
	offs, dst, k, b, off := field(t, panelOffs), field(t, panelDst), field(t, panelK), field(t, panelB), GP64()
	align64()
	Label("loop")
	MOVLQSX(Mem{Base: offs}, off)
	ADDQ(b, off)
	v := s.zeroed()
	m := Mem{Base: off, Index: index, Scale: 1}
	if s.lanes == 16 {
		all := K()
		KXNORW(all, all, all)
		VGATHERDPS(m, all, v)
	} else {
		all := YMM()
		VPCMPEQD(all, all, all)
		VGATHERDPS(all, m, v)
	}
	VMOVUPS(v, Mem{Base: dst})
	ADDQ(Imm(uint64(s.bytes())), dst)
	ADDQ(Imm(4), offs)
	DECQ(k)
	JNE(LabelRef("loop"))
	return_()
}

// Fields of convRows.
const rowsN, rowsVecs, rowsRuns, rowsSrc, rowsStride, rowsDst, rowsAhead = 0, 8, 16, 24, 32, 40, 48

// packRows generates the gathering of the positions of a list of vectors, for
// one row and for four, with zeros in lanes that stand for no position.
func packRows(s isa) {
	for _, rows := range []int{4, 1} {
		t := argument(fmt.Sprintf("convRows%d%s", rows, s.name),
			fmt.Sprintf("packs %d channels of a gradient; t is a *convRows.", rows))
		list, dst, n, stride := field(t, rowsVecs), field(t, rowsDst), field(t, rowsN), field(t, rowsStride)
		ahead := field(t, rowsAhead)
		Label("vec")
		v := make([]reg.VecVirtual, rows)
		for r := range v {
			v[r] = s.zeroed()
		}
		count, run := GP64(), GP64()
		MOVLQSX(Mem{Base: list, Disp: vecCount}, count)
		MOVQ(Mem{Base: list, Disp: vecFirst}, run)
		ADDQ(Mem{Base: t, Disp: rowsRuns}, run)
		TESTQ(count, count)
		JEQ(LabelRef("store"))
		Label("run")
		src := GP64()
		MOVQ(Mem{Base: run, Disp: runOff}, src)
		ADDQ(Mem{Base: t, Disp: rowsSrc}, src)
		k := s.mask(Mem{Base: run, Disp: runMask})
		for r := range v {
			PREFETCHT0(Mem{Base: src, Index: ahead, Scale: 1})
			k.merge(Mem{Base: src}, v[r])
			if r < rows-1 {
				ADDQ(stride, src)
			}
		}
		ADDQ(Imm(runSize), run)
		DECQ(count)
		JNE(LabelRef("run"))
		Label("store")
		for r := range v {
			VMOVUPS(v[r], Mem{Base: dst, Disp: r * s.bytes()})
		}
		ADDQ(U32(uint32(rows*s.bytes())), dst)
		ADDQ(Imm(vecSize), list)
		DECQ(n)
		JNE(LabelRef("vec"))
		return_()
	}
}

// Fields of convFill and convFillCol.
const (
	fillChannels, fillTop, fillRows, fillBottom, fillCols, fillList = 0, 8, 16, 24, 32, 40
	fillSrc, fillSrcStride, fillSrcChannel                          = 48, 56, 64
	fillDst, fillDst1, fillDstStride, fillDstChannel, fillAhead     = 72, 80, 88, 96, 104
	colSize, colSrc, colDst, colLoad0, colLoad1, colStore           = 20, 0, 4, 8, 12, 16
)

// fill generates the copying of an image's rows into their padded place, one
// column of vectors after the other; with stride 2 the even and the odd numbers
// of a row go to planes of their own.
func fill() {
	s := avx512
	for _, stride := range []int{1, 2} {
		t := argument(fmt.Sprintf("convFill%d%s", stride, s.name),
			fmt.Sprintf("copies rows sampled with stride %d; t is a *convFill.", stride))
		srcStride, dstStride, ahead := field(t, fillSrcStride), field(t, fillDstStride), field(t, fillAhead)
		var even, odd reg.VecVirtual
		if stride == 2 {
			even, odd = ZMM(), ZMM()
			VMOVUPS(pairs(), even)
			VPTERNLOGD(Imm(0xff), odd, odd, odd)
			VPSUBD(odd, even, odd) // one more in every lane
		}
		zero := s.zeroed()
		channels, srcBase, dstBase := field(t, fillChannels), field(t, fillSrc), field(t, fillDst)
		Label("channel")
		list, cols := field(t, fillList), field(t, fillCols)
		Label("column")
		src, dst, dst1, n := GP64(), GP64(), GP64(), GP64()
		MOVLQSX(Mem{Base: list, Disp: colSrc}, src)
		ADDQ(srcBase, src)
		MOVLQSX(Mem{Base: list, Disp: colDst}, dst)
		ADDQ(dstBase, dst)
		load0 := s.mask(Mem{Base: list, Disp: colLoad0})
		store := s.mask(Mem{Base: list, Disp: colStore})
		var load1 mask
		if stride == 2 {
			MOVQ(dst, dst1)
			ADDQ(Mem{Base: t, Disp: fillDst1}, dst1)
			load1 = s.mask(Mem{Base: list, Disp: colLoad1})
		}
		next := func() {
			ADDQ(dstStride, dst)
			if stride == 2 {
				ADDQ(dstStride, dst1)
			}
			DECQ(n)
		}
		zeros := func(label string, field int) {
			MOVQ(Mem{Base: t, Disp: field}, n)
			TESTQ(n, n)
			JEQ(LabelRef(label + "Done"))
			Label(label)
			store.store(zero, Mem{Base: dst})
			if stride == 2 {
				store.store(zero, Mem{Base: dst1})
			}
			next()
			JNE(LabelRef(label))
			Label(label + "Done")
		}
		zeros("top", fillTop)
		MOVQ(Mem{Base: t, Disp: fillRows}, n)
		TESTQ(n, n)
		JEQ(LabelRef("rowDone"))
		Label("row")
		v := ZMM()
		PREFETCHT0(Mem{Base: src, Index: ahead, Scale: 1})
		VMOVUPS_Z(Mem{Base: src}, load0.k, v)
		if stride == 1 {
			store.store(v, Mem{Base: dst})
		} else {
			u, w := ZMM(), ZMM()
			VMOVUPS_Z(Mem{Base: src, Disp: 64}, load1.k, u)
			VMOVAPS(v, w)
			VPERMT2PS(u, even, w)
			store.store(w, Mem{Base: dst})
			VPERMT2PS(u, odd, v)
			store.store(v, Mem{Base: dst1})
		}
		ADDQ(srcStride, src)
		next()
		JNE(LabelRef("row"))
		Label("rowDone")
		zeros("bottom", fillBottom)
		ADDQ(Imm(colSize), list)
		DECQ(cols)
		JNE(LabelRef("column"))
		ADDQ(Mem{Base: t, Disp: fillSrcChannel}, srcBase)
		ADDQ(Mem{Base: t, Disp: fillDstChannel}, dstBase)
		DECQ(channels)
		JNE(LabelRef("channel"))
		return_()
	}
}

// pairs returns the numbers 0, 2, ... 30 in memory.
func pairs() Mem {
	m := GLOBL("convPairs", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(2*i))
	}
	return m
}

// Fields of convZip.
const zipRows, zipWidth, zipA, zipB, zipAStride, zipBStride, zipDst, zipDstStride = 0, 8, 16, 24, 32, 40, 48, 56

// interleave generates the merging of two planes, column by column.
func interleave() {
	s := avx512
	t := argument("convZip"+s.name, "merges the rows of two planes; t is a *convZip.")
	lo, hi := ZMM(), ZMM()
	table := GLOBL("convZipOrder", RODATA|NOPTR)
	for i := range 8 {
		DATA(8*i, U32(i))
		DATA(8*i+4, U32(16+i))
	}
	VMOVUPS(table, lo)
	eight := GP32()
	MOVL(U32(8), eight)
	VPBROADCASTD(eight, hi)
	VPADDD(lo, hi, hi)
	rows := field(t, zipRows)
	a, b, dst := field(t, zipA), field(t, zipB), field(t, zipDst)
	Label("row")
	left, pa, pb, pd := field(t, zipWidth), GP64(), GP64(), GP64()
	MOVQ(a, pa)
	MOVQ(b, pb)
	MOVQ(dst, pd)
	x, y, z := ZMM(), ZMM(), ZMM()
	Label("full")
	CMPQ(left, Imm(32))
	JLT(LabelRef("tail"))
	VMOVUPS(Mem{Base: pa}, x)
	VMOVUPS(Mem{Base: pb}, y)
	VMOVAPS(x, z)
	VPERMT2PS(y, lo, z)
	VPERMT2PS(y, hi, x)
	VMOVUPS(z, Mem{Base: pd})
	VMOVUPS(x, Mem{Base: pd, Disp: 64})
	ADDQ(Imm(64), pa)
	ADDQ(Imm(64), pb)
	ADDQ(Imm(128), pd)
	SUBQ(Imm(32), left)
	JMP(LabelRef("full"))
	Label("tail")
	TESTQ(left, left)
	JEQ(LabelRef("next"))
	// Bits for left outputs, (left+1)/2 and left/2 inputs.
	out, in := GP64(), GP64()
	MOVQ(U64(0xffffffff), out)
	BZHIQ(left, out, out)
	inA, inB, outLo, outHi := K(), K(), K(), K()
	KMOVW(out.As32(), outLo)
	SHRQ(Imm(16), out)
	KMOVW(out.As32(), outHi)
	MOVQ(left, in)
	SHRQ(Imm(1), in)
	MOVQ(U64(0xffff), out)
	BZHIQ(in, out, out)
	KMOVW(out.As32(), inB)
	MOVQ(left, in)
	INCQ(in)
	SHRQ(Imm(1), in)
	MOVQ(U64(0xffff), out)
	BZHIQ(in, out, out)
	KMOVW(out.As32(), inA)
	VMOVUPS_Z(Mem{Base: pa}, inA, x)
	VMOVUPS_Z(Mem{Base: pb}, inB, y)
	VMOVAPS(x, z)
	VPERMT2PS(y, lo, z)
	VPERMT2PS(y, hi, x)
	mask{s: s, k: outLo}.store(z, Mem{Base: pd})
	mask{s: s, k: outHi}.store(x, Mem{Base: pd, Disp: 64})
	Label("next")
	ADDQ(Mem{Base: t, Disp: zipAStride}, a)
	ADDQ(Mem{Base: t, Disp: zipBStride}, b)
	ADDQ(Mem{Base: t, Disp: zipDstStride}, dst)
	DECQ(rows)
	JNE(LabelRef("row"))
	return_()
}
