package kernel

import "math"

// Softmax writes to each row of y, n long, the softmax of the same row of x:
// exp(x - max) over its sum. The exponentials and their sum are taken in
// float64. y may be x.
func Softmax(y, x []float32, n int) {
	runRows("Softmax", y, x, nil, n, softmaxRow)
}

// SoftmaxGrad writes to each row of dx the gradient of a sum weighted by dy:
// y·(dy - sum(dy·y)). dx may be dy.
func SoftmaxGrad(dx, dy, y []float32, n int) {
	runRows("SoftmaxGrad", dx, dy, y, n, softmaxGradRow)
}

// LogSoftmax writes to each row of y, n long, x - max - log(sum(exp(x - max))).
// y may be x.
func LogSoftmax(y, x []float32, n int) {
	runRows("LogSoftmax", y, x, nil, n, logSoftmaxRow)
}

// LogSoftmaxGrad writes to each row of dx the gradient of a sum weighted by dy:
// dy - exp(y)·sum(dy). dx may be dy.
func LogSoftmaxGrad(dx, dy, y []float32, n int) {
	runRows("LogSoftmaxGrad", dx, dy, y, n, logSoftmaxGradRow)
}

// ExpSum returns the sum of exp(x - shift), each term computed in float64, and
// writes the terms to dst unless that is nil; 0 if x is empty. dst may be x. The
// work is done by the calling goroutine: a row is a part of somebody's task. It
// panics with a LengthError if dst has another length than x.
func ExpSum(dst, x []float32, shift float32) float64 {
	if dst != nil {
		checkLen("ExpSum", len(dst), len(x))
	}
	return Active().nnet.expSum(dst, x, shift)
}

// A rowTask applies a function to the rows of up to three arrays.
type rowTask struct {
	set     *Set
	row     func(set *Set, a, b, c []float32)
	a, b, c []float32
	n, per  int
}

var rowTasks freeList[rowTask]

// Part does some rows.
func (t *rowTask) Part(part int) {
	for i := part * t.per * t.n; i < min((part+1)*t.per*t.n, len(t.a)); i += t.n {
		var c []float32
		if t.c != nil {
			c = t.c[i : i+t.n]
		}
		t.row(t.set, t.a[i:i+t.n], t.b[i:i+t.n], c)
	}
}

func runRows(name string, a, b, c []float32, n int, row func(set *Set, a, b, c []float32)) {
	need(name, "the input", len(b), len(a))
	if c != nil {
		need(name, "the output", len(c), len(a))
	}
	if len(a) == 0 {
		return
	}
	if n < 1 || len(a)%n != 0 {
		need(name, "the output", len(a), n*(len(a)/max(n, 1)))
	}
	per, parts := cut(len(a)/n, 8*n)
	runPooled(&rowTasks, parts, rowTask{set: Active(), row: row, a: a, b: b, c: c, n: n, per: per})
}

// The following are loops of the vector kernels over one row, not shared among
// workers. No row is empty.

func (s *Set) rowMax(x []float32) float32 {
	return float32(s.vec.reduces[opMax](len(x), &x[0], &x[0]))
}

func (s *Set) rowMap(op mapOp, dst, a, b []float32, u, v float32) {
	s.vec.maps[op](len(dst), &dst[0], &a[0], &b[0], u, v, 0)
}

func softmaxRow(s *Set, y, x, _ []float32) {
	sum := s.nnet.expSum(y, x, s.rowMax(x))
	s.rowMap(opMulS, y, y, y, float32(1/sum), 0)
}

func softmaxGradRow(s *Set, dx, dy, y []float32) {
	dot := float32(s.vec.reduces[opDot](len(y), &dy[0], &y[0]))
	s.rowMap(opSubS, dx, dy, dy, dot, 0)
	s.rowMap(opMul, dx, dx, y, 0, 0)
}

func logSoftmaxRow(s *Set, y, x, _ []float32) {
	m := s.rowMax(x)
	logSum := float32(math.Log(s.nnet.expSum(nil, x, m)))
	s.rowMap(opSubS, y, x, x, m, 0)
	s.rowMap(opSubS, y, y, y, logSum, 0)
}

func logSoftmaxGradRow(s *Set, dx, dy, y []float32) {
	sum := s.vec.reduces[opSum](len(dy), &dy[0], &dy[0])
	e := partScratch(len(y))
	s.nnet.expSum(e.f, y, 0)
	s.rowMap(opAddScaled, dx, dy, e.f, float32(-sum), 0)
	putScratch(e)
}

// expSumGeneric returns the sum of exp(x - shift) and, if dst is not nil,
// writes the exponentials there. dst may be x.
func expSumGeneric(dst, x []float32, shift float32) float64 {
	var sum float64
	s := float64(shift)
	for i, v := range x {
		e := math.Exp(float64(v) - s)
		sum += e
		if dst != nil {
			dst[i] = float32(e)
		}
	}
	return sum
}
