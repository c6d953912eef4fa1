//go:build !purego

package kernel

//go:generate go run -C _asm ./wino -out ../winograd_amd64.s -stubs ../winograd_stubs_amd64.go -pkg kernel

var avx2Wino = winoOps{
	pack:           winoPackAVX2,
	unpack:         winoUnpackAVX2,
	input:          winoInputAVX2,
	output:         winoOutputAVX2,
	gradient:       winoGradientAVX2,
	filter:         winoFilterAVX2,
	filterGradient: winoFilterGradientAVX2,
	filterPair: [4]func(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int){
		winoFilterLowLowAVX2, winoFilterLowHighAVX2, winoFilterHighLowAVX2, winoFilterHighHighAVX2},
	depthwise: winoDepthwiseAVX2,
	depthwiseSums: [9]func(sums, src, dy *float32, at *int32, step, n int){
		winoDepthwiseSums1AVX2, winoDepthwiseSums2AVX2, winoDepthwiseSums3AVX2, winoDepthwiseSums4AVX2, winoDepthwiseSums5AVX2,
		winoDepthwiseSums6AVX2, winoDepthwiseSums7AVX2, winoDepthwiseSums8AVX2, winoDepthwiseSums9AVX2},
	product: []func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int){
		winoProduct2x16AVX2, winoProduct4x16AVX2, winoProduct6x16AVX2},
	outer: []func(c, a, b *float32, ldc, lda, ldb, k, add int){
		winoOuter2x16AVX2, winoOuter4x16AVX2, winoOuter6x16AVX2},
}

var avx512Wino = winoOps{
	pack:           winoPackAVX512,
	unpack:         winoUnpackAVX512,
	input:          winoInputAVX512,
	output:         winoOutputAVX512,
	gradient:       winoGradientAVX512,
	filter:         winoFilterAVX512,
	filterGradient: winoFilterGradientAVX512,
	filterPair: [4]func(u, src, tmp *float32, pos, uStep, srcTap, srcStep, n int){
		winoFilterLowLowAVX512, winoFilterLowHighAVX512, winoFilterHighLowAVX512, winoFilterHighHighAVX512},
	depthwise: winoDepthwiseAVX512,
	depthwiseSums: [9]func(sums, src, dy *float32, at *int32, step, n int){
		winoDepthwiseSums1AVX512, winoDepthwiseSums2AVX512, winoDepthwiseSums3AVX512, winoDepthwiseSums4AVX512, winoDepthwiseSums5AVX512,
		winoDepthwiseSums6AVX512, winoDepthwiseSums7AVX512, winoDepthwiseSums8AVX512, winoDepthwiseSums9AVX512},
	product: []func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int){
		winoProduct2x16AVX512, winoProduct4x16AVX512, winoProduct6x16AVX512, winoProduct8x16AVX512,
		winoProduct10x16AVX512, winoProduct12x16AVX512, winoProduct14x16AVX512, winoProduct16x16AVX512},
	product2: []func(c, a, b *float32, ldc, lda, ldb, seg, k, segs, blocks, add int){
		winoProduct2x32AVX512, winoProduct4x32AVX512, winoProduct6x32AVX512, winoProduct8x32AVX512,
		winoProduct10x32AVX512, winoProduct12x32AVX512, winoProduct14x32AVX512},
	outer: []func(c, a, b *float32, ldc, lda, ldb, k, add int){
		winoOuter2x16AVX512, winoOuter4x16AVX512, winoOuter6x16AVX512, winoOuter8x16AVX512,
		winoOuter10x16AVX512, winoOuter12x16AVX512, winoOuter14x16AVX512, winoOuter16x16AVX512},
	outer2: []func(c, a, b *float32, ldc, lda, ldb, k, add int){
		winoOuter2x32AVX512, winoOuter4x32AVX512, winoOuter6x32AVX512, winoOuter8x32AVX512,
		winoOuter10x32AVX512, winoOuter12x32AVX512, winoOuter14x32AVX512},
}
