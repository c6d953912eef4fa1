package kernel

import (
	"unsafe"

	"github.com/mettleml/mettle/internal/parallel"
)

// A convGradTask computes the gradient to the weights of the convolution of its
// plan: first, for every split of the blocks, group and chunk of channels, the
// sums over the split's positions; then the sums over splits.
type convGradTask struct {
	plan      convPlan
	dw, dy, x []float32

	splits     int
	groupsOnce int
	sums       []float32 // [split][group][chunk][strip][channel, tap][row]
	adding     bool      // the second phase
}

// A convGradWorker is what one part needs for itself.
type convGradWorker struct {
	fill  convFill
	panel convPanel
	rows  convRows
	dot   convDot
}

var (
	convGradTasks   freeList[convGradTask]
	convGradWorkers freeList[convGradWorker]
)

// directConvWeights computes dw.
func directConvWeights(s *ConvShape, dw, dy, x []float32) {
	if len(dw) == 0 {
		return
	}
	if s.N == 0 {
		clear(dw)
		return
	}
	t := convGradTasks.get()
	p := &t.plan
	p.reset(s, false)
	p.cut(convRoom, min(convBlockVecs, max(convBlockVecs/3, 2*convRoom/p.ops.lanes/p.m)))
	t.dw, t.dy, t.x = dw, dy, x
	t.share()
	sums := getScratch(t.splits * p.groups * p.chunks * t.chunkSums())
	t.sums = sums.f
	t.adding = false
	parallel.Run(t.splits*ceilDiv(p.groups, t.groupsOnce)*p.chunks, t)
	t.adding = true
	parallel.Run(ceilDiv(p.groups, t.groupsOnce)*p.chunks, t)
	t.dw, t.dy, t.x, t.sums = nil, nil, nil, nil
	putScratch(sums)
	convGradTasks.put(t)
}

// share decides how groups and blocks are dealt out.
func (t *convGradTask) share() {
	p := &t.plan
	const enough, parts = 1 << 18, 16
	blocks := volume(p.blocks)
	// Products of a group and chunk; more than enough for all parts makes no difference.
	all := int64(volume(p.block)) * int64(blocks) * int64(p.grid()[2]) * int64(p.m*p.depth*p.kernel)
	work := int(min(all, parts*enough))
	t.groupsOnce = max(1, min(p.groups, enough/work))
	t.splits = min(blocks, ceilDiv(parts, ceilDiv(p.groups, t.groupsOnce)*p.chunks), ceilDiv(work*t.groupsOnce, enough))
}

// strips returns how many strips of rows the results have: of 4, the last one
// over again some rows of the last but one, or of 1 where that fits better.
func (t *convGradTask) strips() int {
	if m := t.plan.m; m >= 4 {
		return ceilDiv(m, 4)
	} else {
		return m
	}
}

// strip returns the first row and the height of strip i.
func (t *convGradTask) strip(i int) (m, rows int) {
	all := t.plan.m
	switch {
	case all < 4:
		return i, 1
	case 4*i+1 == all:
		return 4 * i, 1
	default:
		return min(4*i, all-4), 4
	}
}

// chunkSums returns how many sums there are for a split, group and chunk.
func (t *convGradTask) chunkSums() int {
	return t.strips() * 4 * t.plan.depth * t.plan.kernel
}

func (t *convGradTask) Part(i int) {
	p := &t.plan
	chunk := i % p.chunks
	i /= p.chunks
	groups := ceilDiv(p.groups, t.groupsOnce)
	g0 := i % groups * t.groupsOnce
	split := i / groups
	g1 := min(p.groups, g0+t.groupsOnce)
	if t.adding {
		for g := g0; g < g1; g++ {
			t.add(g, chunk)
		}
		return
	}
	blocks := volume(p.blocks)
	first, last := split*blocks/t.splits, (split+1)*blocks/t.splits
	sub := &p.subs[0]
	count := max(sub.list[0].count, sub.list[1].count)
	planes := ceilDiv(p.depth*p.planes*p.plane+p.ops.lanes, 16) * 16
	panels := 0
	if sub.list[0].packed || sub.list[1].packed {
		panels = count * p.panelSize(sub)
	}
	memory := partScratch(planes + panels + 4*t.strips()*count*p.ops.lanes)
	w := convGradWorkers.get()
	for g := g0; g < g1; g++ {
		sums := t.sums[((split*p.groups+g)*p.chunks+chunk)*t.chunkSums():][:t.chunkSums()]
		clear(sums)
		for b := first; b < last; b++ {
			rest := b
			var start [3]int
			for d := 2; d >= 0; d-- {
				start[d] = rest % p.blocks[d] * p.block[d]
				rest /= p.blocks[d]
			}
			t.block(w, g, chunk, start, sums, memory.f[:planes], memory.f[planes:][:panels], memory.f[planes+panels:])
		}
	}
	*w = convGradWorker{}
	convGradWorkers.put(w)
	putScratch(memory)
}

// block adds to sums what the block that begins at start gives.
func (t *convGradTask) block(w *convGradWorker, g, chunk int, start [3]int, sums, planes, panels, dy []float32) {
	p := &t.plan
	sub := &p.subs[0]
	c0 := chunk * p.depth
	count := min(p.depth, p.c-c0)
	list := p.listOf(sub, start)
	p.fillPlanes(&w.fill, planes, t.x, g, c0, count, start)
	p.clearEnds(planes, list.extent[0])
	k := count * sub.taps
	d := &w.dot
	d.n, d.vecs = list.count, &p.vecs[list.first]
	d.b = &planes[0]
	offs := p.offs[sub.offs:]
	if list.packed {
		p.gather(&w.panel, sub, list, panels, planes, k)
		d.b, offs = &panels[0], p.dense
	}
	r := &w.rows
	r.n, r.vecs, r.runs, r.stride = list.count, &p.vecs[list.first], &p.runs[0], 4*volume(p.out)
	r.ahead = 4 * r.stride // the next strip
	at := p.resultAt(sub, g, start)
	strips := t.strips()
	size := 4 * list.count * p.ops.lanes
	for i := range strips {
		m, rows := t.strip(i)
		r.src, r.dst = unsafe.SliceData(t.dy[at+m*volume(p.out):]), &dy[i*size]
		p.ops.rows[rows](r.ptr())
	}
	for i := 0; i < strips; {
		// Strips of one height in turn for the same few taps.
		_, rows := t.strip(i)
		end := i + 1
		for end < strips {
			if _, h := t.strip(end); h != rows {
				break
			}
			end++
		}
		dots := p.ops.dots[rows]
		for k0 := 0; k0 < k; {
			tiles := ceilDiv(k-k0, len(dots))
			n := ceilDiv(k-k0, tiles)
			d.offs = &offs[k0]
			for j := i; j < end; j++ {
				d.dy, d.out = &dy[j*size], &sums[(j*4*p.depth*p.kernel)+k0*rows]
				dots[n-1](d.ptr())
			}
			k0 += n
		}
		i = end
	}
}

// add writes the sums over splits of one group and chunk to dw.
func (t *convGradTask) add(g, chunk int) {
	p := &t.plan
	k := min(p.depth, p.c-chunk*p.depth) * p.kernel
	at, size := (g*p.chunks+chunk)*t.chunkSums(), t.chunkSums()
	all := t.sums[at:][:size]
	for s := 1; s < t.splits; s++ {
		Add(all, all, t.sums[at+s*p.groups*p.chunks*size:][:size])
	}
	gemm := &Active().gemm
	for i := range t.strips() {
		m, rows := t.strip(i)
		from := all[i*4*p.depth*p.kernel:]
		to := t.dw[((g*p.m+m)*p.c+chunk*p.depth)*p.kernel:]
		for j := 0; j < k; j += gemm.transposeLanes {
			gemm.packTranspose(to[j:], p.c*p.kernel, from[j*rows:], rows, min(gemm.transposeLanes, k-j), rows)
		}
	}
}
