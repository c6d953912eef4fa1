package kernel

// The floors pre and post of these loops are 0 for a ReLU and NaN for none: no
// comparison with NaN holds.

// bnStatsGeneric returns the sums of max(x, pre) - pivot and of its square.
func bnStatsGeneric(x []float32, rows, stride, n int, pivot, pre float32) (sum, squares float64) {
	p := float64(pivot)
	for i := range rows {
		for _, v := range x[i*stride:][:n] {
			if v <= pre {
				v = pre
			}
			d := float64(v) - p
			sum += d
			squares += float64(d * d)
		}
	}
	return sum, squares
}

// bnApplyGeneric sets y = max(scale·max(x, pre) + shift + r, post); r may be nil.
func bnApplyGeneric(y, x, r []float32, rows, stride, n int, scale, shift, pre, post float32) {
	for i := range rows {
		x, y := x[i*stride:][:n], y[i*stride:][:n]
		for j, v := range x {
			if v <= pre {
				v = pre
			}
			v = float32(scale*v) + shift
			if r != nil {
				v += r[i*stride+j]
			}
			if v <= post {
				v = post
			}
			y[j] = v
		}
	}
}

// bnSumsGeneric returns the sums of g and of g·(max(x, pre) - mean), where g is
// dy where the second ReLU passed: where y is above post or, if y is nil, what
// the ReLU was given. If dr is not nil it receives g.
func bnSumsGeneric(dr, dy, x, y []float32, rows, stride, n int, mean, scale, shift, pre, post float32) (sum, dot float64) {
	for i := range rows {
		x, dy := x[i*stride:][:n], dy[i*stride:][:n]
		for j, v := range x {
			if v <= pre {
				v = pre
			}
			g := dy[j]
			u := float32(scale*v) + shift
			if y != nil {
				u = y[i*stride+j]
			}
			if u <= post {
				g = 0
			}
			if dr != nil {
				dr[i*stride+j] = g
			}
			sum += float64(g)
			dot += float64(float64(g) * float64(v-mean))
		}
	}
	return sum, dot
}

// bnGradGeneric sets dx = a·g + b·(max(x, pre) - mean) + c where x is above
// pre, and 0 elsewhere; g is dy where scale·max(x, pre) + shift is above post.
func bnGradGeneric(dx, dy, x []float32, rows, stride, n int, a, b, c, mean, scale, shift, pre, post float32) {
	for i := range rows {
		x, dy, dx := x[i*stride:][:n], dy[i*stride:][:n], dx[i*stride:][:n]
		for j, v := range x {
			if v <= pre {
				dx[j] = 0
				continue
			}
			g := dy[j]
			if float32(scale*v)+shift <= post {
				g = 0
			}
			dx[j] = float32(a*g) + (float32(b*(v-mean)) + c)
		}
	}
}
