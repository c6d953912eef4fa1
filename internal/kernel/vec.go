package kernel

// Generated on any machine, compiled on arm64 only.
//go:generate sh -c "go run -C _asm ./vecneon > vec_arm64.s"
//go:generate sh -c "go run -C _asm ./vecneon go > vec_table_arm64.go"

import (
	"github.com/mettleml/mettle/internal/parallel"
)

// vecOps are the innermost loops of elementwise operations, reductions and
// updates. Each runs on one goroutine over n contiguous elements.
type vecOps struct {
	maps    [numMapOps]mapLoop
	reduces [numReduceOps]reduceLoop

	// find returns the first i with a[i] == v, or with a[i] NaN if v is; n if
	// there is none.
	find func(n int, a *float32, v float32) int
	// accumulate adds rows of n elements, stride apart, to acc in their order;
	// accumulateMul the products of two such arrays.
	accumulate    func(rows, n, stride int, acc *float64, a *float32)
	accumulateMul func(rows, n, stride int, acc *float64, a, b *float32)

	sgd  [numSGDKinds]updateLoop
	adam func(n int, p, g, m, v *float32, k *updateCoeffs)

	toFloat16   func(n int, dst *uint16, a *float32)
	fromFloat16 func(n int, dst *float32, a *uint16)

	// philox fills groups of randGroup words; normals turns such words, in
	// place, into mean + std*N(0,1).
	philox  func(groups int, dst *float32, seed, counter uint64)
	normals func(groups int, dst *float32, mean, std float32)
}

// A mapLoop sets dst[i] from a[i], b[i] (and dst[i], if the operation
// accumulates) and the scalars, for i in [0, n). Operands that the operation
// lacks are never read. An element's value depends on nothing but its own
// inputs: not on its position, its alignment or n. dst may equal a source.
type mapLoop func(n int, dst, a, b *float32, s, t, u float32)

// A mapOp names a mapLoop.
type mapOp uint8

const (
	opAdd     mapOp = iota // a + b
	opSub                  // a - b
	opMul                  // a * b
	opDiv                  // a / b
	opMaximum              // a > b or a is NaN ? a : b
	opMinimum              // a < b or a is NaN ? a : b
	opGreater              // a > b ? 1 : 0
	opGreaterEqual
	opLess
	opLessEqual

	opAddS // a + s
	opSubS // a - s
	opMulS // a * s
	opDivS // a / s
	opSubFromS
	opDivIntoS
	opMaximumS
	opMinimumS
	opGreaterS
	opGreaterEqualS
	opLessS
	opLessEqualS

	opAxpy      // dst + s*a
	opAddScaled // a + s*b
	opAffine    // s*a + t
	opCombine   // s*a + t*b + u
	opAddMul    // dst + a*b
	opAddDiv    // dst + a/b
	opLerp      // a + s*(b-a)

	opExp
	opLog
	opTanh
	opSigmoid
	opSoftplus
	opGELU
	opSqrt
	opReciprocal
	opAbs
	opSquare
	opSign
	opNeg
	opClamp // min(max(a, s), t)
	opReLU
	opLeakyReLU // a > 0 ? a : s*a

	// Gradients: a is dy, b is x or y. Each is followed by its accumulating form.
	opReLUGrad // b > 0 ? a : 0; a if b is NaN
	opReLUGradAcc
	opLeakyReLUGrad
	opLeakyReLUGradAcc
	opTanhGrad
	opTanhGradAcc
	opSigmoidGrad
	opSigmoidGradAcc
	opSqrtGrad
	opSqrtGradAcc
	opSoftplusGrad
	opSoftplusGradAcc
	opGELUGrad
	opGELUGradAcc
	opAbsGrad
	opAbsGradAcc
	opSquareGrad
	opSquareGradAcc
	opClampGrad
	opClampGradAcc
	opReciprocalGrad
	opReciprocalGradAcc

	opBitsUniform   // s + t*u01(bits of a)
	opBitsBernoulli // bits of a < bits of t ? s : 0, bits unsigned

	numMapOps
)

// heavy reports whether an element of op costs much more than its memory.
func (op mapOp) heavy() bool {
	switch op {
	case opExp, opLog, opTanh, opSigmoid, opSoftplus, opGELU,
		opSoftplusGrad, opSoftplusGradAcc, opGELUGrad, opGELUGradAcc:
		return true
	}
	return false
}

// Sizes at which elementwise work is cut and shared among workers. A loop's
// results do not depend on them; a reduction's do, so reduceChunk is fixed.
const (
	lightChunk  = 1 << 15
	heavyChunk  = 1 << 12
	reduceChunk = 1 << 15
)

// A mapTask is an elementwise loop cut into chunks.
type mapTask struct {
	loop      mapLoop
	n, chunk  int
	dst, a, b *float32
	s, t, u   float32
}

var mapTasks freeList[mapTask]

func (m *mapTask) Part(i int) {
	lo := i * m.chunk
	m.loop(min(m.chunk, m.n-lo), elem(m.dst, lo), elem(m.a, lo), elem(m.b, lo), m.s, m.t, m.u)
}

// runMap applies op to whole slices, which have equal lengths. Operands that op
// lacks are passed as dst.
func runMap(op mapOp, dst, a, b []float32, s, t, u float32) {
	n := len(dst)
	if n == 0 {
		return
	}
	loop := Active().vec.maps[op]
	chunk := lightChunk
	if op.heavy() {
		chunk = heavyChunk
	}
	if n < 2*chunk || parallel.Workers() == 1 {
		loop(n, &dst[0], &a[0], &b[0], s, t, u)
		return
	}
	m := mapTasks.get()
	*m = mapTask{loop, n, chunk, &dst[0], &a[0], &b[0], s, t, u}
	parallel.Run(ceilDiv(n, chunk), m)
	*m = mapTask{}
	mapTasks.put(m)
}

// map1 and map2 check lengths and run op with as many operands.
func map1(name string, op mapOp, dst, a []float32, s, t float32) {
	checkLen(name, len(dst), len(a))
	runMap(op, dst, a, dst, s, t, 0)
}

func map2(name string, op mapOp, dst, a, b []float32, s, t, u float32) {
	checkLen(name, len(dst), len(a), len(b))
	runMap(op, dst, a, b, s, t, u)
}
