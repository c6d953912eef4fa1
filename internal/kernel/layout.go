package kernel

import (
	"fmt"
	"slices"
)

// A strided is an array of up to maxDims axes laid over a slice: the element at
// index i is at off plus the sum of i·stride.
type strided struct {
	data []float32
	off  int
	step [maxDims]int
}

// A copyTask copies one strided array onto another of the same shape.
type copyTask struct {
	op       *gemmOps
	dst, src strided
	dim      [maxDims]int
	n        int // axes
	per      int // of the first axis, in a part
	add      bool
}

var copyTasks freeList[copyTask]

// run copies, cutting along the first axis. Neighbouring axes that are
// contiguous in both arrays are merged, and axes of size 1 dropped, so that a
// plain copy is one loop.
func (t *copyTask) run() {
	w := 0
	for i := range t.n {
		switch {
		case t.dim[i] == 0:
			return
		case t.dim[i] == 1:
			continue
		case w > 0 && t.dst.step[w-1] == t.dim[i]*t.dst.step[i] && t.src.step[w-1] == t.dim[i]*t.src.step[i]:
			t.dim[w-1] *= t.dim[i]
			t.dst.step[w-1], t.src.step[w-1] = t.dst.step[i], t.src.step[i]
		default:
			t.dim[w], t.dst.step[w], t.src.step[w] = t.dim[i], t.dst.step[i], t.src.step[i]
			w++
		}
	}
	if w == 0 {
		t.dim[0], t.dst.step[0], t.src.step[0] = 1, 1, 1
		w = 1
	}
	t.n = w
	t.pairUp()
	inner := 1
	for _, d := range t.dim[1:w] {
		inner *= d
	}
	var parts int
	t.per, parts = cut(t.dim[0], inner)
	t.op = &Active().gemm
	runPooled(&copyTasks, parts, *t)
}

// pairUp moves the axis along which the source is contiguous next to the last
// one, so that the two make a transposition. The order of the axes is free.
func (t *copyTask) pairUp() {
	for k := 0; k < t.n-2; k++ {
		if t.src.step[k] == 1 {
			for i := k; i < t.n-2; i++ {
				t.dim[i], t.dim[i+1] = t.dim[i+1], t.dim[i]
				t.dst.step[i], t.dst.step[i+1] = t.dst.step[i+1], t.dst.step[i]
				t.src.step[i], t.src.step[i+1] = t.src.step[i+1], t.src.step[i]
			}
			return
		}
	}
}

// Part copies some indices of the first axis.
func (t *copyTask) Part(part int) {
	lo := part * t.per
	hi := min(lo+t.per, t.dim[0])
	t.walk(0, t.dst.off+lo*t.dst.step[0], t.src.off+lo*t.src.step[0], hi-lo)
}

// walk copies n indices of one axis and all of those inside it.
func (t *copyTask) walk(axis, d, s, n int) {
	ds, ss := t.dst.step[axis], t.src.step[axis]
	switch left := t.n - axis; {
	case left == 1:
		t.line(d, s, n, ds, ss)
		return
	case left == 2 && !t.add && n > 1 && ss == 1 && t.dst.step[axis+1] == 1 && t.src.step[axis+1] > 0 && ds > 0:
		t.transpose(t.dst.data[d:], ds, t.src.data[s:], t.src.step[axis+1], t.dim[axis+1], n)
		return
	}
	for range n {
		t.walk(axis+1, d, s, t.dim[axis+1])
		d, s = d+ds, s+ss
	}
}

func (t *copyTask) line(d, s, n, ds, ss int) {
	dst, src := t.dst.data, t.src.data
	switch {
	case ds == 1 && ss == 1 && t.add:
		dst, src = dst[d:d+n], src[s:s+n]
		for i, v := range src {
			dst[i] += v
		}
	case ds == 1 && ss == 1:
		copy(dst[d:d+n], src[s:s+n])
	case ds == 1 && !t.add:
		for i := range dst[d : d+n] {
			dst[d+i] = src[s]
			s += ss
		}
	case t.add:
		for range n {
			dst[d] += src[s]
			d, s = d+ds, s+ss
		}
	default:
		for range n {
			dst[d] = src[s]
			d, s = d+ds, s+ss
		}
	}
}

// transpose writes the transpose of rows x cols src to dst, whose rows are ss and
// ds apart.
func (t *copyTask) transpose(dst []float32, ds int, src []float32, ss, rows, cols int) {
	lanes := t.op.transposeLanes
	for i := 0; i < rows; i += lanes {
		t.op.packTranspose(dst[i:], ds, src[i*ss:], ss, min(lanes, rows-i), cols)
	}
}

// layoutOf returns the number of axes and the row-major strides of shape. It panics
// if there are too many axes or a size is negative.
func layoutOf(op string, shape []int) (strides [maxDims]int, size int) {
	if len(shape) > maxDims {
		panic(fmt.Sprintf("kernel: %s: shape %v has more than %d axes", op, slices.Clone(shape), maxDims)) // a copy, so that shapes stay on the stack
	}
	size = 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] < 0 {
			panic(fmt.Sprintf("kernel: %s: shape %v", op, slices.Clone(shape)))
		}
		strides[i] = size
		size *= shape[i]
	}
	return strides, size
}

// Permute writes x, of the given shape, to y with its axes in the order perm:
// axis i of y is axis perm[i] of x. The adjoint is Permute by the inverse.
func Permute(y, x []float32, shape, perm []int) {
	strides, size := layoutOf("Permute", shape)
	need("Permute", "x", len(x), size)
	need("Permute", "y", len(y), size)
	need("Permute", "perm", len(perm), len(shape))
	var t copyTask
	t.n = len(shape)
	var seen [maxDims]bool
	step := 1
	for i := len(perm) - 1; i >= 0; i-- {
		p := perm[i]
		if p < 0 || p >= len(shape) || seen[p] {
			panic(fmt.Sprintf("kernel: Permute: %v is no permutation of %d axes", slices.Clone(perm), len(shape)))
		}
		seen[p] = true
		t.dim[i], t.dst.step[i], t.src.step[i] = shape[p], step, strides[p]
		step *= shape[p]
	}
	t.dst.data, t.src.data = y, x
	t.run()
}

// Slice writes to y, of shape count, the elements of x at start + i·step along
// each axis. A nil step stands for 1 everywhere; a step may be negative.
func Slice(y []float32, count []int, x []float32, shape, start, step []int) {
	var t copyTask
	t.slice("Slice", y, count, x, shape, start, step)
	t.dst, t.src = t.src, t.dst
	t.run()
}

// SetSlice writes x, of shape count, to the elements of y that Slice would read,
// and leaves the others alone: the adjoint of Slice, given zeros. With add, it
// adds. No step may be 0.
func SetSlice(y []float32, shape []int, x []float32, count, start, step []int, add bool) {
	var t copyTask
	t.slice("SetSlice", x, count, y, shape, start, step)
	for i, s := range step {
		if s == 0 && count[i] > 1 {
			panic("kernel: SetSlice: a step of 0")
		}
	}
	t.add = add
	t.run()
}

// slice prepares a copy from small, of shape count, to elements of big.
func (t *copyTask) slice(op string, small []float32, count []int, big []float32, shape, start, step []int) {
	bigStep, bigSize := layoutOf(op, shape)
	smallStep, smallSize := layoutOf(op, count)
	need(op, "the whole", len(big), bigSize)
	need(op, "the part", len(small), smallSize)
	need(op, "count", len(count), len(shape))
	need(op, "start", len(start), len(shape))
	if step != nil {
		need(op, "step", len(step), len(shape))
	}
	t.n = len(shape)
	t.src.data, t.src.step = small, smallStep
	t.dst.data = big
	for i, n := range count {
		s := 1
		if step != nil {
			s = step[i]
		}
		last := start[i] + (n-1)*s
		if n > 0 && (start[i] < 0 || start[i] >= shape[i] || last < 0 || last >= shape[i]) {
			panic(fmt.Sprintf("kernel: %s: %d elements from %d by %d do not lie in axis %d of %v", op, n, start[i], s, i, shape))
		}
		t.dim[i] = n
		t.dst.off += start[i] * bigStep[i]
		t.dst.step[i] = s * bigStep[i]
	}
}

// Pad writes x, of the given shape, to y with before[i] and after[i] elements of
// the given value added at the ends of axis i; negative numbers crop. The
// adjoint is Pad with both negated and a value of 0.
func Pad(y, x []float32, shape, before, after []int, value float32) {
	xStep, xSize := layoutOf("Pad", shape)
	need("Pad", "x", len(x), xSize)
	need("Pad", "before", len(before), len(shape))
	need("Pad", "after", len(after), len(shape))
	var t copyTask
	t.n = len(shape)
	t.dst.data, t.src.data, t.src.step = y, x, xStep
	grown := false
	ySize := 1
	for i := len(shape) - 1; i >= 0; i-- {
		n := shape[i] + before[i] + after[i]
		if n < 0 {
			panic(fmt.Sprintf("kernel: Pad: %d and %d leave less than nothing of axis %d of %v", before[i], after[i], i, shape))
		}
		t.dst.step[i] = ySize
		t.dst.off += max(before[i], 0) * ySize
		t.src.off += max(-before[i], 0) * xStep[i]
		t.dim[i] = max(0, shape[i]-max(-before[i], 0)-max(-after[i], 0))
		grown = grown || before[i] > 0 || after[i] > 0
		ySize *= n
	}
	need("Pad", "y", len(y), ySize)
	if grown {
		fill(y, value)
	}
	t.run()
}

// Rot90 turns each plane of x [planes, h, w] counter-clockwise by turns times 90
// degrees, into y [planes, h, w] or [planes, w, h]. The adjoint is Rot90 by
// -turns with h and w those of y.
func Rot90(y, x []float32, planes, h, w, turns int) {
	need("Rot90", "x", len(x), planes*h*w)
	need("Rot90", "y", len(y), planes*h*w)
	t := copyTask{n: 3}
	t.dst.data, t.src.data = y, x
	t.dim = [maxDims]int{planes, h, w}
	t.src.step = [maxDims]int{h * w, w, 1}
	switch turns & 3 {
	case 1: // y[i, j] = x[j, w-1-i]
		t.dim = [maxDims]int{planes, w, h}
		t.src.step = [maxDims]int{h * w, -1, w}
		t.src.off = w - 1
	case 2:
		t.src.step = [maxDims]int{h * w, -w, -1}
		t.src.off = h*w - 1
	case 3: // y[i, j] = x[h-1-j, i]
		t.dim = [maxDims]int{planes, w, h}
		t.src.step = [maxDims]int{h * w, 1, -w}
		t.src.off = (h - 1) * w
	}
	t.dst.step = [maxDims]int{h * w, t.dim[2], 1}
	if planes*h*w > 0 {
		t.run()
	}
}

// Roll writes x, of the given shape, to y moved cyclically by shift[i] along
// axis i. The adjoint is Roll by the negated shifts.
func Roll(y, x []float32, shape, shift []int) {
	strides, size := layoutOf("Roll", shape)
	need("Roll", "x", len(x), size)
	need("Roll", "y", len(y), size)
	need("Roll", "shift", len(shift), len(shape))
	if size == 0 {
		return
	}
	// Every axis falls into two pieces; bit i of the mask says which of axis i.
	for mask := range 1 << len(shape) {
		var t copyTask
		t.n = len(shape)
		t.dst.data, t.dst.step = y, strides
		t.src.data, t.src.step = x, strides
		empty := false
		for i, n := range shape {
			k := (shift[i]%n + n) % n
			if mask>>i&1 == 0 {
				t.dim[i] = n - k
				t.dst.off += k * strides[i]
			} else {
				t.dim[i] = k
				t.src.off += (n - k) * strides[i]
			}
			empty = empty || t.dim[i] == 0
		}
		if !empty {
			t.run()
		}
	}
}
