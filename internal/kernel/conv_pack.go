package kernel

// packTaps is the most taps of a kernel that are turned round at once.
const packTaps = 64

// A convTurned holds the weights of one channel and strip, turned round.
type convTurned [packTaps * 8]float32

// packWeights arranges w as the tiles read it: for every group, sub, chunk of
// channels and strip of results a block [channel, tap][row]. It does the results
// [m0, m1) of every group, which begin and end with a strip.
func (p *convPlan) packWeights(dst, w []float32, data bool, turned *convTurned, m0, m1 int) {
	k := p.kernel
	size := p.m * p.c * k
	turn, copyRows := Active().gemm.packTranspose, Active().gemm.packCopy
	for g := range p.groups {
		src, out := w[g*size:][:size], dst[g*p.groupWeights():]
		for c0 := 0; c0 < p.c; c0 += p.depth {
			count := min(p.depth, p.c-c0)
			for m := m0; m < m1; {
				rows := p.stripHeight(p.m - m)
				at := c0*p.m + m*count // of the strip, for each tap
				switch {
				case !data:
					turn(out[at*k:], rows, src[m*p.c*k+c0*k:], p.c*k, rows, count*k)
				case k == 1 && len(p.subs) == 1:
					copyRows(out[at:], rows, src[c0*p.m+m:], p.m, rows, count)
				case len(p.subs) == 1 && p.subs[0].taps == k:
					for c := range count {
						turn(out[(at+c*rows)*k:], rows, src[((c0+c)*p.m+m)*k:], k, rows, k)
					}
				case k > packTaps:
					for c := range count {
						p.pickSlow(out, src[((c0+c)*p.m+m)*k:], at+c*rows, rows)
					}
				default:
					for c := range count {
						turn(turned[:], rows, src[((c0+c)*p.m+m)*k:], k, rows, k)
						p.pick(out, turned, at+c*rows, rows)
					}
				}
				m += rows
			}
		}
	}
}

// pick deals the turned weights of one channel out to the subs.
func (p *convPlan) pick(dst []float32, turned *convTurned, at, rows int) {
	for i := range p.subs {
		sub := &p.subs[i]
		out := dst[sub.weights+at*sub.taps:]
		for j, t := range p.taps[sub.tap0:][:sub.taps] {
			if rows == 8 {
				*(*[8]float32)(out[8*j:]) = *(*[8]float32)(turned[8*t.weight:])
			} else {
				copy(out[j*rows:][:rows], turned[t.weight*rows:])
			}
		}
	}
}

// pickSlow does the same with weights as they come, [row][tap].
func (p *convPlan) pickSlow(dst, src []float32, at, rows int) {
	for i := range p.subs {
		sub := &p.subs[i]
		out := dst[sub.weights+at*sub.taps:]
		for j, t := range p.taps[sub.tap0:][:sub.taps] {
			for r := range rows {
				out[j*rows+r] = src[r*p.kernel+t.weight]
			}
		}
	}
}

// stripHeight returns the height of the next strip of the left rows.
func (p *convPlan) stripHeight(left int) int {
	for i := range p.ops.strips {
		if h := p.ops.strips[i].rows; h <= left {
			return h
		}
	}
	panic("kernel: Conv: no strip of one row")
}
