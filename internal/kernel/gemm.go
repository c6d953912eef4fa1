package kernel

// Generated on any machine, compiled on arm64 only.
//go:generate sh -c "go run -C _asm ./gemmneon > gemm_arm64.s"

import "fmt"

// An Act is an activation that a kernel applies to its result before storing it.
type Act uint8

// The activations. ActReLU keeps NaN and the sign of zero: x < 0 becomes 0.
const (
	ActNone Act = iota
	ActReLU
)

// An Epilogue is what happens to a result on its way to memory:
//
//	c[i,j] = Act(c[i,j] + ab[i,j] + RowBias[i] + ColBias[j])
//
// where the first term is there only with Accumulate and a nil bias adds
// nothing. The zero value stores the plain product.
type Epilogue struct {
	Accumulate bool
	RowBias    []float32 // one per row of the result
	ColBias    []float32 // one per column of the result
	Act        Act
}

// MatMul computes the m x n matrix C from op(A), m x k, and op(B), k x n:
//
//	C = op(A) op(B), then the epilogue.
//
// With transA, a holds the k x m matrix whose transpose op(A) is; likewise b.
// Matrices are row-major and row i of X begins at x[i*ldx]. C must not overlap
// A or B. A row of C has the same bits whatever m is and wherever in C the row
// stands. Any of m, n, k may be 0. MatMul panics if a dimension is negative or a
// slice too short.
func MatMul(c []float32, ldc int, a []float32, lda int, transA bool, b []float32, ldb int, transB bool,
	m, n, k int, ep Epilogue) {
	MatMulBatch(1, c, ldc, 0, a, lda, 0, transA, b, ldb, 0, transB, m, n, k, ep)
}

// MatMulBatch does count products of one shape; item i begins at c[i*strideC],
// a[i*strideA] and b[i*strideB], a stride of 0 for a or b meaning that all items
// share the operand. The items of C must not overlap. Every item gets the same
// epilogue. See [MatMul].
func MatMulBatch(count int, c []float32, ldc, strideC int, a []float32, lda, strideA int, transA bool,
	b []float32, ldb, strideB int, transB bool, m, n, k int, ep Epilogue) {
	if count < 0 || m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("kernel: MatMul: %d products of %dx%d by %dx%d", count, m, k, k, n))
	}
	if count == 0 || m == 0 || n == 0 {
		return
	}
	checkMatrix("C", len(c), ldc, m, n, count, strideC)
	if transA {
		checkMatrix("A", len(a), lda, k, m, count, strideA)
	} else {
		checkMatrix("A", len(a), lda, m, k, count, strideA)
	}
	if transB {
		checkMatrix("B", len(b), ldb, n, k, count, strideB)
	} else {
		checkMatrix("B", len(b), ldb, k, n, count, strideB)
	}
	if ep.RowBias != nil && len(ep.RowBias) < m || ep.ColBias != nil && len(ep.ColBias) < n {
		panic(fmt.Sprintf("kernel: MatMul: biases of %d rows and %d columns for a result of %dx%d",
			len(ep.RowBias), len(ep.ColBias), m, n))
	}
	if k == 0 {
		a, b, strideA, strideB = nil, nil, 0, 0
	}
	gemmBatch(count, gemmArgs{c, a, b, ldc, lda, ldb, transA, transB, m, n, k, ep, 1, strideB, strideC}, strideA)
}

// checkMatrix panics unless count matrices of rows x cols fit into length floats.
func checkMatrix(name string, length, ld, rows, cols, count, stride int) {
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols || stride < 0 || (count-1)*stride+(rows-1)*ld+cols > length {
		panic(fmt.Sprintf("kernel: MatMul: %s: %d matrices of %dx%d, row stride %d, item stride %d, in %d floats",
			name, count, rows, cols, ld, stride, length))
	}
}
