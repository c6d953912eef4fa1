package kernel

import (
	"fmt"

	"github.com/mettleml/mettle/internal/parallel"
)

// A BinaryOp names an operation of two operands for [Broadcast].
type BinaryOp uint8

const (
	OpAdd BinaryOp = iota
	OpSub
	OpMul
	OpDiv
	OpMaximum
	OpMinimum
	OpGreater // comparisons give 1 or 0
	OpGreaterEqual
	OpLess
	OpLessEqual
	OpAddMul // dst += a*b

	numBinaryOps
)

// binaryForms lists the loops of an operation: both operands slices, the
// second a number, the first a number.
var binaryForms = [numBinaryOps]struct{ vv, vs, sv mapOp }{
	OpAdd:          {opAdd, opAddS, opAddS},
	OpSub:          {opSub, opSubS, opSubFromS},
	OpMul:          {opMul, opMulS, opMulS},
	OpDiv:          {opDiv, opDivS, opDivIntoS},
	OpMaximum:      {opMaximum, opMaximumS, opMaximumS},
	OpMinimum:      {opMinimum, opMinimumS, opMinimumS},
	OpGreater:      {opGreater, opGreaterS, opLessS},
	OpGreaterEqual: {opGreaterEqual, opGreaterEqualS, opLessEqualS},
	OpLess:         {opLess, opLessS, opGreaterS},
	OpLessEqual:    {opLessEqual, opLessEqualS, opGreaterEqualS},
	OpAddMul:       {opAddMul, opAxpy, opAxpy},
}

// maxDims bounds the rank of a broadcast after adjacent axes are merged.
const maxDims = 8

// A dim is an axis of a broadcast: its length and the operands' strides.
type dim struct{ n, a, b int }

// dims are the axes of a broadcast, innermost first.
type dims struct {
	d    [maxDims]dim
	rank int
}

// A BroadcastError is the panic of a broadcast whose shapes do not fit.
type BroadcastError struct {
	Op             string
	Shape, Operand []int
}

func (e *BroadcastError) Error() string {
	return fmt.Sprintf("kernel: %s: shape %v does not broadcast to %v", e.Op, e.Operand, e.Shape)
}

// mergeDims lines operand shapes up with shape from the right, drops axes of
// length 1 and merges neighbours that both operands walk as one.
func mergeDims(op string, shape, a, b []int) (m dims) {
	sa, sb := 1, 1
	for i := 1; i <= max(len(shape), len(a), len(b)); i++ {
		n, na, nb := axis(shape, i), axis(a, i), axis(b, i)
		if na != n && na != 1 {
			panic(&BroadcastError{op, append([]int(nil), shape...), append([]int(nil), a...)})
		}
		if nb != n && nb != 1 {
			panic(&BroadcastError{op, append([]int(nil), shape...), append([]int(nil), b...)})
		}
		if n == 1 {
			continue
		}
		d := dim{n: n}
		if na == n {
			d.a = sa
			sa *= n
		}
		if nb == n {
			d.b = sb
			sb *= n
		}
		if m.rank > 0 {
			if l := &m.d[m.rank-1]; d.a == l.a*l.n && d.b == l.b*l.n {
				l.n *= n
				continue
			}
		}
		if m.rank == maxDims {
			panic(fmt.Sprintf("kernel: %s: shape %v has more than %d axes that do not merge", op, append([]int(nil), shape...), maxDims))
		}
		m.d[m.rank] = d
		m.rank++
	}
	if m.rank == 0 {
		m.d[0] = dim{1, 1, 1}
		m.rank = 1
	}
	return m
}

// axis returns the i-th length of shape from the right, 1 beyond its rank.
func axis(shape []int, i int) int {
	if i > len(shape) {
		return 1
	}
	return shape[len(shape)-i]
}

// size returns the number of elements of a shape.
func size(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// A rowWalk goes through the rows of a broadcast, that is through the indices over
// all axes but the innermost, and knows where the operands' rows begin.
type rowWalk struct {
	a, b  int
	index [maxDims]int
}

// at returns a walk that begins at the given row.
func (m *dims) at(row int) (w rowWalk) {
	for i := 1; i < m.rank; i++ {
		d := &m.d[i]
		k := row % d.n
		row /= d.n
		w.index[i] = k
		w.a += k * d.a
		w.b += k * d.b
	}
	return w
}

// next goes on to the next row.
func (w *rowWalk) next(m *dims) {
	for i := 1; i < m.rank; i++ {
		d := &m.d[i]
		w.a += d.a
		w.b += d.b
		if w.index[i]++; w.index[i] < d.n {
			return
		}
		w.index[i] = 0
		w.a -= d.n * d.a
		w.b -= d.n * d.b
	}
}

// Broadcast sets dst = a op b, all of them contiguous, dst of the given shape;
// the operands' shapes are lined up with it from the right and repeated along
// axes that they lack or have with length 1 (numpy's rule). dst may be an
// operand of its own shape. It panics with a *BroadcastError if a shape does
// not fit, with a LengthError if a slice does not have its shape's size.
func Broadcast(op BinaryOp, dst []float32, shape []int, a []float32, aShape []int, b []float32, bShape []int) {
	m := mergeDims("Broadcast", shape, aShape, bShape)
	checkLen("Broadcast", size(shape), len(dst))
	checkLen("Broadcast", size(aShape), len(a))
	checkLen("Broadcast", size(bShape), len(b))
	if len(dst) == 0 {
		return
	}
	t := broadcastTasks.get()
	*t = broadcastTask{dims: m, op: op, dst: dst, a: a, b: b}
	t.rows = len(dst) / m.d[0].n
	t.cols = m.d[0].n
	t.rowsPerPart = max(1, lightChunk/t.cols)
	t.partsPerRow = 1
	if t.cols >= 2*lightChunk {
		t.partsPerRow = ceilDiv(t.cols, lightChunk)
	}
	n := ceilDiv(t.rows, t.rowsPerPart) * t.partsPerRow
	if n == 1 {
		t.Part(0)
	} else {
		parallel.Run(n, t)
	}
	*t = broadcastTask{}
	broadcastTasks.put(t)
}

type broadcastTask struct {
	dims
	op          BinaryOp
	dst, a, b   []float32
	rows, cols  int
	rowsPerPart int
	partsPerRow int // 1 unless rowsPerPart is 1
}

var broadcastTasks freeList[broadcastTask]

func (t *broadcastTask) Part(i int) {
	row := i / t.partsPerRow * t.rowsPerPart
	lo, n := 0, t.cols
	if t.partsPerRow > 1 {
		lo = i % t.partsPerRow * lightChunk
		n = min(lightChunk, t.cols-lo)
	}
	inner := t.d[0]
	forms := &binaryForms[t.op]
	v := &Active().vec
	w := t.at(row)
	for end := min(row+t.rowsPerPart, t.rows); row < end; row++ {
		d, x, y := &t.dst[row*t.cols+lo], &t.a[w.a+lo*inner.a], &t.b[w.b+lo*inner.b]
		w.next(&t.dims)
		switch {
		case inner.a != 0 && inner.b != 0:
			v.maps[forms.vv](n, d, x, y, 0, 0, 0)
		case inner.a != 0:
			v.maps[forms.vs](n, d, x, d, *y, 0, 0)
		case inner.b != 0:
			v.maps[forms.sv](n, d, y, d, *x, 0, 0)
		default:
			fillFrom(v.maps[forms.vs], n, d, *x, *y)
		}
	}
}

// fillFrom runs a loop whose operands are both numbers: it spreads the first.
func fillFrom(loop mapLoop, n int, dst *float32, x, y float32) {
	const width = 256
	s := partScratch(width)
	for i := range s.f {
		s.f[i] = x
	}
	for i := 0; i < n; i += width {
		d := elem(dst, i)
		loop(min(width, n-i), d, &s.f[0], d, y, 0, 0)
	}
	putScratch(s)
}
