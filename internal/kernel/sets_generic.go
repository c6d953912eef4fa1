package kernel

// generic is the pure-Go reference implementation.
var generic = Set{
	Name:      "generic",
	Available: true,
	gemm:      genericGemm,
	conv:      genericConv,
	wino:      genericWino,
	vec:       genericVec,
	nnet:      genericNN,
	motion:    genericMotion,
	flow:      genericFlow,
}
