package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Where the fields of tvRow are.
const (
	tvU     = 0
	tvBelow = 48
	tvP     = 96
	tvAbove = 192
	tvG     = 240
	tvMask  = 336
	tvN     = 360
	tvA     = 368
	tvTheta = 372
)

// A tvLoop runs over a row.
type tvLoop struct {
	isa
	r, x reg.GPVirtual
}

func beginTV(v isa, name, generic string) tvLoop {
	TEXT(name+v.Name, NOSPLIT, "func(r *byte)")
	Doc(name + v.Name + " is " + generic + "; r points to a tvRow.")
	l := tvLoop{v, Load(Param("r"), GP64()).(reg.GPVirtual), GP64()}
	return l
}

func (l tvLoop) slice(offset, k int) reg.GPVirtual {
	p := GP64()
	MOVQ(Mem{Base: l.r, Disp: offset + 24*k}, p)
	return p
}

func (l tvLoop) spread(offset int) reg.VecVirtual {
	r := l.Vec()
	VBROADCASTSS(Mem{Base: l.r, Disp: offset}, r)
	return r
}

// at is where the vector is, off numbers further.
func (l tvLoop) at(p reg.Register, off int) Mem {
	return Mem{Base: p, Index: l.x, Scale: 4, Disp: 4 * off}
}

func (l tvLoop) load(m Mem) reg.VecVirtual {
	r := l.Vec()
	VMOVUPS(m, r)
	return r
}

func (l tvLoop) emit(body func()) {
	n := GP64()
	MOVQ(Mem{Base: l.r, Disp: tvN}, n)
	XORQ(l.x, l.x)
	Label("loop")
	body()
	ADDQ(Imm(uint64(l.Lanes)), l.x)
	CMPQ(l.x, n)
	JLT(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func tvPrimal(v isa) {
	l := beginTV(v, "tvPrimal", "tvPrimalGeneric")
	var u, p, above, g []reg.GPVirtual
	for k := range 4 {
		p, g = append(p, l.slice(tvP, k)), append(g, l.slice(tvG, k))
		if k < 2 {
			u, above = append(u, l.slice(tvU, k)), append(above, l.slice(tvAbove, k))
		}
	}
	a, theta, lowest := l.spread(tvA), l.spread(tvTheta), l.Vec()
	v.Clear(lowest)
	VSUBPS(a, lowest, lowest)
	l.emit(func() {
		w := []reg.VecVirtual{l.load(l.at(u[0], 0)), l.load(l.at(u[1], 0))}
		grad := []reg.VecVirtual{l.load(l.at(g[0], 0)), l.load(l.at(g[1], 0))}
		q := l.load(l.at(g[2], 0))
		VFMADD231PS(grad[0], w[0], q)
		VFMADD231PS(grad[1], w[1], q)
		VMULPS(l.at(g[3], 0), q, q)
		VMINPS(a, q, q)
		VMAXPS(lowest, q, q)
		for k := range 2 {
			VFNMADD231PS(q, grad[k], w[k])
			d := l.load(l.at(p[2*k], 0))
			VSUBPS(l.at(p[2*k], -1), d, d)
			VADDPS(l.at(p[2*k+1], 0), d, d)
			VSUBPS(l.at(above[k], 0), d, d)
			VFMADD231PS(theta, d, w[k])
			VMOVUPS(w[k], l.at(u[k], 0))
		}
	})
}

func tvDual(v isa) {
	l := beginTV(v, "tvDual", "tvDualGeneric")
	var u, below, p []reg.GPVirtual
	for k := range 4 {
		p = append(p, l.slice(tvP, k))
		if k < 2 {
			u, below = append(u, l.slice(tvU, k)), append(below, l.slice(tvBelow, k))
		}
	}
	mask := l.slice(tvMask, 0)
	a := l.spread(tvA)
	one := constant("flowOne", func(int) Constant { return U32(math.Float32bits(1)) })
	l.emit(func() {
		for k := range 2 {
			here := l.load(l.at(u[k], 0))
			dx, dy, d := l.load(l.at(u[k], 1)), l.load(l.at(below[k], 0)), l.Vec()
			VSUBPS(here, dx, dx)
			VSUBPS(here, dy, dy)
			VMULPS(l.at(mask, 0), dx, dx)
			VMULPS(dx, dx, d)
			VFMADD231PS(dy, dy, d)
			VSQRTPS(d, d)
			VMULPS(a, d, d)
			VADDPS(one, d, d)
			for i, delta := range []reg.VecVirtual{dx, dy} {
				VFMADD213PS(l.at(p[2*k+i], 0), a, delta)
				VDIVPS(d, delta, delta)
				VMOVUPS(delta, l.at(p[2*k+i], 0))
			}
		}
	})
}
