package kernel

import "unsafe"

// fillPlanes copies channels [c0, c0+count) of group g of the source to planes,
// for the block that begins at the given image, slice and row of the grid.
func (p *convPlan) fillPlanes(f *convFill, planes, x []float32, g, c0, count int, start [3]int) {
	if count == 0 {
		return
	}
	images := min(p.block[0], p.n-start[0])
	size := volume(p.in)
	slice := p.rows[1] * p.pitch
	residues := len(p.residues[2])
	for n := range images {
		src := x[((start[0]+n)*p.groups*p.c+g*p.c+c0)*size:]
		for rz, resZ := range p.residues[0] {
			z := p.step[0]*(start[1]+p.low[0]) + resZ
			dst := rz*len(p.residues[1])*residues*p.plane + n*p.rows[0]*slice
			for range p.rows[0] {
				for ry, resY := range p.residues[1] {
					// The rows that exist are [lo, hi) of p.rows[1].
					y := p.step[1]*(start[2]+p.low[1]) + resY
					lo, hi := inside(y, p.step[1], p.in[1], p.rows[1])
					if z < 0 || z >= p.in[0] || lo >= hi {
						lo, hi = p.rows[1], p.rows[1]
					}
					from := 0
					if lo < hi {
						from = (z*p.in[1] + y + lo*p.step[1]) * p.in[2]
					}
					p.fillRows(f, planes[dst+ry*residues*p.plane:], src[from:], count, lo, hi)
				}
				z += p.step[0]
				dst += slice
			}
		}
	}
}

// clearEnds zeroes what vectors that begin in a plane may read behind it, lest
// garbage times zero be NaN in a sum over positions.
func (p *convPlan) clearEnds(planes []float32, images int) {
	end := images * p.rows[0] * p.rows[1] * p.pitch
	for i := range p.depth * p.planes {
		clear(planes[i*p.plane+end:][:p.ops.lanes-1])
	}
}

// inside returns the range of i in [0, count) with 0 <= at+i*step < size.
func inside(at, step, size, count int) (lo, hi int) {
	if at < 0 {
		lo = ceilDiv(-at, step)
	}
	if at < size {
		hi = min(count, (size-1-at)/step+1)
	}
	return min(lo, count), hi
}

// fillRows fills a slice of the planes of count channels, of all residues of a
// position in a row: rows [lo, hi) with rows from src, the others with zeros.
func (p *convPlan) fillRows(f *convFill, dst, src []float32, count, lo, hi int) {
	s, width, size := p.step[2], p.in[2], volume(p.in)
	if len(p.fill) > 0 {
		f.channels, f.top, f.rows, f.bottom = count, lo, hi-lo, p.rows[1]-hi
		f.cols, f.list = len(p.fill), &p.fill[0]
		f.src, f.srcStride, f.srcChannel = unsafe.SliceData(src), 4*p.step[1]*width, 4*size
		f.dst, f.dst1, f.dstStride, f.dstChannel = unsafe.SliceData(dst), 4*p.plane, 4*p.pitch, 4*p.planes*p.plane
		// Rows are too short for the processor to see the stream in time.
		f.ahead = ceilDiv(convAhead, f.srcChannel) * f.srcChannel
		p.ops.fill[s](f.ptr())
		return
	}
	for c := range count {
		for place, r := range p.residues[2] {
			x0 := s*p.low[2] + r
			left, right := inside(x0, s, width, p.pitch)
			plane := dst[(c*p.planes+place)*p.plane:][:p.rows[1]*p.pitch]
			if left >= right {
				clear(plane)
				continue
			}
			clear(plane[:lo*p.pitch])
			for i := lo; i < hi; i++ {
				from := src[c*size+(i-lo)*p.step[1]*width:][:width]
				to := plane[i*p.pitch:][:p.pitch]
				clear(to[:left])
				if s == 1 {
					copy(to[left:right], from[x0+left:])
				} else {
					for j := left; j < right; j++ {
						to[j] = from[x0+j*s]
					}
				}
				clear(to[right:])
			}
			clear(plane[hi*p.pitch:])
		}
	}
}
