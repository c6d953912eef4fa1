//go:build !purego

package kernel

var neonGemm = gemmOps{
	rows: 8, cols: 8, depth: 256,
	tile:           tileNEON,
	packCopy:       packCopyGeneric,
	packTranspose:  packTransposeNEON,
	transposeLanes: 16,
}

// gemmTileNEON sums up to 8 rows and exactly 8 columns and stores the sums or
// adds them to C; see gemmOps.tile.
//
//go:noescape
func gemmTileNEON(c []float32, ldc int, a []float32, as int, b []float32, bs int, k, rows, accumulate int)

// packTransposeNEON is gemmOps.packTranspose.
//
//go:noescape
func packTransposeNEON(dst []float32, ds int, src []float32, ss int, lanes, k int)

// tileNEON does what the assembly does not: narrow tiles, biases and activations.
func tileNEON(c []float32, ldc int, a []float32, as int, b []float32, bs int,
	k, rows, cols, flags int, rowBias, colBias []float32, _ *float32, _ int) {
	if cols == 8 && flags&^tileAccumulate == 0 && rowBias == nil && colBias == nil {
		gemmTileNEON(c, ldc, a, as, b, bs, k, rows, flags)
		return
	}
	var sums [8 * 8]float32
	gemmTileNEON(sums[:], 8, a, as, b, bs, k, rows, 0)
	storeTile(c, ldc, sums[:], 8, rows, cols, flags, rowBias, colBias)
}
