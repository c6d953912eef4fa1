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

// A rowTask applies a function to the rows of up to three arrays.
type rowTask struct {
	op      *nnOps
	row     func(op *nnOps, a, b, c []float32)
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
		t.row(t.op, t.a[i:i+t.n], t.b[i:i+t.n], c)
	}
}

func runRows(name string, a, b, c []float32, n int, row func(op *nnOps, a, b, c []float32)) {
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
	runPooled(&rowTasks, parts, rowTask{op: &Active().nnet, row: row, a: a, b: b, c: c, n: n, per: per})
}

// maxOf returns the largest of x, NaN if one is NaN; x is not empty.
func maxOf(x []float32) float32 {
	m := x[0]
	for _, v := range x {
		if v > m || v != v {
			m = v
		}
	}
	return m
}

func softmaxRow(op *nnOps, y, x, _ []float32) {
	sum := op.expSum(y, x, maxOf(x))
	scale := float32(1 / sum)
	for i := range y {
		y[i] *= scale
	}
}

func softmaxGradRow(_ *nnOps, dx, dy, y []float32) {
	var dot float64
	for i, v := range y {
		dot += float64(float64(dy[i]) * float64(v))
	}
	d := float32(dot)
	for i, v := range y {
		dx[i] = v * (dy[i] - d)
	}
}

func logSoftmaxRow(op *nnOps, y, x, _ []float32) {
	m := maxOf(x)
	logSum := math.Log(op.expSum(nil, x, m))
	for i, v := range x {
		y[i] = float32(float64(v) - float64(m) - logSum)
	}
}

func logSoftmaxGradRow(op *nnOps, dx, dy, y []float32) {
	var sum float64
	for _, v := range dy {
		sum += float64(v)
	}
	s := float32(sum)
	e := getScratch(len(y))
	op.expSum(e.f, y, 0)
	for i, v := range e.f {
		dx[i] = dy[i] - float32(v*s)
	}
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
