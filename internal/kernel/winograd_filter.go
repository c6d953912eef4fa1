package kernel

// Transformed filters lie in blocks of winoColumns result channels, the last
// block perhaps half as wide. Block b begins at 36*sums()*winoColumns*b; in it
// stand, slowest first, position, kernel frame, channel read, channel of the
// result.
const winoColumns = 2 * winoLanes

// winoFilterChannels is how many channels a part of the filters' transform covers.
const winoFilterChannels = 32

// sums is the number of products summed into a position of the result.
func (s *winoShape) sums() int { return s.frames * s.c }

// filterFloats is the room of the transformed filters.
func (s *winoShape) filterFloats() int { return 36 * s.sums() * s.o16 }

// block returns where the block of columns that holds column o begins, and its
// width.
func (s *winoShape) block(o int) (offset, width int) {
	o -= o % winoColumns
	return 36 * s.sums() * o, min(winoColumns, s.o16-o)
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
	offset, width := t.block(o)
	u := t.u[offset+o%winoColumns:]
	for f := range t.frames {
		t.ops.filter(&u[(f*t.c+c0)*width], &s.f[first+f*9*step], &tmp[0],
			t.sums()*width, width, step, taps*winoLanes, c1-c0)
	}
	putScratch(s)
}
