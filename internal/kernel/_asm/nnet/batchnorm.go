package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// coefficients returns registers for numbers of a channel and the code that
// loads them.
func (l *channelLoop) coefficients(v isa, offsets ...int) (regs []reg.VecVirtual, load func()) {
	for range offsets {
		regs = append(regs, v.Vec())
	}
	return regs, func() {
		for i, off := range offsets {
			VBROADCASTSS(Mem{Base: l.coef, Disp: off}, regs[i])
		}
	}
}

// bnStats works in doubles throughout, half a vector of floats at a time.
func bnStats(v isa) {
	TEXT("bnStats"+v.Name, NOSPLIT, "func(coef []float32, sums []float64, x []float32, n, channels, s, stride int, pre float32)")
	Doc("bnStats" + v.Name + " is bnStatsGeneric.")
	l := channelParams(true, "x")
	l.lanes, l.unroll, l.label, l.ahead = v.Lanes/2, 4, "stats", []int{0}
	pre := v.Broadcast("pre")
	half := func(r reg.VecVirtual) reg.Register {
		if v.Wide() {
			return r.AsY()
		}
		return r.AsX()
	}
	var sum, squares []reg.VecVirtual
	for range l.unroll {
		sum, squares = append(sum, v.Vec()), append(squares, v.Vec())
	}
	regs, load := l.coefficients(v, coefPivot)
	pivot := regs[0]
	l.enter = func() {
		load()
		VCVTPS2PD(half(pivot), pivot)
		for i := range sum {
			v.Clear(sum[i])
			v.Clear(squares[i])
		}
	}
	l.body = func(at func(int) Mem, u int, mask reg.Register) {
		x, d := v.Half(), v.Vec()
		v.load(at(0), mask, x)
		VMAXPS(x, half(pre), x)
		VCVTPS2PD(x, d)
		switch {
		case mask == nil:
			VSUBPD(pivot, d, d)
		case v.Wide():
			VSUBPD_Z(pivot, d, mask, d)
		default:
			wideMask := v.Vec()
			VPMOVSXDQ(mask, wideMask)
			VSUBPD(pivot, d, d)
			VANDPD(wideMask, d, d)
		}
		VADDPD(d, sum[u], sum[u])
		VFMADD231PD(d, d, squares[u])
	}
	l.leave = func() {
		for i, s := range [][]reg.VecVirtual{sum, squares} {
			at := Mem{Base: l.sums, Disp: 8 * sumLanes * i}
			VADDPD(s[1], s[0], s[0])
			VADDPD(s[3], s[2], s[2])
			VADDPD(s[2], s[0], s[0])
			VADDPD(at, s[0], s[0])
			VMOVUPD(s[0], at)
		}
	}
	l.emit(v)
	VZEROUPPER()
	RET()
}

func bnApply(v isa) {
	TEXT("bnApply"+v.Name, NOSPLIT, "func(coef, y, x, r []float32, n, channels, s, stride int, pre, post float32)")
	Doc("bnApply" + v.Name + " is bnApplyGeneric.")
	all := channelParams(false, "y", "x", "r")
	pre, post := v.Broadcast("pre"), v.Broadcast("post")
	TESTQ(all.ptrs[2], all.ptrs[2])
	JNE(LabelRef("residual"))
	for _, residual := range []bool{false, true} {
		l := all
		l.lanes, l.unroll, l.label, l.ahead = v.Lanes, 4, "apply", []int{0, 1}
		if residual {
			Label("residual")
			l.label, l.ahead = "add", []int{0, 1, 2}
		} else {
			l.ptrs = l.ptrs[:2]
		}
		var k []reg.VecVirtual
		k, l.enter = l.coefficients(v, coefMean, coefScale, coefShift)
		mean, scale, shift := k[0], k[1], k[2]
		l.body = func(at func(int) Mem, u int, mask reg.Register) {
			x, y := v.Vec(), v.Vec()
			v.load(at(1), mask, x)
			VMAXPS(x, pre, x)
			VSUBPS(mean, x, x)
			VMOVAPS(shift, y)
			VFMADD231PS(x, scale, y)
			if residual {
				v.load(at(2), mask, x)
				VADDPS(x, y, y)
			}
			VMAXPS(y, post, y)
			v.store(y, mask, at(0))
		}
		l.emit(v)
		VZEROUPPER()
		RET()
	}
}

// bnSums has one loop for each place the ReLU's argument may come from.
func bnSums(v isa) {
	TEXT("bnSums"+v.Name, NOSPLIT, "func(coef []float32, sums []float64, dr, dy, x, y []float32, n, channels, s, stride int, pre, post float32)")
	Doc("bnSums" + v.Name + " is bnSumsGeneric.")
	all := channelParams(true, "dr", "dy", "x", "y")
	pre, post := v.Broadcast("pre"), v.Broadcast("post")
	TESTQ(all.ptrs[3], all.ptrs[3])
	JNE(LabelRef("given"))
	TESTQ(all.ptrs[0], all.ptrs[0])
	JNE(LabelRef("stored"))
	for _, kind := range []string{"plain", "given", "stored"} {
		l := all
		l.lanes, l.unroll, l.label, l.ahead = v.Lanes, 2, kind, []int{0, 1}
		dy, x, dr, y := 0, 1, 2, 3
		l.ptrs = []reg.GPVirtual{all.ptrs[1], all.ptrs[2], all.ptrs[0], all.ptrs[3]}
		switch kind {
		case "plain":
			l.ptrs = l.ptrs[:2]
		case "stored":
			l.ptrs = l.ptrs[:3]
			l.ahead = []int{0, 1, 2}
		default:
			l.ahead = []int{0, 1, 2, 3}
		}
		if kind != "plain" {
			Label(kind)
		}
		sum := newRunningSum(v, l.unroll, Mem{Base: l.sums})
		dot := newRunningSum(v, l.unroll, Mem{Base: l.sums, Disp: 8 * sumLanes})
		k, load := l.coefficients(v, coefMean, coefScale, coefShift)
		mean, scale, shift := k[0], k[1], k[2]
		run := GP64()
		const runBlocks = 16
		start := func() {
			sum.clear()
			dot.clear()
			MOVQ(U32(runBlocks), run)
		}
		l.enter = func() {
			load()
			start()
		}
		l.body = func(at func(int) Mem, u int, mask reg.Register) {
			d, g, a := v.Vec(), v.Vec(), v.Vec()
			v.load(at(x), mask, d)
			v.load(at(dy), mask, g)
			VMAXPS(d, pre, d)
			VSUBPS(mean, d, d)
			if kind == "given" {
				v.load(at(y), mask, a)
			} else {
				VMOVAPS(shift, a)
				VFMADD231PS(d, scale, a)
			}
			v.keepAbove(a, post, g)
			if kind != "plain" {
				v.store(g, mask, at(dr))
			}
			VADDPS(g, sum.short[u], sum.short[u])
			VFMADD231PS(d, g, dot.short[u])
		}
		l.block = func() {
			DECQ(run)
			JNE(LabelRef(kind + "Short"))
			sum.widen()
			dot.widen()
			start()
			Label(kind + "Short")
		}
		l.leave = func() {
			sum.widen()
			dot.widen()
		}
		l.emit(v)
		VZEROUPPER()
		RET()
	}
}

func bnGrad(v isa) {
	TEXT("bnGrad"+v.Name, NOSPLIT, "func(coef, dx, dy, x []float32, n, channels, s, stride int, pre, post float32)")
	Doc("bnGrad" + v.Name + " is bnGradGeneric.")
	l := channelParams(false, "dx", "dy", "x")
	l.lanes, l.unroll, l.label, l.ahead = v.Lanes, 2, "grad", []int{0, 1, 2}
	pre, post := v.Broadcast("pre"), v.Broadcast("post")
	var k []reg.VecVirtual
	k, l.enter = l.coefficients(v, coefMean, coefScale, coefShift, coefA, coefB, coefC)
	mean, scale, shift, a, b, c := k[0], k[1], k[2], k[3], k[4], k[5]
	l.body = func(at func(int) Mem, u int, mask reg.Register) {
		x, d, g, s := v.Vec(), v.Vec(), v.Vec(), v.Vec()
		v.load(at(2), mask, x)
		v.load(at(1), mask, g)
		VMAXPS(x, pre, d)
		VSUBPS(mean, d, d)
		VMOVAPS(shift, s)
		VFMADD231PS(d, scale, s)
		v.keepAbove(s, post, g)
		VMOVAPS(c, s)
		VFMADD231PS(d, b, s)
		VFMADD231PS(g, a, s)
		v.keepAbove(x, pre, s)
		v.store(s, mask, at(0))
	}
	l.emit(v)
	VZEROUPPER()
	RET()
}
