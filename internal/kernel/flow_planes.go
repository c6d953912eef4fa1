package kernel

import "fmt"

// Dense flow works on planes: h rows, each FlowStride(w) numbers after the one before.
// What a row holds behind its w numbers is finite and otherwise unspecified.

const (
	flowUnit = 32 // strides are multiples of it, so that vectors need no tails
	flowRows = 16 // of a part
	flowEdge = 16 // numbers before and behind a row that is filtered along itself

	// MaxFlowRadius is the largest radius of a filter.
	MaxFlowRadius = flowEdge - 1
)

// FlowStride returns the distance between rows of w numbers.
func FlowStride(w int) int { return ceilDiv(w, flowUnit) * flowUnit }

// needPlane panics unless x holds planes of h rows of w.
func needPlane(op, name string, x []float32, planes, h, w int) {
	if h < 1 || w < 1 {
		panic(fmt.Sprintf("kernel: %s: %dx%d", op, h, w))
	}
	need(op, name, len(x), planes*h*FlowStride(w))
}

// A flowTask is a pass that makes one row after the other of what has h of them.
type flowTask struct {
	h, scratch int
	row        func(t *flowTask, y int, p *flowPart) // static: a closure would be garbage
	ops        *flowOps

	dst, x    []float32
	w, stride int // of x, or of dst if that is the larger; distance of rows of dst
	near      [2]float32
	expansion *FlowExpansion
	step      *FlowStep
	tv        *FlowTV
	a, b      []float32
}

// A flowPart is what a part of a flowTask works with.
type flowPart struct {
	scratch []float32
	offsets [2*MaxFlowRadius + 1]int32
	normal  flowNormal
	tv      tvRow
}

var (
	flowTasks freeList[flowTask]
	flowParts freeList[flowPart]
)

func (t *flowTask) Part(i int) {
	s, p := partScratch(t.scratch), flowParts.get()
	p.scratch = s.f
	for y := i * flowRows; y < min((i+1)*flowRows, t.h); y++ {
		t.row(t, y, p)
	}
	*p = flowPart{}
	flowParts.put(p)
	putScratch(s)
}

func runFlow(t flowTask) {
	t.ops = &Active().flow
	runPooled(&flowTasks, ceilDiv(t.h, flowRows), t)
}

// edges repeats the first and the last of w numbers before and behind them; they begin
// at line[flowEdge].
func edges(line []float32, w int) {
	fill(line[:flowEdge], line[flowEdge])
	fill(line[flowEdge+w:], line[flowEdge+w-1])
}

// FlowPad copies x, h rows of w without gaps, to the plane dst.
func FlowPad(dst, x []float32, h, w int) {
	needPlane("FlowPad", "dst", dst, 1, h, w)
	need("FlowPad", "x", len(x), h*w)
	runFlow(flowTask{h: h, row: padRow, dst: dst, x: x, w: w, stride: FlowStride(w), scratch: 1})
}

func padRow(t *flowTask, y int, _ *flowPart) {
	d := t.dst[y*t.stride:][:t.stride]
	copy(d, t.x[y*t.w:][:t.w])
	fill(d[t.w:], d[t.w-1])
}

// FlowShrink writes to dst, (h+1)/2 rows of (w+1)/2, the plane x of h rows of w at half
// its size: filtered by (1 3 3 1)/8 along both axes, the pixels of the edges repeated
// outside. A pixel of dst lies in the middle of four of x.
func FlowShrink(dst, x []float32, h, w int) {
	needPlane("FlowShrink", "x", x, 1, h, w)
	needPlane("FlowShrink", "dst", dst, 1, (h+1)/2, (w+1)/2)
	stride := FlowStride((w + 1) / 2)
	runFlow(flowTask{h: (h + 1) / 2, row: shrinkRow, dst: dst, x: x, w: w, stride: stride, scratch: 4*stride + 3*flowEdge})
}

var tent = []float32{1. / 8, 3. / 8, 3. / 8, 1. / 8}

func shrinkRow(t *flowTask, y int, p *flowPart) {
	stride, w, n := FlowStride(t.w), (t.w+1)/2, t.stride
	h := len(t.x) / stride
	rows := p.offsets[:4]
	for k := range rows {
		rows[k] = int32(min(max(2*y-1+k, 0), h-1) * stride)
	}
	line, halves := p.scratch[:2*n], p.scratch[2*n:]
	t.ops.taps(line, 0, t.x, rows, tent, stride)
	fill(line[t.w:], line[t.w-1])
	const even = 0
	odd := n + 2*flowEdge
	t.ops.deinterleave(halves[even:][:n], halves[odd:][:n], line)
	halves[odd-1], halves[even+w] = line[0], line[t.w-1]
	rows[0], rows[1], rows[2], rows[3] = int32(odd-1), even, int32(odd), even+1
	d := t.dst[y*n:][:n]
	t.ops.taps(d, 0, halves, rows, tent, n)
	fill(d[w:], d[w-1])
}

// FlowGrow writes to dst, h rows of w that begin stride apart, scale times the plane x of
// (h+1)/2 rows of (w+1)/2 at twice its size, interpolated bilinearly as if each number of
// x lay in the middle of four of dst.
func FlowGrow(dst, x []float32, h, w, stride int, scale float32) {
	needPlane("FlowGrow", "x", x, 1, (h+1)/2, (w+1)/2)
	if stride < w {
		panic(fmt.Sprintf("kernel: FlowGrow: rows of %d are %d apart", w, stride))
	}
	need("FlowGrow", "dst", len(dst), h*stride)
	n := FlowStride((w + 1) / 2)
	runFlow(flowTask{h: h, row: growRow, dst: dst, x: x, w: w, stride: stride, near: [2]float32{0.75 * scale, 0.25 * scale}, scratch: 5*n + 2*flowEdge})
}

func growRow(t *flowTask, y int, p *flowPart) {
	w := (t.w + 1) / 2
	n := FlowStride(w)
	near := y / 2
	far := min(max(near+2*(y&1)-1, 0), len(t.x)/n-1)
	rows := p.offsets[:3]
	rows[0], rows[1] = int32(near*n), int32(far*n)
	line, rest := p.scratch[:n+2*flowEdge], p.scratch[n+2*flowEdge:]
	halves, both := rest[:2*n], rest[2*n:][:2*n]
	t.ops.taps(line[flowEdge:], 0, t.x, rows[:2], t.near[:], n)
	edges(line, w)
	rows[0], rows[1], rows[2] = flowEdge-1, flowEdge, flowEdge+1
	t.ops.taps(halves, n, line, rows, quarters, n)
	t.ops.interleave(both, halves[:n], halves[n:])
	d := t.dst[y*t.stride:][:t.stride]
	fill(d[copy(d, both[:t.w]):], d[t.w-1])
}

// quarters are the filters of the numbers on the left and on the right of the middle.
var quarters = []float32{0.25, 0, 0.75, 0.75, 0, 0.25}
