package autograd

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// A GridPadding says what [GridSample] finds outside the image. The zero value finds
// zeros.
type GridPadding uint8

const (
	GridZeros      GridPadding = iota // 0
	GridBorder                        // the nearest pixel of the border
	GridReflection                    // the image mirrored at its edges
)

// GridSample samples x [N, C, H, W] bilinearly at the points of grid [N, H', W', 2],
// and returns [N, C, H', W'] (Jaderberg et al., 2015). A point is a pair (x, y) in
// [-1, 1], x along the width. With alignCorners the numbers -1 and 1 mean the centres
// of the border pixels, otherwise their outer edges. A point that is not finite gives
// 0. Gradients flow to the image and to the grid. A coordinate that the padding clamps
// to the centre of a border pixel, or that lies exactly on it, has a gradient of 0.
// GridSample panics if the shapes differ from these, H or W is 0, or the padding is
// unknown.
func GridSample(x, grid Var, padding GridPadding, alignCorners bool) Var {
	const op = "autograd.GridSample"
	n := x.node(op)
	t := x.tape
	g := grid.on(op, t)
	if n.rank != 4 || g.rank != 4 || g.dims[0] != n.dims[0] || g.dims[3] != 2 || n.dims[2] == 0 || n.dims[3] == 0 {
		tensor.Panic(op, "want images [N, C, H, W] and points [N, H', W', 2]", n.shape(), g.shape())
	}
	if padding > GridReflection {
		tensor.Panic(op, fmt.Sprintf("no such padding: %d", padding))
	}
	s := kernel.GridSample{
		N: n.dims[0], C: n.dims[1], H: n.dims[2], W: n.dims[3], OutH: g.dims[1], OutW: g.dims[2],
		AlignCorners: alignCorners, Padding: kernel.GridPadding(padding),
	}
	y := t.newNode(s.N, s.C, s.OutH, s.OutW)
	s.Forward(y.data, n.data, g.data)
	if t.records(n, g) {
		record[gridSampleOp](t, y, n, g).s = s
	}
	return y.v(t)
}

type gridSampleOp struct{ s kernel.GridSample }

func (o *gridSampleOp) backward(t *Tape, y *node) {
	x, grid, dy := y.in[0], y.in[1], y.gradient()
	if t.wants(x) {
		t.give(x, func(dx []float32) { o.s.GradInput(dx, dy, grid.data) })
	}
	if t.wants(grid) {
		t.give(grid, func(dg []float32) { o.s.GradGrid(dg, dy, x.data, grid.data) })
	}
}

// ResizeBilinear returns x [N, C, H, W] with height h and width w, [N, C, h, w], by
// bilinear interpolation without smoothing. With alignCorners the centres of the
// corner pixels coincide, otherwise the corners of the images. ResizeBilinear panics
// if x has another rank or a size is 0.
func ResizeBilinear(x Var, h, w int, alignCorners bool) Var {
	return resize("autograd.ResizeBilinear", x, kernel.Resize{OutH: h, OutW: w, AlignCorners: alignCorners})
}

// ResizeNearest returns x [N, C, H, W] with height h and width w, [N, C, h, w]: row i
// comes from row floor(i·H/h), and a column likewise. ResizeNearest panics if x has
// another rank or a size is 0.
func ResizeNearest(x Var, h, w int) Var {
	return resize("autograd.ResizeNearest", x, kernel.Resize{OutH: h, OutW: w, Nearest: true})
}

func resize(op string, x Var, r kernel.Resize) Var {
	n := x.node(op)
	t := x.tape
	if n.rank != 4 || n.dims[2] == 0 || n.dims[3] == 0 || r.OutH < 1 || r.OutW < 1 {
		tensor.Panic(op, fmt.Sprintf("cannot make images of %d by %d", r.OutH, r.OutW), n.shape())
	}
	r.Planes, r.H, r.W = n.dims[0]*n.dims[1], n.dims[2], n.dims[3]
	y := t.newNode(n.dims[0], n.dims[1], r.OutH, r.OutW)
	r.Forward(y.data, n.data)
	if t.records(n) {
		record[resizeOp](t, y, n).r = r
	}
	return y.v(t)
}

type resizeOp struct{ r kernel.Resize }

func (o *resizeOp) backward(t *Tape, y *node) {
	t.give(y.in[0], func(dx []float32) { o.r.Grad(dx, y.gradient()) })
}
