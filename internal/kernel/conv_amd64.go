//go:build !purego

package kernel

//go:generate go run -C _asm ./conv -out ../conv_amd64.s -stubs ../conv_stubs_amd64.go -pkg kernel

var avx512Conv = convOps{
	lanes: 16,
	strips: []convStrip{
		{rows: 8, vecs: 3, tile: [9]convFunc{1: convTile8x1AVX512, 2: convTile8x2AVX512, 3: convTile8x3AVX512}},
		{rows: 4, vecs: 6, tile: [9]convFunc{1: convTile4x1AVX512, 2: convTile4x2AVX512, 3: convTile4x3AVX512, 4: convTile4x4AVX512, 6: convTile4x6AVX512}},
		{rows: 3, vecs: 8, tile: [9]convFunc{1: convTile3x1AVX512, 2: convTile3x2AVX512, 4: convTile3x4AVX512, 8: convTile3x8AVX512}},
		{rows: 2, vecs: 8, tile: [9]convFunc{1: convTile2x1AVX512, 2: convTile2x2AVX512, 4: convTile2x4AVX512, 8: convTile2x8AVX512}},
		{rows: 1, vecs: 8, tile: [9]convFunc{1: convTile1x1AVX512, 2: convTile1x2AVX512, 4: convTile1x4AVX512, 8: convTile1x8AVX512}},
	},
	dots: [5][]convFunc{
		4: {convDot4x1AVX512, convDot4x2AVX512, convDot4x3AVX512, convDot4x4AVX512, convDot4x5AVX512, convDot4x6AVX512},
		1: {convDot1x1AVX512, convDot1x2AVX512, convDot1x3AVX512, convDot1x4AVX512, convDot1x5AVX512, convDot1x6AVX512, convDot1x7AVX512, convDot1x8AVX512},
	},
	rows: [5]convFunc{4: convRows4AVX512, 1: convRows1AVX512},
	panels: [8]convFunc{convPanelGatherAVX512, convPanel1AVX512, convPanel2AVX512, convPanel3AVX512, convPanel4AVX512,
		convPanel5AVX512, convPanel6AVX512, convPanel7AVX512},
	fill: [3]convFunc{1: convFill1AVX512, 2: convFill2AVX512},
	zip:  convZipAVX512,
}

var avx2Conv = convOps{
	lanes: 8,
	strips: []convStrip{
		{rows: 4, vecs: 3, tile: [9]convFunc{1: convTile4x1AVX2, 2: convTile4x2AVX2, 3: convTile4x3AVX2}},
		{rows: 3, vecs: 4, tile: [9]convFunc{1: convTile3x1AVX2, 2: convTile3x2AVX2, 4: convTile3x4AVX2}},
		{rows: 2, vecs: 6, tile: [9]convFunc{1: convTile2x1AVX2, 2: convTile2x2AVX2, 4: convTile2x4AVX2, 6: convTile2x6AVX2}},
		{rows: 1, vecs: 8, tile: [9]convFunc{1: convTile1x1AVX2, 2: convTile1x2AVX2, 4: convTile1x4AVX2, 8: convTile1x8AVX2}},
	},
	dots: [5][]convFunc{
		4: {convDot4x1AVX2, convDot4x2AVX2, convDot4x3AVX2},
		1: {convDot1x1AVX2, convDot1x2AVX2, convDot1x3AVX2, convDot1x4AVX2, convDot1x5AVX2, convDot1x6AVX2, convDot1x7AVX2, convDot1x8AVX2},
	},
	rows:   [5]convFunc{4: convRows4AVX2, 1: convRows1AVX2},
	panels: [8]convFunc{convPanelGatherAVX2},
}
