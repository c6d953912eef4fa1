package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

// Registers: of pixels, planes, the pixels' places, and four channels.
const (
	rPixels, rPlanes, rPlaces, rPlane, rN, rChannels = 0, 1, 2, 3, 4, 5
	rChannel                                         = 6 // and three more
	rLeft, rPlace, rQuarters                         = 10, 11, 12
	rPixel                                           = 13 // and 14
)

// quarters generates a loop over four channels at a time, those of squares of
// four pixels and then of single ones: square and one are given a label and
// whether there are fewer than four channels.
func quarters(square, one func(name string, few bool)) {
	LoadBytes("plane", rPlane, 2)
	Load("at", rPlaces)
	Load("n", rN)
	Load("nch", rChannels)
	repeat("quarter", rQuarters, 4, func() {
		move(rPlanes, rChannel)
		for i := 1; i < 4; i++ {
			Line("ADD R%d, R%d, R%d", rPlane, rChannel+i-1, rChannel+i)
		}
		Line("ADD R%d<<2, R%d", rPlane, rPlanes)
		move(rN, rLeft, rPlaces, rPlace)
		Line("CMP $4, R%d", rChannels)
		Line("BLT few")
		for _, few := range []bool{false, true} {
			name := "whole"
			if few {
				name = "few"
				Label("few")
			}
			Line("SUBS $4, R%d", rLeft)
			Line("BLT %sTail", name)
			Label("%sSquare", name)
			square(name+"Square", few)
			Line("SUBS $4, R%d", rLeft)
			Line("BGE %sSquare", name)
			Label("%sTail", name)
			Line("ADDS $4, R%d", rLeft)
			Line("BEQ next")
			repeat(name+"One", rLeft, 0, func() { one(name+"One", few) })
			if !few {
				Line("B next")
			}
		}
		Label("next")
		advance(16, rPixels)
		Line("SUB $4, R%d", rChannels)
	})
	Line("RET")
}

// each generates code for four channels, or as many as there are.
func each(name string, few bool, code func(i int)) {
	for i := range 4 {
		if few && i < 3 {
			Line("CMP $%d, R%d", i, rChannels)
			Line("BLE %sDone", name)
		}
		if !few || i < 3 {
			code(i)
		}
	}
	if few {
		Label("%sDone", name)
	}
}

// places calls f for the four pixels of a square, whose place is in a register.
func places(f func(i, place int)) {
	for i := 0; i < 4; i += 2 {
		Line("LDPSW %d(R%d), (R%d, R%d)", 4*i, rPlace, rPixel, rPixel+1)
		f(i, rPixel)
		f(i+1, rPixel+1)
	}
	advance(16, rPlace)
}

// pack: planes to pixels.
func pack() {
	begin("Pack", "(dst, src *float32, at *int32, plane, n, nch, ahead int)", "gathers 16 channels into pixels.")
	Load("dst", rPixels)
	Load("src", rPlanes)
	zeros := func(few bool, n int) {
		for v := range n {
			if few {
				Zero(v)
			}
		}
	}
	quarters(func(name string, few bool) {
		zeros(few, 4)
		each(name, few, func(i int) { Line("FMOVQ.P 16(R%d), F%d", rChannel+i, i) })
		Transpose(0, 4)
		places(func(i, place int) { PutAt(i, rPixels, place) })
	}, func(name string, few bool) {
		zeros(few, 1)
		each(name, few, func(i int) { Line("VLD1.P 4(R%d), V0.S[%d]", rChannel+i, i) })
		Line("MOVW.P 4(R%d), R%d", rPlace, rPixel)
		PutAt(0, rPixels, rPixel)
	})
}

// unpack: pixels to planes.
func unpack() {
	begin("Unpack", "(dst, src *float32, at *int32, plane, n, nch, ahead int)", "scatters pixels of 16 channels to their planes.")
	Load("src", rPixels)
	Load("dst", rPlanes)
	quarters(func(name string, few bool) {
		places(func(i, place int) { VecAt(i, rPixels, place) })
		Transpose(0, 4)
		each(name, few, func(i int) { Line("FMOVQ.P F%d, 16(R%d)", i, rChannel+i) })
	}, func(name string, few bool) {
		Line("MOVW.P 4(R%d), R%d", rPlace, rPixel)
		VecAt(0, rPixels, rPixel)
		each(name, few, func(i int) { Line("VST1.P V0.S[%d], 4(R%d)", i, rChannel+i) })
	})
}
