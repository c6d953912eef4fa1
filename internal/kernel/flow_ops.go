package kernel

// flowOps are the innermost loops of dense flow. Their generic forms say what they do.
// Widths are multiples of 16.
type flowOps struct {
	filters      [3]func(dst []float32, ds int, x []float32, rows []int32, taps []float32, width int) // see taps
	interleave   func(dst, a, b []float32)
	deinterleave func(a, b, x []float32)
	normal       func(n *flowNormal)
	solve        func(vx, vy, g []float32, gs int, lambda float32)
	primal, dual func(r *tvRow)
}

var genericFlow = flowOps{
	filters:    [3]func([]float32, int, []float32, []int32, []float32, int){flowTapsGeneric, flowTapsGeneric, flowTapsGeneric},
	interleave: interleaveGeneric, deinterleave: deinterleaveGeneric,
	normal: flowNormalGeneric, solve: flowSolveGeneric, primal: tvPrimalGeneric, dual: tvDualGeneric,
}

// taps sets dst[j*ds+i], for j below outs and i below width, to the sum over k of
// taps[k*outs+j]*x[rows[k]+i]: outs filters of the same rows, up to three.
func (o *flowOps) taps(dst []float32, ds int, x []float32, rows []int32, taps []float32, width int) {
	o.filters[len(taps)/len(rows)-1](dst, ds, x, rows, taps, width)
}

func flowTapsGeneric(dst []float32, ds int, x []float32, rows []int32, taps []float32, width int) {
	outs := len(taps) / len(rows)
	for j := range outs {
		d := dst[j*ds:][:width]
		clear(d)
		for k, r := range rows {
			c := taps[k*outs+j]
			for i, v := range x[r:][:width] {
				d[i] += float32(c * v)
			}
		}
	}
}

// interleaveGeneric sets dst to a[0], b[0], a[1] and so on.
func interleaveGeneric(dst, a, b []float32) {
	for i, v := range a {
		dst[2*i], dst[2*i+1] = v, b[i]
	}
}

// deinterleaveGeneric is the opposite.
func deinterleaveGeneric(a, b, x []float32) {
	for i := range a {
		a[i], b[i] = x[2*i], x[2*i+1]
	}
}

// A flowNormal asks for the normal equations of a row of cells, of which it adds the part
// of one row of pixels, row y of the planes. Assembly knows where its fields are.
type flowNormal struct {
	out    []float32 // five rows of cells, cs apart: g11, g12, g22, h1, h2
	cur    []float32 // the expansion of the row of pixels: five rows that are stride apart
	ref    []float32 // the expansion of the plane that is compared with
	vx, vy []float32 // the flow of the cells so far
	wx     []float32 // weights of the columns of pixels, 0 from w on
	wy     float32   // weight of the row
	yf     float32   // y

	y, h, w, stride int
	cs, cells       int // cells is a multiple of 8
}

// flowNormalGeneric adds up, over the pixels of each cell, AᵀA and AᵀΔb, where A is the
// mean of the quadratic parts of the two expansions, that of the pixel and that of where
// the flow, rounded, leads from it, and Δb half the difference of the linear parts plus A
// times the way. Where it leads outside, the pixel votes for the flow as it is.
func flowNormalGeneric(n *flowNormal) {
	s := n.stride
	for x := range 2 * n.cells {
		c := x / 2
		vx, vy := n.vx[c], n.vy[c]
		rx, ry := roundEven(vx), roundEven(vy)
		bx, axx, by, axy, ayy := n.cur[x], n.cur[s+x], n.cur[2*s+x], n.cur[3*s+x], n.cur[4*s+x]
		qx, qy := float32(x)+rx, n.yf+ry
		if qx >= 0 && qx < float32(n.w) && qy >= 0 && qy < float32(n.h) {
			r := n.ref[int(qy)*5*s+int(qx):]
			bx, by = 0.5*(bx-r[0]), 0.5*(by-r[2*s])
			axx, ayy, axy = 0.5*(axx+r[s]), 0.5*(ayy+r[4*s]), 0.25*(axy+r[3*s])
			vx, vy = rx, ry
		} else {
			bx, by, axy = 0, 0, 0.5*axy
		}
		bx += float32(axx*vx) + float32(axy*vy)
		by += float32(axy*vx) + float32(ayy*vy)
		w := n.wx[x] * n.wy
		n.out[c] += float32(w * (float32(axx*axx) + float32(axy*axy)))
		n.out[n.cs+c] += float32(w * ((axx + ayy) * axy))
		n.out[2*n.cs+c] += float32(w * (float32(ayy*ayy) + float32(axy*axy)))
		n.out[3*n.cs+c] += float32(w * (float32(axx*bx) + float32(axy*by)))
		n.out[4*n.cs+c] += float32(w * (float32(axy*bx) + float32(ayy*by)))
	}
}

// roundEven rounds numbers below 2^22 to whole ones, halves to even ones, as the
// processors do. Others stay large.
func roundEven(v float32) float32 {
	const big = 3 << 22
	if v > -1<<22 && v < 1<<22 {
		return float32(v+big) - big
	}
	return v
}

// flowSolveGeneric improves the flow v of as many cells as there are in vx: by the d that
// minimises |A·(v+d) - Δb|² + lambda·|d|², with the normal equations in g, whose rows are
// gs apart.
func flowSolveGeneric(vx, vy, g []float32, gs int, lambda float32) {
	for i := range vx {
		g11, g12, g22 := g[i], g[gs+i], g[2*gs+i]
		h1 := g[3*gs+i] - (float32(g11*vx[i]) + float32(g12*vy[i]))
		h2 := g[4*gs+i] - (float32(g12*vx[i]) + float32(g22*vy[i]))
		g11, g22 = g11+lambda, g22+lambda
		d := float32(g11*g22) - float32(g12*g12)
		vx[i] += (float32(g22*h1) - float32(g12*h2)) / d
		vy[i] += (float32(g11*h2) - float32(g12*h1)) / d
	}
}
