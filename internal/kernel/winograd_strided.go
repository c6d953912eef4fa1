package kernel

import "math/bits"

// A convolution with stride 2 is one with stride 1 of the images that its source
// falls into by the parity of row and column: result o reads source 2o + k - pad,
// which is number o + q of the image of parity r where k - pad = 2q + r. These four
// phases count as channels. Up to 5 taps in a row (6 if the padding is even) make
// at most 3 for a phase, so that F(4x4, 3x3) serves, with zeros for the taps that a
// phase has not got.
//
// The transform of a filter that lacks its first tap is 0 at the point 0, of one
// that lacks its last, at infinity. Those products are left out, and 4x4 taps cost
// 100 multiplications for 4x4 results, not 256, and 3x3 taps 81, not 144.
//
// Kernels of 3 frames, with stride 1 or 2 in depth, are done so in the gradient to the
// weights alone (64 to 128 channels on 16x56x56, two clips: 53 ms against 72 directly). The
// other passes have to read 36 positions of 12 times as many filters for every chunk, and
// were built so and not faster (128 to 256 channels on 8x28x28: 27 against 27 forward, 30
// against 27 to data).
//
// In the gradient to data, which is also the transposed convolution, the result
// has the phases; each has the channels of the result in columns of its own.

// winoPhases is how the images of a convolution fall into phases.
type winoPhases struct {
	srcPhases, dstPhases int        // 4 on the one side with stride 2, else 1
	srcSize, dstSize     [3]int     // sizes of whole images
	live                 [36]uint8  // by position, a bit for every phase that is not 0 there
	windows              [4]int8    // see winoOps.filterPair; -1 for a phase with more taps
	tapRow, tapCol       [6]winoTap // of rows and columns of taps
	tapCols              int        // taps in a row
	tapFrame             int        // taps in a frame
}

// A winoTap is the place of a tap in one dimension: its phase, and its number
// among three taps of that phase.
type winoTap struct{ phase, at int8 }

// winoStep is the stride between neighbours of one of so many phases.
func winoStep(phases int) int { return 1 + phases/4 }

// stridedCan reports whether s has stride 2 in the plane and is among those of which a
// frame can be done.
func stridedCan(s *ConvShape) bool {
	if s.Stride[1] != 2 || s.Stride[2] != 2 {
		return false
	}
	for d := 1; d < 3; d++ {
		if _, points := stridedWindow(s.Kernel[d], s.Pad[d]); points == 0 {
			return false
		}
	}
	return true
}

// stridedWindow places the taps of a row, for both parities, in a window of three
// that begins at low, so that the fewest points are live, and returns their number;
// 0 if the taps do not fit.
func stridedWindow(kernel, pad int) (low, points int) {
	first, _ := floorDiv(-pad, 2)
	last, _ := floorDiv(kernel-1-pad, 2)
	for l := max(last-2, -2); l <= min(first, 0); l++ {
		live := 0
		for parity := range 2 {
			var taps [3]bool
			for k := range kernel {
				if q, r := floorDiv(k-pad, 2); r == parity {
					taps[q-l] = true
				}
			}
			for p := range 6 {
				if livePoint(p, taps) {
					live++
				}
			}
		}
		if points == 0 || live < points {
			low, points = l, live
		}
	}
	return low, points
}

// livePoint reports whether the transform of a filter with some of three taps can
// be other than 0 at a point.
func livePoint(point int, taps [3]bool) bool {
	switch point {
	case 0:
		return taps[0]
	case 5:
		return taps[2]
	}
	return taps[0] || taps[1] || taps[2]
}

// stridedLeast is the fewest channels on either side that are worth it: of 8, half
// of every vector would be idle (8 to 16 on 28x28: 1.04 ms against 0.89).
const stridedLeast = 12

// stridedProducts returns how many products a pair of channels takes for an image of
// the convolution s, directly and by these functions.
func stridedProducts(s *ConvShape) (direct, here int) {
	direct, here = volume(s.Out)*s.Kernel[1]*s.Kernel[2], s.Out[0]
	for d := 1; d < 3; d++ {
		_, points := stridedWindow(s.Kernel[d], s.Pad[d])
		here *= points * ceilDiv(s.Out[d], 4)
	}
	return direct, here
}

// stridedSuits is winogradSuits for stride 2. A forward pass with few products
// to save is better done directly, most of all of few images (256 to 512 channels,
// 3x3 taps, 14x14: 2.5 ms against 1.6 for one, 9.5 against 10 for eight). In the
// gradient to data nothing to save is enough, for the direct way deals with short
// rows one parity after the other and merges them.
func stridedSuits(s *ConvShape, data bool) bool {
	direct, here := stridedProducts(s)
	return min(s.C, s.O) >= stridedLeast && min(s.Kernel[1], s.Kernel[2]) > 2 && (5*direct >= 7*here || data && direct >= here)
}

// stridedWeightsSuits is winogradWeightsSuits for stride 2: what is saved must pay
// for transforming the sums back.
func stridedWeightsSuits(s *ConvShape) bool {
	direct, here := stridedProducts(s)
	return min(s.C, s.O) >= stridedLeast && min(s.Kernel[1], s.Kernel[2]) > 2 && s.N*(direct-here) >= 384
}

// describe fills in the shape of s, or of its gradient to data.
func (t *winoTask) describe(s *ConvShape, data bool) {
	t.winoShape = winoShape{n: s.N, c: s.C, o: s.O, in: s.In, out: s.Out, pad: s.Pad, frames: s.Kernel[0], taps: volume(s.Kernel), step: 1}
	t.srcPhases, t.dstPhases, t.srcSize, t.dstSize = 1, 1, s.In, s.Out
	if s.Stride[1] == 2 {
		t.step = s.Stride[0]
		t.splitPhases(s, data)
	}
	if t.swap = data; data {
		t.c, t.o, t.in, t.out = t.o, t.c, t.out, t.in
		t.srcPhases, t.dstPhases, t.srcSize, t.dstSize = t.dstPhases, t.srcPhases, t.dstSize, t.srcSize
		t.pad = [3]int{t.frames - 1 - t.pad[0], 2 - t.pad[1], 2 - t.pad[2]}
	}
}

// splitPhases makes the source fall into phases.
func (t *winoTask) splitPhases(s *ConvShape, data bool) {
	t.srcPhases, t.tapCols, t.tapFrame = 4, s.Kernel[2], s.Kernel[1]*s.Kernel[2]
	var has [2][2][3]bool // by dimension, phase and place: whether there is a tap
	for d, taps := range []*[6]winoTap{&t.tapRow, &t.tapCol} {
		size, pad := s.In[d+1], s.Pad[d+1]
		low, _ := stridedWindow(s.Kernel[d+1], pad)
		t.in[d+1], t.pad[d+1] = ceilDiv(size, 2), -low
		for k := range s.Kernel[d+1] {
			q, r := floorDiv(k-pad, 2)
			taps[k] = winoTap{int8(r), int8(q - low)}
			at := q - low
			if data {
				at = 2 - at // the taps go backwards
			}
			has[d][r][at] = true
		}
	}
	for ph := range t.windows {
		row, col := has[0][ph/2], has[1][ph%2]
		t.windows[ph] = -1
		if !(row[0] && row[2]) && !(col[0] && col[2]) {
			t.windows[ph] = 0
			if row[2] {
				t.windows[ph] += 2
			}
			if col[2] {
				t.windows[ph]++
			}
		}
	}
	for p := range t.live {
		for ph := range 4 {
			if livePoint(p/6, has[0][ph/2]) && livePoint(p%6, has[1][ph%2]) {
				t.live[p] |= 1 << ph
			}
		}
	}
}

// groups is how many stretches of channels a product sums over: one for every
// frame of the kernel, or phase of the source.
func (s *winoShape) groups() int { return s.frames * s.srcPhases }

// columnsOnce is how many columns are computed together: if the result has phases,
// 16 for each.
func (s *winoShape) columnsOnce() int { return max(winoColumns, s.dstPhases*winoLanes) }

// tapPlace returns the pixel of tap k of a filter.
func (s *winoShape) tapPlace(k int) int {
	if s.srcPhases == s.dstPhases {
		return k
	}
	frame, k := k/s.tapFrame, k%s.tapFrame
	y, x := s.tapRow[k/s.tapCols], s.tapCol[k%s.tapCols]
	return 36*frame + 9*int(2*y.phase+x.phase) + 3*int(y.at) + int(x.at)
}

// gatherPhases is product at position p for k channels from c0 on of all phases of
// the source. u holds them phase by phase.
func (t *winoTask) gatherPhases(p, c0 int, m []float32, ldm int, v []float32, l winoLayout, u []float32, width, k, rows int) {
	live, add := uint(t.live[p]), c0
	for g := 0; live != 0; {
		// As many phases in a row as there are.
		skip := bits.TrailingZeros(live)
		n := bits.TrailingZeros(^(live >> skip))
		g += skip
		t.product(m, ldm, v[l.at(g*t.c16+c0):], l.ld, 36*l.pos, u[g*k*width:], width, width, k, n, rows, add)
		g += n
		live >>= skip + n
		add = 1
	}
	if add == 0 {
		clear(m[:rows*ldm])
	}
}

// spreadPhases is product at position p for the columns of the block at j, 16 for
// each of two phases of the result.
func (t *winoTask) spreadPhases(p, j int, m []float32, ldm int, v []float32, ldv int, u []float32, k, rows, add int) {
	switch live := t.live[p] >> (j / winoLanes % 4) & 3; live {
	case 3:
		t.product(m, ldm, v, ldv, 0, u, winoColumns, winoColumns, k, 1, rows, add)
	case 0:
		clear(m[:rows*ldm])
	default:
		col := int(live/2) * winoLanes
		t.product(m[col:], ldm, v, ldv, 0, u[col:], winoColumns, winoLanes, k, 1, rows, add)
		for r := range rows {
			clear(m[r*ldm+winoLanes-col:][:winoLanes])
		}
	}
}
