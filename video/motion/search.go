package motion

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/mettleml/mettle/internal/kernel"
)

// stripRows is the number of rows of blocks that a worker does in one go. Blocks learn
// from the row above only inside a strip, so that the result does not depend on who does
// which.
const stripRows = 4

type matchTask struct {
	BlockMatch
	dst, prev *Blocks
	cur       []uint8
	ref       [4][]uint8 // the plane itself, and half a pixel to the right, down, both
	half      []uint8    // memory of the last three
	spiral    spiral
	run       func(*search)
}

// A point is where a candidate lies as seen from the block, in pixels: the vector
// with its sign turned.
type point struct{ x, y int }

// A search is the state of the search for one block.
type search struct {
	*matchTask
	row, col, top int // of the block; the first row of the strip
	x, y, w, h    int // of the block in pixels

	lo, hi point // the candidates in range and inside the picture
	weight int64 // cost of a pixel of displacement, in sixteenths of a gray level

	best    point
	sad     int32 // of the best
	cost    int64 // of the best, in sixteenths
	seen    []uint32
	now     uint32 // what seen has for this block
	points  []point
	offsets []int32
	sads    []int32
}

var matchTasks = sync.Pool{New: func() any { return new(matchTask) }}

var searches = map[Search]func(*search){
	Full: (*search).full, ThreeStep: (*search).threeStep, Diamond: (*search).diamond, ARPS: (*search).arps, EPZS: (*search).epzs,
}

// Part searches a strip of blocks.
func (t *matchTask) Part(i int) {
	d, side := t.dst, 2*t.Range+1
	s := search{matchTask: t, top: i * stripRows, seen: make([]uint32, side*side)}
	for s.row = s.top; s.row < min(s.top+stripRows, d.Rows); s.row++ {
		for s.col = range d.Cols {
			s.begin()
			if s.sad > 0 {
				t.run(&s)
			}
			v := Vector{int16(-2 * s.best.x), int16(-2 * s.best.y)}
			if t.HalfPel && s.sad > 0 {
				v = s.refine()
			}
			at := s.row*d.Cols + s.col
			d.Vectors[at], d.SAD[at] = v, s.sad
		}
	}
}

// begin sets the block up and tries the zero vector.
func (s *search) begin() {
	d := s.dst
	s.x, s.y = s.col*d.Block, s.row*d.Block
	s.w, s.h = min(d.Block, d.W-s.x), min(d.Block, d.H-s.y)
	s.lo = point{max(-s.Range, -s.x), max(-s.Range, -s.y)}
	s.hi = point{min(s.Range, d.W-s.w-s.x), min(s.Range, d.H-s.h-s.y)}
	s.weight = int64(s.Bias*16*float64(s.w*s.h)/256 + 0.5)
	s.now++
	s.cost, s.points = math.MaxInt64, s.points[:0]
	s.add(point{})
	s.try()
}

// add makes p a candidate if it is inside and has not been one.
func (s *search) add(p point) {
	if p.x < s.lo.x || p.x > s.hi.x || p.y < s.lo.y || p.y > s.hi.y {
		return
	}
	if at := &s.seen[(p.y+s.Range)*(2*s.Range+1)+p.x+s.Range]; *at != s.now {
		*at = s.now
		s.points = append(s.points, p)
	}
}

// try compares the candidates and reports whether one is better than the best so far.
func (s *search) try() (better bool) {
	n := len(s.points)
	if n == 0 {
		return false
	}
	s.offsets, s.sads = grow(s.offsets, n), grow(s.sads, n)
	for i, p := range s.points {
		s.offsets[i] = int32(p.y*s.dst.W + p.x)
	}
	at := s.y*s.dst.W + s.x
	kernel.SADs(s.sads, s.offsets, s.cur, s.ref[0], at, at, s.dst.W, s.w, s.h)
	for i, p := range s.points {
		if cost := int64(s.sads[i])<<4 + s.weight*int64(abs(p.x)+abs(p.y)); cost < s.cost {
			s.best, s.sad, s.cost, better = p, s.sads[i], cost, true
		}
	}
	s.points = s.points[:0]
	return better
}

// around adds eight points on a square around the best.
func (s *search) around(step int) {
	c := s.best
	for y := -step; y <= step; y += step {
		for x := -step; x <= step; x += step {
			s.add(point{c.x + x, c.y + y})
		}
	}
}

// rood adds the four points this far from c along the axes.
func (s *search) rood(c point, step int) {
	s.add(point{c.x, c.y - step})
	s.add(point{c.x - step, c.y})
	s.add(point{c.x + step, c.y})
	s.add(point{c.x, c.y + step})
}

// descend moves a rood of unit size until its centre is best.
func (s *search) descend() {
	for {
		s.rood(s.best, 1)
		if !s.try() {
			return
		}
	}
}

func (s *search) threeStep() {
	step := 1
	for 2*step-1 < s.Range {
		step *= 2
	}
	for ; step > 0; step /= 2 {
		s.around(step)
		s.try()
	}
}

func (s *search) diamond() {
	for {
		c := s.best
		s.rood(c, 2)
		for _, y := range []int{-1, 1} {
			s.add(point{c.x - 1, c.y + y})
			s.add(point{c.x + 1, c.y + y})
		}
		if !s.try() {
			break
		}
	}
	s.rood(s.best, 1)
	s.try()
}

// block returns the vector found for the block at (row, col), as a candidate, and its
// sum of absolute differences. There is none outside the strip or the picture.
func (s *search) block(row, col int) (p point, sad int32, ok bool) {
	if row < s.top || col < 0 || col >= s.dst.Cols {
		return point{}, 0, false
	}
	at := row*s.dst.Cols + col
	return s.dst.Vectors[at].point(), s.dst.SAD[at], true
}

// point is the nearest candidate of whole pixels.
func (v Vector) point() point { return point{-int(v.X) / 2, -int(v.Y) / 2} }

func (s *search) arps() {
	if int(s.sad) < 2*s.w*s.h {
		return
	}
	left, _, ok := s.block(s.row, s.col-1)
	arm := max(abs(left.x), abs(left.y))
	if !ok {
		arm = 2
	}
	if arm > 0 {
		s.rood(point{}, arm)
		s.add(left)
		s.try()
	}
	s.descend()
}

func (s *search) epzs() {
	left, leftSAD, hasLeft := s.block(s.row, s.col-1)
	up, upSAD, hasUp := s.block(s.row-1, s.col)
	right, rightSAD, hasRight := s.block(s.row-1, s.col+1)
	s.add(point{median(left.x, up.x, right.x), median(left.y, up.y, right.y)})
	s.try()
	if int(s.sad) < s.w*s.h {
		return
	}
	enough := 1 << 30
	for _, n := range []struct {
		p   point
		sad int32
		ok  bool
	}{{left, leftSAD, hasLeft}, {up, upSAD, hasUp}, {right, rightSAD, hasRight}} {
		if n.ok {
			s.add(n.p)
			enough = min(enough, int(n.sad))
		}
	}
	if s.prev != nil {
		at := s.row*s.dst.Cols + s.col
		s.add(s.prev.Vectors[at].point())
		for _, next := range []struct {
			ok bool
			at int
		}{{s.col > 0, at - 1}, {s.col+1 < s.dst.Cols, at + 1}, {s.row > 0, at - s.dst.Cols}, {s.row+1 < s.dst.Rows, at + s.dst.Cols}} {
			if next.ok {
				s.add(s.prev.Vectors[next.at].point())
			}
		}
	}
	s.try()
	if enough < 1<<30 && int(s.sad) < min(enough, 4*s.w*s.h) {
		return
	}
	s.descend()
}

func (s *search) full() {
	sp := &s.spiral
	at := s.y*s.dst.W + s.x
	points, offsets := sp.points, sp.offsets
	if s.lo != (point{-s.Range, -s.Range}) || s.hi != (point{s.Range, s.Range}) {
		s.offsets = s.offsets[:0]
		for i, p := range points {
			if p.x >= s.lo.x && p.x <= s.hi.x && p.y >= s.lo.y && p.y <= s.hi.y {
				s.points, s.offsets = append(s.points, p), append(s.offsets, offsets[i])
			}
		}
		points, offsets = s.points, s.offsets
	}
	s.sads = grow(s.sads, len(points))
	kernel.SADs(s.sads, offsets, s.cur, s.ref[0], at, at, s.dst.W, s.w, s.h)
	for i, sad := range s.sads {
		p := points[i]
		if cost := int64(sad)<<4 + s.weight*int64(abs(p.x)+abs(p.y)); cost < s.cost {
			s.best, s.sad, s.cost = p, sad, cost
		}
	}
	s.points = s.points[:0]
}

// A spiral is every displacement in range, the nearest first, so that among equal costs
// the nearest wins.
type spiral struct {
	radius, stride int
	points         []point
	offsets        []int32
}

func (s *spiral) fill(radius, stride int) {
	if s.radius == radius && s.stride == stride {
		return
	}
	*s = spiral{radius, stride, s.points[:0], s.offsets[:0]}
	for y := -radius; y <= radius; y++ {
		for x := -radius; x <= radius; x++ {
			if x != 0 || y != 0 {
				s.points = append(s.points, point{x, y})
			}
		}
	}
	slices.SortStableFunc(s.points, func(a, b point) int { return cmp.Compare(a.x*a.x+a.y*a.y, b.x*b.x+b.y*b.y) })
	for _, p := range s.points {
		s.offsets = append(s.offsets, int32(p.y*stride+p.x))
	}
}

// refine tries the eight half pixels around the best and returns the vector.
func (s *search) refine() Vector {
	// In half pixels.
	c := point{2 * s.best.x, 2 * s.best.y}
	best := c
	at := s.y*s.dst.W + s.x
	for i, plane := range s.ref[1:] {
		s.points, s.offsets = s.points[:0], s.offsets[:0]
		for _, d := range halves[i] {
			x, y := c.x+d.x, c.y+d.y
			if x < 2*s.lo.x || x > 2*s.hi.x || y < 2*s.lo.y || y > 2*s.hi.y {
				continue
			}
			s.points = append(s.points, point{x, y})
			s.offsets = append(s.offsets, int32((y>>1)*s.dst.W+x>>1))
		}
		s.sads = grow(s.sads, len(s.points))
		kernel.SADs(s.sads, s.offsets, s.cur, plane, at, at, s.dst.W, s.w, s.h)
		for i, p := range s.points {
			if cost := int64(s.sads[i])<<4 + s.weight*int64(abs(p.x)+abs(p.y))/2; cost < s.cost {
				best, s.sad, s.cost = p, s.sads[i], cost
			}
		}
	}
	return Vector{int16(-best.x), int16(-best.y)}
}

// halves are the half pixels around a whole one: to the side, above and below, and
// between.
var halves = [3][]point{
	{{-1, 0}, {1, 0}},
	{{0, -1}, {0, 1}},
	{{-1, -1}, {1, -1}, {-1, 1}, {1, 1}},
}

func median(a, b, c int) int { return max(min(a, b), min(max(a, b), c)) }

func abs(x int) int { return max(x, -x) }
