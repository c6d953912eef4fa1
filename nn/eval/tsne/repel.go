package tsne

import (
	"sync"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
)

// exact sums the repulsive forces over all pairs. Each pair is computed once, in rows: point i
// with all after it. Rows are dealt to a fixed number of shares, each with sums of its own,
// which are added in order, so that the result does not depend on the workers.
type exact struct {
	y      [2][]float32
	shares [shareCount]share
}

const shareCount = 8

type share struct {
	f            [2][]float32
	z            float64
	dx, dy, q, w []float32
}

// repel writes Σ_j q_ij² (y_i - y_j) with q_ij = 1/(1 + |y_i - y_j|²) to f, and returns Σ_i≠j
// q_ij.
func (e *exact) repel(f, y [2][]float32) float64 {
	e.y = y
	n := len(y[0])
	parallel.Run(shareCount, e)
	z := 0.0
	for k := range f {
		clear(f[k])
		for s := range e.shares {
			kernel.Add(f[k], f[k], e.shares[s].f[k][:n])
		}
	}
	for s := range e.shares {
		z += e.shares[s].z
	}
	return 2 * z
}

// Part computes the rows of a share.
func (e *exact) Part(part int) {
	s := &e.shares[part]
	xs, ys := e.y[0], e.y[1]
	n := len(xs)
	if len(s.dx) != n {
		for _, v := range []*[]float32{&s.f[0], &s.f[1], &s.dx, &s.dy, &s.q, &s.w} {
			*v = make([]float32, n)
		}
	}
	clear(s.f[0])
	clear(s.f[1])
	s.z = 0
	for i := part; i < n-1; i += shareCount {
		m := n - 1 - i
		dx, dy, q, w := s.dx[:m], s.dy[:m], s.q[:m], s.w[:m]
		z, fx, fy := repulsion(dx, dy, q, w, xs[i+1:], ys[i+1:], xs[i], ys[i])
		s.z += z
		s.f[0][i] += fx
		s.f[1][i] += fy
		kernel.AddMul(s.f[0][i+1:], w, dx)
		kernel.AddMul(s.f[1][i+1:], w, dy)
	}
}

// repulsion computes the forces of points (xs, ys) on (x, y): it returns Σ q and minus Σ q²·dx
// and Σ q²·dy with d the differences from (x, y), and leaves dx, dy, q and w = q².
func repulsion(dx, dy, q, w, xs, ys []float32, x, y float32) (z float64, fx, fy float32) {
	kernel.AddScalar(dx, xs, -x)
	kernel.AddScalar(dy, ys, -y)
	kernel.Square(q, dx)
	kernel.AddMul(q, dy, dy)
	kernel.AddScalar(q, q, 1)
	kernel.Reciprocal(q, q)
	kernel.Square(w, q)
	return kernel.Sum(q), float32(-kernel.Dot(w, dx)), float32(-kernel.Dot(w, dy))
}

// A tree sums the repulsive forces by a quadtree (Barnes and Hut, 1986; van der Maaten, 2014).
// The points of a leaf share one list of what acts on them, cells that are far and small
// enough and points that are near, and the sum over the list is the same plain loop over
// memory as in exact sums.
type tree struct {
	order  []int32  // points by their place on a Z-shaped curve
	codes  []uint32 // of the points in that order
	sorted [2][]float32
	spare  []uint64
	keys   []uint64
	cells  []cell
	leaves []int32

	theta float32
	f     [2][]float32
	z     []float64
}

// leafSize is the largest number of points that a leaf holds, unless they are so near to each
// other that they have the same code.
const leafSize = 12

// leavesPerPart is how many leaves a part of the sum has.
const leavesPerPart = 8

// A cell is a square, or rather what it holds: points lo to hi-1 of the order.
type cell struct {
	lo, hi   int32
	first    int32   // its children are the cells from first on; 0 for a leaf
	children int32   // how many
	x, y     float32 // centre of gravity
	side     float32 // of the box round its points, the longer one
	x0, x1   float32 // that box
	y0, y1   float32
	points   float32 // hi - lo
}

// repel is exact.repel with cells taken for points.
func (t *tree) repel(f, y [2][]float32, theta float64) float64 {
	t.build(y)
	t.theta, t.f = float32(theta), f
	parts := (len(t.leaves) + leavesPerPart - 1) / leavesPerPart
	t.z = append(t.z[:0], make([]float64, parts)...)
	parallel.Run(parts, t)
	z := 0.0
	for _, v := range t.z {
		z += v
	}
	return z
}

// lists is scratch memory of a part.
type lists struct {
	x, y, weight, dx, dy, q, w []float32
	stack                      []int32
}

var pool = sync.Pool{New: func() any { return new(lists) }}

// Part computes the forces on the points of some leaves.
func (t *tree) Part(part int) {
	l := pool.Get().(*lists)
	defer pool.Put(l)
	for _, leaf := range t.leaves[part*leavesPerPart : min((part+1)*leavesPerPart, len(t.leaves))] {
		c := &t.cells[leaf]
		t.gather(l, c)
		n := len(l.x)
		for _, v := range []*[]float32{&l.dx, &l.dy, &l.q, &l.w} {
			if cap(*v) < n {
				*v = make([]float32, 2*n)
			}
			*v = (*v)[:n]
		}
		for i := c.lo; i < c.hi; i++ {
			repulsion(l.dx, l.dy, l.q, l.w, l.x, l.y, t.sorted[0][i], t.sorted[1][i])
			// Points on themselves have q = 1 and no force.
			t.z[part] += kernel.Dot(l.q, l.weight) - 1
			kernel.Mul(l.w, l.w, l.weight)
			at := t.order[i]
			t.f[0][at] = float32(-kernel.Dot(l.w, l.dx))
			t.f[1][at] = float32(-kernel.Dot(l.w, l.dy))
		}
	}
}

// gather lists what acts on the points of a leaf.
func (t *tree) gather(l *lists, leaf *cell) {
	l.x, l.y, l.weight = l.x[:0], l.y[:0], l.weight[:0]
	l.stack = append(l.stack[:0], 0)
	for len(l.stack) > 0 {
		c := &t.cells[l.stack[len(l.stack)-1]]
		l.stack = l.stack[:len(l.stack)-1]
		// The distance from the centre of gravity to the nearest place of the leaf's box.
		dx := max(leaf.x0-c.x, c.x-leaf.x1, 0)
		dy := max(leaf.y0-c.y, c.y-leaf.y1, 0)
		switch {
		case float32(c.side*c.side) < float32(t.theta*t.theta)*(float32(dx*dx)+float32(dy*dy)):
			l.x, l.y, l.weight = append(l.x, c.x), append(l.y, c.y), append(l.weight, c.points)
		case c.first == 0:
			l.x, l.y = append(l.x, t.sorted[0][c.lo:c.hi]...), append(l.y, t.sorted[1][c.lo:c.hi]...)
			for range c.hi - c.lo {
				l.weight = append(l.weight, 1)
			}
		default:
			for k := range c.children {
				l.stack = append(l.stack, c.first+k)
			}
		}
	}
}

// build makes the tree of points y.
func (t *tree) build(y [2][]float32) {
	n := len(y[0])
	if len(t.order) != n {
		t.order, t.codes = make([]int32, n), make([]uint32, n)
		t.sorted = [2][]float32{make([]float32, n), make([]float32, n)}
		t.keys, t.spare = make([]uint64, n), make([]uint64, n)
	}
	x0, y0 := kernel.MinOf(y[0]), kernel.MinOf(y[1])
	span := max(kernel.MaxOf(y[0])-x0, kernel.MaxOf(y[1])-y0)
	scale := float32(0)
	if span > 0 {
		scale = 65535 / span
	}
	for i := range n {
		t.keys[i] = uint64(spread(uint32((y[0][i]-x0)*scale))|spread(uint32((y[1][i]-y0)*scale))<<1)<<32 | uint64(i)
	}
	t.sort()
	for k, key := range t.keys {
		i := int32(uint32(key))
		t.order[k], t.codes[k] = i, uint32(key>>32)
		t.sorted[0][k], t.sorted[1][k] = y[0][i], y[1][i]
	}
	t.cells, t.leaves = append(t.cells[:0], cell{hi: int32(n)}), t.leaves[:0]
	t.fill(0, 30)
}

// spread puts a zero before each of the 16 low bits of v.
func spread(v uint32) uint32 {
	v &= 0xffff
	v = (v | v<<8) & 0x00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f
	v = (v | v<<2) & 0x33333333
	return (v | v<<1) & 0x55555555
}

// sort sorts keys by their upper half, stably, a byte at a time.
func (t *tree) sort() {
	for shift := 32; shift < 64; shift += 8 {
		var count [257]int
		for _, k := range t.keys {
			count[k>>shift&255+1]++
		}
		for b := range 256 {
			count[b+1] += count[b]
		}
		for _, k := range t.keys {
			b := k >> shift & 255
			t.spare[count[b]] = k
			count[b]++
		}
		t.keys, t.spare = t.spare, t.keys
	}
}

// fill completes cell at, whose points differ in the two bits of their codes from shift on, if
// at all, and in lower ones.
func (t *tree) fill(at int32, shift int) {
	c := t.cells[at]
	if c.hi-c.lo <= leafSize || shift < 0 {
		t.leaves = append(t.leaves, at)
		xs, ys := t.sorted[0][c.lo:c.hi], t.sorted[1][c.lo:c.hi]
		c.x0, c.x1, c.y0, c.y1 = xs[0], xs[0], ys[0], ys[0]
		var sx, sy float64
		for i, x := range xs {
			y := ys[i]
			sx, sy = sx+float64(x), sy+float64(y)
			c.x0, c.x1, c.y0, c.y1 = min(c.x0, x), max(c.x1, x), min(c.y0, y), max(c.y1, y)
		}
		c.points = float32(len(xs))
		c.x, c.y = float32(sx/float64(len(xs))), float32(sy/float64(len(xs)))
		c.side = max(c.x1-c.x0, c.y1-c.y0)
		t.cells[at] = c
		return
	}
	c.first = int32(len(t.cells))
	for lo := c.lo; lo < c.hi; {
		hi := lo + 1
		for quarter := t.codes[lo] >> shift & 3; hi < c.hi && t.codes[hi]>>shift&3 == quarter; hi++ {
		}
		t.cells = append(t.cells, cell{lo: lo, hi: hi})
		lo = hi
		c.children++
	}
	var sx, sy float64
	for k := range c.children {
		t.fill(c.first+k, shift-2)
		d := &t.cells[c.first+k]
		sx, sy = sx+float64(d.x)*float64(d.points), sy+float64(d.y)*float64(d.points)
		c.points += d.points
		if k == 0 {
			c.x0, c.x1, c.y0, c.y1 = d.x0, d.x1, d.y0, d.y1
		}
		c.x0, c.x1, c.y0, c.y1 = min(c.x0, d.x0), max(c.x1, d.x1), min(c.y0, d.y0), max(c.y1, d.y1)
	}
	c.x, c.y = float32(sx/float64(c.points)), float32(sy/float64(c.points))
	c.side = max(c.x1-c.x0, c.y1-c.y0)
	t.cells[at] = c
}
