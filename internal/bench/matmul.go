package main

import (
	"fmt"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

var matmulCases = []benchCase{
	matmulCase("matmul/128", 128, 128, 128, false, false),
	matmulCase("matmul/512", 512, 512, 512, false, false),
	matmulCase("matmul/1024", 1024, 1024, 1024, false, false),
	matmulCase("matmul/2048", 2048, 2048, 2048, false, false),
}

// matmulCase multiplies m x k by k x n.
func matmulCase(name string, m, n, k int, transA, transB bool) benchCase {
	return benchCase{name, 2 * float64(m) * float64(n) * float64(k), func() (func(), map[string]*tensor.Tensor) {
		a, b, c := normal(1, m, k), normal(2, k, n), tensor.New(m, n)
		lda, ldb := k, n
		if transA {
			a, lda = normal(1, k, m), m
		}
		if transB {
			b, ldb = normal(2, n, k), k
		}
		run := func() {
			kernel.MatMul(c.Data(), n, a.Data(), lda, transA, b.Data(), ldb, transB, m, n, k, kernel.Epilogue{})
		}
		return run, map[string]*tensor.Tensor{"a": a, "b": b, "c": c}
	}}
}

// matmulExtras are shapes of linear layers, with batch sizes down to 1, the
// products of their backward passes, and outer products.
func matmulExtras() (cases []benchCase) {
	add := func(kind string, m, n, k int, transA, transB bool) {
		cases = append(cases, matmulCase(fmt.Sprintf("extra/matmul/%s_%dx%dx%d", kind, m, n, k), m, n, k, transA, transB))
	}
	for _, batch := range []int{1, 8, 100} {
		add("linear", batch, 128, 1600, false, true)
		add("linear", batch, 10, 128, false, true)
		add("linear_dx", batch, 1600, 128, false, false)
		add("linear_dw", 128, 1600, batch, true, false)
	}
	add("square", 64, 64, 64, false, false)
	add("narrow", 4096, 16, 64, false, false)
	add("gram", 256, 256, 4096, false, true)
	add("transA", 1024, 1024, 1024, true, false)
	add("transB", 1024, 1024, 1024, false, true)
	add("odd", 1023, 1021, 1019, false, false)
	return cases
}
