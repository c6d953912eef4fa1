package kernel

// Transformed filters, and the gradients to them, lie in blocks of winoColumns
// result channels, the last block perhaps half as wide. In a block stand, slowest
// first, position, kernel frame, channel read, channel of the result.
const winoColumns = 2 * winoLanes

// winoFilterChannels is how many channels a part of the filters' transform covers.
const winoFilterChannels = 32

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
		offset: o / winoColumns * 36 * winoStride(s.frames*rows*winoColumns),
		pos:    winoStride(s.frames * rows * width),
		width:  width,
	}
}

// filterFloats is the room of filters that take so many rows for a kernel frame.
func (s *winoShape) filterFloats(rows int) int {
	last := s.block(s.o16-1, rows)
	return last.offset + 36*last.pos
}

func (s *winoShape) filterParts() int {
	return s.o16 / winoLanes * ((s.c + winoFilterChannels - 1) / winoFilterChannels)
}

// filterRange returns the first column of part i, its number of columns, and its
// channels.
func (s *winoShape) filterRange(i int) (o, columns, c0, c1 int) {
	blocks := s.o16 / winoLanes
	o, c0 = i%blocks*winoLanes, i/blocks*winoFilterChannels
	return o, min(winoLanes, s.o-o), c0, min(c0+winoFilterChannels, s.c)
}

// filterPart transforms the filters of one block of columns and a few channels.
func (t *winoTask) filterPart(i int) {
	taps := 9 * t.frames
	o, columns, c0, c1 := t.filterRange(i)
	s := getScratch((c1-c0)*taps*winoLanes + winoTmp(0))
	tmp := s.f[(c1-c0)*taps*winoLanes:]
	first, step := 0, winoLanes
	if t.swap {
		// Rows of w are channels read, and the taps go backwards.
		t.ops.pack(&s.f[0], &t.w[(c0*t.o+o)*taps], taps, t.o*taps, taps, c1-c0, taps, columns)
		first, step = (taps-1)*winoLanes, -winoLanes
	} else {
		t.ops.pack(&s.f[0], &t.w[(o*t.c+c0)*taps], 0, 0, t.c*taps, 1, (c1-c0)*taps, columns)
	}
	b := t.block(o, t.c)
	u := t.u[b.offset+o%winoColumns:]
	for f := range t.frames {
		t.ops.filter(&u[(f*t.c+c0)*b.width], &s.f[first+f*9*step], &tmp[0],
			b.pos, b.width, step, taps*winoLanes, c1-c0)
	}
	putScratch(s)
}
