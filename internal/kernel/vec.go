package kernel

// vecOps are the innermost loops of elementwise operations, reductions and updates.
type vecOps struct{}

var genericVec = vecOps{}
