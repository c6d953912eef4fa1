package motion

import (
	"cmp"
	"fmt"
	"sync"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// TVL1 estimates dense motion by minimising absolute brightness differences and total
// variation (Zach, Pock and Bischof, "A duality based approach for realtime TV-L1 optical
// flow", DAGM 2007; Sánchez, Meinhardt-Llopis and Facciolo, "TV-L1 optical flow
// estimation", IPOL 2013). It keeps motion edges sharp, and takes many times as long as
// [Farneback].
type TVL1 struct {
	Levels     int     // of the pyramid of halved sizes, the frame itself included; 0 means all whose shorter side has 8 pixels or more
	Warps      int     // linearisations of the brightness difference per level; 0 means 3
	Iterations int     // per warp; 0 means 30
	Lambda     float64 // weight per gray level of difference; 0 means 0.15. A smaller one is smoother
	Theta      float64 // coupling of the two terms; 0 means 0.2
	Tau        float64 // length of a dual step, at most 0.25; 0 means 0.25
}

// Name names the estimator among the options of an attack.
func (TVL1) Name() string { return "tvl1" }

// Estimate implements Estimator. It panics if a frame or the options are impossible.
func (o TVL1) Estimate(f *Frames, ref, cur int) *Field {
	const op = "motion.TVL1.Estimate"
	o.Warps, o.Iterations = cmp.Or(o.Warps, 3), cmp.Or(o.Iterations, 30)
	o.Lambda, o.Theta, o.Tau = cmp.Or(o.Lambda, 0.15), cmp.Or(o.Theta, 0.2), cmp.Or(o.Tau, 0.25)
	f.check(op, ref, cur)
	if o.Levels < 0 || o.Warps < 0 || o.Iterations < 0 || !(o.Lambda > 0 && o.Theta > 0 && o.Tau > 0 && o.Tau <= 0.25) {
		tensor.Panic(op, fmt.Sprintf("impossible options %+v", o))
	}
	p := pyramids.Get().(*pyramid)
	defer pyramids.Put(p)
	p.build(f, ref, cur, o.Levels)
	tv, next := tvs.Get().(*kernel.FlowTV), tvs.Get().(*kernel.FlowTV)
	for k := len(p.levels) - 1; k >= 0; k-- {
		l := &p.levels[k]
		next.Init(l.h, l.w)
		ux, uy := next.Flow()
		if k < len(p.levels)-1 {
			x, y := tv.Flow()
			kernel.FlowGrow(ux, x, l.h, l.w, kernel.FlowStride(l.w), 2)
			kernel.FlowGrow(uy, y, l.h, l.w, kernel.FlowStride(l.w), 2)
		}
		for range o.Warps {
			next.Warp(l.cur, l.ref)
			next.Iterate(o.Iterations, float32(o.Lambda), float32(o.Theta), float32(o.Tau))
		}
		tv, next = next, tv
	}
	d := NewField(f.H, f.W)
	x, y := tv.Flow()
	stride := kernel.FlowStride(f.W)
	for i := range d.DX {
		j := i/f.W*stride + i%f.W
		d.DX[i], d.DY[i] = -x[j], -y[j]
	}
	tvs.Put(tv)
	tvs.Put(next)
	return d
}

var tvs = sync.Pool{New: func() any { return new(kernel.FlowTV) }}
