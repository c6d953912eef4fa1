package main

import (
	"fmt"

	. "github.com/mettleml/mettle/internal/kernel/_asm/neon"
)

// The numbers of a channel, as the Go side lays them out.
const (
	coefMean = iota
	coefScale
	coefShift
	coefA
	coefB
	coefC
	coefPivot
	coefs    = 8
	sumLanes = 8
)

// Registers of a channelLoop.
const (
	rCoef0, rSums0         = 0, 1 // of the first channel
	rPtr                   = 2    // and up to three more
	rN, rChannels0, rS     = 6, 7, 8
	rJump                  = 9 // from the end of a sample to the next
	rChannels, rCoef, rSum = 10, 11, 12
	rLeft, rRun, rTmp      = 13, 14, 15
)

// A channelLoop runs over n samples of arrays [n, channels, s], row after row of s
// floats: 16 floats at a time, then 4, then one in the first lane.
type channelLoop struct {
	label  string
	params []string // the arrays, in registers from rPtr on
	reads  []int    // of params, those whose vectors are read: to V0, V4, ...
	writes int      // of params, the one that is written, or -1
	result int      // the first of its vectors
	sums   bool

	// body does n vectors side by side or, if n is 0, a single number.
	body                func(n int)
	enter, block, leave func() // frame a row and follow 16 floats; nil for none
}

// load reads the parameters.
func (l *channelLoop) load() {
	Load("coef", rCoef0)
	if l.sums {
		Load("sums", rSums0)
	}
	for i, p := range l.params {
		Load(p, rPtr+i)
	}
	Load("n", rN)
	Load("channels", rChannels0)
	Load("s", rS)
	Load("stride", rJump)
	Line("MSUB R%d, R%d, R%d, R%d", rS, rJump, rChannels0, rJump)
	Line("LSL $2, R%d", rJump)
}

// floor reads a floor: cut is what FMAX wants, the least of numbers for NaN.
func floor(name string, v, cut int) {
	Spread(name, v, rTmp)
	spreadBits(0xff800000, 31, rTmp)
	MaxNumber(cut, v, 31)
}

// coefficients spreads numbers of a channel over the vectors from first on.
func coefficients(first int, numbers ...int) {
	Line("VLD1 (R%d), %s", rCoef, List(30, 2))
	for i, c := range numbers {
		Line("VDUP V%d.S[%d], V%d.S4", 30+c/4, c%4, first+i)
	}
}

// emit writes the loop and the return. No size may be 0.
func (l *channelLoop) emit() {
	name := func(s string) string { return l.label + s }
	Label(name("Sample"))
	Line("MOVD R%d, R%d", rCoef0, rCoef)
	if l.sums {
		Line("MOVD R%d, R%d", rSums0, rSum)
	}
	Line("MOVD R%d, R%d", rChannels0, rChannels)
	Label(name("Row"))
	l.enter()
	Line("MOVD R%d, R%d", rS, rLeft)
	for _, vectors := range []int{4, 1} {
		loop, less := name(fmt.Sprint("Loop", vectors)), name(fmt.Sprint("Less", vectors))
		Line("SUBS $%d, R%d", 4*vectors, rLeft)
		Line("BLT %s", less)
		Label(loop)
		for i, p := range l.reads {
			Line("VLD1.P %d(R%d), %s", 16*vectors, rPtr+p, List(4*i, vectors))
		}
		l.body(vectors)
		if l.writes >= 0 {
			Line("VST1.P %s, %d(R%d)", List(l.result, vectors), 16*vectors, rPtr+l.writes)
		}
		if vectors > 1 && l.block != nil {
			l.block()
		}
		Line("SUBS $%d, R%d", 4*vectors, rLeft)
		Line("BGE %s", loop)
		Label(less)
		Line("ADD $%d, R%d", 4*vectors, rLeft)
	}
	Line("CBZ R%d, %s", rLeft, name("Leave"))
	Label(name("One"))
	for i, p := range l.reads {
		Line("FMOVS.P 4(R%d), F%d", rPtr+p, 4*i)
	}
	l.body(0)
	if l.writes >= 0 {
		Line("FMOVS.P F%d, 4(R%d)", l.result, rPtr+l.writes)
	}
	Line("SUBS $1, R%d", rLeft)
	Line("BNE %s", name("One"))
	Label(name("Leave"))
	if l.leave != nil {
		l.leave()
	}
	Line("ADD $%d, R%d", 4*coefs, rCoef)
	if l.sums {
		Line("ADD $%d, R%d", 8*2*sumLanes, rSum)
	}
	Line("SUBS $1, R%d", rChannels)
	Line("BNE %s", name("Row"))
	for i := range l.params {
		Line("ADD R%d, R%d", rJump, rPtr+i)
	}
	Line("SUBS $1, R%d", rN)
	Line("BNE %s", name("Sample"))
	Line("RET")
}

// sideBySide generates each step for n vectors, or one, before the next step: not
// every processor would find the parallel work by itself.
func sideBySide(n int, steps ...func(k int)) {
	for _, step := range steps {
		for k := range max(n, 1) {
			step(k)
		}
	}
}

// onlyFirst clears the upper double of v.
func onlyFirst(v int) { Line("FMOVD F%d, F%d", v, v) }

// addTo adds two doubles to the sums at offset at.
func addTo(at, v, tmp int) {
	Vec(tmp, rSum, at)
	Add64(tmp, tmp, v)
	Put(tmp, rSum, at)
}

// A runningSum adds floats in four vectors, and every so often adds those to
// doubles: short runs of single precision cost no accuracy that shows, and
// conversions are dear.
type runningSum struct{ short, wide int }

func (s runningSum) clear() {
	for i := range 4 {
		Zero(s.short + i)
	}
}

// widen moves the short sums to the doubles.
func (s runningSum) widen(tmp int) {
	v := s.short
	Add(v, v, v+1)
	Add(v+2, v+2, v+3)
	Add(v, v, v+2)
	Wide(tmp, v)
	Add64(s.wide, s.wide, tmp)
	WideUpper(tmp, v)
	Add64(s.wide+1, s.wide+1, tmp)
}
