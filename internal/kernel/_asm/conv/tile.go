package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Fields of convTile, convVec and convRun, and bits of convTile.flags.
const (
	tileK, tileA, tileB, tileOffs, tileVecs, tileRuns = 0, 8, 16, 24, 32, 40
	tileC, tileStride, tileInit, tileFlags            = 48, 56, 64, 72

	vecSize, vecIn, vecCount, vecFirst = 16, 0, 4, 8
	runSize, runOff, runMask           = 16, 0, 8

	// fetchDepth is how many products still gain from fetching what they write.
	fetchDepth = 64

	flagAccumulate = 1
	flagReLU       = 2
)

// tile generates the product of a strip of weights with vecs vectors of
// positions: rows x vecs sums in registers.
func tile(s isa, rows, vecs int) {
	t := argument(fmt.Sprintf("convTile%dx%d%s", rows, vecs, s.name),
		fmt.Sprintf("does %d channels of %d vectors; t is a *convTile.", rows, vecs))

	acc := make([][]reg.VecVirtual, rows)
	for r := range acc {
		for range vecs {
			acc[r] = append(acc[r], s.vec())
		}
	}
	flags := field(t, tileFlags)
	TESTQ(U32(flagAccumulate), flags)
	JNE(LabelRef("accumulate"))
	init := field(t, tileInit)
	for r := range acc {
		VBROADCASTSS(Mem{Base: init, Disp: 4 * r}, acc[r][0])
		for v := 1; v < vecs; v++ {
			VMOVAPS(acc[r][0], acc[r][v])
		}
	}

	Label("products")
	list := field(t, tileVecs)
	b := make([]reg.GPVirtual, vecs)
	for v := range b {
		b[v] = GP64()
		MOVLQSX(Mem{Base: list, Disp: v*vecSize + vecIn}, b[v])
		ADDQ(Mem{Base: t, Disp: tileB}, b[v])
	}
	a, offs, k, off := field(t, tileA), field(t, tileOffs), field(t, tileK), GP64()
	TESTQ(k, k)
	JEQ(LabelRef("finish"))
	CMPQ(k, U32(fetchDepth)) // a long product hides the stores behind it
	JGT(LabelRef("first"))
	fetch(t, rows, vecs)
	Label("first")
	Label("loop")
	MOVLQSX(Mem{Base: offs}, off)
	at := func(v int) Mem { return Mem{Base: b[v], Index: off, Scale: 1} }
	switch {
	case rows == 1:
		w := s.vec()
		VBROADCASTSS(Mem{Base: a}, w)
		for v := range vecs {
			VFMADD231PS(at(v), w, acc[0][v])
		}
	case rows <= 4 && vecs > 2:
		w := make([]reg.VecVirtual, rows)
		for r := range w {
			w[r] = s.vec()
			VBROADCASTSS(Mem{Base: a, Disp: 4 * r}, w[r])
		}
		for v := range vecs {
			x := s.vec()
			VMOVUPS(at(v), x)
			for r := range w {
				VFMADD231PS(x, w[r], acc[r][v])
			}
		}
	default:
		x := make([]reg.VecVirtual, vecs)
		for v := range x {
			x[v] = s.vec()
			VMOVUPS(at(v), x[v])
		}
		for r := range rows {
			w := s.vec()
			VBROADCASTSS(Mem{Base: a, Disp: 4 * r}, w)
			for v := range x {
				VFMADD231PS(x[v], w, acc[r][v])
			}
		}
	}
	ADDQ(Imm(uint64(4*rows)), a)
	ADDQ(Imm(4), offs)
	DECQ(k)
	JNE(LabelRef("loop"))

	Label("finish")
	flags = field(t, tileFlags)
	TESTQ(U32(flagReLU), flags)
	JEQ(LabelRef("write"))
	zero := s.zeroed()
	for r := range acc {
		for v := range acc[r] {
			VMAXPS(acc[r][v], zero, acc[r][v])
		}
	}
	Label("write")
	eachRun(s, t, vecs, "w", func(v int, k mask, c, stride reg.GPVirtual) {
		for r := range acc {
			k.store(acc[r][v], Mem{Base: c})
			if r < rows-1 {
				ADDQ(stride, c)
			}
		}
	})
	return_()

	Label("accumulate")
	zero = s.zeroed()
	for r := range acc {
		for v := range acc[r] {
			VMOVAPS(zero, acc[r][v])
		}
	}
	eachRun(s, t, vecs, "a", func(v int, k mask, c, stride reg.GPVirtual) {
		for r := range acc {
			k.merge(Mem{Base: c}, acc[r][v])
			if r < rows-1 {
				ADDQ(stride, c)
			}
		}
	})
	JMP(LabelRef("products"))
}

// fetch generates the fetching of what will be written, as far as the first run
// of each vector tells.
func fetch(t reg.GPVirtual, rows, vecs int) {
	list, stride := field(t, tileVecs), field(t, tileStride)
	for v := range vecs {
		run, c := GP64(), GP64()
		MOVQ(Mem{Base: list, Disp: v*vecSize + vecFirst}, run)
		ADDQ(Mem{Base: t, Disp: tileRuns}, run)
		MOVQ(Mem{Base: run, Disp: runOff}, c)
		ADDQ(Mem{Base: t, Disp: tileC}, c)
		for r := range rows {
			PREFETCHT0(Mem{Base: c})
			if r < rows-1 {
				ADDQ(stride, c)
			}
		}
	}
}

// eachRun generates a loop over the runs of each vector; c points to the run's
// first lane in the first row.
func eachRun(s isa, t reg.GPVirtual, vecs int, label string, body func(v int, k mask, c, stride reg.GPVirtual)) {
	list, stride := field(t, tileVecs), field(t, tileStride)
	for v := range vecs {
		again, done := fmt.Sprintf("%s%d", label, v), fmt.Sprintf("%s%ddone", label, v)
		n, run, c := GP64(), GP64(), GP64()
		MOVLQSX(Mem{Base: list, Disp: v*vecSize + vecCount}, n)
		MOVQ(Mem{Base: list, Disp: v*vecSize + vecFirst}, run)
		ADDQ(Mem{Base: t, Disp: tileRuns}, run)
		TESTQ(n, n)
		JEQ(LabelRef(done))
		Label(again)
		MOVQ(Mem{Base: run, Disp: runOff}, c)
		ADDQ(Mem{Base: t, Disp: tileC}, c)
		body(v, s.mask(Mem{Base: run, Disp: runMask}), c, stride)
		ADDQ(Imm(runSize), run)
		DECQ(n)
		JNE(LabelRef(again))
		Label(done)
	}
}
