package kernel

// gemmOps are the innermost loops of the packed matrix product.
type gemmOps struct{}

var genericGemm = gemmOps{}
