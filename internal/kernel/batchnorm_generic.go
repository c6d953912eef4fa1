package kernel

// The innermost loops of normalisation run over n samples of a group of
// channels: arrays [n, channels, s] whose samples are stride apart. No size is
// 0. What they need of a channel stands in coef, bnCoefs numbers each, and sums
// receives two sums of bnLanes parts each.
//
// The floors pre and post are 0 for a ReLU and NaN for none: no comparison with
// NaN holds.
const (
	bnMean = iota
	bnScale
	bnShift
	bnA
	bnB
	bnC
	bnPivot
	bnCoefs = 8
	bnLanes = 8
)

// bnSum returns sum k of channel c.
func bnSum(sums []float64, c, k int) float64 {
	v := (*[bnLanes]float64)(sums[(2*c+k)*bnLanes:])
	return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]))
}

// bnStatsGeneric adds to sums those of max(x, pre) - pivot and of its square.
func bnStatsGeneric(coef []float32, sums []float64, x []float32, n, channels, s, stride int, pre float32) {
	for c := range channels {
		pivot := float64(coef[c*bnCoefs+bnPivot])
		var sum, squares float64
		for i := range n {
			for _, v := range x[i*stride+c*s:][:s] {
				if v <= pre {
					v = pre
				}
				d := float64(v) - pivot
				sum += d
				squares += float64(d * d)
			}
		}
		sums[2*c*bnLanes] += sum
		sums[(2*c+1)*bnLanes] += squares
	}
}

// bnApplyGeneric sets y = max(scale·(max(x, pre) - mean) + shift + r, post); r may
// be nil. A channel of equal values gives exactly shift, whatever the scale.
func bnApplyGeneric(coef, y, x, r []float32, n, channels, s, stride int, pre, post float32) {
	for c := range channels {
		k := coef[c*bnCoefs:][:bnCoefs]
		mean, scale, shift := k[bnMean], k[bnScale], k[bnShift]
		for i := range n {
			at := i*stride + c*s
			x, y := x[at:at+s], y[at:at+s]
			for j, v := range x {
				if v <= pre {
					v = pre
				}
				v = float32(scale*(v-mean)) + shift
				if r != nil {
					v += r[at+j]
				}
				if v <= post {
					v = post
				}
				y[j] = v
			}
		}
	}
}

// bnSumsGeneric adds to sums those of g and of g·(max(x, pre) - mean), where g is
// dy where the second ReLU passed: where y is above post or, if y is nil, what
// the ReLU was given. If dr is not nil it receives g; with y it is not nil.
func bnSumsGeneric(coef []float32, sums []float64, dr, dy, x, y []float32, n, channels, s, stride int, pre, post float32) {
	for c := range channels {
		k := coef[c*bnCoefs:][:bnCoefs]
		mean, scale, shift := k[bnMean], k[bnScale], k[bnShift]
		var sum, dot float64
		for i := range n {
			at := i*stride + c*s
			x, dy := x[at:at+s], dy[at:at+s]
			for j, v := range x {
				if v <= pre {
					v = pre
				}
				v -= mean
				g, u := dy[j], float32(scale*v)+shift
				if y != nil {
					u = y[at+j]
				}
				if u <= post {
					g = 0
				}
				if dr != nil {
					dr[at+j] = g
				}
				sum += float64(g)
				dot += float64(float64(g) * float64(v))
			}
		}
		sums[2*c*bnLanes] += sum
		sums[(2*c+1)*bnLanes] += dot
	}
}

// bnGradGeneric sets dx = a·g + b·(max(x, pre) - mean) + c where x is above
// pre, and 0 elsewhere; g is dy where scale·(max(x, pre) - mean) + shift is above
// post.
func bnGradGeneric(coef, dx, dy, x []float32, n, channels, s, stride int, pre, post float32) {
	for ch := range channels {
		k := coef[ch*bnCoefs:][:bnCoefs]
		mean, scale, shift, a, b, c := k[bnMean], k[bnScale], k[bnShift], k[bnA], k[bnB], k[bnC]
		for i := range n {
			at := i*stride + ch*s
			x, dy, dx := x[at:at+s], dy[at:at+s], dx[at:at+s]
			for j, v := range x {
				if v <= pre {
					dx[j] = 0
					continue
				}
				v -= mean
				g := dy[j]
				if float32(scale*v)+shift <= post {
					g = 0
				}
				dx[j] = float32(a*g) + (float32(b*v) + c)
			}
		}
	}
}
