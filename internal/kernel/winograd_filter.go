package kernel

// Transformed filters, and the gradients to them, lie in blocks of winoColumns
// result channels, the last block perhaps half as wide. In a block stand, slowest
// first, position, kernel frame, channel read, channel of the result.
const winoColumns = 2 * winoLanes

// winoFilterChannels is how many channels a part of the filters' transform covers.
const winoFilterChannels = 32

// inTurn is how many channels of one group of the source are summed before those of
// the next group, for every result alike; transformed filters lie in that order. It is
// a multiple of winoFilterChannels, or all.
func (s *winoShape) inTurn() int {
	switch {
	case s.srcPhases > 1:
		return winoFilterChannels
	case s.frames > 1:
		return winoColumnChannels
	}
	return s.c
}

// tapPixels is how many pixels a filter takes before its transform: nine for every
// frame or phase.
func (s *winoShape) tapPixels() int { return 9 * s.frames * s.srcPhases * s.dstPhases }

// placeTaps fills in the place in bytes of every tap of so many channels' filters
// among pixels.
func (t *winoTask) placeTaps(channels int) {
	t.tapAt = t.tapAt[:0]
	for c := range channels {
		for k := range t.taps {
			t.tapAt = append(t.tapAt, int32((c*t.tapPixels()+t.tapPlace(k))*winoLanes*4))
		}
	}
}

// A winoBlock is the place of a block of columns among transformed filters.
type winoBlock struct {
	offset int // of its first number
	pos    int // stride between positions
	width  int // columns
}

// block returns the block that holds column o of filters that take so many rows
// for a kernel frame.
func (s *winoShape) block(o, rows int) winoBlock {
	o -= o % winoColumns
	width := min(winoColumns, s.o16-o)
	return winoBlock{
		offset: o / winoColumns * 36 * winoStride(s.groups()*rows*winoColumns),
		pos:    winoStride(s.groups() * rows * width),
		width:  width,
	}
}

// filterFloats is the room of filters that take so many rows for a kernel frame.
func (s *winoShape) filterFloats(rows int) int {
	last := s.block(s.o16-1, rows)
	return last.offset + 36*last.pos
}

func (s *winoShape) filterParts() int {
	return ceilDiv(s.o, winoLanes) * ceilDiv(s.c, winoFilterChannels)
}

// filterRange returns the first channel of the result of part i, how many of them
// it has, and its channels.
func (s *winoShape) filterRange(i int) (o, columns, c0, c1 int) {
	blocks := ceilDiv(s.o, winoLanes)
	o, c0 = i%blocks*winoLanes, i/blocks*winoFilterChannels
	return o, min(winoLanes, s.o-o), c0, min(c0+winoFilterChannels, s.c)
}

// filterPart transforms the filters of one block of columns and a few channels.
func (t *winoTask) filterPart(i int) {
	o, columns, c0, c1 := t.filterRange(i)
	b := t.block(o*t.dstPhases, t.c)
	turn := t.inTurn()
	first := c0 / turn * turn
	row, group := first*t.groups()+c0-first, min(turn, t.c-first)*b.width
	if t.dstPhases > 1 {
		group = 36 * b.pos
	}
	t.transformFilters(t.u[b.offset+row*b.width+o*t.dstPhases%winoColumns:], b.pos, group, b.width, o, columns, c0, c1)
}

// transformFilters transforms the filters of up to 16 channels of the result from o
// on and of channels [c0, c1). They go to u, with the given strides between positions,
// groups and channels. If the result has phases, two lie beside each other, the next
// two a group further on.
func (t *winoTask) transformFilters(u []float32, pos, group, step, o, columns, c0, c1 int) {
	once := t.filtersOnce()
	room := t.tapPixels() * winoLanes
	s := partScratch(once*room + winoTmp(0))
	f, tmp := s.f[:once*room], s.f[once*room:]
	if t.tapPixels() != t.taps {
		clear(f) // not all pixels are taps
	}
	for b := c0; b < c1; b += once {
		n := min(once, c1-b)
		t.packFilters(f, o, columns, b, b+n)
		u := u[(b-c0)*step:]
		for g := range t.frames * t.srcPhases * t.dstPhases {
			switch {
			case t.dstPhases > 1:
				t.phaseFilters(g, u[g/2*group+g%2*winoLanes:], f, tmp, pos, step, n)
			case t.srcPhases > 1:
				t.phaseFilters(g, u[g*group:], f, tmp, pos, step, n)
			default:
				t.frameFilters(g, u[g*group:], f, tmp, pos, step, n)
			}
		}
	}
	putScratch(s)
}

// packFilters gathers the filters of up to 16 channels of the result from o on and of
// channels [c0, c1), pixels for each of the latter.
func (t *winoTask) packFilters(f []float32, o, columns, c0, c1 int) {
	room := t.tapPixels() * winoLanes
	for once := t.filtersOnce(); c0 < c1; c0 += once {
		n := min(once, c1-c0)
		if t.swap { // rows of w are channels read
			for c := range n {
				t.ops.pack(&f[c*room], &t.w[((c0+c)*t.o+o)*t.taps], &t.tapAt[0], t.taps, t.taps, columns, t.o*t.taps)
			}
		} else {
			ahead := 0
			if t.frames > 1 { // these come next; of one frame the next are those of other columns
				ahead = n * t.taps
			}
			t.ops.pack(&f[0], &t.w[(o*t.c+c0)*t.taps], &t.tapAt[0], t.c*t.taps, n*t.taps, columns, ahead)
		}
		f = f[n*room:]
	}
}

// firstTap returns where the first tap of a packed filter lies, and how far it is to
// the next.
func (t *winoTask) firstTap() (first, tap int) {
	if t.swap { // the taps go backwards
		return (9*t.frames - 1) * winoLanes, -winoLanes
	}
	return 0, winoLanes
}

// frameFilters transforms kernel frame g of n packed filters.
func (t *winoTask) frameFilters(g int, u, f, tmp []float32, pos, step, n int) {
	first, tap := t.firstTap()
	t.ops.filter(&u[0], &f[first+g*9*tap], &tmp[0], pos, step, tap, t.tapPixels()*winoLanes, n)
}

// phaseFilters transforms phase ph of n packed filters.
func (t *winoTask) phaseFilters(ph int, u, f, tmp []float32, pos, step, n int) {
	first, tap := t.firstTap()
	first += ph * 9 * winoLanes
	room := t.tapPixels() * winoLanes
	if w := t.windows[ph]; w >= 0 {
		t.ops.filterPair[w](&u[0], &f[first+int(w/2*3+w%2)*tap], &tmp[0], pos, step, tap, room, n)
		return
	}
	t.ops.filter(&u[0], &f[first], &tmp[0], pos, step, tap, room, n)
}

// filtersOnce is how many channels' filters are transformed at once: with phases
// they are the bigger.
func (s *winoShape) filtersOnce() int {
	return winoFilterChannels / max(s.srcPhases, s.dstPhases)
}
