package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

// bnStats works in doubles throughout.
func bnStats() {
	begin("bnStats", "(coef []float32, sums []float64, x []float32, n, channels, s, stride int, pre float32)")
	const sum, squares, pre, pivot, lower, upper = 8, 12, 16, 17, 18, 19
	l := channelLoop{label: "stats", params: []string{"x"}, reads: []int{0}, writes: -1, sums: true}
	l.load()
	floor("pre", pre, pre)
	l.enter = func() {
		coefficients(pivot, coefPivot)
		Wide(pivot, pivot)
		for i := range 4 {
			Zero(sum + i)
			Zero(squares + i)
		}
	}
	l.body = func(k int, whole bool) {
		Max(k, k, pre)
		Wide(lower, k)
		Sub64(lower, lower, pivot)
		if whole {
			WideUpper(upper, k)
			Sub64(upper, upper, pivot)
		} else {
			onlyFirst(lower)
		}
		at := k % 2 * 2
		Add64(sum+at, sum+at, lower)
		MulAdd64(squares+at, lower, lower)
		if whole {
			Add64(sum+at+1, sum+at+1, upper)
			MulAdd64(squares+at+1, upper, upper)
		}
	}
	l.leave = func() {
		for i := range 4 {
			addTo(16*i, sum+i, lower)
			addTo(8*sumLanes+16*i, squares+i, lower)
		}
	}
	l.emit()
}

func bnApply() {
	begin("bnApply", "(coef, y, x, r []float32, n, channels, s, stride int, pre, post float32)")
	const pre, post, mean, scale, shift, y = 24, 25, 26, 27, 28, 8
	l := channelLoop{params: []string{"y", "x", "r"}, writes: 0, result: y}
	l.load()
	floor("pre", pre, pre)
	floor("post", post, post)
	l.enter = func() { coefficients(mean, coefMean, coefScale, coefShift) }
	Line("CBNZ R%d, residual", rPtr+2)
	for _, residual := range []bool{false, true} {
		l.label, l.params, l.reads = "apply", l.params[:2], []int{1}
		if residual {
			Label("residual")
			l.label, l.params, l.reads = "add", l.params[:3], []int{1, 2}
		}
		l.body = func(k int, whole bool) {
			Max(k, k, pre)
			Sub(k, k, mean)
			Move(y+k, shift)
			MulAdd(y+k, k, scale)
			if residual {
				Add(y+k, y+k, 4+k)
			}
			Max(y+k, y+k, post)
		}
		l.emit()
	}
}

// bnSums has one loop for each place the ReLU's argument may come from.
func bnSums() {
	begin("bnSums", "(coef []float32, sums []float64, dr, dy, x, y []float32, n, channels, s, stride int, pre, post float32)")
	const dy, x, y, pre, post, mean, scale, shift, arg = 0, 4, 8, 24, 25, 26, 27, 28, 29
	const runBlocks = 16
	sum, dot := runningSum{12, 20}, runningSum{16, 22}
	l := channelLoop{params: []string{"dy", "x", "dr", "y"}, result: dy, sums: true}
	l.load()
	floor("pre", pre, pre)
	Spread("post", post, rTmp)
	start := func() {
		sum.clear()
		dot.clear()
		Line("MOVD $%d, R%d", runBlocks, rRun)
	}
	l.enter = func() {
		coefficients(mean, coefMean, coefScale, coefShift)
		for i := range 4 {
			Zero(sum.wide + i)
		}
		start()
	}
	l.block = func() {
		Line("SUBS $1, R%d", rRun)
		Line("BNE %sShort", l.label)
		sum.widen(arg)
		dot.widen(arg)
		start()
		Label(l.label + "Short")
	}
	l.leave = func() {
		sum.widen(arg)
		dot.widen(arg)
		for i := range 2 {
			addTo(16*i, sum.wide+i, arg)
			addTo(8*sumLanes+16*i, dot.wide+i, arg)
		}
	}
	Line("CBNZ R%d, given", rPtr+3)
	Line("CBNZ R%d, stored", rPtr+2)
	for _, kind := range []struct {
		label  string
		arrays int
		reads  []int
		writes int
	}{{"plain", 2, []int{0, 1}, -1}, {"given", 4, []int{0, 1, 3}, 2}, {"stored", 3, []int{0, 1}, 2}} {
		if kind.writes >= 0 {
			Label(kind.label)
		}
		l.label, l.params, l.reads, l.writes = kind.label, l.params[:kind.arrays], kind.reads, kind.writes
		l.body = func(k int, whole bool) {
			Max(x+k, x+k, pre)
			Sub(x+k, x+k, mean)
			of := y + k
			if len(kind.reads) < 3 {
				of = arg
				Move(arg, shift)
				MulAdd(arg, x+k, scale)
			}
			AtLeast(arg, post, of)
			AndNot(dy+k, dy+k, arg)
			Add(sum.short+k, sum.short+k, dy+k)
			MulAdd(dot.short+k, x+k, dy+k)
		}
		l.emit()
	}
}

func bnGrad() {
	begin("bnGrad", "(coef, dx, dy, x []float32, n, channels, s, stride int, pre, post float32)")
	const dy, x, dx, pre, preCut, post, coef, d, off = 0, 4, 8, 12, 13, 14, 16, 22, 23
	const mean, scale, shift, a, b, c = coef, coef + 1, coef + 2, coef + 3, coef + 4, coef + 5
	l := channelLoop{label: "grad", params: []string{"dx", "dy", "x"}, reads: []int{1, 2}, writes: 0, result: dx}
	l.load()
	floor("pre", pre, preCut)
	Spread("post", post, rTmp)
	l.enter = func() { coefficients(coef, coefMean, coefScale, coefShift, coefA, coefB, coefC) }
	l.body = func(k int, whole bool) {
		Max(d, x+k, preCut)
		Sub(d, d, mean)
		Move(off, shift)
		MulAdd(off, d, scale)
		AtLeast(off, post, off)
		AndNot(dy+k, dy+k, off)
		Move(dx+k, c)
		MulAdd(dx+k, d, b)
		MulAdd(dx+k, dy+k, a)
		AtLeast(off, pre, x+k)
		AndNot(dx+k, dx+k, off)
	}
	l.emit()
}
