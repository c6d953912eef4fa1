package kernel

import (
	"fmt"

	"github.com/mettleml/mettle/internal/parallel"
)

// A Resize is a change of size of Planes images from H x W to OutH x OutW.
// With AlignCorners the centres of the corner pixels coincide; otherwise the
// corners of the images do. Nearest takes pixel floor(i·H/OutH) and has no use
// for AlignCorners.
type Resize struct {
	Planes       int
	H, W         int
	OutH, OutW   int
	AlignCorners bool
	Nearest      bool
}

// Forward writes the resized x [Planes, H, W] to y [Planes, OutH, OutW].
func (r *Resize) Forward(y, x []float32) {
	r.check("Resize.Forward", y, x)
	r.run(y, x, false)
}

// Grad writes to dx the gradient of a sum of the output weighted by dy.
func (r *Resize) Grad(dx, dy []float32) {
	r.check("Resize.Grad", dy, dx)
	r.run(dy, dx, true)
}

func (r *Resize) check(op string, y, x []float32) {
	if r.Planes < 0 || r.H < 1 || r.W < 1 || r.OutH < 1 || r.OutW < 1 {
		panic(fmt.Sprintf("kernel: %s: %d planes of %dx%d to %dx%d", op, r.Planes, r.H, r.W, r.OutH, r.OutW))
	}
	need(op, "x", len(x), r.Planes*r.H*r.W)
	need(op, "y", len(y), r.Planes*r.OutH*r.OutW)
}

func (r *Resize) run(y, x []float32, grad bool) {
	t := resizeTasks.get()
	t.Resize, t.set, t.y, t.x, t.grad = *r, Active(), y, x, grad
	t.rows.fill(r.H, r.OutH, r.AlignCorners, r.Nearest)
	t.cols.fill(r.W, r.OutW, r.AlignCorners, r.Nearest)
	var parts int
	t.per, parts = cut(r.Planes, r.H*r.W+2*r.OutH*r.OutW)
	parallel.Run(parts, t)
	t.y, t.x = nil, nil
	resizeTasks.put(t)
}

// A resizeAxis says, for each output position, between which two input
// positions it lies and how far from the first.
type resizeAxis struct {
	lo, hi []int32
	frac   []float32
}

func (a *resizeAxis) fill(in, out int, align, nearest bool) {
	if cap(a.lo) < out {
		a.lo, a.hi, a.frac = make([]int32, out), make([]int32, out), make([]float32, out)
	}
	a.lo, a.hi, a.frac = a.lo[:out], a.hi[:out], a.frac[:out]
	for i := range out {
		if nearest {
			a.lo[i] = int32(i * in / out)
			a.hi[i], a.frac[i] = a.lo[i], 0
			continue
		}
		var at float64
		if !align {
			at = max(0, (float64(i)+0.5)*float64(in)/float64(out)-0.5)
		} else if out > 1 {
			at = float64(i) * float64(in-1) / float64(out-1)
		}
		lo := min(int(at), in-1)
		a.lo[i], a.hi[i] = int32(lo), int32(min(lo+1, in-1))
		if a.frac[i] = float32(at - float64(lo)); a.lo[i] == a.hi[i] {
			a.frac[i] = 0 // infinity less itself is NaN
		}
	}
}

type resizeTask struct {
	Resize
	set        *Set
	rows, cols resizeAxis
	per        int
	y, x       []float32
	grad       bool
}

var resizeTasks freeList[resizeTask]

// Part resizes some planes, or sends their gradients back.
func (t *resizeTask) Part(part int) {
	in, out := t.H*t.W, t.OutH*t.OutW
	line := partScratch(max(t.W, 2*t.OutW))
	for i := part * t.per; i < min((part+1)*t.per, t.Planes); i++ {
		x, y := t.x[i*in:(i+1)*in], t.y[i*out:(i+1)*out]
		if t.grad {
			t.planeGrad(x, y, line.f[:t.W])
		} else if t.OutH > t.H {
			t.enlarge(y, x, line.f)
		} else {
			t.plane(y, x, line.f[:t.W])
		}
	}
	putScratch(line)
}

// enlarge resizes every input row along the row first, the fewer of the two; the
// last two are kept in lines, and output rows are mixtures of them.
func (t *resizeTask) enlarge(y, x, lines []float32) {
	last := [2]int{-1, -1} // the rows kept, even and odd
	row := func(i int) []float32 {
		line := lines[i%2*t.OutW:][:t.OutW]
		if last[i%2] != i {
			last[i%2] = i
			t.along(line, x[i*t.W:][:t.W])
		}
		return line
	}
	for i := range t.OutH {
		y := y[i*t.OutW:][:t.OutW]
		a := row(int(t.rows.lo[i]))
		if f := t.rows.frac[i]; f == 0 {
			copy(y, a)
		} else {
			t.set.rowMap(opLerp, y, a, row(int(t.rows.hi[i])), f, 0)
		}
	}
}

// along resizes one row.
func (t *resizeTask) along(y, row []float32) {
	frac, lo, hi := t.cols.frac, t.cols.lo[:t.OutW], t.cols.hi[:t.OutW]
	y = y[:len(frac)]
	for j, f := range frac {
		v := row[lo[j]]
		if f != 0 {
			v += float32(f * (row[hi[j]] - v))
		}
		y[j] = v
	}
}

// plane mixes pairs of input rows first: the mixture is contiguous, and the
// gathering along the row is done once.
func (t *resizeTask) plane(y, x, line []float32) {
	for i := range t.OutH {
		a := x[int(t.rows.lo[i])*t.W:][:t.W]
		row := a
		if f := t.rows.frac[i]; f != 0 {
			b := x[int(t.rows.hi[i])*t.W:][:t.W]
			row = line
			for j, v := range a {
				row[j] = v + float32(f*(b[j]-v))
			}
		}
		t.along(y[i*t.OutW:][:t.OutW], row)
	}
}

func (t *resizeTask) planeGrad(dx, dy, line []float32) {
	clear(dx)
	lo, hi := t.cols.lo[:t.OutW], t.cols.hi[:t.OutW]
	for i := range t.OutH {
		clear(line)
		g := dy[i*t.OutW : (i+1)*t.OutW]
		for j, f := range t.cols.frac {
			line[lo[j]] += (1 - f) * g[j]
			if f != 0 {
				line[hi[j]] += f * g[j]
			}
		}
		f := t.rows.frac[i]
		a := dx[int(t.rows.lo[i])*t.W:][:t.W]
		for j, v := range line {
			a[j] += (1 - f) * v
		}
		if f != 0 {
			b := dx[int(t.rows.hi[i])*t.W:][:t.W]
			for j, v := range line {
				b[j] += f * v
			}
		}
	}
}
