package kernel

import (
	"unsafe"

	"github.com/mettleml/mettle/internal/parallel"
)

// wideRow is the row length from which column sums are shared among workers by
// columns.
const wideRow = 1 << 10

// SumTo sums src, of the given shape, over the axes along which toShape would be
// repeated to make shape, into dst of shape toShape, or adds that to dst if
// accumulate is set: the gradient of a broadcast operand. Sums are carried in
// float64; their order depends on the shapes, but not on the length of an
// outermost axis that is kept. It panics as [Broadcast] does.
func SumTo(dst []float32, toShape []int, src []float32, shape []int, accumulate bool) {
	sumTo("SumTo", dst, toShape, src, nil, shape, accumulate)
}

// SumMulTo is SumTo of the product a*b of two arrays of the same shape.
func SumMulTo(dst []float32, toShape []int, a, b []float32, shape []int, accumulate bool) {
	checkLen("SumMulTo", len(a), len(b))
	sumTo("SumMulTo", dst, toShape, a, b, shape, accumulate)
}

// SumAxis sums src, seen as [outer, n, inner], over its middle axis into dst,
// [outer, inner].
func SumAxis(dst, src []float32, outer, n, inner int) {
	shape, to := [3]int{outer, n, inner}, [3]int{outer, 1, inner}
	sumTo("SumAxis", dst, to[:], src, nil, shape[:], false)
}

func sumTo(name string, dst []float32, toShape []int, a, b []float32, shape []int, accumulate bool) {
	m := mergeDims(name, shape, toShape, shape)
	checkLen(name, size(shape), len(a))
	checkLen(name, size(toShape), len(dst))
	if len(dst) == 0 {
		return
	}
	if len(a) == 0 {
		if !accumulate {
			clear(dst)
		}
		return
	}
	t := sumTasks.get()
	*t = sumTask{a: a, b: b, dst: dst, accumulate: accumulate}
	t.plan(m)
	t.run()
	*t = sumTask{}
	sumTasks.put(t)
}

// A sumTask is a reduction seen as [outer, body]: outer counts independent
// results, and body is the reduction of one of them, whose order of summation
// does not depend on outer.
type sumTask struct {
	a, b       []float32 // b is nil unless products are summed
	dst        []float32
	accumulate bool

	outer      int // length of the outermost axis if it is kept, else 1
	body       dims
	rows, cols int // body's rows and their length
	outs       int // results of a body
	group      int // rows of body summed on their own, before groups are added

	mode    sumMode
	perPart int // bodies or columns in a part
	acc     []float64
}

// sumMode says what a part of a sumTask is.
type sumMode uint8

const (
	byRow    sumMode = iota // some bodies that are one row, summed whole
	byBody                  // some whole bodies
	byColumn                // some columns of every row of the only body
	byGroup                 // one group of rows of the only body
)

var sumTasks freeList[sumTask]

// plan chooses the order of summation by the shape of the body alone.
func (t *sumTask) plan(m dims) {
	t.outer = 1
	if last := m.d[m.rank-1]; last.a != 0 {
		t.outer = last.n
		m.rank--
	}
	if m.rank == 0 { // nothing is reduced
		m.d[0], m.rank = dim{1, 0, 1}, 1
	}
	t.body = m
	n := len(t.a) / t.outer
	t.cols = m.d[0].n
	t.rows = n / t.cols
	t.outs = len(t.dst) / t.outer
	t.group = t.rows
	if wide := m.d[0].a != 0 && t.cols >= wideRow; !wide && m.rank > 1 {
		lead := m.d[m.rank-1].n
		per := n / lead // elements to an index of the leading, reduced, axis
		t.group = max(1, max(reduceChunk, 16*t.outs)/per) * (t.rows / lead)
		t.group = min(t.group, t.rows)
	}
}

func (t *sumTask) run() {
	n := len(t.a) / t.outer
	switch {
	case t.outer == 1 && t.body.rank == 1:
		var s float64
		if t.b == nil {
			s = Sum(t.a)
		} else {
			s = Dot(t.a, t.b)
		}
		t.store(0, s)
		return
	case t.outer > 1:
		t.mode = byBody
		if t.rows == 1 && t.outs == 1 {
			t.mode = byRow
		}
		t.perPart = max(1, lightChunk/n)
		parallel.Run(ceilDiv(t.outer, t.perPart), t)
	case t.group < t.rows:
		t.mode = byGroup
		groups := ceilDiv(t.rows, t.group)
		s := getScratch(2 * groups * t.outs)
		t.acc = floats64(s)
		parallel.Run(groups, t)
		for k := range t.outs {
			var sum float64
			for g := range groups {
				sum += t.acc[g*t.outs+k]
			}
			t.store(k, sum)
		}
		putScratch(s)
	case t.body.d[0].a != 0 && t.body.rank == 2:
		t.mode = byColumn
		t.perPart = wideRow / 2
		parallel.Run(ceilDiv(t.cols, t.perPart), t)
	default:
		t.mode, t.perPart = byBody, 1
		t.Part(0)
	}
}

// floats64 returns the memory of s as float64 numbers.
func floats64(s *scratch) []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(s.f))), len(s.f)/2)
}

func (t *sumTask) store(i int, s float64) {
	if t.accumulate {
		t.dst[i] += float32(s)
	} else {
		t.dst[i] = float32(s)
	}
}

func (t *sumTask) Part(i int) {
	switch t.mode {
	case byGroup:
		acc := t.acc[i*t.outs : (i+1)*t.outs]
		clear(acc)
		lo := i * t.group
		t.sumRows(acc, 0, lo, min(lo+t.group, t.rows), 0, t.cols)
	case byColumn:
		lo := i * t.perPart
		n := min(t.perPart, t.cols-lo)
		s := partScratch(2 * n)
		acc := floats64(s)
		clear(acc)
		t.sumRows(acc, 0, 0, t.rows, lo, n)
		for k, v := range acc {
			t.store(lo+k, v)
		}
		putScratch(s)
	case byRow:
		loop, b := Active().vec.reduces[opSum], t.a
		if t.b != nil {
			loop, b = Active().vec.reduces[opDot], t.b
		}
		for o := i * t.perPart; o < min((i+1)*t.perPart, t.outer); o++ {
			p := o * t.cols
			if t.cols <= reduceChunk {
				t.store(o, loop(t.cols, &t.a[p], &b[p]))
			} else {
				t.store(o, serialSum(loop, t.a[p:p+t.cols], b[p:p+t.cols]))
			}
		}
	case byBody:
		s := partScratch(4 * t.outs)
		both := floats64(s)
		total, acc := both[:t.outs], both[t.outs:]
		n := t.rows * t.cols
		for o := i * t.perPart; o < min((i+1)*t.perPart, t.outer); o++ {
			clear(total)
			for lo := 0; lo < t.rows; lo += t.group {
				clear(acc)
				t.sumRows(acc, o*n, lo, min(lo+t.group, t.rows), 0, t.cols)
				for k, v := range acc {
					total[k] += v
				}
			}
			for k, v := range total {
				t.store(o*t.outs+k, v)
			}
		}
		putScratch(s)
	}
}

// sumRows adds columns [col, col+n) of rows [lo, hi) of the body that begins at
// base to acc.
func (t *sumTask) sumRows(acc []float64, base, lo, hi, col, n int) {
	v := &Active().vec
	kept := t.body.d[0].a != 0
	p := base + lo*t.cols + col
	// Rows that all go to the same place are one call.
	together := 1
	if kept && t.body.rank == 2 {
		together = hi - lo
	}
	w := t.body.at(lo)
	for r := lo; r < hi; r += together {
		switch {
		case kept && t.b == nil:
			v.accumulate(together, n, t.cols, &acc[w.a], &t.a[p])
		case kept:
			v.accumulateMul(together, n, t.cols, &acc[w.a], &t.a[p], &t.b[p])
		case t.b == nil:
			acc[w.a] += serialSum(v.reduces[opSum], t.a[p:p+n], t.a[p:p+n])
		default:
			acc[w.a] += serialSum(v.reduces[opDot], t.a[p:p+n], t.b[p:p+n])
		}
		w.next(&t.body)
		p += t.cols
	}
}

// serialSum has the bits of [Sum] or [Dot], on the calling goroutine.
func serialSum(loop reduceLoop, a, b []float32) (sum float64) {
	for lo := 0; lo < len(a); lo += reduceChunk {
		n := min(reduceChunk, len(a)-lo)
		sum += loop(n, &a[lo], &b[lo])
	}
	return sum
}
