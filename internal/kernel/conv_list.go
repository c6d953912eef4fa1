package kernel

// A convCursor walks over the rows of a block's positions.
type convCursor struct {
	p      *convPlan
	sub    *convSub
	extent [3]int
	i      int
	row    int // of row i: where it begins in a plane
	dst    int // and in the result, floats from the block's first position
}

// next moves to the next row, if there is one.
func (c *convCursor) next() bool {
	if c.i == volume(c.extent) {
		return false
	}
	p := c.p
	y := c.i % c.extent[2]
	z := c.i / c.extent[2] % c.extent[1]
	n := c.i / c.extent[2] / c.extent[1]
	c.row = ((n*p.rows[0]+z)*p.rows[1] + y) * p.pitch
	if p.outStep[2] > 1 {
		c.dst = c.i * c.sub.out[2] // kept together until zipped
	} else {
		c.dst = n*p.groups*p.m*volume(p.out) + (z*p.outStep[0]*p.out[1]+y*p.outStep[1])*p.out[2]
	}
	c.i++
	return true
}

// makeList makes the vectors of a block of the given extent.
//
// Directly, a vector is lanes numbers in a row of the plane; it begins at a
// position not yet covered, and the lanes that fall on padding between rows are
// idle. Through a panel no lane is idle but gathering costs time, the less the
// more channels share it.
func (p *convPlan) makeList(sub *convSub, l *convList, extent [3]int) {
	*l = convList{extent: extent, positions: volume(extent) * sub.out[2]}
	if l.positions == 0 {
		return
	}
	direct, packed := p.countDirect(sub, extent), ceilDiv(l.positions, p.ops.lanes)
	l.packed = direct*p.m > packed*(p.m+p.panelCost(sub))
	l.first = len(p.vecs)
	if l.packed {
		p.packedList(sub, l)
	} else {
		p.directList(sub, l)
	}
}

// panelCost is what gathering a vector of positions takes for a tap, in
// multiply-adds of a vector.
func (p *convPlan) panelCost(sub *convSub) int {
	switch runs := ceilDiv(p.ops.lanes, sub.out[2]) + 1; {
	case p.ops.panels[1] == nil:
		return 3 * p.ops.lanes
	case runs < len(p.ops.panels):
		return 3 + 2*runs
	default:
		return 28
	}
}

// countDirect returns how many vectors directList makes.
func (p *convPlan) countDirect(sub *convSub, extent [3]int) int {
	count, end := 0, 0
	for c := (convCursor{p: p, sub: sub, extent: extent}); c.next(); {
		if rest := c.row + sub.out[2] - max(c.row, end); rest > 0 {
			add := ceilDiv(rest, p.ops.lanes)
			end = max(c.row, end) + add*p.ops.lanes
			count += add
		}
	}
	return count
}

func (p *convPlan) directList(sub *convSub, l *convList) {
	lanes := p.ops.lanes
	for c := (convCursor{p: p, sub: sub, extent: l.extent}); c.next(); {
		for x := 0; x < sub.out[2]; {
			at := c.row + x
			if n := len(p.vecs); n == l.first || at-int(p.vecs[n-1].in)/4 >= lanes {
				p.addVec(4 * at)
			}
			lane := at - int(p.vecs[len(p.vecs)-1].in)/4
			count := min(sub.out[2]-x, lanes-lane)
			p.addRun(lane, count, c.dst+x)
			x += count
		}
	}
	l.count = len(p.vecs) - l.first
}

func (p *convPlan) packedList(sub *convSub, l *convList) {
	lanes := p.ops.lanes
	// Where results go, then where lanes come from.
	size := 4 * p.panelSize(sub)
	p.checkOffset(float64(ceilDiv(l.positions, lanes)) * float64(p.panelSize(sub)))
	fill := 0
	for c := (convCursor{p: p, sub: sub, extent: l.extent}); c.next(); {
		for x := 0; x < sub.out[2]; {
			if fill%lanes == 0 {
				p.addVec(fill / lanes * size)
			}
			lane := fill % lanes
			count := min(sub.out[2]-x, lanes-lane)
			p.addRun(lane, count, c.dst+x)
			x, fill = x+count, fill+count
		}
	}
	l.count = len(p.vecs) - l.first
	l.source = len(p.vecs)
	fill = 0
	for c := (convCursor{p: p, sub: sub, extent: l.extent}); c.next(); {
		for x := 0; x < sub.out[2]; {
			if fill%lanes == 0 {
				p.addVec(4 * len(p.index))
			}
			lane := fill % lanes
			count := min(sub.out[2]-x, lanes-lane)
			p.addRun(lane, count, c.row+x)
			for i := range count {
				p.index = append(p.index, int32(4*(c.row+x+i)))
			}
			x, fill = x+count, fill+count
		}
	}
	// Lanes without a position gather the first number of the plane.
	for ; fill%lanes != 0; fill++ {
		p.index = append(p.index, 0)
	}
}

// panelSize is how many floats a panel of sub takes: an odd number of vectors,
// lest all panels crowd the same sets of the cache.
func (p *convPlan) panelSize(sub *convSub) int { return p.ops.lanes * (p.depth*sub.taps | 1) }

func (p *convPlan) addVec(in int) {
	p.vecs = append(p.vecs, convVec{in: int32(in), first: len(p.runs) * convRunSize})
}

// addRun gives lanes [lane, lane+count) of the last vector the places from dst.
func (p *convPlan) addRun(lane, count, dst int) {
	v := &p.vecs[len(p.vecs)-1]
	mask := uint32(1<<count-1) << lane
	off := 4 * (dst - lane)
	if v.count > 0 {
		if last := &p.runs[len(p.runs)-1]; last.off == off && last.mask<<1&mask != 0 {
			last.mask |= mask
			return
		}
	}
	p.runs = append(p.runs, convRun{off: off, mask: mask})
	v.count++
}
