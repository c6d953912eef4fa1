package kernel

// The tuning of the forward pass: see the benchmark notes of the package.
const (
	// winoChunkFloats is the aim for the transformed input of a chunk.
	winoChunkFloats = 64 << 10

	// winoGroupFloats is how big that may be if the product's columns are to be
	// taken a block at a time, which reads it again for every block.
	winoGroupFloats = 96 << 10
)

func (t *winoTask) planForward() {
	want := min(112, max(28, winoChunkFloats/(36*winoBlocks(t.c))))
	t.divide(want, 4*want)
	t.group = t.o16
	if 36*t.c16*t.chunkRows*t.tw*t.chunkFrames <= winoGroupFloats {
		t.group = min(t.o16, winoColumns)
	}
}

// inputStride is the stride between positions of a chunk's transformed input: one
// row more than there are tiles, for products to run over.
func (t *winoTask) inputStride(c *winoChunk) int {
	return winoStride(((c.f1-c.f0+t.frames-1)*c.tiles + 1) * t.c16)
}

// inputPixels is the room for the pixels of a run.
func (t *winoTask) inputPixels() int { return (4*t.runRows() + 2) * (4*t.tw + 2) * winoLanes }

// inputChunk transforms the input of a chunk from x into v. Its frames are those
// of the result and the kernel's reach before and after. pixels and tmp are
// working memory.
func (t *winoTask) inputChunk(c *winoChunk, v []float32, x []float32, pixels, tmp []float32) {
	pos := t.inputStride(c)
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
			for i := range 36 {
				clear(v[i*pos+g*c.tiles*t.c16:][:c.tiles*t.c16])
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
						&x[(run.image*t.c+cb)*plane+z*area+(top+from)*t.in[2]+skip],
						wide, t.in[2], plane, to-from, cols, nch)
				}
				to = max(from, to)
				clear(pixels[to*wide*winoLanes : rows*wide*winoLanes])
				t.ops.input(&v[(g*c.tiles+run.offset*t.tw)*t.c16+cb], &pixels[0], &tmp[0],
					pos, t.c16, wide, run.n, t.tw)
				r += run.n
			}
		}
	}
}

// imagePart does the convolution of chunk i.
func (t *winoTask) imagePart(i int) {
	c := t.chunk(i)
	rows := (c.f1 - c.f0) * c.tiles
	inPos, outPos := t.inputStride(&c), winoStride(winoEven(rows)*t.group)
	pixels := max(t.inputPixels(), t.outputPixels())
	s := getScratch(36*inPos + 36*outPos + pixels + winoTmp(t.tw))
	v, rest := s.f[:36*inPos], s.f[36*inPos:]
	m, rest := rest[:36*outPos], rest[36*outPos:]
	px, tmp := rest[:pixels], rest[pixels:]
	t.inputChunk(&c, v, t.src, px[:t.inputPixels()], tmp)
	for o := 0; o < t.o16; o += t.group {
		group := min(t.group, t.o16-o)
		for p := range 36 {
			for col := o; col < o+group; col += winoColumns {
				b := t.block(col, t.c)
				t.product(m[p*outPos+col-o:], group, v[p*inPos:], t.u[b.offset+p*b.pos:], b.width, c.tiles, rows)
			}
		}
		t.outputChunk(&c, m, outPos, group, o, px, tmp)
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

// outputChunk transforms the products of columns [o, o+group) back into dst.
func (t *winoTask) outputChunk(c *winoChunk, m []float32, pos, group, o int, pixels, tmp []float32) {
	wide := 4 * t.tw
	area := t.out[1] * t.out[2]
	plane := t.out[0] * area
	most := t.runRows()
	for b := o; b < min(o+group, t.o); b += winoLanes {
		nch := min(winoLanes, t.o-b)
		for f := c.f0; f < c.f1; f++ {
			for r := c.r0; r < c.r1; {
				run := t.next(c, r, most)
				t.ops.output(&pixels[0], &m[((f-c.f0)*c.tiles+run.offset*t.tw)*group+b-o], &tmp[0], &t.biasBlock[b], t.floor,
					pos, group, wide, run.n, t.tw)
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
