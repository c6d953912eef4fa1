package kernel

// convOps are the innermost loops of direct convolution.
type convOps struct{}

var genericConv = convOps{}
