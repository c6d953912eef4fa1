package kernel

// The gradient to the weights. Parts cover whole chunks and sum, each for itself,
// dU = Σ V ⊗ dM over their tiles; then the parts are added in order and
// transformed back. dU lies as transformed filters do, but with the channels read
// rounded up to an even number.

// winogradBackwardWeights computes dw, the gradient to the weights.
func winogradBackwardWeights(s *ConvShape, dw, dy, x []float32) {
	if s.N == 0 {
		clear(dw)
		return
	}
	t := winoTasks.get()
	t.winoShape = winoShape{n: s.N, c: s.C, o: s.O, in: s.In, out: s.Out, pad: s.Pad, frames: s.Kernel[0]}
	t.ops = &Active().wino
	t.src, t.dst, t.w = x, dy, dw
	t.planWeights()
	sc := getScratch(t.parts * t.filterFloats(winoEven(t.c)))
	t.u = sc.f
	t.run(winoSums, t.parts)
	t.run(winoGather, t.filterParts())
	putScratch(sc)
	t.release()
}

// planWeights chooses chunks and parts from the shape alone.
func (t *winoTask) planWeights() {
	want := min(112, max(28, 64<<10/(36*winoBlocks(max(t.c, t.o)))))
	t.divide(want, 4*want)
	t.parts = min(t.rowChunks*t.frameChunks, 4)
}

// sumPart computes one part's dU.
func (t *winoTask) sumPart(part int) {
	chunks := t.rowChunks * t.frameChunks
	first, last := part*chunks/t.parts, (part+1)*chunks/t.parts
	whole := t.chunk(0)
	inFloats := 36 * t.inputStride(&whole)
	gradFloats := 36 * winoStride((whole.f1-whole.f0)*whole.tiles*t.o16)
	pixels := max(t.inputPixels(), t.outputPixels())
	s := getScratch(inFloats + gradFloats + pixels + winoTmp(t.tw))
	v, rest := s.f[:inFloats], s.f[inFloats:]
	m, rest := rest[:gradFloats], rest[gradFloats:]
	px, tmp := rest[:pixels], rest[pixels:]
	even := winoEven(t.c)
	u := t.u[part*t.filterFloats(even):]
	for i := first; i < last; i++ {
		c := t.chunk(i)
		t.inputChunk(&c, v, t.src, px[:t.inputPixels()], tmp)
		rows := (c.f1 - c.f0) * c.tiles
		inPos, gradPos := t.inputStride(&c), winoStride(rows*t.o16)
		t.gradientChunk(&c, m, gradPos, px, tmp)
		add := min(1, i-first)
		for p := range 36 {
			for o := 0; o < t.o16; o += winoColumns {
				b := t.block(o, even)
				for f := range t.frames {
					t.outer(u[b.offset+p*b.pos+f*even*b.width:], b.width,
						v[p*inPos+f*c.tiles*t.c16:], m[p*gradPos+o:], rows, add)
				}
			}
		}
	}
	putScratch(s)
}

// outer adds the outer products of rows tiles' input and gradient to a block of dU.
func (t *winoTask) outer(u []float32, width int, v, m []float32, rows, add int) {
	for col := 0; col < width; {
		list, step := t.ops.outer, winoLanes
		if width-col >= winoColumns && len(t.ops.outer2) > 0 {
			list, step = t.ops.outer2, winoColumns
		}
		pairs := (t.c + 1) / 2
		blocks := (pairs + len(list) - 1) / len(list)
		c := 0
		for b := range blocks {
			n := pairs / blocks
			if b < pairs%blocks {
				n++
			}
			list[n-1](&u[c*width+col], &v[c], &m[col], width, t.c16, t.o16, rows, add)
			c += 2 * n
		}
		col += step
	}
}

// gradientChunk transforms the gradient of the result of a chunk into m.
func (t *winoTask) gradientChunk(c *winoChunk, m []float32, pos int, pixels, tmp []float32) {
	wide, cols := 4*t.tw, t.out[2]
	area := t.out[1] * cols
	plane := t.out[0] * area
	most := t.runRows()
	clear(pixels[:t.outputPixels()]) // the padding at the right; the rest is written again
	for o := 0; o < t.o; o += winoLanes {
		nch := min(winoLanes, t.o-o)
		for f := c.f0; f < c.f1; f++ {
			for r := c.r0; r < c.r1; {
				run := t.next(c, r, most)
				rows := min(4*run.n, t.out[1]-4*run.ty)
				src := &t.dst[(run.image*t.o+o)*plane+f*area+4*run.ty*cols]
				if cols == wide {
					t.ops.pack(&pixels[0], src, 0, 0, plane, 1, rows*cols, nch)
				} else {
					t.ops.pack(&pixels[0], src, wide, cols, plane, rows, cols, nch)
				}
				clear(pixels[rows*wide*winoLanes : 4*run.n*wide*winoLanes])
				t.ops.gradient(&m[((f-c.f0)*c.tiles+run.offset*t.tw)*t.o16+o], &pixels[0], &tmp[0],
					pos, t.o16, wide, run.n, t.tw)
				r += run.n
			}
		}
	}
}

// gatherPart adds the parts' gradients of one block of columns and a few channels,
// in order, and transforms them back into w.
func (t *winoTask) gatherPart(i int) {
	taps := 9 * t.frames
	o, columns, c0, c1 := t.filterRange(i)
	s := getScratch((c1-c0)*taps*winoLanes + winoTmp(0))
	tmp := s.f[(c1-c0)*taps*winoLanes:]
	even := winoEven(t.c)
	b := t.block(o, even)
	u := t.u[b.offset+o%winoColumns:]
	for f := range t.frames {
		t.ops.filterGradient(&s.f[f*9*winoLanes], &u[(f*even+c0)*b.width], &tmp[0],
			b.pos, b.width, t.filterFloats(even), t.parts, taps*winoLanes, c1-c0)
	}
	t.ops.unpack(&t.w[(o*t.c+c0)*taps], &s.f[0], 0, 0, t.c*taps, 1, (c1-c0)*taps, columns)
	putScratch(s)
}
