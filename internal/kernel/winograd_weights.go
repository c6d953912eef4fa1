package kernel

// The gradient to the weights is dU = sum over tiles of V ⊗ dM, transformed back.
// There are two ways to it:
//
//   - Few channels, many tiles: parts of the work are ranges of chunks; each sums
//     its own dU, and the parts' are then added in order (winoPartialSums and
//     winoGatherSums).
//   - Many channels: dU outgrows the cache. V and dM of many chunks are computed
//     first, and parts are blocks of dU that never leave the cache (winoTransforms and
//     winoWholeSums). If V and dM of all chunks are too much memory, that is done in
//     rounds of so many chunks, and dU is kept between them.

// winoSums is how the gradient to the weights is summed.
type winoSums struct {
	parts   int // of partial sums
	rows    int // of dU for a kernel frame, the channels read, even
	cBlock  int // channels read in a block of whole sums
	v, m    winoLayout
	perPart int // floats of one part's dU

	// Whole sums, block by block; perRound is 0 for partial ones.
	perRound  int       // chunks in a round
	round     int       // the current one
	rounds    int       // how many there are
	tiles     []float32 // V and dM of a round's chunks
	blockSize int       // floats of a block of dU
}

// winogradBackwardWeights computes dw, the gradient to the weights.
func winogradBackwardWeights(s *ConvShape, dw, dy, x []float32) {
	if s.N == 0 {
		clear(dw)
		return
	}
	t := winoTasks.get()
	t.describe(s, false)
	t.ops = &Active().wino
	t.src, t.dst, t.w = x, dy, dw
	t.planWeights()
	if t.perRound > 0 {
		blocks := ceilDiv(t.o16, winoColumns) * ceilDiv(t.c, t.cBlock)
		sc := getScratch(t.perRound * (t.v.floats + t.m.floats))
		t.tiles = sc.f
		var kept *scratch
		if t.rounds > 1 {
			kept = getScratch(blocks * t.blockSize)
			t.u = kept.f
		}
		for t.round = range t.rounds {
			t.run(winoTransforms, t.roundChunks())
			t.run(winoWholeSums, blocks)
		}
		if kept != nil {
			putScratch(kept)
		}
		putScratch(sc)
	} else {
		sc := getScratch(t.parts * t.perPart)
		t.u = sc.f
		t.run(winoPartialSums, t.parts)
		t.run(winoGatherSums, t.filterParts())
		putScratch(sc)
	}
	t.release()
}

const (
	// winoPartialFloats is the largest dU that is summed in parts.
	winoPartialFloats = 512 << 10

	// winoWholeFloats is the most that V and dM of a round may take, unless dU is
	// bigger still.
	winoWholeFloats = 4 << 20
)

// planWeights chooses chunks and parts from the shape alone.
func (t *winoTask) planWeights() {
	want := winoTiles(max(t.c*t.srcPhases, t.o))
	if t.srcPhases > 1 && t.frames > 1 { // sums are many: add to them less often
		want *= 4
	}
	t.divide(want, 4*want)
	t.placePixels()
	t.rows = winoEven(t.c)
	t.perPart = t.filterFloats(t.rows)
	t.cBlock = 64
	if t.groups() > 1 {
		t.cBlock = 32
	}
	if t.srcPhases > 1 && t.c16%t.cBlock != 0 {
		t.cBlock = winoLanes // phases begin with a block
	}
	t.placeTaps(max(t.cBlock, winoFilterChannels))
	chunks := t.rowChunks * t.frameChunks
	c := t.chunk(0)
	t.v = t.layout(t.frameTiles(&c), t.srcPhases*t.c16, t.cBlock)
	t.m = t.layout((c.f1-c.f0)*c.tiles, t.o16, winoColumns)
	t.parts = min(chunks, 4)
	if t.perPart > winoPartialFloats {
		most := max(1, max(winoWholeFloats, t.perPart)/(t.v.floats+t.m.floats)) // chunks
		t.rounds = ceilDiv(chunks, most)
		t.perRound = ceilDiv(chunks, t.rounds)
		t.rounds = ceilDiv(chunks, t.perRound)
		t.blockSize = 36 * winoStride(t.groups()*winoEven(t.cBlock)*winoColumns)
	}
}

// roundChunks is how many chunks the current round has.
func (t *winoTask) roundChunks() int {
	return min(t.perRound, t.rowChunks*t.frameChunks-t.round*t.perRound)
}

// transformChunk computes V and dM of chunk i.
func (t *winoTask) transformChunk(i int, v, m []float32) {
	c := t.chunk(i)
	pixels := max(t.inputPixels(), t.outputPixels())
	s := partScratch(pixels + winoTmp(t.tw))
	px, tmp := s.f[:pixels], s.f[pixels:]
	t.inputChunk(&c, v, t.v, px[:t.inputPixels()], tmp)
	t.gradientChunk(&c, m, t.m, px[:t.outputPixels()], tmp)
	putScratch(s)
}

// transformPart computes V and dM of chunk i of a round.
func (t *winoTask) transformPart(i int) {
	v, m := t.chunkTiles(i)
	t.transformChunk(t.round*t.perRound+i, v, m)
}

// chunkTiles returns where V and dM of chunk i of a round lie.
func (t *winoTask) chunkTiles(i int) (v, m []float32) {
	v = t.tiles[i*(t.v.floats+t.m.floats):][:t.v.floats+t.m.floats]
	return v[:t.v.floats], v[t.v.floats:]
}

// addChunk adds the outer products of chunk i to the dU of columns [o, o+width)
// and channels [c0, c1), for which u has the given strides between positions and
// groups. The first chunk overwrites.
func (t *winoTask) addChunk(i int, first bool, u []float32, pos, frame, o, width, c0, c1 int, v, m []float32) {
	c := t.chunk(i)
	rows := (c.f1 - c.f0) * c.tiles
	add := 1
	if first {
		add = 0
	}
	for p := range 36 {
		for g := range t.groups() {
			k, phase := g/t.srcPhases, g%t.srcPhases
			if t.srcPhases > 1 && t.live[p]>>phase&1 == 0 {
				continue
			}
			from := t.v.at(phase*t.c16+c0) + t.sourcePlace(&c, k)*c.tiles*t.v.ld
			t.outer(u[p*pos+g*frame:], width, (c1-c0+1)/2, v[from+p*t.v.pos:], m[t.m.at(o)+p*t.m.pos:], rows, add)
		}
	}
}

// partialSums computes the dU of one part.
func (t *winoTask) partialSums(part int) {
	chunks := t.rowChunks * t.frameChunks
	first, last := part*chunks/t.parts, (part+1)*chunks/t.parts
	s := partScratch(t.v.floats + t.m.floats)
	v, m := s.f[:t.v.floats], s.f[t.v.floats:]
	for i := first; i < last; i++ {
		t.transformChunk(i, v, m)
		for o := 0; o < t.o16; o += winoColumns {
			b := t.block(o, t.rows)
			for c0 := 0; c0 < t.c; c0 += t.cBlock {
				t.addChunk(i, i == first, t.u[part*t.perPart+b.offset+c0*b.width:], b.pos, t.rows*b.width,
					o, b.width, c0, min(c0+t.cBlock, t.c), v, m)
			}
		}
	}
	putScratch(s)
}

// gatherSums adds the parts' dU of one block of columns and a few channels, in
// order, and transforms them back.
func (t *winoTask) gatherSums(i int) {
	o, columns, c0, c1 := t.filterRange(i)
	b := t.block(o, t.rows)
	t.filterGradients(o, columns, c0, c1, t.u[b.offset+c0*b.width+o%winoColumns:], b.pos, t.rows*b.width, b.width, t.parts)
}

// wholeSums adds a round's chunks to block i of dU and, after the last round,
// transforms it back.
func (t *winoTask) wholeSums(i int) {
	blocks := ceilDiv(t.o16, winoColumns)
	o, c0 := i%blocks*winoColumns, i/blocks*t.cBlock
	width, c1 := min(winoColumns, t.o16-o), min(c0+t.cBlock, t.c)
	frame := winoEven(c1-c0) * width
	pos := winoStride(t.groups() * frame)
	var s *scratch
	u := t.u
	if t.rounds > 1 {
		u = u[i*t.blockSize:]
	} else {
		s = partScratch(36 * pos)
		u = s.f
	}
	first := t.round * t.perRound
	for i := range t.roundChunks() {
		v, m := t.chunkTiles(i)
		t.addChunk(first+i, first+i == 0, u, pos, frame, o, width, c0, c1, v, m)
	}
	if t.round == t.rounds-1 {
		for col := o; col < min(o+width, t.o); col += winoLanes {
			t.filterGradients(col, min(winoLanes, t.o-col), c0, c1, u[col-o:], pos, frame, width, 1)
		}
	}
	if s != nil {
		putScratch(s)
	}
}

// filterGradients transforms the sum of parts of dU back for up to 16 columns from
// o on and channels [c0, c1); u begins at these and has the given strides between
// positions, frames and channels.
func (t *winoTask) filterGradients(o, columns, c0, c1 int, u []float32, pos, frame, step, parts int) {
	room := t.tapPixels() * winoLanes
	s := partScratch((c1-c0)*room + winoTmp(0))
	tmp := s.f[(c1-c0)*room:]
	for g := range t.groups() {
		t.ops.filterGradient(&s.f[g*9*winoLanes], &u[g*frame], &tmp[0], pos, step, t.perPart, parts, room, c1-c0)
	}
	t.ops.unpack(&t.w[(o*t.c+c0)*t.taps], &s.f[0], &t.tapAt[0], t.c*t.taps, (c1-c0)*t.taps, columns, 0)
	putScratch(s)
}

// outer adds the outer products of rows tiles' V and dM to 2*pairs rows of dU.
func (t *winoTask) outer(u []float32, width, pairs int, v, m []float32, rows, add int) {
	for col := 0; col < width; {
		list, step := t.ops.outer, winoLanes
		if width-col >= winoColumns && len(t.ops.outer2) > 0 {
			list, step = t.ops.outer2, winoColumns
		}
		blocks := ceilDiv(pairs, len(list))
		c := 0
		for b := range blocks {
			n := pairs / blocks
			if b < pairs%blocks {
				n++
			}
			list[n-1](&u[c*width+col], &v[c], &m[col], width, t.v.ld, t.m.ld, rows, add)
			c += 2 * n
		}
		col += step
	}
}

// gradientChunk transforms the gradient of the result of a chunk into m.
func (t *winoTask) gradientChunk(c *winoChunk, m []float32, l winoLayout, pixels, tmp []float32) {
	wide, cols := 4*t.tw, t.out[2]
	area := t.out[1] * cols
	plane := t.out[0] * area
	most := t.runRows()
	clear(pixels) // the padding at the right; the rest is written again
	for o := 0; o < t.o; o += winoLanes {
		nch := min(winoLanes, t.o-o)
		for f := c.f0; f < c.f1; f++ {
			for r := c.r0; r < c.r1; {
				run := t.next(c, r, most)
				rows := min(4*run.n, t.out[1]-4*run.ty)
				t.ops.pack(&pixels[0], &t.dst[(run.image*t.o+o)*plane+f*area+4*run.ty*cols], &t.outAt[0], plane, rows*cols, nch, t.ahead(c, r, run, plane, t.o, cols))
				clear(pixels[rows*wide*winoLanes : 4*run.n*wide*winoLanes])
				t.ops.gradient(&m[l.at(o)+((f-c.f0)*c.tiles+run.offset*t.tw)*l.ld], &pixels[0], &tmp[0],
					l.pos, l.ld, wide, run.n, t.tw)
				r += run.n
			}
		}
	}
}
