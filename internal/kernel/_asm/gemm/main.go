// Command gemm generates the innermost loops of the packed matrix product for
// amd64: the register tile and the packing of its operands.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
)

func main() {
	ConstraintExpr("!purego")
	tile(avx512)
	tile(avx2)
	copyAVX512()
	transposeAVX512()
	transposeAVX2()
	Generate()
}

// align64 begins a loop on a cache line.
func align64() {
	Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []Op{Imm(64)}})
}
