package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/mettleml/mettle/internal/kernel/_asm/x86"
)

// An isa is an instruction set, as far as dense flow sees it.
type isa struct{ x86.ISA }

var (
	avx2   = isa{x86.AVX2}
	avx512 = isa{x86.AVX512}
)

func (v isa) bytes() int { return 4 * v.Lanes }

// sized returns the part of a register that half or vec gave which is a vector.
func (v isa) sized(r reg.VecVirtual) reg.Register {
	if v.Wide() {
		return r.AsZ()
	}
	return r.AsY()
}

var constants = map[string]Mem{}

// constant returns the place of a vector of 16 numbers.
func constant(name string, value func(i int) Constant) Mem {
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, value(i))
		}
		constants[name] = m
	}
	return m
}

// row returns the place of row k, up to 4, of rows that are s bytes apart; s3 is 3*s.
func row(p, s, s3 reg.Register, k int) Mem {
	switch k {
	case 0:
		return Mem{Base: p}
	case 3:
		return Mem{Base: p, Index: s3, Scale: 1}
	}
	return Mem{Base: p, Index: s, Scale: uint8(k)}
}
