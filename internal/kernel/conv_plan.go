package kernel

import (
	"fmt"
	"math"
)

// How much of a convolution is done at a time.
const (
	// convDepth is about how many products a sum gets before it goes back to
	// memory: a strip of weights that deep fits into the first-level cache.
	convDepth = 512

	// convRoom is about how many floats of the image a block works on; with
	// weights and results it stays in the second-level cache.
	convRoom = 56 << 10

	// convAhead is how far ahead of its use an image is fetched, bytes.
	convAhead = 4 << 10

	// convBlockVecs is about how many vectors of positions a block has at most.
	convBlockVecs = 96
)

// A convPlan is a convolution cut to the measure of the innermost loops. It
// covers all passes: they compute, for every group, image and position,
//
//	y[m, at + out*outStep] = Σ_c Σ_tap w[m, c, tap] x[c, out*step + tap.q*step + tap.phase]
//
// for one or more subs. Forward has one sub; the gradient to data of a strided
// convolution has one for every residue of a position modulo the stride, each a
// convolution with stride 1 that uses a part of the taps. The gradient to weights
// sums the same products over positions.
//
// The numbers x of a block of positions are first copied into scratch memory:
// padded, and parted by residue modulo step, so that neighbours in the result
// are neighbours there. A plane holds one channel and residue of the block's
// images. From there the loops read directly, or, where rows are so short that
// vectors would have many idle lanes, by way of panels packed without gaps.
type convPlan struct {
	ops *convOps

	n, groups, m, c int    // images, groups; channels of a group in the result and the source
	in, out         [3]int // sizes of the source and the result
	step, outStep   [3]int
	kernel          int // taps in all

	subs []convSub
	taps []convTap

	// Residues in use, by dimension, and the least and the greatest q of a tap.
	residues [3][]int
	low      [3]int
	reach    [3]int

	// Blocks: images, depth, rows, and how many of each there are. A block has
	// the whole width.
	block, blocks [3]int
	pitch         int    // of a row in scratch
	rows          [2]int // depth and rows of an image in scratch
	plane         int    // floats of a plane
	planes        int    // residues

	depth  int // channels of the source done together
	chunks int

	fill []convFillCol

	vecs  []convVec
	runs  []convRun
	offs  []int32
	index []int32
	dense []int32 // offs within a panel
}

// A convSub is the part of a plan that places results at one residue.
type convSub struct {
	at, out [3]int
	tap0    int // its taps: plan.taps[tap0:tap0+taps]
	taps    int
	offs    int // its offsets: plan.offs[offs:], taps for each channel
	weights int // where its weights begin, floats within a group's

	// The vectors of a whole block and of one cut short at the end of a
	// dimension, directly from planes.
	list [2]convList
}

// A convList is the vectors of the positions of a block.
type convList struct {
	extent       [3]int // images, slices and rows covered
	positions    int
	first, count int  // plan.vecs[first:first+count]
	packed       bool // by way of panels
	source       int  // of a packed list: where lanes come from, plan.vecs[source:]
}

// A convTap is one tap of a sub.
type convTap struct {
	weight int // its place in the kernel
	plane  int
	q      [3]int
}

// reset prepares p for the groups, sizes and channels of s; data says whether
// the source is y and the result x.
func (p *convPlan) reset(s *ConvShape, data bool) {
	if one := [3]int{1, 1, 1}; s.Kernel == one && s.Stride == one && s.Pad == [3]int{} {
		// Rows do not matter; one is filled faster than several.
		flat := *s
		flat.In, flat.Out = [3]int{1, 1, volume(s.In)}, [3]int{1, 1, volume(s.Out)}
		s = &flat
	}
	p.ops = &Active().conv
	p.n, p.groups = s.N, s.Groups
	p.m, p.c = s.O/s.Groups, s.C/s.Groups
	p.in, p.out, p.step, p.outStep = s.In, s.Out, s.Stride, [3]int{1, 1, 1}
	if data {
		p.m, p.c = p.c, p.m
		p.in, p.out, p.step, p.outStep = s.Out, s.In, p.outStep, s.Stride
	}
	p.kernel = volume(s.Kernel)
	p.subs, p.taps, p.fill = p.subs[:0], p.taps[:0], p.fill[:0]
	p.vecs, p.runs, p.offs, p.index, p.dense = p.vecs[:0], p.runs[:0], p.offs[:0], p.index[:0], p.dense[:0]
	for d := range 3 {
		p.residues[d] = p.residues[d][:0]
	}
	if data {
		p.dataTaps(s)
	} else {
		p.forwardTaps(s)
	}
	p.bounds()
}

// forwardTaps makes the one sub of a forward pass.
func (p *convPlan) forwardTaps(s *ConvShape) {
	for d := range 3 {
		for r := range s.Stride[d] {
			used := d == 2 && s.Stride[d] > 1 // the filling of rows makes all
			for k := range s.Kernel[d] {
				if _, res := floorDiv(k*s.Dilation[d]-s.Pad[d], s.Stride[d]); res == r {
					used = true
				}
			}
			if used {
				p.residues[d] = append(p.residues[d], r)
			}
		}
	}
	for k := range p.kernel {
		at := [3]int{k / s.Kernel[2] / s.Kernel[1], k / s.Kernel[2] % s.Kernel[1], k % s.Kernel[2]}
		tap := convTap{weight: k}
		for d := range 3 {
			q, r := floorDiv(at[d]*s.Dilation[d]-s.Pad[d], s.Stride[d])
			place := 0
			for p.residues[d][place] != r {
				place++
			}
			tap.q[d], tap.plane = q, tap.plane*len(p.residues[d])+place
		}
		p.taps = append(p.taps, tap)
	}
	p.subs = append(p.subs, convSub{out: s.Out, taps: p.kernel})
}

// dataTaps makes the subs of a gradient to data.
func (p *convPlan) dataTaps(s *ConvShape) {
	for d := range 3 {
		p.residues[d] = append(p.residues[d], 0)
	}
	weights := 0
	for rz := range s.Stride[0] {
		for ry := range s.Stride[1] {
			for rx := range s.Stride[2] {
				sub := convSub{at: [3]int{rz, ry, rx}, tap0: len(p.taps), weights: weights}
				for d := range 3 {
					sub.out[d] = max(0, ceilDiv(s.In[d]-sub.at[d], s.Stride[d]))
				}
				if volume(sub.out) == 0 {
					continue
				}
				for k := range p.kernel {
					at := [3]int{k / s.Kernel[2] / s.Kernel[1], k / s.Kernel[2] % s.Kernel[1], k % s.Kernel[2]}
					tap, hit := convTap{weight: k}, true
					for d := range 3 {
						q, r := floorDiv(sub.at[d]+s.Pad[d]-at[d]*s.Dilation[d], s.Stride[d])
						tap.q[d], hit = q, hit && r == 0
					}
					if hit {
						p.taps = append(p.taps, tap)
						sub.taps++
					}
				}
				weights += sub.taps * p.m * p.c
				p.subs = append(p.subs, sub)
			}
		}
	}
}

// bounds finds how far taps reach.
func (p *convPlan) bounds() {
	p.low, p.reach = [3]int{}, [3]int{}
	for i, tap := range p.taps {
		for d := range 3 {
			if i == 0 {
				p.low[d], p.reach[d] = tap.q[d], tap.q[d]
			}
			p.low[d], p.reach[d] = min(p.low[d], tap.q[d]), max(p.reach[d], tap.q[d])
		}
	}
	for d := range 3 {
		p.reach[d] -= p.low[d]
	}
	p.planes = len(p.residues[0]) * len(p.residues[1]) * len(p.residues[2])
}

// grid returns the largest output size of a sub.
func (p *convPlan) grid() (g [3]int) {
	for i := range p.subs {
		for d := range 3 {
			g[d] = max(g[d], p.subs[i].out[d])
		}
	}
	return g
}

// cut chooses the chunk of channels and the block of positions: at most room
// floats of source and about vecs vectors.
func (p *convPlan) cut(room, vecs int) {
	most := 1
	for i := range p.subs {
		most = max(most, p.subs[i].taps)
	}
	if p.kernel == 1 {
		room *= 2 // nothing is packed, and every number is used once a strip
	}
	g := p.grid()
	p.pitch = g[2] + p.reach[2]
	p.depth = min(p.c, max(1, convDepth/most))
	for p.depth > 1 && p.depth*p.planes*(1+p.reach[0])*(1+p.reach[1])*p.pitch > 8*room {
		p.depth /= 2 // very wide images
	}
	p.chunks = 1
	if p.c > 0 {
		// Chunks of nearly equal depth.
		p.chunks = ceilDiv(p.c, p.depth)
		p.depth = ceilDiv(p.c, p.chunks)
	}
	channel := max(1, p.depth*p.planes)
	size := func(images, depth, rows int) int {
		return channel * (images*(depth+p.reach[0])*(rows+p.reach[1])*p.pitch + 2*p.ops.lanes)
	}
	positions := vecs * p.ops.lanes
	images, depth, rows := 1, g[0], g[1]
	if size(1, depth, rows) > room || depth*rows*g[2] > positions {
		// Less than an image: first fewer slices, then fewer rows.
		for depth > 1 && (size(1, depth, rows) > room || depth*rows*g[2] > positions) {
			depth--
		}
		for rows > 1 && (size(1, depth, rows) > room || depth*rows*g[2] > positions) {
			rows--
		}
		depth, rows = ceilDiv(g[0], ceilDiv(g[0], depth)), ceilDiv(g[1], ceilDiv(g[1], rows))
	} else {
		for images < p.n && size(images+1, depth, rows) <= room && (images+1)*depth*rows*g[2] <= positions {
			images++
		}
		images = ceilDiv(p.n, ceilDiv(p.n, images))
	}
	p.setBlock(images, depth, rows)
}

// setBlock fixes the block and lays out the scratch memory of one.
func (p *convPlan) setBlock(images, depth, rows int) {
	g := p.grid()
	p.block = [3]int{images, depth, rows}
	p.blocks = [3]int{ceilDiv(p.n, images), ceilDiv(g[0], depth), ceilDiv(g[1], rows)}
	p.rows = [2]int{depth + p.reach[0], rows + p.reach[1]}
	// A vector may reach lanes-1 beyond the last row: zeros. Planes an odd
	// number of cache lines apart do not crowd the same sets.
	const line = 16
	p.plane = ceilDiv(images*p.rows[0]*p.rows[1]*p.pitch+p.ops.lanes-1, line)*line | line
	p.fillColumns()
	p.offsets()
	for i := range p.subs {
		sub := &p.subs[i]
		sub.list = [2]convList{}
		p.makeList(sub, &sub.list[0], p.extent(sub, [3]int{}))
		last := p.extent(sub, [3]int{p.blocks[0] - 1, p.blocks[1] - 1, p.blocks[2] - 1})
		if last != sub.list[0].extent {
			p.makeList(sub, &sub.list[1], last)
		}
	}
}

// extent returns how many images, slices and rows of sub there are in a block.
// Only one dimension is cut into blocks of more than one, so there are two
// extents at most that are not empty.
func (p *convPlan) extent(sub *convSub, block [3]int) [3]int {
	size := [3]int{p.n, sub.out[0], sub.out[1]}
	for d := range size {
		size[d] = min(p.block[d], max(0, size[d]-block[d]*p.block[d]))
	}
	return size
}

// fillColumns describes a row in scratch to convFill.
func (p *convPlan) fillColumns() {
	p.fill = p.fill[:0]
	s := p.step[2]
	if s > 2 || p.ops.fill[s] == nil {
		return
	}
	lanes := p.ops.lanes
	for j := 0; j < p.pitch; j += lanes {
		c := convFillCol{src: int32(4 * s * (p.low[2] + j)), dst: int32(4 * j)}
		for i := range lanes {
			if j+i < p.pitch {
				c.store |= 1 << i
			}
			if x := s*(p.low[2]+j) + i; x >= 0 && x < p.in[2] {
				c.load0 |= 1 << i
			}
			if x := s*(p.low[2]+j) + lanes + i; x >= 0 && x < p.in[2] {
				c.load1 |= 1 << i
			}
		}
		p.fill = append(p.fill, c)
	}
}

// offsets fills the tables of where taps lie in scratch.
func (p *convPlan) offsets() {
	p.offs, p.dense = p.offs[:0], p.dense[:0]
	images, planes := float64(p.block[0]), float64(p.depth*p.planes)
	p.checkOffset(planes * (images*float64(p.rows[0])*float64(p.rows[1])*float64(p.pitch) + 64))
	p.checkOffset(float64(p.step[2]) * (math.Abs(float64(p.low[2])) + float64(p.pitch)))
	most := 0
	for i := range p.subs {
		s := &p.subs[i]
		s.offs = len(p.offs)
		most = max(most, s.taps)
		for c := range p.depth {
			for _, t := range p.taps[s.tap0:][:s.taps] {
				off := (c*p.planes+t.plane)*p.plane +
					((t.q[0]-p.low[0])*p.rows[1]+t.q[1]-p.low[1])*p.pitch + t.q[2] - p.low[2]
				p.offs = append(p.offs, int32(4*off))
			}
		}
	}
	p.checkOffset(float64(p.ops.lanes) * float64(p.depth*most))
	for k := range p.depth * most {
		p.dense = append(p.dense, int32(4*p.ops.lanes*k))
	}
}

// checkOffset panics unless the tables, which count bytes in 32 bits, can hold the
// place of so many floats, which an int might not.
func (p *convPlan) checkOffset(floats float64) {
	if 4*floats > math.MaxInt32 {
		panic(fmt.Sprintf("kernel: Conv: input %v, output %v and %d taps within %v: a row of results needs too much of the padded input",
			p.in, p.out, p.kernel, p.reach))
	}
}
