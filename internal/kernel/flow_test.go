package kernel

import (
	"math"
	"math/rand"
	"testing"
)

// near reports whether a differs from b by at most tol, or by that share of scale.
func near(a, b float32, scale, tol float64) bool {
	return math.Abs(float64(a)-float64(b)) <= tol*math.Max(1, scale)
}

func TestFlowTaps(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 200 {
			outs, width := 1+rng.Intn(3), 16*(1+rng.Intn(9))
			x := normal(rng, width+rng.Intn(300))
			rows := make([]int32, 1+rng.Intn(15))
			for i := range rows {
				rows[i] = int32(rng.Intn(len(x) - width + 1))
			}
			taps := normal(rng, outs*len(rows))
			ds := width + rng.Intn(5)
			got := normal(rng, outs*ds)
			want := append([]float32(nil), got...)
			Active().flow.taps(got, ds, x, rows, taps, width)
			for j := range outs {
				for i := range width {
					sum := 0.0
					for k, r := range rows {
						sum += float64(taps[k*outs+j]) * float64(x[int(r)+i])
					}
					want[j*ds+i] = float32(sum)
				}
			}
			for i := range want {
				if !near(got[i], want[i], 1, 1e-5) {
					t.Fatalf("%d outputs of %d, %d rows: number %d is %v, want %v", outs, width, len(rows), i, got[i], want[i])
				}
			}
		}
	})
}

func TestFlowInterleave(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for n := 16; n <= 80; n += 16 {
			a, b, both := normal(rng, n), normal(rng, n), misaligned(2*n+1, 3)
			a2, b2 := misaligned(n+1, 5), misaligned(n+1, 7)
			Active().flow.interleave(both[:2*n], a, b)
			Active().flow.deinterleave(a2[:n], b2[:n], both[:2*n])
			for i := range a {
				if both[2*i] != a[i] || both[2*i+1] != b[i] || a2[i] != a[i] || b2[i] != b[i] {
					t.Fatalf("%d: number %d went astray", n, i)
				}
			}
			if both[2*n] != 0 || a2[n] != 0 || b2[n] != 0 {
				t.Fatalf("%d: wrote too much", n)
			}
		}
	})
}

// The loops of the sets against the generic ones.
func TestFlowNormal(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for round := range 200 {
			h, w := 1+rng.Intn(20), 1+rng.Intn(90)
			stride, cw := FlowStride(w), (w+1)/2
			cs, cells := FlowStride(cw), ceilDiv(cw, 8)*8
			n := &flowNormal{
				cur: normal(rng, 5*stride), ref: normal(rng, 5*stride*h), vx: normal(rng, cs), vy: normal(rng, cs), wx: normal(rng, stride),
				wy: 0.7, y: rng.Intn(h), h: h, w: w, stride: stride, cs: cs, cells: cells,
			}
			n.yf = float32(n.y)
			for i := range n.vx {
				switch round % 4 {
				case 0: // one motion
					n.vx[i], n.vy[i] = n.vx[0], n.vy[0]
				case 1:
					n.vx[i], n.vy[i] = 10*n.vx[i], 10*n.vy[i]
				case 2: // far away
					n.vx[i] *= float32(math.Exp(30 * rng.Float64()))
					n.vy[i] = float32(math.Inf(rng.Intn(2) - 1))
				case 3: // halfway
					n.vx[i], n.vy[i] = float32(rng.Intn(9)-4)/2, float32(rng.Intn(9)-4)/2
				}
			}
			got := normal(rng, 5*cs)
			want := append([]float32(nil), got...)
			g := *n
			g.out, n.out = want, got
			flowNormalGeneric(&g)
			Active().flow.normal(n)
			for i := range want {
				scale := 1.0
				if v := math.Abs(float64(want[i])); !math.IsInf(v, 0) {
					scale = v
				}
				// Where the flow leads far outside, cancellation leaves what it likes.
				if c := i % cs; c < cells && (math.Abs(float64(n.vx[c])) > 1e4 || math.IsInf(float64(n.vy[c]), 0)) && i >= 3*cs {
					continue
				}
				if !near(got[i], want[i], scale, 1e-4) {
					t.Fatalf("round %d, %dx%d, row %d: number %d of %d cells is %v, want %v", round, h, w, n.y, i, cells, got[i], want[i])
				}
			}
		}
	})
}

func TestFlowSolve(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 50 {
			n := 16 * (1 + rng.Intn(5))
			vx, vy, g := normal(rng, n), normal(rng, n), make([]float32, 5*n)
			var tx, ty []float64
			const lambda = 0.25
			for i := range n {
				a, b, c := rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()
				g11, g12, g22, h1, h2 := a*a+b*b, (a+c)*b, b*b+c*c, rng.NormFloat64(), rng.NormFloat64()
				for k, v := range []float64{g11, g12, g22, h1, h2} {
					g[k*n+i] = float32(v)
				}
				x, y := float64(vx[i]), float64(vy[i])
				h1, h2 = h1+lambda*x, h2+lambda*y
				g11, g22 = g11+lambda, g22+lambda
				d := g11*g22 - g12*g12
				tx, ty = append(tx, (g22*h1-g12*h2)/d), append(ty, (g11*h2-g12*h1)/d)
			}
			Active().flow.solve(vx, vy, g, n, lambda)
			for i := range n {
				if !near(vx[i], float32(tx[i]), math.Abs(tx[i]), 1e-3) || !near(vy[i], float32(ty[i]), math.Abs(ty[i]), 1e-3) {
					t.Fatalf("cell %d of %d: (%v, %v), want (%v, %v)", i, n, vx[i], vy[i], tx[i], ty[i])
				}
			}
		}
	})
}

// plane returns a plane of values that at gives, and numbers that must not matter
// behind its rows.
func plane(rng *rand.Rand, h, w int, at func(x, y int) float64) []float32 {
	p := normal(rng, h*FlowStride(w))
	for y := range h {
		for x := range w {
			p[y*FlowStride(w)+x] = float32(at(x, y))
		}
	}
	return p
}

// Squares of a polynomial of degree two are expanded exactly, also about the middle of
// a picture that is smaller than the square.
func TestFlowExpansion(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for _, c := range []struct {
			radius int
			sigma  float64
			h, w   int
		}{{1, 0.5, 3, 3}, {2, 1, 11, 40}, {5, 1.2, 37, 70}, {7, 1.5, 20, 33}, {15, 4, 40, 31}} {
			var p [6]float64
			for i := range p {
				p[i] = rng.NormFloat64()
			}
			x := plane(rng, c.h, c.w, func(x, y int) float64 {
				u, v := float64(x-c.w/2), float64(y-c.h/2)
				return p[0] + p[1]*u + p[2]*u*u + p[3]*v + p[4]*u*v + p[5]*v*v
			})
			stride := FlowStride(c.w)
			r := nans(5 * c.h * stride)
			e := NewFlowExpansion(c.radius, c.sigma)
			e.Apply(r, x, c.h, c.w)
			for y := c.radius; y < c.h-c.radius; y++ {
				for x := c.radius; x < c.w-c.radius; x++ {
					u, v := float64(x-c.w/2), float64(y-c.h/2)
					for j, want := range []float64{p[1] + 2*p[2]*u + p[4]*v, p[2], p[3] + 2*p[5]*v + p[4]*u, p[4], p[5]} {
						got := r[(y*5+j)*stride+x]
						if !near(got, float32(want), float64(c.h*c.w), 3e-5) {
							t.Fatalf("radius %d at (%d, %d): coefficient %d is %v, want %v", c.radius, x, y, j, got, want)
						}
					}
				}
			}
			for i, v := range r {
				if v != v {
					t.Fatalf("%dx%d: number %d is NaN", c.h, c.w, i)
				}
			}
		}
	})
}

func TestFlowShrinkAndGrow(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 60 {
			h, w := 1+rng.Intn(40), 1+rng.Intn(100)
			oh, ow := (h+1)/2, (w+1)/2
			x := plane(rng, h, w, func(int, int) float64 { return rng.NormFloat64() })
			at := func(p []float32, h, w, x, y int) float64 {
				return float64(p[min(max(y, 0), h-1)*FlowStride(w)+min(max(x, 0), w-1)])
			}
			small := nans(oh * FlowStride(ow))
			FlowShrink(small, x, h, w)
			for i, got := range small {
				want, px, py := 0.0, min(i%FlowStride(ow), ow-1), i/FlowStride(ow)
				for j, a := range []float64{1, 3, 3, 1} {
					for k, b := range []float64{1, 3, 3, 1} {
						want += a * b / 64 * at(x, h, w, 2*px-1+k, 2*py-1+j)
					}
				}
				if !near(got, float32(want), 1, 1e-5) {
					t.Fatalf("%dx%d: number %d is %v, want %v", h, w, i, got, want)
				}
			}
			stride := w + rng.Intn(3)*40
			big := nans(h * stride)
			FlowGrow(big, small, h, w, stride, -3)
			for i, got := range big {
				px, py := min(i%stride, w-1), i/stride
				nx, ny := px/2, py/2
				fx, fy := nx+2*(px&1)-1, ny+2*(py&1)-1
				want := -3 * (9*at(small, oh, ow, nx, ny) + 3*at(small, oh, ow, fx, ny) + 3*at(small, oh, ow, nx, fy) + at(small, oh, ow, fx, fy)) / 16
				if !near(got, float32(want), 1, 1e-5) {
					t.Fatalf("%dx%d from %dx%d: number %d is %v, want %v", h, w, oh, ow, i, got, want)
				}
			}
			padded := nans(h * FlowStride(w))
			FlowPad(padded, big[:h*w], h, w)
			for i, got := range padded {
				if want := big[i/FlowStride(w)*w+min(i%FlowStride(w), w-1)]; got != want {
					t.Fatalf("%dx%d: padded number %d is %v, want %v", h, w, i, got, want)
				}
			}
		}
	})
}

// flowCall is a whole estimation on one level.
func flowCall(rng *rand.Rand) (n int, run func(out []float32)) {
	const h, w = 75, 101
	at := func(d float64) func(x, y int) float64 {
		return func(x, y int) float64 { return 100*math.Sin(float64(x)/5-d) + 80*math.Sin(float64(y)/4+d) }
	}
	cur, ref := plane(rng, h, w, at(0)), plane(rng, h, w, at(0.3))
	size := h * FlowStride(w)
	a, b := make([]float32, 5*size), make([]float32, 5*size)
	e, step := NewFlowExpansion(5, 1.2), new(FlowStep)
	small := make([]float32, (h+1)/2*FlowStride((w+1)/2))
	v := make([]float32, 2*len(small))
	window := []float32{0.1, 0.2, 0.4, 0.2, 0.1}
	return len(v) + h*w + len(small), func(out []float32) {
		e.Apply(a, cur, h, w)
		e.Apply(b, ref, h, w)
		step.Init(h, w, window, 5, 0.1)
		clear(v)
		step.Apply(v, a, b)
		step.Apply(v, a, b)
		FlowShrink(small, cur, h, w)
		out = out[copy(out, v):]
		FlowGrow(out[:h*w], v[:len(v)/2], h, w, w, 2)
		copy(out[h*w:], small)
	}
}

func TestFlowSameBitsOnAnyWorkers(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		n, run := flowCall(newRand(t))
		checkSameBits(t, "flow", n, run)
	})
}

func TestFlowDoesNotAllocate(t *testing.T) {
	n, run := flowCall(newRand(t))
	out := make([]float32, n)
	checkNoMallocs(t, "flow", func() { run(out) })
}

// A translation by fractions of a pixel is found, and identical pictures do not move
// at all.
func TestFlowStep(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		const h, w = 60, 80
		for _, d := range [][2]float64{{0, 0}, {0.6, -0.35}, {-1.2, 0.9}} {
			at := func(dx, dy float64) []float32 {
				return plane(rng, h, w, func(x, y int) float64 {
					u, v := float64(x)-dx, float64(y)-dy
					return 60*math.Sin(u/4) + 50*math.Sin(v/3.5) + 30*math.Sin((u+v)/6)
				})
			}
			a, b := nans(5*h*FlowStride(w)), nans(5*h*FlowStride(w))
			e := NewFlowExpansion(5, 1.2)
			e.Apply(a, at(0, 0), h, w)
			e.Apply(b, at(d[0], d[1]), h, w)
			var s FlowStep
			s.Init(h, w, []float32{0.1, 0.2, 0.4, 0.2, 0.1}, 5, 0.1)
			stride := FlowStride(w / 2)
			v := make([]float32, 2*h/2*stride)
			for range 3 {
				s.Apply(v, a, b)
			}
			for y := range h / 2 {
				for x := range w / 2 {
					vx, vy := v[y*stride+x], v[len(v)/2+y*stride+x]
					inner := x > 5 && y > 5 && x < w/2-6 && y < h/2-6
					if d == [2]float64{} && (vx != 0 || vy != 0) || inner && (!near(vx, float32(d[0]), 1, 0.05) || !near(vy, float32(d[1]), 1, 0.05)) {
						t.Fatalf("cell (%d, %d) moved by (%v, %v), want %v", x, y, vx, vy, d)
					}
				}
			}
		}
	})
}

func TestFlowBadInput(t *testing.T) {
	e := NewFlowExpansion(1, 1)
	for i, f := range []func(){
		func() { NewFlowExpansion(0, 1) },
		func() { NewFlowExpansion(16, 1) },
		func() { NewFlowExpansion(5, math.NaN()) },
		func() { e.Apply(make([]float32, 5*32), make([]float32, 31), 1, 1) },
		func() { e.Apply(make([]float32, 4*32), make([]float32, 32), 1, 1) },
		func() { FlowShrink(make([]float32, 32), nil, 0, 1) },
		func() { FlowShrink(make([]float32, 32), make([]float32, 32), 3, 3) },
		func() { FlowGrow(make([]float32, 3), make([]float32, 32), 2, 2, 1, 1) },
		func() { FlowPad(make([]float32, 3), make([]float32, 3), 1, 3) },
		func() { new(FlowStep).Init(4, 4, make([]float32, 4), 1, 1) },
		func() { new(FlowStep).Init(4, 4, make([]float32, 33), 1, 1) },
		func() { new(FlowStep).Init(4, 4, make([]float32, 3), 1, 0) },
		func() {
			var s FlowStep
			s.Init(4, 4, make([]float32, 3), 1, 1)
			s.Apply(make([]float32, 64), make([]float32, 640), make([]float32, 640))
		},
	} {
		t.Logf("case %d", i)
		mustPanic(t, f)
	}
}

// One iteration against its definition, pixel by pixel, on random variables.
func TestFlowTVIterate(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := newRand(t)
		for range 20 {
			h, w := 1+rng.Intn(20), 1+rng.Intn(70)
			var s FlowTV
			s.Init(h, w)
			random := func(scale float64) func(x, y int) float64 {
				return func(int, int) float64 { return scale * rng.NormFloat64() }
			}
			set := func(dst []float32, at func(x, y int) float64) {
				for i := range dst {
					if x := i % s.stride; x < w {
						dst[i] = float32(at(x, i/s.stride))
					}
				}
			}
			for _, x := range [][]float32{s.u[0], s.u[1], s.gx, s.gy, s.rest} {
				set(x, random(1))
			}
			for i := range s.gx {
				s.inverse[i] = 1 / (s.gx[i]*s.gx[i] + s.gy[i]*s.gy[i] + 1e-6)
			}
			for k, p := range s.p {
				set(p, func(x, y int) float64 { // as after some iterations: 0 where there is no neighbour
					if k&1 == 0 && x == w-1 || k&1 == 1 && y == h-1 {
						return 0
					}
					return 0.5 * rng.NormFloat64()
				})
			}
			const lambda, theta, tau = 0.4, 0.3, 0.2
			get := func(p []float32, x, y int) float64 {
				if x < 0 || y < 0 {
					return 0
				}
				return float64(p[y*s.stride+x])
			}
			var u, p [4][]float64
			for k := range 2 {
				for i := range h * w {
					x, y := i%w, i/w
					gx, gy := get(s.gx, x, y), get(s.gy, x, y)
					rho, square := get(s.rest, x, y)+gx*get(s.u[0], x, y)+gy*get(s.u[1], x, y), gx*gx+gy*gy+1e-6
					g, step := []float64{gx, gy}[k], 0.0
					switch {
					case rho < -lambda*theta*square:
						step = lambda * theta * g
					case rho > lambda*theta*square:
						step = -lambda * theta * g
					default:
						step = -rho * g / square
					}
					px, py := s.p[2*k], s.p[2*k+1]
					div := get(px, x, y) - get(px, x-1, y) + get(py, x, y) - get(py, x, y-1)
					u[k] = append(u[k], get(s.u[k], x, y)+step+theta*div)
				}
				for i := range h * w {
					dx, dy := 0.0, 0.0
					if i%w < w-1 {
						dx = u[k][i+1] - u[k][i]
					}
					if i/w < h-1 {
						dy = u[k][i+w] - u[k][i]
					}
					norm := 1 + tau/theta*math.Hypot(dx, dy)
					p[2*k] = append(p[2*k], (get(s.p[2*k], i%w, i/w)+tau/theta*dx)/norm)
					p[2*k+1] = append(p[2*k+1], (get(s.p[2*k+1], i%w, i/w)+tau/theta*dy)/norm)
				}
			}
			s.Iterate(1, lambda, theta, tau)
			for i := range h * w {
				at := i/w*s.stride + i%w
				for k := range 4 {
					if k < 2 && !near(s.u[k][at], float32(u[k][i]), 1, 1e-5) {
						t.Fatalf("%dx%d: u%d at %d is %v, want %v", h, w, k+1, i, s.u[k][at], u[k][i])
					}
					if !near(s.p[k][at], float32(p[k][i]), 1, 1e-5) {
						t.Fatalf("%dx%d: p%d at %d is %v, want %v", h, w, k, i, s.p[k][at], p[k][i])
					}
				}
			}
			for i, v := range s.memory {
				if v != v {
					t.Fatalf("%dx%d: number %d of the memory is NaN", h, w, i)
				}
			}
		}
	})
}

// A plane is warped by what it moved, and the difference is linear about that.
func TestFlowTVWarp(t *testing.T) {
	rng := newRand(t)
	const h, w, dx, dy = 30, 45, 1.25, -0.5
	at := func(dx, dy float64) []float32 {
		return plane(rng, h, w, func(x, y int) float64 {
			return 50*math.Sin((float64(x)-dx)/4) + 40*math.Cos((float64(y)-dy)/5)
		})
	}
	cur, ref := at(0, 0), at(dx, dy)
	var s FlowTV
	s.Init(h, w)
	ux, uy := s.Flow()
	for i := range ux {
		ux[i], uy[i] = dx, dy
	}
	s.Warp(cur, ref)
	for y := 4; y < h-4; y++ {
		for x := 4; x < w-4; x++ {
			i := y*s.stride + x
			if !near(s.warped[i], cur[i], 1, 0.15) {
				t.Fatalf("(%d, %d) is warped to %v, want %v", x, y, s.warped[i], cur[i])
			}
			if gx := 12.5 * math.Cos(float64(x)/4); !near(s.gx[i], float32(gx), 1, 0.3) {
				t.Fatalf("(%d, %d): gradient %v, want %v", x, y, s.gx[i], gx)
			}
			if rho := s.rest[i] + s.gx[i]*dx + s.gy[i]*dy; !near(rho, s.warped[i]-cur[i], 1, 1e-4) {
				t.Fatalf("(%d, %d): the difference is %v, want %v", x, y, rho, s.warped[i]-cur[i])
			}
		}
	}
	// Cubic interpolation meets the pixels, and straight lines between them.
	line := plane(rng, 6, 9, func(x, y int) float64 { return float64(3*x - 2*y) })
	for _, p := range [][2]float32{{3, 2}, {3.25, 2.5}, {4.9, 3.1}, {8, 5}, {0, 0}, {-3, 2}, {20, 9}} {
		x, y := min(max(p[0], 0), 8), min(max(p[1], 0), 5)
		if got := cubic(line, 6, 9, FlowStride(9), p[0], p[1]); !near(got, 3*x-2*y, 1, 1e-5) {
			t.Errorf("at %v: %v, want %v", p, got, 3*x-2*y)
		}
	}
	mustPanic(t, func() { s.Init(0, 3) })
	mustPanic(t, func() { s.Warp(cur[1:], ref) })
}
