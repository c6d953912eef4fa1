package motion

import (
	"cmp"
	"fmt"
	"math"
	"sync"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Farneback estimates dense motion by expanding both frames around each pixel into
// polynomials of degree two and comparing these, on a pyramid of halved sizes
// (Farnebäck, "Two-frame motion estimation based on polynomial expansion", SCIA 2003).
//
// It differs from OpenCV's calcOpticalFlowFarneback where that lowered measured errors. It
// rounds earlier displacements to whole pixels, as the paper does, instead of interpolating
// the second expansion. It averages equations by a Gaussian, over cells of 2x2 pixels.
// Where the equations do not determine a vector, the coarser level's vector stays. The
// pyramid has as many levels as the frames allow.
type Farneback struct {
	Levels     int     // of the pyramid, with the frame itself; 0 means all with a shorter side of at least 8 pixels
	Iterations int     // on each level; 0 means 2
	Window     float64 // standard deviation of the Gaussian in pixels, at most 10; 0 means 3. A larger one is smoother and finds larger motion; a smaller one follows edges better
	Radius     int     // of the expanded neighbourhood in pixels, at most 15; 0 means 5
	Sigma      float64 // standard deviation in pixels of its weights; 0 means 1.2
}

// Name names the estimator among the options of an attack.
func (Farneback) Name() string { return "farneback" }

// Estimate implements Estimator. It panics if a frame or the options are impossible.
func (o Farneback) Estimate(f *Frames, ref, cur int) *Field {
	const op = "motion.Farneback.Estimate"
	o.Iterations, o.Window = cmp.Or(o.Iterations, 2), cmp.Or(o.Window, 3)
	o.Radius, o.Sigma = cmp.Or(o.Radius, 5), cmp.Or(o.Sigma, 1.2)
	f.check(op, ref, cur)
	if o.Levels < 0 || o.Iterations < 0 || !(o.Window > 0 && o.Window <= 10) || o.Radius < 1 || o.Radius > kernel.MaxFlowRadius || !(o.Sigma > 0) {
		tensor.Panic(op, fmt.Sprintf("impossible options %+v", o))
	}
	p := pyramids.Get().(*pyramid)
	defer pyramids.Put(p)
	p.build(f, ref, cur, o.Levels)
	if p.radius != o.Radius || p.sigma != o.Sigma {
		p.radius, p.sigma, p.expansion = o.Radius, o.Sigma, kernel.NewFlowExpansion(o.Radius, o.Sigma)
	}
	p.window = gaussian(p.window, o.Window/2)
	for k := len(p.levels) - 1; k >= 0; k-- {
		l := &p.levels[k]
		n := l.h * kernel.FlowStride(l.w)
		p.expansions[0], p.expansions[1] = grow(p.expansions[0], 5*n), grow(p.expansions[1], 5*n)
		p.expansion.Apply(p.expansions[0], l.cur, l.h, l.w)
		p.expansion.Apply(p.expansions[1], l.ref, l.h, l.w)
		p.step.Init(l.h, l.w, p.window, o.Radius, changeCost)
		p.descend(k)
		for range o.Iterations {
			p.step.Apply(p.flow, p.expansions[0], p.expansions[1])
		}
	}
	d := NewField(f.H, f.W)
	n := len(p.flow) / 2
	kernel.FlowGrow(d.DX, p.flow[:n], f.H, f.W, f.W, -1)
	kernel.FlowGrow(d.DY, p.flow[n:], f.H, f.W, f.W, -1)
	return d
}

// changeCost is what a change of the flow by a pixel costs, in squared gray levels per
// pixel. A tenth of it or ten times as much makes little difference.
const changeCost = 0.1

// gaussian returns the weights of a window, as far as they matter.
func gaussian(w []float32, sigma float64) []float32 {
	r := min(int(math.Ceil(3*sigma)), kernel.MaxFlowRadius)
	w = grow(w, 2*r+1)
	sum := 0.0
	for k := -r; k <= r; k++ {
		sum += math.Exp(-float64(k*k) / (2 * sigma * sigma))
	}
	for k := -r; k <= r; k++ {
		w[k+r] = float32(math.Exp(-float64(k*k)/(2*sigma*sigma)) / sum)
	}
	return w
}

// A pyramid is two frames at halved sizes, and memory for the estimation.
type pyramid struct {
	levels     []level
	flow, next []float32 // see descend

	radius     int
	sigma      float64
	expansion  *kernel.FlowExpansion
	expansions [2][]float32
	window     []float32
	step       kernel.FlowStep
}

type level struct {
	h, w     int
	cur, ref []float32 // planes
}

var pyramids = sync.Pool{New: func() any { return new(pyramid) }}

// smallest is the shortest side of a level other than the first.
const smallest = 8

// build makes the levels, at most so many if levels is positive.
func (p *pyramid) build(f *Frames, ref, cur, levels int) {
	h, w, n := f.H, f.W, 1
	for n != levels && min(h, w) >= 2*smallest-1 {
		h, w, n = (h+1)/2, (w+1)/2, n+1
	}
	p.levels = append(p.levels[:min(len(p.levels), n)], make([]level, max(0, n-len(p.levels)))...)
	h, w = f.H, f.W
	for k := range p.levels {
		l := &p.levels[k]
		l.h, l.w = h, w
		l.cur, l.ref = grow(l.cur, h*kernel.FlowStride(w)), grow(l.ref, h*kernel.FlowStride(w))
		if k == 0 {
			kernel.FlowPad(l.cur, f.Luma(cur), h, w)
			kernel.FlowPad(l.ref, f.Luma(ref), h, w)
		} else {
			above := &p.levels[k-1]
			kernel.FlowShrink(l.cur, above.cur, above.h, above.w)
			kernel.FlowShrink(l.ref, above.ref, above.h, above.w)
		}
		h, w = (h+1)/2, (w+1)/2
	}
	p.flow = p.flow[:0]
}

// descend makes flow what is known of level k: that of the level above at twice the size
// and twice as long, or 0. The flow is two planes of cells of 2x2 pixels, which are the
// pixels of the level above.
func (p *pyramid) descend(k int) {
	l := &p.levels[k]
	h, w := (l.h+1)/2, (l.w+1)/2
	n := h * kernel.FlowStride(w)
	p.next = grow(p.next, 2*n)
	if k == len(p.levels)-1 {
		clear(p.next)
	} else {
		half := len(p.flow) / 2
		for i := range 2 {
			kernel.FlowGrow(p.next[i*n:][:n], p.flow[i*half:][:half], h, w, kernel.FlowStride(w), 2)
		}
	}
	p.flow, p.next = p.next, p.flow
}
