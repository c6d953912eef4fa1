// Command peak generates the loops that measure how many fused multiply-adds a
// core can do: independent chains in registers, no memory.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// chains is how many sums run side by side: latency times throughput is 8 on the
// widest machines, and a few more hide the loop.
const chains = 12

func main() {
	ConstraintExpr("!purego")

	loop("fmaAVX2", func() reg.VecVirtual { return YMM() })
	loop("fmaAVX512", func() reg.VecVirtual { return ZMM() })

	Generate()
}

func loop(name string, vec func() reg.VecVirtual) {
	TEXT(name, NOSPLIT, "func(n int)")
	Doc(fmt.Sprintf("%s does %d chains of n vector multiply-adds.", name, chains))
	n := Load(Param("n"), GP64())
	var acc [chains]reg.VecVirtual
	for i := range acc {
		acc[i] = vec()
		VXORPS(acc[i], acc[i], acc[i])
	}
	x, y := vec(), vec()
	VXORPS(x, x, x)
	VXORPS(y, y, y)
	Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []Op{Imm(64)}})
	Label("loop")
	for i := range acc {
		VFMADD231PS(x, y, acc[i])
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
