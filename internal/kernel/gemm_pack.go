package kernel

// A packed operand lies stretch of k by stretch of k; within a stretch strip by
// strip, and within a strip the numbers that belong to one k side by side:
// number p of lane l of a strip is at p*step+l. Strips of A are as high as they
// are and their step with them; strips of B have the step gemmTask.cols, the last one
// too, and what lies beyond its lanes is unspecified.

// copyChunk is how many rows are copied to all strips before the next ones, so
// that rows are read along and not a strip's width at a time.
const copyChunk = 32

// stripA returns the first row of strip s of A and how many it has.
func (t *gemmTask) stripA(s int) (row, rows int) {
	row = cutAt(t.m, t.strips, s)
	return row, cutAt(t.m, t.strips, s+1) - row
}

// stripB returns the item of strip j of B, its first column there and how many it
// has.
func (t *gemmTask) stripB(j int) (item, col, cols int) {
	col = j % t.itemCols * t.cols
	return j / t.itemCols, col, min(t.cols, t.n-col)
}

// packA packs numbers [p, p+n) of rows [row, row+rows) of op(A).
func (t *gemmTask) packA(dst []float32, row, rows, p, n int) {
	pack(t.ops, dst, rows, t.a, t.lda, !t.transA, row, rows, p, n)
}

// packB packs numbers [p, p+n) of columns [col, col+cols) of an item's op(B).
func (t *gemmTask) packB(dst []float32, item, col, cols, p, n int) {
	pack(t.ops, dst, t.cols, from(t.b, item*t.strideB), t.ldb, t.transB, col, cols, p, n)
}

// packShared packs strips [s0, s1) of A for the stretches in hand.
func (t *gemmTask) packShared(s0, s1 int) {
	for p0 := t.k0; p0 < t.k1; p0 += t.kLen {
		kl := min(t.kLen, t.k-p0)
		chunk := kl
		if t.transA {
			chunk = copyChunk
		}
		for p := 0; p < kl; p += chunk {
			for s := s0; s < s1; s++ {
				row, rows := t.stripA(s)
				t.packA(t.sharedA[(p0-t.k0)*t.m+row*kl+p*rows:], row, rows, p0+p, min(chunk, kl-p))
			}
		}
	}
}

// nextB returns the first row of the strip that is packed, or read in place, after
// strip j of [j0, j1) in the stretch from p0 on: the one beside it, the first one of
// the next stretch, or that of the next part. It returns nil if rows are not read
// along.
func (t *gemmTask) nextB(j, j0, j1, p0 int) []float32 {
	if j++; j == j1 {
		if p0 += t.kLen; p0 < t.k1 {
			j = j0
		} else {
			p0 = t.k0
		}
	}
	if t.transB || t.k == 0 || j == t.colStrips {
		return nil
	}
	item, col, cols := t.stripB(j)
	return t.b[item*t.strideB+p0*t.ldb+col:][:cols]
}

// inPlace reports whether a strip of B with so many columns is read in place.
func (t *gemmTask) inPlace(cols int) bool {
	return t.directB && (t.ops.masked || cols == t.cols)
}

// pack packs numbers [p, p+n) of lanes [lane, lane+lanes) of the matrix x, whose
// rows are the lanes if transposed and the numbers if not.
func pack(ops *gemmOps, dst []float32, step int, x []float32, ld int, transposed bool, lane, lanes, p, n int) {
	if !transposed {
		for l := 0; l < lanes; l += ops.cols {
			ops.packCopy(dst[l:], step, x[p*ld+lane+l:], ld, min(ops.cols, lanes-l), n)
		}
		return
	}
	for l := 0; l < lanes; l += ops.transposeLanes {
		ops.packTranspose(dst[l:], step, x[(lane+l)*ld+p:], ld, min(ops.transposeLanes, lanes-l), n)
	}
}
