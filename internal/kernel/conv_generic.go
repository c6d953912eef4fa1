package kernel

import (
	"math/bits"
	"unsafe"
)

// genericLanes is the length of a vector in plain Go.
const genericLanes = 8

var genericConv = convOps{
	lanes: genericLanes,
	strips: []convStrip{
		{rows: 4, vecs: 1, tile: [9]convFunc{1: genericTile4}},
		{rows: 1, vecs: 1, tile: [9]convFunc{1: genericTile1}},
	},
	dots:   [5][]convFunc{4: {genericDot4}, 1: {genericDot1}},
	rows:   [5]convFunc{4: genericRows4, 1: genericRows1},
	panels: [8]convFunc{genericPanel},
}

// at returns the number off bytes behind p.
func at(p *float32, off int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), off)) }

// vecAt returns the vector off bytes behind p.
func vecAt(p *float32, off int) *[genericLanes]float32 {
	return (*[genericLanes]float32)(unsafe.Add(unsafe.Pointer(p), off))
}

func genericTile4(p *byte) { genericTile((*convTile)(unsafe.Pointer(p)), 4) }
func genericTile1(p *byte) { genericTile((*convTile)(unsafe.Pointer(p)), 1) }

func genericTile(t *convTile, rows int) {
	var acc [4][genericLanes]float32
	runs := t.vecs.runs(t.runs)
	for r := range rows {
		a := &acc[r]
		if t.flags&convAccumulate == 0 {
			init := *at(t.init, 4*r)
			for i := range a {
				a[i] = init
			}
			continue
		}
		for _, run := range runs {
			lo, hi := run.lanes()
			for i := lo; i < hi; i++ {
				a[i] = *at(t.c, r*t.stride+run.off+4*i)
			}
		}
	}
	offs := unsafe.Slice(t.offs, t.k)
	for k, off := range offs {
		x := vecAt(t.b, int(t.vecs.in)+int(off))
		for r := range rows {
			w := *at(t.a, 4*(k*rows+r))
			a := &acc[r]
			for i := range a {
				a[i] += float32(x[i] * w)
			}
		}
	}
	for r := range rows {
		a := &acc[r]
		for _, run := range runs {
			lo, hi := run.lanes()
			for i := lo; i < hi; i++ {
				v := a[i]
				if t.flags&convReLU != 0 && v < 0 {
					v = 0
				}
				*at(t.c, r*t.stride+run.off+4*i) = v
			}
		}
	}
}

// runs returns the runs of v in list.
func (v *convVec) runs(list *convRun) []convRun {
	return unsafe.Slice((*convRun)(unsafe.Add(unsafe.Pointer(list), v.first)), v.count)
}

// lanes returns the first lane of the run and the one after its last.
func (r *convRun) lanes() (lo, hi int) {
	return bits.TrailingZeros32(r.mask), bits.Len32(r.mask)
}

func genericDot4(p *byte) { genericDot((*convDot)(unsafe.Pointer(p)), 4) }
func genericDot1(p *byte) { genericDot((*convDot)(unsafe.Pointer(p)), 1) }

func genericDot(t *convDot, rows int) {
	vecs := unsafe.Slice(t.vecs, t.n)
	for r := range rows {
		var acc [genericLanes]float32
		for i := range vecs {
			x := vecAt(t.b, int(vecs[i].in)+int(*t.offs))
			g := vecAt(t.dy, 4*genericLanes*(i*rows+r))
			for j := range acc {
				acc[j] += float32(x[j] * g[j])
			}
		}
		*at(t.out, 4*r) += (acc[0] + acc[4]) + (acc[1] + acc[5]) + ((acc[2] + acc[6]) + (acc[3] + acc[7]))
	}
}

func genericRows4(p *byte) { genericRows((*convRows)(unsafe.Pointer(p)), 4) }
func genericRows1(p *byte) { genericRows((*convRows)(unsafe.Pointer(p)), 1) }

func genericRows(t *convRows, rows int) {
	vecs := unsafe.Slice(t.vecs, t.n)
	for i := range vecs {
		for r := range rows {
			dst := vecAt(t.dst, 4*genericLanes*(i*rows+r))
			clear(dst[:])
			for _, run := range vecs[i].runs(t.runs) {
				lo, hi := run.lanes()
				for j := lo; j < hi; j++ {
					dst[j] = *at(t.src, r*t.stride+run.off+4*j)
				}
			}
		}
	}
}

func genericPanel(p *byte) {
	t := (*convPanel)(unsafe.Pointer(p))
	index := unsafe.Slice(t.index, genericLanes)
	for k, off := range unsafe.Slice(t.offs, t.k) {
		dst := vecAt(t.dst, 4*genericLanes*k)
		for i := range dst {
			dst[i] = *at(t.b, int(off)+int(index[i]))
		}
	}
}
