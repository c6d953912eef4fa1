package kernel

// Transformed filters, and the gradients to them, lie in blocks of winoColumns
// result channels, the last block perhaps half as wide. In a block stand, slowest
// first, position, kernel frame, channel read, channel of the result.
const winoColumns = 2 * winoLanes

// winoFilterChannels is how many channels a part of the filters' transform covers.
const winoFilterChannels = 32

// winoInOrder is the place in bytes of every pixel where they follow one another:
// enough for the taps of winoFilterChannels channels of a 3x3x3 kernel, or of twice
// as many of a 3x3 kernel.
var winoInOrder = func() (at [27 * winoFilterChannels]int32) {
	for i := range at {
		at[i] = int32(i * winoLanes * 4)
	}
	return at
}()

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
	o, columns, c0, c1 := t.filterRange(i)
	b := t.block(o, t.c)
	t.transformFilters(t.u[b.offset+c0*b.width+o%winoColumns:], b.pos, t.c*b.width, b.width, o, columns, c0, c1, 0, t.frames)
}

// transformFilters transforms kernel frames [f0, f1) of up to 16 columns from o on
// and at most winoFilterChannels channels [c0, c1). They go to u, with the given
// strides between positions, frames and channels.
func (t *winoTask) transformFilters(u []float32, pos, frame, step, o, columns, c0, c1, f0, f1 int) {
	taps := 9 * t.frames
	s := getScratch((c1-c0)*taps*winoLanes + winoTmp(0))
	tmp := s.f[(c1-c0)*taps*winoLanes:]
	first, tap := 0, winoLanes
	if t.swap {
		// Rows of w are channels read, and the taps go backwards.
		for c := range c1 - c0 {
			t.ops.pack(&s.f[c*taps*winoLanes], &t.w[((c0+c)*t.o+o)*taps], &winoInOrder[0], taps, taps, columns, t.o*taps)
		}
		first, tap = (taps-1)*winoLanes, -winoLanes
	} else {
		t.ops.pack(&s.f[0], &t.w[(o*t.c+c0)*taps], &winoInOrder[0], t.c*taps, (c1-c0)*taps, columns, 0)
	}
	for f := f0; f < f1; f++ {
		t.ops.filter(&u[(f-f0)*frame], &s.f[first+f*9*tap], &tmp[0], pos, step, tap, taps*winoLanes, c1-c0)
	}
	putScratch(s)
}
