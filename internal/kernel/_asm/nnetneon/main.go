// Command nnetneon writes the innermost loops of normalisation, pooling and softmax
// for arm64 to standard output: assembly, or with the argument go its declarations.
// Their generic forms say what they do.
package main

import . "github.com/mettleml/mettle/internal/kernel/_asm/neon"

func main() { Main("nnetneon", generate, nil) }

func generate() {
	bnStats()
	bnApply()
	bnSums()
	bnGrad()
	maxPool2()
	maxPool2Grad()
	expSum()
}

// begin begins a function that equals a generic one.
func begin(name, signature string) {
	Func(name+"NEON", signature, "is "+name+"Generic.")
}

// spreadBits fills v with a 32-bit constant.
func spreadBits(bits uint32, v, tmp int) {
	Line("MOVD $0x%x, R%d", bits, tmp)
	Line("VDUP R%d, V%d.S4", tmp, v)
}
