package kernel

import "math"

// winoChunkFloats is the aim for the transformed input of a chunk. Half of it or
// twice as much is equally fast within a few per cent.
const winoChunkFloats = 64 << 10

// winoTiles is the number of tiles to aim for in a chunk of so many channels.
func winoTiles(channels int) int {
	return min(112, max(28, winoChunkFloats/(36*winoBlocks(channels))))
}

// The filters are transformed a block of columns at a time where they take more
// than winoManyFilters floats and the tiles of all images are at most winoFewTiles.
const (
	winoManyFilters = 256 << 10
	winoFewTiles    = 256
)

// forward does the convolution from src to dst, by chunks or, where filters are
// many and tiles few, by blocks of columns: then the transformed filters, which
// outweigh everything else, never leave the cache. Every tile's sums are the same in
// both, and taken in the same order.
func (t *winoTask) forward(act Act) {
	t.ops = &Active().wino
	t.floor = float32(math.Inf(-1))
	if act == ActReLU {
		t.floor = 0
	}
	want := winoTiles(t.c * t.srcPhases)
	t.divide(want, 4*want)
	t.placePixels()
	t.placeTaps(t.filtersOnce())
	chunks := t.rowChunks * t.frameChunks
	bias := getScratch(winoBlocks(t.o))
	clear(bias.f)
	copy(bias.f, t.bias)
	t.biasBlock = bias.f
	if t.filterFloats(t.c) > winoManyFilters && t.n*t.th*t.tw*t.out[0] <= winoFewTiles {
		c := t.chunk(0)
		t.v = t.layout(t.frameTiles(&c)+1, t.srcPhases*t.c16, t.c16)
		s := getScratch(chunks * t.v.floats)
		t.tiles = s.f
		t.run(winoInputs, chunks)
		t.run(winoColumnBlocks, ceilDiv(t.o16, t.columnsOnce()))
		putScratch(s)
	} else {
		s := getScratch(t.filterFloats(t.c))
		t.u = s.f
		t.run(winoFilters, t.filterParts())
		t.run(winoImages, chunks)
		putScratch(s)
	}
	putScratch(bias)
	t.release()
}

// placePixels fills in where the pixels of a run go, in bytes: those of the input
// among pixels with the padding of a tile at the right and at the left, those of
// the result among whole tiles; and phase by phase, if there are several.
func (t *winoTask) placePixels() {
	place := func(at []int32, rows, cols, wide, phases int) []int32 {
		at = at[:0]
		step := winoStep(phases)
		for y := range step * rows {
			for x := range cols {
				phase := y%step*step + x%step
				at = append(at, int32(((phase*rows+y/step)*wide+x/step)*winoLanes*4))
			}
		}
		return at
	}
	t.inAt = place(t.inAt, 4*t.runRows()+2, t.srcSize[2], 4*t.tw+2, t.srcPhases)
	t.outAt = place(t.outAt, 4*t.runRows(), t.dstSize[2], 4*t.tw, t.dstPhases)
}

// A winoLayout places transformed tiles: blocks of ld channels; in a block, slowest
// first, position, tile, channel.
type winoLayout struct {
	ld     int
	pos    int // stride between positions
	floats int // of everything
}

// layout places tiles of so many channels, a multiple of winoLanes, in blocks of
// at most ld.
func (*winoShape) layout(tiles, channels, ld int) winoLayout {
	ld = min(ld, channels)
	pos := winoStride(tiles * ld)
	return winoLayout{ld, pos, ceilDiv(channels, ld) * 36 * pos}
}

// at returns where channel c of the first tile's first position lies.
func (l *winoLayout) at(c int) int { return c/l.ld*36*l.pos + c%l.ld }

// sourceFrames is the number of frames in the transformed input of a chunk: those that the
// kernel reaches before and after count.
func (t *winoTask) sourceFrames(c *winoChunk) int { return (c.f1-c.f0-1)*t.step + t.frames }

// sourcePlace returns the place of the g-th of them. What is one step apart lies side by
// side: of the frames that meet one of the kernel, each belongs to the next frame of the
// result.
func (t *winoTask) sourcePlace(c *winoChunk, g int) int {
	return g%t.step*ceilDiv(t.sourceFrames(c), t.step) + g/t.step
}

// frameTiles is the number of tiles in the transformed input of a chunk.
func (t *winoTask) frameTiles(c *winoChunk) int { return t.sourceFrames(c) * c.tiles }

// inputPixels is the room for the pixels of a run.
func (t *winoTask) inputPixels() int {
	return t.srcPhases * (4*t.runRows() + 2) * (4*t.tw + 2) * winoLanes
}

// inputChunk transforms the input of a chunk into v. pixels and tmp are working
// memory.
func (t *winoTask) inputChunk(c *winoChunk, v []float32, l winoLayout, pixels, tmp []float32) {
	row := (4*t.tw + 2) * winoLanes
	phases, step := t.srcPhases, winoStep(t.srcPhases)
	left, skip := max(0, t.pad[2]), max(0, -t.pad[2])
	cols := max(0, min(t.srcSize[2]-skip, step*(4*t.tw+2-left)))
	clear(pixels) // the padding at both sides; what is between is written again
	area := t.srcSize[1] * t.srcSize[2]
	plane := t.srcSize[0] * area
	most := t.runRows()
	one := len(pixels) / phases
	for g := range t.sourceFrames(c) {
		z := t.step*c.f0 + g - t.pad[0]
		place := t.sourcePlace(c, g)
		if z < 0 || z >= t.in[0] {
			for b := 0; b < phases*t.c16; b += l.ld {
				for i := range 36 {
					clear(v[l.at(b)+i*l.pos+place*c.tiles*l.ld:][:c.tiles*l.ld])
				}
			}
			continue
		}
		for cb := 0; cb < t.c; cb += winoLanes {
			nch := min(winoLanes, t.c-cb)
			last := 0
			for r := c.r0; r < c.r1; {
				run := t.next(c, r, most)
				top := 4*run.ty - t.pad[1]
				rows := 4*run.n + 2
				known := 0
				if run.ty > 0 && r > c.r0 {
					known = 2 // the last rows of the run before
				}
				from := max(known, min(-top, rows))
				to := max(from, min(rows, t.in[1]-top))
				// Rows of src: in the last one of pixels an odd phase may have none.
				height := max(0, min(step*(top+to), t.srcSize[1])-step*(top+from))
				for ph := range phases {
					p := pixels[ph*one:][:one]
					if known > 0 {
						copy(p[:2*row], p[last*row:])
					}
					clear(p[known*row : from*row])
					clear(p[(from+(height+step-1-ph/step)/step)*row : rows*row])
				}
				x := (run.image*t.c+cb)*plane + z*area + step*(top+from)*t.srcSize[2] + skip
				at := from*row + left*winoLanes
				if cols == t.srcSize[2] && from < to {
					t.ops.pack(&pixels[at], &t.src[x], &t.inAt[0], plane, height*cols, nch, t.ahead(c, r, run, plane, t.c, step*cols))
				} else if cols > 0 {
					for y := range height {
						t.ops.pack(&pixels[at+y/step*row], &t.src[x+y*t.srcSize[2]], &t.inAt[y%step*t.srcSize[2]], plane, cols, nch, 0)
					}
				}
				for ph := range phases {
					t.ops.input(&v[l.at(ph*t.c16+cb)+(place*c.tiles+run.offset*t.tw)*l.ld], &pixels[ph*one], &tmp[0],
						l.pos, l.ld, 4*t.tw+2, run.n, t.tw)
				}
				r += run.n
				last = 4 * run.n
			}
		}
	}
}

// imagePart does the convolution of chunk i.
func (t *winoTask) imagePart(i int) {
	c := t.chunk(i)
	rows := (c.f1 - c.f0) * c.tiles
	in := t.layout(t.frameTiles(&c)+1, t.srcPhases*t.c16, t.c16) // products of an odd number of rows read one more
	out := t.layout(winoEven(rows), min(t.o16, t.columnsOnce()), winoColumns)
	pixels := max(t.inputPixels(), t.outputPixels())
	s := partScratch(in.floats + out.floats + pixels + winoTmp(t.tw))
	v, rest := s.f[:in.floats], s.f[in.floats:]
	m, rest := rest[:out.floats], rest[out.floats:]
	px, tmp := rest[:pixels], rest[pixels:]
	t.inputChunk(&c, v, in, px[:t.inputPixels()], tmp)
	for o := 0; o < t.o16; o += t.columnsOnce() {
		for j := o; j < min(o+t.columnsOnce(), t.o16); j += winoColumns {
			b := t.block(j, t.c)
			for p := range 36 {
				m, v, u := m[out.at(j-o)+p*out.pos:], v[p*in.pos:], t.u[b.offset+p*b.pos:]
				switch {
				case t.srcPhases > 1:
					for c0 := 0; c0 < t.c; c0 += t.inTurn() {
						k := min(t.inTurn(), t.c-c0)
						t.gatherPhases(p, c0, m, out.ld, v, in, u[c0*t.srcPhases*b.width:], b.width, k, rows)
					}
				case t.dstPhases > 1:
					t.spreadPhases(p, j, m, out.ld, v, in.ld, u, t.c, rows, 0)
				default:
					for c0 := 0; c0 < t.c; c0 += t.inTurn() {
						k := min(t.inTurn(), t.c-c0)
						t.product(m, out.ld, v[c0:], in.ld, c.tiles*in.ld, u[c0*t.frames*b.width:], b.width, b.width, k, t.frames, rows, c0)
					}
				}
			}
		}
		t.outputChunk(&c, m, out, o, px, tmp)
	}
	putScratch(s)
}

// product multiplies rows tiles of transformed input, segs frames of them seg
// apart, with width columns of the filters of a block, ldu apart. With add it
// adds to m.
func (t *winoTask) product(m []float32, ldm int, v []float32, ldv, seg int, u []float32, ldu, width, k, segs, rows, add int) {
	for col := 0; col < width; {
		list, step := t.ops.product, winoLanes
		if width-col >= winoColumns && len(t.ops.product2) > 0 {
			list, step = t.ops.product2, winoColumns
		}
		// As few blocks as there can be, of nearly the same number of rows.
		pairs := ceilDiv(rows, 2)
		blocks := ceilDiv(pairs, len(list))
		small, big := pairs/blocks, pairs%blocks
		r := 0
		for _, part := range [2][2]int{{small + 1, big}, {small, blocks - big}} {
			if part[1] > 0 {
				list[part[0]-1](&m[r*ldm+col], &v[r*ldv], &u[col], ldm, ldv, ldu, seg, k, segs, part[1], add)
				r += 2 * part[0] * part[1]
			}
		}
		col += step
	}
}

// outputPixels is the room for the pixels of a run of the result.
func (t *winoTask) outputPixels() int { return t.dstPhases * 16 * t.runRows() * t.tw * winoLanes }

// outputChunk transforms the products of the columns from o on, as many as are
// done at once, back into dst.
func (t *winoTask) outputChunk(c *winoChunk, m []float32, l winoLayout, o int, pixels, tmp []float32) {
	wide := 4 * t.tw
	phases, step := t.dstPhases, winoStep(t.dstPhases)
	height, cols := t.dstSize[1], t.dstSize[2]
	plane := t.dstSize[0] * height * cols
	most := t.runRows()
	one := most * 4 * wide * winoLanes
	for b := o; b < min(o+t.columnsOnce(), t.o*phases); b += phases * winoLanes {
		first := b / phases // channel
		nch := min(winoLanes, t.o-first)
		for f := c.f0; f < c.f1; f++ {
			for r := c.r0; r < c.r1; {
				run := t.next(c, r, most)
				for ph := range phases {
					t.ops.output(&pixels[ph*one], &m[l.at(b-o+ph*winoLanes)+((f-c.f0)*c.tiles+run.offset*t.tw)*l.ld], &tmp[0],
						&t.biasBlock[first], t.floor, l.pos, l.ld, wide, run.n, t.tw)
				}
				top := 4 * step * run.ty
				rows := min(4*step*run.n, height-top)
				t.ops.unpack(&t.dst[(run.image*t.o+first)*plane+(f*height+top)*cols], &pixels[0], &t.outAt[0], plane, rows*cols, nch,
					t.ahead(c, r, run, plane, t.o, step*cols))
				r += run.n
			}
		}
	}
}

// inputPart transforms the input of chunk i.
func (t *winoTask) inputPart(i int) {
	c := t.chunk(i)
	s := partScratch(t.inputPixels() + winoTmp(t.tw))
	t.inputChunk(&c, t.tiles[i*t.v.floats:], t.v, s.f[:t.inputPixels()], s.f[t.inputPixels():])
	putScratch(s)
}

// winoColumnChannels is how many channels' filters a block of columns takes at
// once.
const winoColumnChannels = 128

// columnPart computes the i-th of the blocks of columns done at once.
func (t *winoTask) columnPart(i int) {
	o := i * t.columnsOnce()
	columns := min(t.columnsOnce(), t.o16-o)
	width := min(winoColumns, columns)
	// Which of the ways imagePart and this one an image takes depends on N: both sum
	// so many channels of one group after the other.
	most := winoColumnChannels / (columns / width)
	if t.groups() > 1 {
		most = t.inTurn()
	}
	pos := winoStride(most * t.srcPhases * width)
	chunks := t.rowChunks * t.frameChunks
	c := t.chunk(0)
	out := t.layout(winoEven((c.f1-c.f0)*c.tiles), columns, width)
	filters := columns / width * 36 * pos
	packed := 0 // of a block of 16 columns
	if t.frames > 1 {
		packed = min(most, t.c) * t.tapPixels() * winoLanes
	}
	s := partScratch(filters + columns/winoLanes*packed + chunks*out.floats + t.outputPixels() + winoTmp(t.tw))
	u, rest := s.f[:filters], s.f[filters:]
	f, rest := rest[:columns/winoLanes*packed], rest[columns/winoLanes*packed:]
	m, rest := rest[:chunks*out.floats], rest[chunks*out.floats:]
	px, tmp := rest[:t.outputPixels()], rest[t.outputPixels():]
	first, last := o/t.dstPhases, min((o+columns)/t.dstPhases, t.o)
	for c0 := 0; c0 < t.c; c0 += most {
		c1 := min(c0+most, t.c)
		// All frames of the filters are read from memory together, and transformed and
		// used one after the other, which leaves room in the cache.
		for frame := range t.frames {
			for col := first; col < last; col += winoLanes {
				u, n := u[col-first:], min(winoLanes, t.o-col)
				switch {
				case t.frames > 1:
					f := f[(col-first)/winoLanes*packed:]
					if frame == 0 {
						t.packFilters(f, col, n, c0, c1)
					}
					t.frameFilters(frame, u, f, tmp, pos, width, c1-c0)
				case t.dstPhases > 1:
					t.transformFilters(u, pos, 36*pos, width, col, n, c0, c1)
				default:
					t.transformFilters(u, pos, (c1-c0)*width, width, col, n, c0, c1)
				}
			}
			for j := 0; j < columns; j += width {
				for p := range 36 {
					u := u[j/width*36*pos+p*pos:]
					for i := range chunks {
						c := t.chunk(i)
						m := m[i*out.floats+out.at(j)+p*out.pos:]
						v := t.tiles[i*t.v.floats+p*t.v.pos:]
						rows := (c.f1 - c.f0) * c.tiles
						switch {
						case t.srcPhases > 1:
							t.gatherPhases(p, c0, m, out.ld, v, t.v, u, width, c1-c0, rows)
						case t.dstPhases > 1:
							t.spreadPhases(p, o+j, m, out.ld, v[c0:], t.v.ld, u, c1-c0, rows, c0)
						default:
							t.product(m, out.ld, v[frame*c.tiles*t.v.ld+c0:], t.v.ld, 0, u, width, width, c1-c0, 1, rows, frame+c0)
						}
					}
				}
			}
		}
	}
	for i := range chunks {
		c := t.chunk(i)
		t.outputChunk(&c, m[i*out.floats:], out, o, px, tmp)
	}
	putScratch(s)
}
