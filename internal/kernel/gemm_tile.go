package kernel

// gemmOps are the innermost loops of the packed matrix product. The driver in
// gemm_driver.go cuts a product into tiles and calls them; convolution may use
// them for products of its own.
type gemmOps struct {
	rows, cols int // of the largest tile
	depth      int // longest stretch of k that one packed block covers
	masked     bool

	// Of no more than wideRows rows, a tile may have wideCols columns.
	wideRows, wideCols int

	// tile computes rows x cols numbers of C, at most the ops' own, from k rows of
	// A and B:
	//
	//	for p := range k {
	//		for r := range rows {
	//			for j := range cols {
	//				sum[r][j] = fma(a[p*as+r], b[p*bs+j], sum[r][j])
	//			}
	//		}
	//	}
	//
	// then the epilogue by flags and biases; see [Epilogue]. The order of the sum
	// is that of p, whatever the tile's size. Unless masked, tile reads all of the
	// ops' columns of B even if fewer are wanted (what is there does not matter)
	// and needs the memory for them.
	//
	// On the way it may ask memory for the cache lines at soon + p*soonStep, which
	// the caller is about to read.
	tile func(c []float32, ldc int, a []float32, as int, b []float32, bs int,
		k, rows, cols, flags int, rowBias, colBias []float32, soon *float32, soonStep int)

	// packCopy copies k rows of lanes numbers, at most the ops' cols:
	// dst[p*ds+l] = src[p*ss+l].
	packCopy func(dst []float32, ds int, src []float32, ss int, lanes, k int)

	// packTranspose transposes lanes rows of k numbers, at most transposeLanes:
	// dst[p*ds+l] = src[l*ss+p].
	packTranspose  func(dst []float32, ds int, src []float32, ss int, lanes, k int)
	transposeLanes int
}

// Flags of gemmOps.tile; the same as in _asm/gemm.
const (
	tileAccumulate = 1
	tileReLU       = 2
)

var genericGemm = gemmOps{
	rows: 4, cols: 4, depth: 256,
	masked:         true,
	tile:           tileGeneric,
	packCopy:       packCopyGeneric,
	packTranspose:  packTransposeGeneric,
	transposeLanes: 16,
}

// tileGeneric is gemmOps.tile in Go. Products are rounded before they are added,
// on every architecture.
func tileGeneric(c []float32, ldc int, a []float32, as int, b []float32, bs int,
	k, rows, cols, flags int, rowBias, colBias []float32, _ *float32, _ int) {
	var sums [4 * 4]float32
	r := 0
	if cols == 4 {
		for ; r+2 <= rows; r += 2 {
			tile2x4((*[8]float32)(sums[4*r:]), a, r, as, b, bs, k)
		}
	}
	for ; r < rows; r++ {
		for j := range cols {
			var sum float32
			for p := range k {
				sum += float32(a[p*as+r] * b[p*bs+j])
			}
			sums[4*r+j] = sum
		}
	}
	storeTile(c, ldc, sums[:], 4, rows, cols, flags, rowBias, colBias)
}

// tile2x4 sums two rows, from r on, and four columns: as many sums as the
// registers of amd64 hold beside the operands.
func tile2x4(sums *[8]float32, a []float32, r, as int, b []float32, bs int, k int) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	pa, pb := r, 0
	for range k {
		x, y := a[pa:pa+2:pa+2], b[pb:pb+4:pb+4]
		x0, x1 := x[0], x[1]
		y0, y1, y2, y3 := y[0], y[1], y[2], y[3]
		s00 += float32(x0 * y0)
		s01 += float32(x0 * y1)
		s02 += float32(x0 * y2)
		s03 += float32(x0 * y3)
		s10 += float32(x1 * y0)
		s11 += float32(x1 * y1)
		s12 += float32(x1 * y2)
		s13 += float32(x1 * y3)
		pa += as
		pb += bs
	}
	*sums = [8]float32{s00, s01, s02, s03, s10, s11, s12, s13}
}

// storeTile is the epilogue of gemmOps.tile for sums in memory.
func storeTile(c []float32, ldc int, sums []float32, lds, rows, cols, flags int, rowBias, colBias []float32) {
	for r := range rows {
		c, sums := c[r*ldc:][:cols], sums[r*lds:][:cols]
		for j, s := range sums {
			if flags&tileAccumulate != 0 {
				s += c[j]
			}
			if rowBias != nil {
				s += rowBias[r]
			}
			if colBias != nil {
				s += colBias[j]
			}
			if flags&tileReLU != 0 && s < 0 {
				s = 0
			}
			c[j] = s
		}
	}
}

func packCopyGeneric(dst []float32, ds int, src []float32, ss int, lanes, k int) {
	for p := range k {
		copy(dst[p*ds:][:lanes], src[p*ss:][:lanes])
	}
}

func packTransposeGeneric(dst []float32, ds int, src []float32, ss int, lanes, k int) {
	for l := range lanes {
		to := l
		for _, v := range src[l*ss:][:k] {
			dst[to] = v
			to += ds
		}
	}
}
