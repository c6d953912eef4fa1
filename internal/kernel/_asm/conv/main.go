// Command conv generates the innermost loops of convolution for amd64.
//
// Every function takes one pointer, to a struct of the kernel package that the
// comment of its generator names; the offsets here are those of its fields.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	for _, s := range []isa{avx512, avx2} {
		for _, t := range s.tiles {
			for _, v := range t.vecs {
				tile(s, t.rows, v)
			}
		}
		for _, d := range s.dots {
			for j := 1; j <= d.cols; j++ {
				dot(s, d.rows, j)
			}
		}
		gatherPanel(s)
		packRows(s)
	}
	maskPanel()
	fill()
	interleave()
	Generate()
}

// An isa is what the generators need to know of an instruction set.
type isa struct {
	name  string
	lanes int
	tiles []struct {
		rows int
		vecs []int
	}
	dots []struct{ rows, cols int }
}

var (
	avx512 = isa{"AVX512", 16,
		[]struct {
			rows int
			vecs []int
		}{{8, []int{3, 2, 1}}, {4, []int{6, 4, 3, 2, 1}}, {3, []int{8, 4, 2, 1}}, {2, []int{8, 4, 2, 1}}, {1, []int{8, 4, 2, 1}}},
		[]struct{ rows, cols int }{{4, 6}, {1, 8}},
	}
	avx2 = isa{"AVX2", 8,
		[]struct {
			rows int
			vecs []int
		}{{4, []int{3, 2, 1}}, {3, []int{4, 2, 1}}, {2, []int{6, 4, 2, 1}}, {1, []int{8, 4, 2, 1}}},
		[]struct{ rows, cols int }{{4, 3}, {1, 8}},
	}
)

// vec returns a fresh vector register.
func (s isa) vec() reg.VecVirtual {
	if s.lanes == 16 {
		return ZMM()
	}
	return YMM()
}

// zeroed returns a fresh vector of zeros.
func (s isa) zeroed() reg.VecVirtual {
	v := s.vec()
	if s.lanes == 16 {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
	return v
}

// bytes is the size of a vector.
func (s isa) bytes() int { return 4 * s.lanes }

// A mask selects lanes, in the form that the instruction set wants.
type mask struct {
	s isa
	k reg.OpmaskVirtual
	v reg.VecVirtual
}

// mask reads the low bits of the 32-bit number at m.
func (s isa) mask(m Mem) mask {
	bits := GP32()
	MOVL(m, bits)
	if s.lanes == 16 {
		k := K()
		KMOVW(bits, k)
		return mask{s: s, k: k}
	}
	v, lane := YMM(), laneBits()
	x := XMM()
	VMOVD(bits, x)
	VPBROADCASTD(x, v)
	VPAND(lane, v, v)
	VPCMPEQD(lane, v, v)
	return mask{s: s, v: v}
}

var laneTable Mem

// laneBits returns a table in memory of one bit a lane.
func laneBits() Mem {
	if laneTable.Symbol.Name == "" {
		laneTable = GLOBL("convLaneBits", RODATA|NOPTR)
		for i := range 8 {
			DATA(4*i, U32(1<<i))
		}
	}
	return laneTable
}

// merge loads the selected lanes from m into v and leaves the others, which
// without mask registers must be zero.
func (k mask) merge(m Mem, v reg.VecVirtual) {
	if k.s.lanes == 16 {
		VMOVUPS(m, k.k, v)
		return
	}
	t := YMM()
	VMASKMOVPS(m, k.v, t)
	VORPS(t, v, v)
}

// store writes the selected lanes of v.
func (k mask) store(v reg.VecVirtual, m Mem) {
	if k.s.lanes == 16 {
		VMOVUPS(v, k.k, m)
		return
	}
	VMASKMOVPS(v, k.v, m)
}

// align64 begins a loop on a cache line.
func align64() {
	Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []Op{Imm(64)}})
}

// argument begins a function of one pointer and returns the register that holds it.
func argument(name, doc string) reg.GPVirtual {
	TEXT(name, NOSPLIT, "func(t *byte)")
	Doc(name + " " + doc)
	Pragma("noescape")
	t := GP64()
	Load(Param("t"), t)
	return t
}

// field loads the 8 bytes at offset disp of the argument.
func field(t reg.GPVirtual, disp int) reg.GPVirtual {
	v := GP64()
	MOVQ(Mem{Base: t, Disp: disp}, v)
	return v
}

// return_ ends a function that used wide vectors.
func return_() {
	VZEROUPPER()
	RET()
}
