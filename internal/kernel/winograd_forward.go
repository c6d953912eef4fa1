package kernel

// winoChunkFloats is the aim for the transformed input of a chunk. Half of it or
// twice as much is equally fast within a few per cent.
const winoChunkFloats = 64 << 10

// winoTiles is the number of tiles to aim for in a chunk of so many channels.
func winoTiles(channels int) int {
	return min(112, max(28, winoChunkFloats/(36*winoBlocks(channels))))
}

func (t *winoTask) planForward() {
	want := winoTiles(t.c)
	t.divide(want, 4*want)
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
	return winoLayout{ld, pos, (channels + ld - 1) / ld * 36 * pos}
}

// at returns where channel c of the first tile's first position lies.
func (l *winoLayout) at(c int) int { return c/l.ld*36*l.pos + c%l.ld }

// frameTiles is the number of tiles in the transformed input of a chunk: the
// frames that the kernel reaches before and after count.
func (t *winoTask) frameTiles(c *winoChunk) int { return (c.f1 - c.f0 + t.frames - 1) * c.tiles }

// inputPixels is the room for the pixels of a run.
func (t *winoTask) inputPixels() int { return (4*t.runRows() + 2) * (4*t.tw + 2) * winoLanes }

// inputChunk transforms the input of a chunk into v. pixels and tmp are working
// memory.
func (t *winoTask) inputChunk(c *winoChunk, v []float32, l winoLayout, pixels, tmp []float32) {
	wide := 4*t.tw + 2
	left, skip := max(0, t.pad[2]), max(0, -t.pad[2])
	cols := max(0, min(t.in[2]-skip, wide-left))
	clear(pixels) // the padding at both sides; what is between is written again
	area := t.in[1] * t.in[2]
	plane := t.in[0] * area
	most := t.runRows()
	for g := range c.f1 - c.f0 + t.frames - 1 {
		z := c.f0 + g - t.pad[0]
		if z < 0 || z >= t.in[0] {
			for b := 0; b < t.c16; b += l.ld {
				for i := range 36 {
					clear(v[l.at(b)+i*l.pos+g*c.tiles*l.ld:][:c.tiles*l.ld])
				}
			}
			continue
		}
		for cb := 0; cb < t.c; cb += winoLanes {
			nch := min(winoLanes, t.c-cb)
			for r := c.r0; r < c.r1; {
				run := t.next(c, r, most)
				top := 4*run.ty - t.pad[1]
				rows := 4*run.n + 2
				from, to := min(max(0, -top), rows), max(0, min(rows, t.in[1]-top))
				clear(pixels[:from*wide*winoLanes])
				if from < to && cols > 0 {
					t.ops.pack(&pixels[(from*wide+left)*winoLanes],
						&t.src[(run.image*t.c+cb)*plane+z*area+(top+from)*t.in[2]+skip],
						wide, t.in[2], plane, to-from, cols, nch)
				}
				to = max(from, to)
				clear(pixels[to*wide*winoLanes : rows*wide*winoLanes])
				t.ops.input(&v[l.at(cb)+(g*c.tiles+run.offset*t.tw)*l.ld], &pixels[0], &tmp[0],
					l.pos, l.ld, wide, run.n, t.tw)
				r += run.n
			}
		}
	}
}

// imagePart does the convolution of chunk i.
func (t *winoTask) imagePart(i int) {
	c := t.chunk(i)
	rows := (c.f1 - c.f0) * c.tiles
	in := t.layout(t.frameTiles(&c)+1, t.c16, t.c16) // products of an odd number of rows read one more
	out := t.layout(winoEven(rows), t.o16, winoColumns)
	pixels := max(t.inputPixels(), t.outputPixels())
	s := getScratch(in.floats + 36*out.pos + pixels + winoTmp(t.tw))
	v, rest := s.f[:in.floats], s.f[in.floats:]
	m, rest := rest[:36*out.pos], rest[36*out.pos:]
	px, tmp := rest[:pixels], rest[pixels:]
	t.inputChunk(&c, v, in, px[:t.inputPixels()], tmp)
	for o := 0; o < t.o16; o += winoColumns {
		b := t.block(o, t.c)
		for p := range 36 {
			t.product(m[p*out.pos:], out.ld, v[p*in.pos:], t.u[b.offset+p*b.pos:], b.width, c.tiles, rows)
		}
		t.outputChunk(&c, m, out, o, px, tmp)
	}
	putScratch(s)
}

// product multiplies rows of transformed input with a block of filters.
func (t *winoTask) product(m []float32, ldm int, v, u []float32, width, tiles, rows int) {
	for col := 0; col < width; {
		list, step := t.ops.product, winoLanes
		if width-col >= winoColumns && len(t.ops.product2) > 0 {
			list, step = t.ops.product2, winoColumns
		}
		// As few blocks as there can be, of nearly the same number of rows.
		pairs := (rows + 1) / 2
		blocks := (pairs + len(list) - 1) / len(list)
		small, big := pairs/blocks, pairs%blocks
		r := 0
		for _, part := range [2][2]int{{small + 1, big}, {small, blocks - big}} {
			if part[1] > 0 {
				list[part[0]-1](&m[r*ldm+col], &v[r*t.c16], &u[col], ldm, t.c16, width,
					tiles*t.c16, t.c, t.frames, part[1])
				r += 2 * part[0] * part[1]
			}
		}
		col += step
	}
}

// outputPixels is the room for the pixels of a run of the result.
func (t *winoTask) outputPixels() int { return 16 * t.runRows() * t.tw * winoLanes }

// outputChunk transforms the products of the block of columns from o on back into
// dst.
func (t *winoTask) outputChunk(c *winoChunk, m []float32, l winoLayout, o int, pixels, tmp []float32) {
	wide := 4 * t.tw
	area := t.out[1] * t.out[2]
	plane := t.out[0] * area
	most := t.runRows()
	for b := o; b < min(o+winoColumns, t.o); b += winoLanes {
		nch := min(winoLanes, t.o-b)
		for f := c.f0; f < c.f1; f++ {
			for r := c.r0; r < c.r1; {
				run := t.next(c, r, most)
				t.ops.output(&pixels[0], &m[((f-c.f0)*c.tiles+run.offset*t.tw)*l.ld+b-o], &tmp[0], &t.biasBlock[b], t.floor,
					l.pos, l.ld, wide, run.n, t.tw)
				rows, cols := min(4*run.n, t.out[1]-4*run.ty), t.out[2]
				dst := &t.dst[(run.image*t.o+b)*plane+f*area+4*run.ty*cols]
				if cols == wide {
					t.ops.unpack(dst, &pixels[0], 0, 0, plane, 1, rows*cols, nch)
				} else {
					t.ops.unpack(dst, &pixels[0], cols, wide, plane, rows, cols, nch)
				}
				r += run.n
			}
		}
	}
}
