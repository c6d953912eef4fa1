package kernel

import (
	"math"

	"github.com/mettleml/mettle/internal/parallel"
)

// A depthwise convolution in two dimensions, every channel with a filter of its
// own, does 16 channels side by side: an image's planes are turned into pixels of
// 16 channels, padding included, a band of rows at a time, and results back.

const (
	// depthPixels is about how many pixels of the source a band has.
	depthPixels = 1024

	// depthLeast is the fewest channels worth it.
	depthLeast = 8

	// depthSplits is the most parts that images are dealt out to in the gradient
	// to weights.
	depthSplits = 4

	// depthSlack is how many pixels beyond the last the loops may touch, times
	// the step.
	depthSlack = 8

	// depthMost is the most pixels a band may have: their places, in bytes, are of
	// 32 bits.
	depthMost = math.MaxInt32 / (4 * winoLanes)
)

// depthwiseSuits reports whether the functions of this file are to be used for the
// forward pass of s and its gradient to the weights, or, with data, for its
// gradient to data. The answer does not depend on N.
func depthwiseSuits(s *ConvShape, data bool) bool {
	if s.Groups != s.C || s.O != s.C || s.C < depthLeast || s.In[0] != 1 || s.Out[0] != 1 || s.Kernel[0] != 1 ||
		s.Pad[0] != 0 || s.Stride[1] > 4 || s.Stride[2] > 4 || volume(s.In) == 0 || volume(s.Out) == 0 {
		return false
	}
	if s.In[2]+2*s.Pad[2]+s.span(2) > depthMost/s.span(1) { // a band of one row is too large
		return false
	}
	for d := 1; data && d < 3; d++ {
		if s.Stride[d] > 1 || s.span(d)-1 < s.Pad[d] {
			return false
		}
	}
	return true
}

// A depthTask is one pass, forward or gradient to data, or the gradient to weights
// that src and dst give.
type depthTask struct {
	ops               *winoOps
	n, c, taps        int
	src, dst, w, bias []float32
	floor             float32
	flip              bool // taps go backwards: the gradient to data

	in, out, step, pad, kernel, dilation [2]int

	pitch, dstPitch int // pixels in a row
	rows            int // of dst in a band
	once            int // blocks of 16 channels of an image in a part

	sums   []float32 // [split][block of channels][tap] pixels, if not nil
	splits int

	tapAt, srcAt, dstAt, wAt []int32
}

var depthTasks freeList[depthTask]

// newDepthTask returns a task for s, or for its gradient to data.
func newDepthTask(s *ConvShape, data bool) *depthTask {
	t := depthTasks.get()
	*t = depthTask{ops: &Active().wino, n: s.N, c: s.C, taps: volume(s.Kernel), flip: data, floor: float32(math.Inf(-1)),
		tapAt: t.tapAt[:0], srcAt: t.srcAt[:0], dstAt: t.dstAt[:0], wAt: t.wAt[:0]}
	for d := range 2 {
		t.in[d], t.out[d], t.step[d], t.pad[d] = s.In[d+1], s.Out[d+1], s.Stride[d+1], s.Pad[d+1]
		t.kernel[d], t.dilation[d] = s.Kernel[d+1], s.Dilation[d+1]
		if data {
			t.in[d], t.out[d], t.pad[d] = t.out[d], t.in[d], s.span(d+1)-1-t.pad[d]
		}
	}
	t.pitch = max(t.pad[1]+t.in[1], (t.out[1]-1)*t.step[1]+s.span(2))
	t.rows = max(1, min(t.out[0], (depthPixels/t.pitch-s.span(1))/t.step[0]+1))
	t.rows = ceilDiv(t.out[0], ceilDiv(t.out[0], t.rows))
	t.dstPitch = t.out[1]
	if t.whole() {
		t.dstPitch = t.pitch
	}
	place := func(at []int32, rows, cols, pitch int) []int32 {
		for y := range rows {
			for x := range cols {
				at = append(at, int32((y*pitch+x)*winoLanes*4))
			}
		}
		return at
	}
	t.srcAt = place(t.srcAt, t.bandRows(), t.in[1], t.pitch)
	for y := range t.kernel[0] {
		for x := range t.kernel[1] {
			t.tapAt = append(t.tapAt, int32((y*t.dilation[0]*t.pitch+x*t.dilation[1])*winoLanes*4))
		}
	}
	for k := range t.taps {
		at := k
		if t.flip {
			at = t.taps - 1 - k
		}
		t.wAt = append(t.wAt, int32(at*winoLanes*4))
	}
	return t
}

// whole reports whether a band's results are computed in one go, with those
// between the end of a row and the next, which nobody reads.
func (t *depthTask) whole() bool { return t.sums == nil && t.step == [2]int{1, 1} }

// bandRows is how many rows of the source a band reads at most.
func (t *depthTask) bandRows() int {
	return (t.rows-1)*t.step[0] + (t.kernel[0]-1)*t.dilation[0] + 1
}

// release gives the task back.
func (t *depthTask) release() {
	*t = depthTask{tapAt: t.tapAt, srcAt: t.srcAt, dstAt: t.dstAt, wAt: t.wAt}
	depthTasks.put(t)
}

func depthwiseConv(s *ConvShape, y, x, w, bias []float32, act Act, data bool) {
	t := newDepthTask(s, data)
	t.dst, t.src, t.w, t.bias = y, x, w, bias
	if act == ActReLU {
		t.floor = 0
	}
	for r := range t.rows {
		for x := range t.out[1] {
			t.dstAt = append(t.dstAt, int32((r*t.dstPitch+x)*winoLanes*4))
		}
	}
	items := t.n * ceilDiv(t.c, winoLanes)
	t.once = max(1, partSize/2/(winoLanes*t.in[0]*t.in[1]))
	parallel.Run(ceilDiv(items, t.once), t)
	t.release()
}

func depthwiseWeights(s *ConvShape, dw, dy, x []float32) {
	t := newDepthTask(s, false)
	t.dst, t.src, t.w = dy, x, dw
	t.dstPitch = t.out[1]
	for i := range t.rows * t.out[1] {
		t.dstAt = append(t.dstAt, int32(i*winoLanes*4))
	}
	blocks := ceilDiv(t.c, winoLanes)
	t.splits = max(1, min(t.n, depthSplits))
	one := t.taps * winoLanes
	sums := getScratch(t.splits * blocks * one)
	t.sums = sums.f
	parallel.Run(t.splits*blocks, t)
	for b := range blocks {
		sum := sums.f[b*one:][:one]
		for i := 1; i < t.splits; i++ {
			for j, v := range sums.f[(i*blocks+b)*one:][:one] {
				sum[j] += v
			}
		}
		t.ops.unpack(&dw[b*winoLanes*t.taps], &sum[0], &t.wAt[0], t.taps, t.taps, min(winoLanes, t.c-b*winoLanes), 0)
	}
	putScratch(sums)
	t.release()
}

// Part does some images' blocks of channels.
func (t *depthTask) Part(i int) {
	blocks := ceilDiv(t.c, winoLanes)
	src := (t.bandRows()*t.pitch + depthSlack*t.step[1]) * winoLanes
	dst := (t.rows*t.dstPitch + depthSlack) * winoLanes
	s := partScratch(src + dst + (t.taps+1)*winoLanes)
	pixels, results, w := s.f[:src], s.f[src:][:dst], s.f[src+dst:]
	clear(pixels)
	if t.sums != nil {
		split, b := i/blocks, i%blocks
		sums := t.sums[i*t.taps*winoLanes:][:t.taps*winoLanes]
		clear(sums)
		for n := split * t.n / t.splits; n < (split+1)*t.n/t.splits; n++ {
			t.bands(n, b, pixels, results, w, sums)
		}
	} else {
		for k := i * t.once; k < min((i+1)*t.once, t.n*blocks); k++ {
			b := k % blocks * winoLanes
			nch := min(winoLanes, t.c-b)
			t.ops.pack(&w[0], &t.w[b*t.taps], &t.wAt[0], t.taps, t.taps, nch, 0)
			bias := w[t.taps*winoLanes:]
			clear(bias)
			if t.bias != nil {
				copy(bias, t.bias[b:b+nch])
			}
			t.bands(k/blocks, k%blocks, pixels, results, w, nil)
		}
	}
	putScratch(s)
}

// bands goes through image n for block b of channels, band by band.
func (t *depthTask) bands(n, b int, pixels, results, w, sums []float32) {
	nch := min(winoLanes, t.c-b*winoLanes)
	srcPlane, dstPlane := t.in[0]*t.in[1], t.out[0]*t.out[1]
	src := t.src[(n*t.c+b*winoLanes)*srcPlane:]
	dst := t.dst[(n*t.c+b*winoLanes)*dstPlane:]
	row := t.pitch * winoLanes
	for r := 0; r < t.out[0]; r += t.rows {
		rows := min(t.rows, t.out[0]-r)
		top := r*t.step[0] - t.pad[0]
		all := (rows-1)*t.step[0] + (t.kernel[0]-1)*t.dilation[0] + 1
		from := min(max(0, -top), all)
		to := max(from, min(all, t.in[0]-top))
		clear(pixels[:from*row])
		clear(pixels[to*row : all*row])
		if from < to {
			at := (top + from) * t.in[1]
			t.ops.pack(&pixels[from*row+t.pad[1]*winoLanes], &src[at], &t.srcAt[0], srcPlane, (to-from)*t.in[1], nch, (to-from)*t.in[1])
		}
		y := dst[r*t.out[1]:]
		if sums != nil {
			t.ops.pack(&results[0], &y[0], &t.dstAt[0], dstPlane, rows*t.out[1], nch, rows*t.out[1])
			t.addSums(sums, pixels, results, w, rows)
			continue
		}
		bias := &w[t.taps*winoLanes]
		if t.whole() {
			t.ops.depthwise(&results[0], &pixels[0], &w[0], bias, &t.tapAt[0], t.floor, 1, (rows-1)*t.pitch+t.out[1], t.taps)
		} else {
			for k := range rows {
				t.ops.depthwise(&results[k*t.dstPitch*winoLanes], &pixels[k*t.step[0]*row], &w[0], bias, &t.tapAt[0], t.floor,
					t.step[1], t.out[1], t.taps)
			}
		}
		t.ops.unpack(&y[0], &results[0], &t.dstAt[0], dstPlane, rows*t.out[1], nch, rows*t.out[1])
	}
}

// addSums adds what a band gives to the gradient to weights. band is room for the
// band's own sums, lest they be lost in those of all images.
func (t *depthTask) addSums(sums, pixels, dy, band []float32, rows int) {
	clear(band[:len(sums)])
	groups := ceilDiv(t.taps, len(t.ops.depthwiseSums))
	for g := range groups {
		k0, k1 := cutAt(t.taps, groups, g), cutAt(t.taps, groups, g+1)
		for k := range rows {
			t.ops.depthwiseSums[k1-k0-1](&band[k0*winoLanes], &pixels[k*t.step[0]*t.pitch*winoLanes], &dy[k*t.out[1]*winoLanes],
				&t.tapAt[k0], t.step[1], t.out[1])
		}
	}
	for i, v := range band[:len(sums)] {
		sums[i] += v
	}
}
