package kernel

import "unsafe"

func winoDepthwise(dst, src, w, bias *float32, at *int32, floor float32, step, n, taps int) {
	ws := unsafe.Slice(w, taps*winoLanes)
	ats := unsafe.Slice(at, taps)
	for i := range n {
		acc := *winoPixel(bias, 0)
		for t, off := range ats {
			x := winoPixel(src, int(off)+4*winoLanes*step*i)
			for l := range acc {
				acc[l] += float32(ws[t*winoLanes+l] * x[l])
			}
		}
		y := winoPixel(dst, 4*winoLanes*i)
		for l, v := range acc {
			if v < floor {
				v = floor
			}
			y[l] = v
		}
	}
}

func winoDepthwiseSums(taps int, sums, src, dy *float32, at *int32, step, n int) {
	for t, off := range unsafe.Slice(at, taps) {
		acc := winoPixel(sums, 4*winoLanes*t)
		for i := range n {
			x, g := winoPixel(src, int(off)+4*winoLanes*step*i), winoPixel(dy, 4*winoLanes*i)
			for l := range acc {
				acc[l] += float32(g[l] * x[l])
			}
		}
	}
}

func winoSumsOf(f func(taps int, sums, src, dy *float32, at *int32, step, n int)) (list [9]func(sums, src, dy *float32, at *int32, step, n int)) {
	for i := range list {
		list[i] = func(sums, src, dy *float32, at *int32, step, n int) { f(i+1, sums, src, dy, at, step, n) }
	}
	return list
}
