//go:build !purego

package kernel

var neonWino = winoOps{
	pack:           winoPackNEON,
	unpack:         winoUnpackNEON,
	input:          winoInputNEON,
	output:         winoOutputNEON,
	gradient:       winoGradientNEON,
	filter:         winoFilterNEON,
	filterGradient: winoFilterGradientNEON,
	filterPair:     winoFilterPairs,
	depthwise:      winoDepthwise,
	depthwiseSums:  winoSumsOf(winoDepthwiseSums),
	product: []func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int){
		winoProduct2x16NEON, winoProduct4x16NEON, winoProduct6x16NEON},
	outer: []func(c, a, b *float32, ldc, lda, ldb, k, add int){
		winoOuter2x16NEON, winoOuter4x16NEON, winoOuter6x16NEON},
}
