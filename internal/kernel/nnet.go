package kernel

// nnOps are the innermost loops of pooling, normalisation, softmax and resampling.
type nnOps struct{}

var genericNN = nnOps{}
