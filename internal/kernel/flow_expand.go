package kernel

import (
	"fmt"
	"math"
)

// A FlowExpansion approximates a picture around each of its pixels by a polynomial of
// degree two, by least squares weighted with a Gaussian (Farnebäck, "Two-frame motion
// estimation based on polynomial expansion", SCIA 2003, section 2).
type FlowExpansion struct {
	radius                int
	down, even, odd, last []float32
}

// NewFlowExpansion returns the expansion on squares of 2·radius+1 pixels with a Gaussian
// of standard deviation sigma.
func NewFlowExpansion(radius int, sigma float64) *FlowExpansion {
	if radius < 1 || radius > MaxFlowRadius || !(sigma > 0) {
		panic(fmt.Sprintf("kernel: NewFlowExpansion: radius %d, standard deviation %v", radius, sigma))
	}
	g := gaussian(radius, sigma)
	var m2, m4 float64 // moments
	for k, v := range g {
		x2 := float64((k - radius) * (k - radius))
		m2 += v * x2
		m4 += v * x2 * x2
	}
	e := &FlowExpansion{radius: radius}
	for k, v := range g {
		// The basis functions x² - m2, x and 1 are orthogonal.
		x := float64(k - radius)
		linear, square := v*x/m2, v*(x*x-m2)/(m4-m2*m2)
		e.down = append(e.down, float32(v), float32(linear), float32(square))
		e.even = append(e.even, float32(linear), float32(square))
		e.odd = append(e.odd, float32(v), float32(linear))
		e.last = append(e.last, float32(v))
	}
	return e
}

// gaussian returns 2·radius+1 weights that add up to 1.
func gaussian(radius int, sigma float64) []float64 {
	g, sum := make([]float64, 2*radius+1), 0.0
	for k := range g {
		x := float64(k-radius) / sigma
		g[k] = math.Exp(-x * x / 2)
		sum += g[k]
	}
	for k := range g {
		g[k] /= sum
	}
	return g
}

// Apply writes to r the expansion of the plane x of h rows of w: for each row five rows,
// each FlowStride(w) long, with the coefficients of x, x², y, xy and y². The pixels of the
// edges are repeated outside.
func (e *FlowExpansion) Apply(r, x []float32, h, w int) {
	needPlane("FlowExpansion.Apply", "x", x, 1, h, w)
	needPlane("FlowExpansion.Apply", "r", r, 5, h, w)
	stride := FlowStride(w)
	runFlow(flowTask{h: h, row: expandRow, dst: r, x: x, w: w, stride: stride, expansion: e, scratch: 3 * (stride + 2*flowEdge)})
}

func expandRow(t *flowTask, y int, p *flowPart) {
	e, n := t.expansion, t.stride+2*flowEdge
	rows, scratch := p.offsets[:2*e.radius+1], p.scratch
	h := len(t.x) / t.stride
	for k := range rows {
		rows[k] = int32(min(max(y+k-e.radius, 0), h-1) * t.stride)
	}
	t.ops.taps(scratch[flowEdge:], n, t.x, rows, e.down, t.stride)
	for k := range rows {
		rows[k] = int32(flowEdge + k - e.radius)
	}
	r := t.dst[y*5*t.stride:][:5*t.stride]
	for j, taps := range [3][]float32{e.even, e.odd, e.last} {
		line := scratch[j*n:][:n]
		edges(line, t.w)
		t.ops.taps(r[2*j*t.stride:], t.stride, line, rows, taps, t.stride)
	}
}
