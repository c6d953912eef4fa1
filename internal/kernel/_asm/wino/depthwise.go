package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depthwiseBlock is how many pixels are computed together.
const depthwiseBlock = 8

// maxSums is the most taps that depthwise sums are made for.
const maxSums = 9

// depthwise: every channel of n pixels convolved with its own few taps.
func (g *gen) depthwise() {
	g.function("Depthwise", "func(dst, src, w, bias *float32, at *int32, floor float32, step, n, taps int)",
		"convolves every channel by itself.")
	dst, src, step, n := param("dst", 0), param("src", 0), param("step", 6), param("n", 0)
	step3 := times(3, step)
	floor := g.vec()
	VBROADCASTSS(argument("floor"), floor)
	Label("block")
	g.halves(func(off int) {
		name := fmt.Sprintf("tap%d", off)
		bias := param("bias", 0)
		acc := make([]reg.VecVirtual, depthwiseBlock)
		for i := range acc {
			acc[i] = g.copyOf(Mem{Base: bias, Disp: off})
		}
		w, at, taps := param("w", 0), param("at", 0), param("taps", 0)
		align()
		Label(name)
		from, from4 := GP64(), GP64()
		MOVLQSX(Mem{Base: at}, from)
		ADDQ(src, from)
		LEAQ(Mem{Base: from, Index: step, Scale: 4}, from4)
		k := g.copyOf(Mem{Base: w, Disp: off})
		for i, r := range acc {
			base := from
			if i >= 4 {
				base = from4
			}
			VFMADD231PS(strided(base, step, step3, nil, i%4, off), k, r)
		}
		ADDQ(Imm(pixel), w)
		ADDQ(Imm(4), at)
		DECQ(taps)
		JNE(LabelRef(name))
		for i, r := range acc {
			VMAXPS(r, floor, r)
			VMOVUPS(r, Mem{Base: dst, Disp: i*pixel + off})
		}
	})
	ADDQ(U32(depthwiseBlock*pixel), dst)
	LEAQ(Mem{Base: src, Index: step, Scale: 8}, src)
	SUBQ(Imm(depthwiseBlock), n)
	JGT(LabelRef("block"))
	finish()
}

// depthwiseSums: the gradient to so many taps.
func (g *gen) depthwiseSums(taps int) {
	g.function(fmt.Sprintf("DepthwiseSums%d", taps), "func(sums, src, dy *float32, at *int32, step, n int)",
		"adds up products for every channel.")
	at, src := param("at", 0), param("src", 0)
	off := make([]reg.GPVirtual, taps)
	for i := range off {
		off[i] = GP64()
		MOVLQSX(Mem{Base: at, Disp: 4 * i}, off[i])
	}
	g.halves(func(half int) {
		name := fmt.Sprintf("pixel%d", half)
		if half > 0 {
			Load(Param("src"), src)
		}
		dy, n := param("dy", 0), param("n", 0)
		acc := make([]reg.VecVirtual, taps)
		sums := param("sums", 0)
		for i := range acc {
			acc[i] = g.copyOf(Mem{Base: sums, Disp: i*pixel + half})
		}
		step := param("step", 6)
		align()
		Label(name)
		y := g.copyOf(Mem{Base: dy, Disp: half})
		for i, r := range acc {
			VFMADD231PS(Mem{Base: src, Index: off[i], Scale: 1, Disp: half}, y, r)
		}
		ADDQ(step, src)
		ADDQ(Imm(pixel), dy)
		DECQ(n)
		JNE(LabelRef(name))
		sums = param("sums", 0)
		for i, r := range acc {
			VMOVUPS(r, Mem{Base: sums, Disp: i*pixel + half})
		}
	})
	finish()
}
