package kernel

import (
	"fmt"
	"math"
)

// A FlowTV finds the flow u between two planes that minimises the sum over all pixels of
// lambda·|ρ(u)| + |∇u₁| + |∇u₂|, where ρ is the difference of brightness, made linear
// (Zach, Pock and Bischof, "A duality based approach for realtime TV-L1 optical flow",
// DAGM 2007).
type FlowTV struct {
	h, w, stride int
	u, p         [][]float32 // the flow; its dual variables p11, p12, p21, p22
	warped       []float32
	gx, gy, rest []float32 // ρ(u) = rest + gx·u₁ + gy·u₂
	inverse      []float32 // of |∇|²
	mask, zeros  []float32
	memory       []float32
}

// Init prepares for planes of h rows of w and sets the flow to 0.
func (s *FlowTV) Init(h, w int) {
	if h < 1 || w < 1 {
		panic(fmt.Sprintf("kernel: FlowTV.Init: %dx%d", h, w))
	}
	s.h, s.w, s.stride = h, w, FlowStride(w)
	n := h * s.stride
	// Rows are read a number before their beginning and behind their end.
	size := 11*(n+flowEdge) + 2*(s.stride+flowEdge) + flowEdge
	if cap(s.memory) < size {
		s.memory = make([]float32, size)
	}
	s.memory = s.memory[:size]
	clear(s.memory)
	rest := s.memory[flowEdge:]
	take := func(n int) []float32 {
		x := rest[:n:n]
		rest = rest[n+flowEdge:]
		return x
	}
	s.u, s.p = s.u[:0], s.p[:0]
	for range 2 {
		s.u = append(s.u, take(n))
	}
	for range 4 {
		s.p = append(s.p, take(n))
	}
	s.warped, s.gx, s.gy, s.rest, s.inverse = take(n), take(n), take(n), take(n), take(n)
	s.mask, s.zeros = take(s.stride), take(s.stride)
	fill(s.mask[:w-1], 1)
}

// Flow returns the flow along x and y: what is in cur at p is in ref at p+u. The planes are
// the memory of s, to be read and set.
func (s *FlowTV) Flow() (x, y []float32) { return s.u[0], s.u[1] }

// Warp makes the difference of brightness linear about the flow so far. ref is
// interpolated by cubic convolution (Keys, 1981), and the gradient is the mean of that of
// both planes.
func (s *FlowTV) Warp(cur, ref []float32) {
	needPlane("FlowTV.Warp", "cur", cur, 1, s.h, s.w)
	needPlane("FlowTV.Warp", "ref", ref, 1, s.h, s.w)
	t := flowTask{h: s.h, tv: s, w: s.w, stride: s.stride, a: cur, b: ref, scratch: 1, row: warpRow}
	runFlow(t)
	t.row = linearRow
	runFlow(t)
}

func warpRow(t *flowTask, y int, _ *flowPart) {
	s := t.tv
	at := y * s.stride
	for x := range s.w {
		s.warped[at+x] = cubic(t.b, s.h, s.w, s.stride, float32(x)+s.u[0][at+x], float32(y)+s.u[1][at+x])
	}
}

// cubic interpolates a plane at (x, y), moved inside if it is outside.
func cubic(p []float32, h, w, stride int, x, y float32) float32 {
	x, y = min(max(x, 0), float32(w-1)), min(max(y, 0), float32(h-1))
	ix, iy := int(x), int(y)
	cx, cy := keys(x-float32(ix)), keys(y-float32(iy))
	sum := float32(0)
	for j, c := range cy {
		row := p[min(max(iy+j-1, 0), h-1)*stride:]
		var line float32
		if ix >= 1 && ix+2 < w {
			r := row[ix-1 : ix+3]
			line = float32(cx[0]*r[0]) + float32(cx[1]*r[1]) + float32(cx[2]*r[2]) + float32(cx[3]*r[3])
		} else {
			for i, c := range cx {
				line += float32(c * row[min(max(ix+i-1, 0), w-1)])
			}
		}
		sum += float32(c * line)
	}
	return sum
}

// keys returns the weights of the four numbers around a place that is f behind the second.
func keys(f float32) [4]float32 {
	f2 := f * f
	f3 := f2 * f
	return [4]float32{f2 - 0.5*(f3+f), 1.5*f3 - 2.5*f2 + 1, 2*f2 - 1.5*f3 + 0.5*f, 0.5 * (f3 - f2)}
}

func linearRow(t *flowTask, y int, _ *flowPart) {
	s := t.tv
	at, up, down := y*s.stride, max(y-1, 0)*s.stride, min(y+1, s.h-1)*s.stride
	cur, warped := t.a, s.warped
	for x := range s.w {
		l, r, i := at+max(x-1, 0), at+min(x+1, s.w-1), at+x
		gx := 0.25 * (cur[r] - cur[l] + warped[r] - warped[l])
		gy := 0.25 * (cur[down+x] - cur[up+x] + warped[down+x] - warped[up+x])
		u, v := s.u[0][i], s.u[1][i]
		rest := warped[i] - cur[i] - (float32(gx*u) + float32(gy*v))
		// Where the flow leads outside, nothing is known.
		if px, py := float32(x)+u, float32(y)+v; !(px >= 0 && px <= float32(s.w-1) && py >= 0 && py <= float32(s.h-1)) {
			gx, gy, rest = 0, 0, 0
		}
		s.gx[i], s.gy[i], s.rest[i] = gx, gy, rest
		s.inverse[i] = 1 / (float32(gx*gx) + float32(gy*gy) + 1e-6)
	}
}

// Iterate improves the flow n times: by a step of the data term, and by a step of length
// tau of the dual of the total variation. theta couples the two.
func (s *FlowTV) Iterate(n int, lambda, theta, tau float32) {
	for range n {
		t := flowTask{h: s.h, tv: s, scratch: 1, near: [2]float32{lambda * theta, theta}, row: primalRow}
		runFlow(t)
		t.near[0], t.row = tau/theta, dualRow
		runFlow(t)
	}
}

// A tvRow is one row of what FlowTV works on. Assembly knows where its fields are.
type tvRow struct {
	u, below [2][]float32
	p        [4][]float32 // p11, p12, p21, p22
	above    [2][]float32 // p12 and p22 of the row above
	g        [4][]float32 // gx, gy, rest, inverse
	mask     []float32    // 1 where there is a pixel to the right
	n        int          // a multiple of 16
	a, theta float32      // a is lambda·theta or tau/theta
}

func (s *FlowTV) row(r *tvRow, y int, a, theta float32) {
	at, below := y*s.stride, min(y+1, s.h-1)*s.stride
	for i := range r.u {
		r.u[i], r.below[i] = s.u[i][at:], s.u[i][below:]
		r.above[i] = s.zeros
		if y > 0 {
			r.above[i] = s.p[2*i+1][at-s.stride:]
		}
	}
	for i := range r.p {
		r.p[i] = s.p[i][at:]
	}
	r.g = [4][]float32{s.gx[at:], s.gy[at:], s.rest[at:], s.inverse[at:]}
	r.mask, r.n, r.a, r.theta = s.mask, s.stride, a, theta
}

func primalRow(t *flowTask, y int, p *flowPart) {
	t.tv.row(&p.tv, y, t.near[0], t.near[1])
	t.ops.primal(&p.tv)
}

func dualRow(t *flowTask, y int, p *flowPart) {
	t.tv.row(&p.tv, y, t.near[0], 0)
	t.ops.dual(&p.tv)
}

func tvPrimalGeneric(r *tvRow) {
	gx, gy, rest, inverse := r.g[0], r.g[1], r.g[2], r.g[3]
	for x := range r.n {
		u, v := r.u[0][x], r.u[1][x]
		q := (rest[x] + float32(gx[x]*u) + float32(gy[x]*v)) * inverse[x]
		q = min(max(q, -r.a), r.a)
		var left [2]float32
		if x > 0 { // p11 and p21 of the last column are 0, and so is what lies before the first
			left = [2]float32{r.p[0][x-1], r.p[2][x-1]}
		}
		r.u[0][x] = u - float32(q*gx[x]) + float32(r.theta*(r.p[0][x]-left[0]+r.p[1][x]-r.above[0][x]))
		r.u[1][x] = v - float32(q*gy[x]) + float32(r.theta*(r.p[2][x]-left[1]+r.p[3][x]-r.above[1][x]))
	}
}

func tvDualGeneric(r *tvRow) {
	for i, u := range r.u {
		px, py := r.p[2*i], r.p[2*i+1]
		for x := range r.n {
			var dx float32
			if r.mask[x] != 0 {
				dx = u[x+1] - u[x]
			}
			dy := r.below[i][x] - u[x]
			d := 1 + float32(r.a*float32(math.Sqrt(float64(float32(dx*dx)+float32(dy*dy)))))
			px[x] = (px[x] + float32(r.a*dx)) / d
			py[x] = (py[x] + float32(r.a*dy)) / d
		}
	}
}
