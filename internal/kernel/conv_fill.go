package kernel

import "unsafe"

// fillPlanes copies channels [c0, c0+count) of group g of the source to planes,
// for the block that begins at the given image, slice and row of the grid.
func (p *convPlan) fillPlanes(f *convFill, planes, x []float32, g, c0, count int, start [3]int) {
	images := min(p.block[0], p.n-start[0])
	size := volume(p.in)
	slice := p.rows[1] * p.pitch
	residues := len(p.residues[2])
	// In the order of x in memory. Rows are too short for the processor to see the
	// stream in time.
	f.ahead = ceilDiv(convAhead, 4*size) * 4 * size
	for n := range images {
		for c := range count {
			src := x[((start[0]+n)*p.groups*p.c+g*p.c+c0+c)*size:][:size]
			for rz, resZ := range p.residues[0] {
				z := p.step[0]*(start[1]+p.low[0]) + resZ
				dst := (c*p.planes+rz*len(p.residues[1])*residues)*p.plane + n*p.rows[0]*slice
				for range p.rows[0] {
					exists := z >= 0 && z < p.in[0]
					for ry, resY := range p.residues[1] {
						// The rows that exist are [lo, hi) of p.rows[1].
						y := p.step[1]*(start[2]+p.low[1]) + resY
						lo, hi := inside(y, p.step[1], p.in[1], p.rows[1])
						to := planes[dst+ry*residues*p.plane:]
						if !exists || lo >= hi {
							p.clearRows(to, p.rows[1], residues)
							continue
						}
						p.clearRows(to, lo, residues)
						p.clearRows(to[hi*p.pitch:], p.rows[1]-hi, residues)
						p.fillRows(f, to[lo*p.pitch:], src[(z*p.in[1]+y+lo*p.step[1])*p.in[2]:], hi-lo)
					}
					z += p.step[0]
					dst += slice
				}
			}
		}
	}
	end := images * p.rows[0] * slice
	for i := range count * p.planes {
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

// clearRows zeroes rows of the planes of all residues of a position in a row.
func (p *convPlan) clearRows(dst []float32, rows, residues int) {
	for r := range residues {
		if rows > 0 {
			clear(dst[r*p.plane:][:rows*p.pitch])
		}
	}
}

// fillRows copies rows, the first of which begins at src, to the planes of all
// residues of a position in a row.
func (p *convPlan) fillRows(f *convFill, dst, src []float32, rows int) {
	s, width := p.step[2], p.in[2]
	if len(p.fill) > 0 {
		f.rows, f.cols, f.list = rows, len(p.fill), &p.fill[0]
		f.src, f.srcStride = unsafe.SliceData(src), 4*p.step[1]*width
		f.dst, f.dst1, f.dstStride = unsafe.SliceData(dst), 4*p.plane, 4*p.pitch
		p.ops.fill[s](f.ptr())
		return
	}
	for i := range rows {
		from := src[i*p.step[1]*width:][:width]
		for place, r := range p.residues[2] {
			x0 := s*p.low[2] + r
			lo, hi := inside(x0, s, width, p.pitch)
			if lo >= hi {
				lo, hi = 0, 0
			}
			to := dst[place*p.plane+i*p.pitch:][:p.pitch]
			clear(to[:lo])
			if s == 1 {
				copy(to[lo:hi], from[x0+lo:])
			} else {
				for j := lo; j < hi; j++ {
					to[j] = from[x0+j*s]
				}
			}
			clear(to[hi:])
		}
	}
}
