package kernel

// winoOps are the innermost loops of Winograd convolution.
type winoOps struct{}

var genericWino = winoOps{}
