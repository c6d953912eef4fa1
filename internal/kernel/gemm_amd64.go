//go:build !purego

package kernel

//go:generate go run -C _asm ./gemm -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernel

var avx512Gemm = gemmOps{
	rows: 14, cols: 32, depth: 512,
	wideRows: 6, wideCols: 64,
	masked:         true,
	tile:           gemmTileAVX512,
	packCopy:       packCopyAVX512,
	packTranspose:  packTransposeAVX512,
	transposeLanes: 16,
}

var avx2Gemm = gemmOps{
	rows: 6, cols: 16, depth: 256,
	tile:           tileAVX2,
	packCopy:       packCopyGeneric,
	packTranspose:  transposeAVX2,
	transposeLanes: 8,
}

// transposeAVX2 leaves the last numbers to Go: the assembly does whole blocks and
// stores eight lanes always. What it stores too much is overwritten by the numbers
// that follow, if these lie directly behind; elsewhere it would spoil what is there.
func transposeAVX2(dst []float32, ds int, src []float32, ss int, lanes, k int) {
	blocks := 0
	if lanes == 8 || lanes == ds {
		blocks = max(0, (k-8)&^7)
	}
	packTransposeAVX2(dst, ds, src, ss, lanes, blocks)
	packTransposeGeneric(dst[blocks*ds:], ds, src[blocks:], ss, lanes, k-blocks)
}

// tileAVX2 has the columns of a narrow tile computed like those of a whole one.
func tileAVX2(c []float32, ldc int, a []float32, as int, b []float32, bs int,
	k, rows, cols, flags int, rowBias, colBias []float32, soon *float32, soonStep int) {
	if cols == 16 {
		gemmTileAVX2(c, ldc, a, as, b, bs, k, rows, cols, flags, rowBias, colBias, soon, soonStep)
		return
	}
	var sums [6 * 16]float32
	gemmTileAVX2(sums[:], 16, a, as, b, bs, k, rows, 16, 0, nil, nil, soon, soonStep)
	storeTile(c, ldc, sums[:], 16, rows, cols, flags, rowBias, colBias)
}
