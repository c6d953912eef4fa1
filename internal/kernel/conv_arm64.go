//go:build !purego

package kernel

var neonConv = convOps{
	lanes: 4,
	strips: []convStrip{
		{rows: 8, vecs: 3, tile: [9]convFunc{1: convTile8x1NEON, 2: convTile8x2NEON, 3: convTile8x3NEON}},
		{rows: 4, vecs: 6, tile: [9]convFunc{1: convTile4x1NEON, 2: convTile4x2NEON, 3: convTile4x3NEON, 4: convTile4x4NEON, 6: convTile4x6NEON}},
		{rows: 3, vecs: 8, tile: [9]convFunc{1: convTile3x1NEON, 2: convTile3x2NEON, 4: convTile3x4NEON, 8: convTile3x8NEON}},
		{rows: 2, vecs: 8, tile: [9]convFunc{1: convTile2x1NEON, 2: convTile2x2NEON, 4: convTile2x4NEON, 8: convTile2x8NEON}},
		{rows: 1, vecs: 8, tile: [9]convFunc{1: convTile1x1NEON, 2: convTile1x2NEON, 4: convTile1x4NEON, 8: convTile1x8NEON}},
	},
	dots: [5][]convFunc{
		4: {convDot4x1NEON, convDot4x2NEON, convDot4x3NEON, convDot4x4NEON, convDot4x5NEON, convDot4x6NEON},
		1: {convDot1x1NEON, convDot1x2NEON, convDot1x3NEON, convDot1x4NEON, convDot1x5NEON, convDot1x6NEON, convDot1x7NEON, convDot1x8NEON},
	},
	rows:   [5]convFunc{4: convRows4NEON, 1: convRows1NEON},
	panels: [8]convFunc{convPanelGatherNEON, convPanel1NEON, convPanel2NEON},
}
