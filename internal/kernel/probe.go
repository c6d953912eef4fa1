package kernel

// The steps of an attack that guesses a gradient by two probes. A sample, say a clip, may
// be larger than any cache: each function is one pass over it, on the calling goroutine,
// and an element's value depends on its own inputs only. Slices have the length of the
// first (else a LengthError panic).

// probeOps are the loops of whole vectors; n is in bytes of float32 or, for climb, of
// float64. Those that a set lacks are nil: the generic forms serve there, and for what is
// left behind the last whole vector.
type probeOps struct {
	lanes        int // float32 in a vector
	pair         func(n int, up, down, x, du, dd *float32, lo, hi float32)
	step         func(n int, x, d, lo, hi *float32)
	displacePair func(n int, du, dd *float32, v, e *float64, pv, pe, mv, me float64)
	climb        func(n int, v, e *float64, s float64)
	signs        func(n int, d *float32, g *float64, h float32)

	// fold folds n bytes, a multiple of foldBlock, of which the first 4 are to be xored with
	// first, into foldBlock bytes.
	fold func(n int, to, p *byte, k *[2]uint64, first uint32)
}

// whole is how many of n elements make whole vectors of lanes.
func whole(n, lanes int) int {
	if lanes == 0 {
		return 0
	}
	return n - n%lanes
}

// ProbePair sets up = clamp(x+du) and down = clamp(x+dd) to [lo, hi]. NaN stays NaN.
func ProbePair(up, down, x, du, dd []float32, lo, hi float32) {
	checkLen("ProbePair", len(up), len(down), len(x), len(du), len(dd))
	o, k := &Active().probe, 0
	if o.pair != nil {
		if k = whole(len(up), o.lanes); k > 0 {
			o.pair(4*k, &up[0], &down[0], &x[0], &du[0], &dd[0], lo, hi)
		}
	}
	for i := k; i < len(up); i++ {
		up[i], down[i] = clamp(x[i]+du[i], lo, hi), clamp(x[i]+dd[i], lo, hi)
	}
}

// BoxStep does x = min(max(x+d, lo), hi). NaN in x or d stays NaN.
func BoxStep(x, d, lo, hi []float32) {
	checkLen("BoxStep", len(x), len(d), len(lo), len(hi))
	o, k := &Active().probe, 0
	if o.step != nil {
		if k = whole(len(x), o.lanes); k > 0 {
			o.step(4*k, &x[0], &d[0], &lo[0], &hi[0])
		}
	}
	for i := k; i < len(x); i++ {
		x[i] = clamp(x[i]+d[i], lo[i], hi[i])
	}
}

// DisplacePair sets du = pv·v + pe·e and dd = mv·v - me·e, each rounded once after double
// precision.
func DisplacePair(du, dd []float32, v, e []float64, pv, pe, mv, me float64) {
	checkLen("DisplacePair", len(du), len(dd), len(v), len(e))
	o, k := &Active().probe, 0
	if o.displacePair != nil {
		if k = whole(len(du), o.lanes/2); k > 0 {
			o.displacePair(4*k, &du[0], &dd[0], &v[0], &e[0], pv, pe, mv, me)
		}
	}
	for i := k; i < len(du); i++ {
		du[i] = float32(float64(pv*v[i]) + float64(pe*e[i]))
		dd[i] = float32(float64(mv*v[i]) - float64(me*e[i]))
	}
}

// Climb does v += s·e in double precision.
func Climb(v, e []float64, s float64) {
	checkLen("Climb", len(v), len(e))
	o, k := &Active().probe, 0
	if o.climb != nil {
		if k = whole(len(v), o.lanes/2); k > 0 {
			o.climb(8*k, &v[0], &e[0], s)
		}
	}
	for i := k; i < len(v); i++ {
		v[i] += float64(s * e[i])
	}
}

// SignSteps sets d to h where g is positive, to -h where it is negative, and to 0 where it
// is 0 or NaN.
func SignSteps(d []float32, g []float64, h float32) {
	checkLen("SignSteps", len(d), len(g))
	o, k := &Active().probe, 0
	if o.signs != nil {
		if k = whole(len(d), o.lanes/2); k > 0 {
			o.signs(4*k, &d[0], &g[0], h)
		}
	}
	for i := k; i < len(d); i++ {
		switch {
		case g[i] > 0:
			d[i] = h
		case g[i] < 0:
			d[i] = -h
		default:
			d[i] = 0
		}
	}
}
