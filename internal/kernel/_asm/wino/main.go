// Command wino generates the innermost loops of Winograd convolution,
// F(4x4,3x3), for AVX2 and AVX-512.
//
// Every vector holds one pixel, or one position of a transformed tile, of
// neighbouring channels: 16 with AVX-512, twice 8 with AVX2. The Go functions in
// winograd_generic.go say what each loop does.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lanes is the number of channels in a block, for every instruction set.
const lanes = 16

// pixel is the size of a block's pixel in bytes.
const pixel = lanes * 4

func main() {
	ConstraintExpr("!purego")
	constants()
	for _, g := range []*gen{{suffix: "AVX2", bytes: 32}, {suffix: "AVX512", bytes: 64}} {
		g.pack()
		g.unpack()
		g.input()
		g.output()
		g.gradient()
		g.filter()
		g.filterGradient()
		for window := range 4 {
			g.filterPair(window/2 > 0, window%2 > 0)
		}
		g.products()
		g.depthwise()
		for taps := 1; taps <= maxSums; taps++ {
			g.depthwiseSums(taps)
		}
	}
	Generate()
}

// A gen generates the loops of one instruction set.
type gen struct {
	suffix string
	bytes  int // of a vector
}

func (g *gen) wide() bool { return g.bytes == 64 }

// vec returns a fresh vector register.
func (g *gen) vec() reg.VecVirtual {
	if g.wide() {
		return ZMM()
	}
	return YMM()
}

// halves calls f for every vector of a block with its offset in bytes.
func (g *gen) halves(f func(off int)) {
	for off := 0; off < pixel; off += g.bytes {
		f(off)
	}
}

// zero clears r.
func (g *gen) zero(r reg.VecVirtual) {
	if g.wide() {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
	}
}

// copyOf returns a fresh register holding op.
func (g *gen) copyOf(op Op) reg.VecVirtual {
	r := g.vec()
	VMOVUPS(op, r)
	return r
}

// function begins a function.
func (g *gen) function(name, signature, doc string) {
	TEXT("wino"+name+g.suffix, NOSPLIT, signature)
	Doc("wino" + name + g.suffix + " " + doc)
	Pragma("noescape")
}

// param fetches a parameter into a register, shifted to turn a count of floats (2)
// or pixels (6) into bytes.
func param(name string, shift int) reg.GPVirtual {
	r := Load(Param(name), GP64())
	if shift > 0 {
		SHLQ(Imm(uint64(shift)), r)
	}
	return r.(reg.GPVirtual)
}

// argument addresses a parameter in memory, for counters that would only take
// registers away.
func argument(name string) Mem {
	c, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return c.Addr
}

// times returns a fresh register holding n*r for n = 3 or 5.
func times(n int, r reg.Register) reg.GPVirtual {
	t := GP64()
	LEAQ(Mem{Base: r, Index: r, Scale: uint8(n - 1)}, t)
	return t
}

// strided addresses base + k*stride for k = 0..5, given stride, 3*stride and
// 5*stride in registers.
func strided(base, s, s3, s5 reg.Register, k, disp int) Mem {
	m := Mem{Base: base, Disp: disp}
	switch k {
	case 1, 2, 4:
		m.Index, m.Scale = s, uint8(k)
	case 3:
		m.Index, m.Scale = s3, 1
	case 5:
		m.Index, m.Scale = s5, 1
	}
	return m
}

func align() {
	Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []Op{Imm(32)}})
}

// finish returns from a function that used wide vectors.
func finish() {
	VZEROUPPER()
	RET()
}
