package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

// bnStats works in doubles throughout.
func bnStats() {
	begin("bnStats", "(coef []float32, sums []float64, x []float32, n, channels, s, stride int, pre float32)")
	const sum, squares, pre, pivot, lower, upper = 8, 12, 16, 17, 20, 24 // four each but pre and pivot
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
	l.body = func(n int) {
		sideBySide(n,
			func(k int) { Max(k, k, pre) },
			func(k int) { Wide(lower+k, k) },
			func(k int) { Sub64(lower+k, lower+k, pivot) })
		if n == 0 {
			onlyFirst(lower)
		}
		sideBySide(n,
			func(k int) { Add64(sum+k%2*2, sum+k%2*2, lower+k) },
			func(k int) { MulAdd64(squares+k%2*2, lower+k, lower+k) })
		if n == 0 {
			return
		}
		sideBySide(n,
			func(k int) { WideUpper(upper+k, k) },
			func(k int) { Sub64(upper+k, upper+k, pivot) },
			func(k int) { Add64(sum+k%2*2+1, sum+k%2*2+1, upper+k) },
			func(k int) { MulAdd64(squares+k%2*2+1, upper+k, upper+k) })
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
		l.body = func(n int) {
			sideBySide(n,
				func(k int) { Max(k, k, pre) },
				func(k int) { Sub(k, k, mean) },
				func(k int) { Move(y+k, shift) },
				func(k int) { MulAdd(y+k, k, scale) })
			if residual {
				sideBySide(n, func(k int) { Add(y+k, y+k, 4+k) })
			}
			sideBySide(n, func(k int) { Max(y+k, y+k, post) })
		}
		l.emit()
	}
}

// bnSums has one loop for each place the ReLU's argument may come from.
func bnSums() {
	begin("bnSums", "(coef []float32, sums []float64, dr, dy, x, y []float32, n, channels, s, stride int, pre, post float32)")
	const dy, x, y, pre, post, mean, scale, shift, tmp = 0, 4, 8, 24, 25, 26, 27, 28, 29
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
		sum.widen(tmp)
		dot.widen(tmp)
		start()
		Label(l.label + "Short")
	}
	l.leave = func() {
		sum.widen(tmp)
		dot.widen(tmp)
		for i := range 2 {
			addTo(16*i, sum.wide+i, tmp)
			addTo(8*sumLanes+16*i, dot.wide+i, tmp)
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
		l.body = func(n int) {
			sideBySide(n,
				func(k int) { Max(x+k, x+k, pre) },
				func(k int) { Sub(x+k, x+k, mean) })
			if len(kind.reads) < 3 {
				sideBySide(n,
					func(k int) { Move(y+k, shift) },
					func(k int) { MulAdd(y+k, x+k, scale) })
			}
			sideBySide(n,
				func(k int) { AtLeast(y+k, post, y+k) },
				func(k int) { AndNot(dy+k, dy+k, y+k) },
				func(k int) { Add(sum.short+k, sum.short+k, dy+k) },
				func(k int) { MulAdd(dot.short+k, x+k, dy+k) })
		}
		l.emit()
	}
}

func bnGrad() {
	begin("bnGrad", "(coef, dx, dy, x []float32, n, channels, s, stride int, pre, post float32)")
	const dy, x, dx, pre, preCut, post, coef, d, off = 0, 4, 8, 12, 13, 14, 16, 22, 26
	const mean, scale, shift, a, b, c = coef, coef + 1, coef + 2, coef + 3, coef + 4, coef + 5
	l := channelLoop{label: "grad", params: []string{"dx", "dy", "x"}, reads: []int{1, 2}, writes: 0, result: dx}
	l.load()
	floor("pre", pre, preCut)
	Spread("post", post, rTmp)
	l.enter = func() { coefficients(coef, coefMean, coefScale, coefShift, coefA, coefB, coefC) }
	l.body = func(n int) {
		sideBySide(n,
			func(k int) { Max(d+k, x+k, preCut) },
			func(k int) { Sub(d+k, d+k, mean) },
			func(k int) { Move(off+k, shift) },
			func(k int) { MulAdd(off+k, d+k, scale) },
			func(k int) { AtLeast(off+k, post, off+k) },
			func(k int) { AndNot(dy+k, dy+k, off+k) },
			func(k int) { Move(dx+k, c) },
			func(k int) { MulAdd(dx+k, d+k, b) },
			func(k int) { MulAdd(dx+k, dy+k, a) },
			func(k int) { AtLeast(off+k, pre, x+k) },
			func(k int) { AndNot(dx+k, dx+k, off+k) })
	}
	l.emit()
}
