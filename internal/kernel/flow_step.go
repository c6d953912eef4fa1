package kernel

import "fmt"

// A FlowStep improves the flow between two pictures with polynomial expansions
// (Farnebäck 2003, section 3; displacements so far are rounded to whole pixels as there).
// The flow is kept for cells of 2x2 pixels.
type FlowStep struct {
	h, w   int
	lambda float32
	window []float32
	wx     []float32
	wy     []float32
	normal []float32
}

// Init prepares for pictures of h rows of w. Equations are averaged over a window of
// weights window, an odd number of them, along both axes of the grid of cells. Pixels
// nearer than ramp to an edge count less. A change of the flow costs lambda times its
// square.
func (s *FlowStep) Init(h, w int, window []float32, ramp int, lambda float32) {
	if h < 1 || w < 1 || len(window)&1 == 0 || len(window)/2 > MaxFlowRadius || ramp < 0 || !(lambda > 0) {
		panic(fmt.Sprintf("kernel: FlowStep.Init: %dx%d, window of %d, ramp %d, lambda %v", h, w, len(window), ramp, lambda))
	}
	s.h, s.w, s.window, s.lambda = h, w, window, lambda
	s.wx, s.wy = ramps(s.wx, w, FlowStride(w), ramp), ramps(s.wy, h, h, ramp)
	if n := 5 * ((h + 1) / 2) * FlowStride((w+1)/2); cap(s.normal) < n {
		s.normal = make([]float32, n)
	} else {
		s.normal = s.normal[:n]
	}
}

// ramps returns the weights of n places, followed by zeros up to the length size: they
// rise to 1 over so many places from either end.
func ramps(x []float32, n, size, ramp int) []float32 {
	if cap(x) < size {
		x = make([]float32, size)
	}
	x = x[:size]
	clear(x)
	for i := range n {
		v := float32(min(i, n-1-i, ramp)+1) / float32(ramp+1)
		x[i] = v * v * v * v
	}
	return x
}

// Apply improves the flow v, two planes of (h+1)/2 rows of (w+1)/2 (its x, then its y):
// what is in picture a at p is in picture b at p+v. a and b are expansions.
func (s *FlowStep) Apply(v, a, b []float32) {
	h, w := (s.h+1)/2, (s.w+1)/2
	needPlane("FlowStep.Apply", "v", v, 2, h, w)
	needPlane("FlowStep.Apply", "a", a, 5, s.h, s.w)
	needPlane("FlowStep.Apply", "b", b, 5, s.h, s.w)
	stride := FlowStride(w)
	t := flowTask{h: h, row: normalRow, dst: v, w: w, stride: stride, step: s, a: a, b: b, scratch: 1}
	runFlow(t)
	t.row, t.scratch = solveRow, 5*(stride+2*flowEdge)+5*stride
	runFlow(t)
}

func normalRow(t *flowTask, y int, p *flowPart) {
	s, plane, n := t.step, len(t.dst)/2, &p.normal
	stride := FlowStride(s.w)
	*n = flowNormal{
		out: s.normal[y*5*t.stride:][:5*t.stride], ref: t.b,
		vx: t.dst[y*t.stride:], vy: t.dst[plane+y*t.stride:], wx: s.wx,
		h: s.h, w: s.w, stride: stride, cs: t.stride, cells: ceilDiv(t.w, 8) * 8,
	}
	clear(n.out)
	for n.y = 2 * y; n.y < min(2*y+2, s.h); n.y++ {
		n.cur, n.wy, n.yf = t.a[n.y*5*stride:], s.wy[n.y], float32(n.y)
		t.ops.normal(n)
	}
}

func solveRow(t *flowTask, y int, p *flowPart) {
	s, plane, n := t.step, len(t.dst)/2, t.stride+2*flowEdge
	rows, scratch := p.offsets[:len(s.window)], p.scratch
	radius := len(rows) / 2
	g := scratch[5*n:]
	for j := range 5 {
		for k := range rows {
			rows[k] = int32((min(max(y+k-radius, 0), t.h-1)*5 + j) * t.stride)
		}
		line := scratch[:n]
		t.ops.taps(line[flowEdge:], 0, s.normal, rows, s.window, t.stride)
		edges(line, t.w)
		for k := range rows {
			rows[k] = int32(flowEdge + k - radius)
		}
		t.ops.taps(g[j*t.stride:], 0, line, rows, s.window, t.stride)
	}
	vx, vy := t.dst[y*t.stride:][:t.stride], t.dst[plane+y*t.stride:][:t.stride]
	t.ops.solve(vx, vy, g, t.stride, s.lambda)
	fill(vx[t.w:], vx[t.w-1])
	fill(vy[t.w:], vy[t.w-1])
}
