package kernel

import (
	"fmt"
	"math"
)

// A GridPadding says what a grid sampler finds outside the image.
type GridPadding uint8

// The paddings. GridBorder clamps coordinates to the image, GridReflection
// mirrors them at its edges.
const (
	GridZeros GridPadding = iota
	GridBorder
	GridReflection
)

// A GridSample samples x [N, C, H, W] bilinearly at the points of a grid
// [N, OutH, OutW, 2] of (x, y) in [-1, 1], as spatial transformers do
// (Jaderberg et al. 2015). With AlignCorners -1 and 1 are the centres of the
// border pixels, otherwise the outer edges. A point that is not finite yields 0.
type GridSample struct {
	N, C, H, W   int
	OutH, OutW   int
	AlignCorners bool
	Padding      GridPadding
}

// Forward writes the samples to y [N, C, OutH, OutW].
func (g *GridSample) Forward(y, x, grid []float32) {
	g.check("GridSample.Forward", y, x, grid)
	g.run(gridTask{y: y, x: x, grid: grid, kind: gridForward})
}

// GradInput writes to dx [N, C, H, W] the gradient of a sum weighted by dy. The
// contributions to a plane are added in the order of the outputs.
func (g *GridSample) GradInput(dx, dy, grid []float32) {
	g.check("GridSample.GradInput", dy, dx, grid)
	g.run(gridTask{y: dy, x: dx, grid: grid, kind: gridGradInput})
}

// GradGrid writes to dgrid the gradient of a sum weighted by dy to the points.
func (g *GridSample) GradGrid(dgrid, dy, x, grid []float32) {
	g.check("GridSample.GradGrid", dy, x, grid)
	need("GridSample.GradGrid", "dgrid", len(dgrid), len(grid))
	g.run(gridTask{y: dy, x: x, grid: grid, dgrid: dgrid, kind: gridGradGrid})
}

func (g *GridSample) check(op string, y, x, grid []float32) {
	if g.N < 0 || g.C < 0 || g.H < 1 || g.W < 1 || g.OutH < 0 || g.OutW < 0 || g.H*g.W > math.MaxInt32 {
		panic(fmt.Sprintf("kernel: %s: %d images of %d channels, %dx%d at %dx%d points", op, g.N, g.C, g.H, g.W, g.OutH, g.OutW))
	}
	need(op, "x", len(x), g.N*g.C*g.H*g.W)
	need(op, "y", len(y), g.N*g.C*g.OutH*g.OutW)
	need(op, "grid", len(grid), 2*g.N*g.OutH*g.OutW)
}

type gridKind uint8

const (
	gridForward gridKind = iota
	gridGradInput
	gridGradGrid
)

type gridTask struct {
	GridSample
	y, x, grid, dgrid []float32
	kind              gridKind
	per, parts        int // pixels or channels in a part; parts of an image
}

var gridTasks freeList[gridTask]

func (g *GridSample) run(t gridTask) {
	t.GridSample = *g
	p := g.OutH * g.OutW
	if t.kind == gridGradInput {
		// Every part looks for all points anew; of few images, some channels each.
		const enough = 8
		t.per = max(1, ceilDiv(g.C, ceilDiv(enough, max(1, g.N))))
		t.parts = ceilDiv(g.C, t.per)
	} else {
		t.per, t.parts = cut(p, 4*g.C)
	}
	runPooled(&gridTasks, g.N*t.parts, t)
}

// gridBlock is the number of points whose weights are computed at a time, for
// all channels.
const gridBlock = 64

// A gridPoints is a block of points: the offsets of their four neighbours, the
// weights of these and the derivatives of the position with respect to the grid.
type gridPoints struct {
	at     [4][gridBlock]int32
	weight [4][gridBlock]float32
	inside [4][gridBlock]bool // neighbour k is on the image
	whole  [gridBlock]bool    // all four are

	fx, fy, gx, gy [gridBlock]float32
}

var gridScratch freeList[gridPoints]

// Part samples some points of an image for all its channels, or sends the
// gradients of all points back to some of its channels.
func (t *gridTask) Part(part int) {
	b := gridScratch.get()
	n, k := part/t.parts, part%t.parts
	p := t.OutH * t.OutW
	if t.kind == gridGradInput {
		c0, c1 := k*t.per, min((k+1)*t.per, t.C)
		clear(t.x[(n*t.C+c0)*t.H*t.W : (n*t.C+c1)*t.H*t.W])
		for lo := 0; lo < p; lo += gridBlock {
			m := min(gridBlock, p-lo)
			t.locate(b, t.grid[2*(n*p+lo):], m)
			for c := n*t.C + c0; c < n*t.C+c1; c++ {
				b.scatter(t.x[c*t.H*t.W:(c+1)*t.H*t.W], t.y[c*p+lo:c*p+lo+m])
			}
		}
		gridScratch.put(b)
		return
	}
	end := min((k+1)*t.per, p)
	for lo := k * t.per; lo < end; lo += gridBlock {
		m := min(gridBlock, end-lo)
		t.locate(b, t.grid[2*(n*p+lo):], m)
		var sum [2][gridBlock]float64
		for c := n * t.C; c < (n+1)*t.C; c++ {
			x, y := t.x[c*t.H*t.W:(c+1)*t.H*t.W], t.y[c*p+lo:c*p+lo+m]
			if t.kind == gridForward {
				b.gather(y, x)
			} else {
				b.slopes(&sum, y, x)
			}
		}
		if t.kind == gridGradGrid {
			for i := range m {
				t.dgrid[2*(n*p+lo+i)] = float32(sum[0][i]) * b.gx[i]
				t.dgrid[2*(n*p+lo+i)+1] = float32(sum[1][i]) * b.gy[i]
			}
		}
	}
	gridScratch.put(b)
}

func (b *gridPoints) gather(y, x []float32) {
	for i := range y {
		i &= gridBlock - 1
		if !b.whole[i] {
			var v float32
			for k := range 4 {
				if b.inside[k][i] {
					v += float32(b.weight[k][i] * x[b.at[k][i]])
				}
			}
			y[i] = v
			continue
		}
		y[i] = float32(b.weight[0][i]*x[b.at[0][i]]) + float32(b.weight[1][i]*x[b.at[1][i]]) +
			(float32(b.weight[2][i]*x[b.at[2][i]]) + float32(b.weight[3][i]*x[b.at[3][i]]))
	}
}

func (b *gridPoints) scatter(dx, dy []float32) {
	for i, g := range dy {
		i &= gridBlock - 1
		if b.whole[i] {
			top, bottom := dx[b.at[0][i]:][:2], dx[b.at[2][i]:][:2]
			top[0] += float32(b.weight[0][i] * g)
			top[1] += float32(b.weight[1][i] * g)
			bottom[0] += float32(b.weight[2][i] * g)
			bottom[1] += float32(b.weight[3][i] * g)
			continue
		}
		for k := range 4 {
			if b.inside[k][i] {
				dx[b.at[k][i]] += float32(b.weight[k][i] * g)
			}
		}
	}
}

// slopes adds to sum the derivatives of the samples along x and y, times dy.
func (b *gridPoints) slopes(sum *[2][gridBlock]float64, dy, x []float32) {
	for i, g := range dy {
		i &= gridBlock - 1
		var v0, v1, v2, v3 float32
		if b.whole[i] {
			top, bottom := x[b.at[0][i]:][:2], x[b.at[2][i]:][:2]
			v0, v1, v2, v3 = top[0], top[1], bottom[0], bottom[1]
		} else {
			var v [4]float32
			for k := range v {
				if b.inside[k][i] {
					v[k] = x[b.at[k][i]]
				}
			}
			v0, v1, v2, v3 = v[0], v[1], v[2], v[3]
		}
		fx, fy := b.fx[i], b.fy[i]
		sum[0][i] += float64(g) * float64(float32((1-fy)*(v1-v0))+float32(fy*(v3-v2)))
		sum[1][i] += float64(g) * float64(float32((1-fx)*(v2-v0))+float32(fx*(v3-v1)))
	}
}

// locate fills b with the neighbours of m points.
func (t *gridTask) locate(b *gridPoints, grid []float32, m int) {
	for i := range m {
		x, gx := t.position(float64(grid[2*i]), t.W)
		y, gy := t.position(float64(grid[2*i+1]), t.H)
		ix, iy := floor(x), floor(y)
		fx, fy := float32(x-float64(ix)), float32(y-float64(iy))
		b.fx[i], b.fy[i], b.gx[i], b.gy[i] = fx, fy, float32(gx), float32(gy)
		b.weight[0][i], b.weight[1][i] = (1-fx)*(1-fy), fx*(1-fy)
		b.weight[2][i], b.weight[3][i] = (1-fx)*fy, fx*fy
		at := int32(iy*t.W + ix)
		b.at[0][i], b.at[1][i], b.at[2][i], b.at[3][i] = at, at+1, at+int32(t.W), at+int32(t.W)+1
		left, right := uint(ix) < uint(t.W), uint(ix+1) < uint(t.W)
		top, bottom := uint(iy) < uint(t.H), uint(iy+1) < uint(t.H)
		b.inside[0][i], b.inside[1][i] = left && top, right && top
		b.inside[2][i], b.inside[3][i] = left && bottom, right && bottom
		b.whole[i] = left && right && top && bottom
	}
}

// floor is math.Floor of a number near the image, without a call.
func floor(x float64) int {
	i := int(x)
	if float64(i) > x {
		i--
	}
	return i
}

// position turns a grid coordinate into a position in pixels along an axis of
// the given size, and returns the derivative. What has no place on the image
// is put two pixels before it.
func (g *GridSample) position(v float64, size int) (at, slope float64) {
	n := float64(size)
	if g.AlignCorners {
		at, slope = (v+1)/2*(n-1), (n-1)/2
	} else {
		at, slope = ((v+1)*n-1)/2, n/2
	}
	if at-at != 0 { // NaN or infinite
		return -2, 0
	}
	switch g.Padding {
	case GridReflection:
		low, span := -0.5, n
		if g.AlignCorners {
			low, span = 0, n-1
		}
		if span == 0 {
			return 0, 0
		}
		at -= low
		if at < 0 {
			at, slope = -at, -slope
		}
		turns := math.Floor(at / span)
		if at = math.Mod(at, span); math.Mod(turns, 2) != 0 {
			at, slope = span-at, -slope
		}
		at += low
	case GridZeros:
		if at < -1 || at > n {
			return -2, 0
		}
		return at, slope
	}
	if at <= 0 {
		return 0, 0
	}
	if at >= n-1 {
		return n - 1, 0
	}
	return at, slope
}
