package kernel

import (
	"unsafe"

	"github.com/mettleml/mettle/internal/parallel"
)

// A convTask computes y = act(conv(x) + bias) for the convolution of its plan,
// which is a forward pass or a gradient to data.
type convTask struct {
	plan       convPlan
	y, x, bias []float32
	act        Act
	w, weights []float32 // as they come, packed
	data       bool

	packing    int // parts of the packing, while that is what Part does
	parts      int // parts of the channels of a group, by strips
	groupsOnce int // groups done in one part
}

// A convWorker is what one part needs for itself.
type convWorker struct {
	fill   convFill
	panel  convPanel
	tile   convTile
	zip    convZip
	zeros  [8]float32
	turned convTurned
}

var (
	convTasks   freeList[convTask]
	convWorkers freeList[convWorker]
)

// directConv does a forward pass (data false) or a gradient to data.
func directConv(s *ConvShape, y, x, w, bias []float32, act Act, data bool) {
	if len(y) == 0 {
		return
	}
	t := convTasks.get()
	p := &t.plan
	p.reset(s, data)
	p.cut(convRoom, convBlockVecs)
	t.y, t.x, t.bias, t.act = y, x, bias, act
	packed := getScratch(max(1, len(w)))
	t.w, t.weights, t.data = w, packed.f, data
	t.packing = min(ceilDiv(p.m, 8), ceilDiv(len(w), packFloats/4))
	parallel.Run(t.packing, t)
	t.packing = 0
	t.share()
	parallel.Run(ceilDiv(p.groups, t.groupsOnce)*t.parts*volume(p.blocks), t)
	t.y, t.x, t.bias, t.w, t.weights = nil, nil, nil, nil, nil
	putScratch(packed)
	convTasks.put(t)
}

// share decides how groups and channels are dealt out.
func (t *convTask) share() {
	p := &t.plan
	const enough = 1 << 20 // products worth a part of their own
	blocks := volume(p.blocks)
	g := p.grid()
	work := p.block[0] * p.block[1] * p.block[2] * g[2] * p.m * max(1, p.c*p.kernel) // of a block and a group
	t.groupsOnce = max(1, min(p.groups, enough/4/max(1, work)))
	t.parts = 1
	if total := blocks * p.groups; total < 8 && work > enough/4 {
		t.parts = min(ceilDiv(p.m, 8), ceilDiv(8, total), ceilDiv(work, enough/4))
	}
}

func (t *convTask) Part(i int) {
	p := &t.plan
	if t.packing > 0 {
		strips := ceilDiv(p.m, 8)
		w := convWorkers.get()
		p.packWeights(t.weights, t.w, t.data, &w.turned, 8*cutAt(strips, t.packing, i), min(p.m, 8*cutAt(strips, t.packing, i+1)))
		convWorkers.put(w)
		return
	}
	part := i % t.parts
	i /= t.parts
	var start [3]int
	for d := 2; d >= 0; d-- {
		start[d] = i % p.blocks[d] * p.block[d]
		i /= p.blocks[d]
	}
	// Channels [m0, m1) of a group, by whole strips of 8.
	m0 := part * ceilDiv(p.m, 8) / t.parts * 8
	m1 := min(p.m, (part+1)*ceilDiv(p.m, 8)/t.parts*8)

	planes := p.depth * p.planes * p.plane
	panels, results := 0, 0
	for s := range p.subs {
		sub := &p.subs[s]
		for l := range sub.list {
			list := &sub.list[l]
			if list.packed {
				panels = max(panels, list.count*p.panelSize(sub))
			}
		}
		results += sub.list[0].positions * (m1 - m0)
	}
	if p.outStep[2] == 1 {
		results = 0
	}
	planes = ceilDiv(planes+p.ops.lanes, 16) * 16
	memory := partScratch(planes + panels + results)
	w := convWorkers.get()
	for g := i * t.groupsOnce; g < min(p.groups, (i+1)*t.groupsOnce); g++ {
		for chunk := range p.chunks {
			c0 := chunk * p.depth
			count := min(p.depth, p.c-c0)
			p.fillPlanes(&w.fill, memory.f, t.x, g, c0, count, start)
			rest := memory.f[planes+panels:]
			for s := range p.subs {
				sub := &p.subs[s]
				t.strips(w, sub, g, chunk, count, m0, m1, start, memory.f[:planes], memory.f[planes:], rest)
				if results > 0 {
					rest = rest[sub.list[0].positions*(m1-m0):]
				}
			}
		}
		if results > 0 {
			t.zip(&w.zip, g, m0, m1, start, memory.f[planes+panels:])
		}
	}
	w.fill, w.panel, w.tile, w.zip = convFill{}, convPanel{}, convTile{}, convZip{}
	convWorkers.put(w)
	putScratch(memory)
}

// strips does the products of one chunk of channels for one sub of a block.
// Results go to y, or to held if they are yet to be zipped.
func (t *convTask) strips(w *convWorker, sub *convSub, g, chunk, count, m0, m1 int, start [3]int, planes, panels, held []float32) {
	p := &t.plan
	list := p.listOf(sub, start)
	if list == nil {
		return
	}
	tile := &w.tile
	tile.k = count * sub.taps
	tile.runs = &p.runs[0]
	tile.flags = 0
	if chunk > 0 {
		tile.flags |= convAccumulate
	}
	if chunk == p.chunks-1 && t.act == ActReLU {
		tile.flags |= convReLU
	}
	offs := unsafe.SliceData(p.offs[sub.offs:])
	if list.packed {
		p.gather(&w.panel, sub, list, panels, planes, tile.k)
		tile.b, tile.offs = unsafe.SliceData(panels), unsafe.SliceData(p.dense)
	} else {
		tile.b, tile.offs = unsafe.SliceData(planes), offs
	}
	var row int
	var base []float32
	if p.outStep[2] > 1 {
		row = list.positions
		base = held
	} else {
		row = volume(p.out)
		base = t.y[p.resultAt(sub, g, start)+m0*row:]
	}
	tile.stride = 4 * row
	weights := t.weights[g*p.groupWeights()+sub.weights:]
	for m := m0; m < m1; {
		strip := &p.ops.strips[0]
		for i := 1; strip.rows > m1-m; i++ {
			strip = &p.ops.strips[i]
		}
		tile.a = unsafe.SliceData(weights[(chunk*p.depth*p.m+m*count)*sub.taps:])
		tile.init = &w.zeros[0]
		if t.bias != nil {
			tile.init = &t.bias[g*p.m+m]
		}
		tile.c = &base[(m-m0)*row]
		for v := 0; v < list.count; {
			n := strip.width(list.count - v)
			tile.vecs = &p.vecs[list.first+v]
			strip.tile[n](tile.ptr())
			v += n
		}
		m += strip.rows
	}
}

// resultAt returns where the results of a sub begin in y for the first channel
// of group g and the block that begins at start.
func (p *convPlan) resultAt(sub *convSub, g int, start [3]int) int {
	return (start[0]*p.groups+g)*p.m*volume(p.out) +
		((start[1]*p.outStep[0]+sub.at[0])*p.out[1]+start[2]*p.outStep[1]+sub.at[1])*p.out[2] + sub.at[2]
}

// listOf returns the vectors of sub in the block that begins at start, nil if
// there are none.
func (p *convPlan) listOf(sub *convSub, start [3]int) *convList {
	extent := p.extent(sub, [3]int{start[0] / p.block[0], start[1] / p.block[1], start[2] / p.block[2]})
	if volume(extent) == 0 {
		return nil
	}
	l := &sub.list[0]
	if l.extent != extent {
		l = &sub.list[1]
	}
	return l
}

// gather fills the panels of a packed list.
func (p *convPlan) gather(t *convPanel, sub *convSub, l *convList, panels, planes []float32, k int) {
	t.k, t.offs, t.b = k, unsafe.SliceData(p.offs[sub.offs:]), unsafe.SliceData(planes)
	if k == 0 {
		return
	}
	size := p.panelSize(sub)
	for i, v := range p.vecs[l.source:][:l.count] {
		t.dst = &panels[i*size]
		t.runs = (*convRun)(unsafe.Add(unsafe.Pointer(&p.runs[0]), v.first))
		t.index = &p.index[v.in/4]
		f := p.ops.panels[0]
		if int(v.count) < len(p.ops.panels) && p.ops.panels[v.count] != nil {
			f = p.ops.panels[v.count]
		}
		f(t.ptr())
	}
}

// zip merges the results of the residues of a row's positions.
func (t *convTask) zip(z *convZip, g, m0, m1 int, start [3]int, held []float32) {
	p := &t.plan
	step := p.outStep[2]
	// Subs stand in order, those of one row side by side; a missing one has no
	// positions.
	for s := 0; s < len(p.subs); {
		first := s
		at := 0
		for i := range first {
			at += p.subs[i].list[0].positions * (m1 - m0)
		}
		for s < len(p.subs) && p.subs[s].at[0] == p.subs[first].at[0] && p.subs[s].at[1] == p.subs[first].at[1] {
			s++
		}
		extent := p.extent(&p.subs[first], [3]int{start[0] / p.block[0], start[1] / p.block[1], start[2] / p.block[2]})
		if volume(extent) == 0 {
			continue
		}
		for n := range extent[0] {
			for m := m0; m < m1; m++ {
				for d := range extent[1] {
					from := at
					dst := t.y[p.resultAt(&p.subs[first], g, [3]int{start[0] + n, start[1] + d, start[2]})+m*volume(p.out):]
					skip := (n*extent[1] + d) * extent[2]
					if step == 2 && s-first == 2 && p.ops.zip != nil {
						a, b := &p.subs[first], &p.subs[first+1]
						z.rows, z.width = extent[2], p.out[2]
						z.a = &held[from+((m-m0)*volume(extent)+skip)*a.out[2]]
						from += a.list[0].positions * (m1 - m0)
						z.b = &held[from+((m-m0)*volume(extent)+skip)*b.out[2]]
						z.aStride, z.bStride = 4*a.out[2], 4*b.out[2]
						z.dst, z.dstStride = &dst[0], 4*p.outStep[1]*p.out[2]
						p.ops.zip(z.ptr())
						continue
					}
					for i := first; i < s; i++ {
						sub := &p.subs[i]
						src := held[from+((m-m0)*volume(extent)+skip)*sub.out[2]:]
						for y := range extent[2] {
							row := dst[y*p.outStep[1]*p.out[2]:]
							for x, v := range src[y*sub.out[2]:][:sub.out[2]] {
								row[sub.at[2]+x*step] = v
							}
						}
						from += sub.list[0].positions * (m1 - m0)
					}
				}
			}
		}
	}
}

// groupWeights returns how many packed weights a group has.
func (p *convPlan) groupWeights() int {
	n := 0
	for i := range p.subs {
		n += p.subs[i].taps
	}
	return n * p.m * p.c
}
