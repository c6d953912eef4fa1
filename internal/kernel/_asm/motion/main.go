// Command motion generates the inner loops of block matching and dense flow for AVX2
// and AVX-512.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("!purego")
	sads16()
	sads8()
	sadsMasked()
	half()
	Generate()
}
