package kernel

import "fmt"

// A SADSearch compares one block of a frame with candidate blocks of a
// reference frame of the same size, H rows of W, by the sum of absolute
// differences. The block has its top left corner at (X, Y) and the size
// BlockW x BlockH; a candidate is displaced by a vector (dx, dy).
type SADSearch struct {
	W, H           int
	X, Y           int
	BlockW, BlockH int
}

// Inside reports whether the candidate displaced by (dx, dy) lies on the
// reference.
func (s *SADSearch) Inside(dx, dy int) bool {
	x, y := s.X+dx, s.Y+dy
	return x >= 0 && y >= 0 && x+s.BlockW <= s.W && y+s.BlockH <= s.H
}

func (s *SADSearch) check(op string, cur, ref, dx, dy int) {
	need(op, "the frame", cur, s.W*s.H)
	need(op, "the reference", ref, s.W*s.H)
	if s.BlockW < 1 || s.BlockH < 1 || !s.Inside(0, 0) || !s.Inside(dx, dy) {
		panic(fmt.Sprintf("kernel: %s: a block of %dx%d at (%d, %d), displaced by (%d, %d), is not inside %dx%d", op, s.BlockW, s.BlockH, s.X, s.Y, dx, dy, s.W, s.H))
	}
}

// Bytes returns the sum of absolute differences for one candidate on planes of
// bytes.
func (s *SADSearch) Bytes(cur, ref []uint8, dx, dy int) int {
	s.check("SADSearch.Bytes", len(cur), len(ref), dx, dy)
	return Active().nnet.sadBytes(cur[s.Y*s.W+s.X:], s.W, ref[(s.Y+dy)*s.W+s.X+dx:], s.W, s.BlockW, s.BlockH)
}

// Floats is Bytes on planes of float32.
func (s *SADSearch) Floats(cur, ref []float32, dx, dy int) float32 {
	s.check("SADSearch.Floats", len(cur), len(ref), dx, dy)
	return Active().nnet.sadFloats(cur[s.Y*s.W+s.X:], s.W, ref[(s.Y+dy)*s.W+s.X+dx:], s.W, s.BlockW, s.BlockH)
}

// FullBytes writes to sad the sums for all displacements with |dx| and |dy| at
// most radius, row by row from the top left, 2·radius+1 each way; -1 where the
// candidate leaves the reference.
func (s *SADSearch) FullBytes(sad []int, cur, ref []uint8, radius int) {
	s.check("SADSearch.FullBytes", len(cur), len(ref), 0, 0)
	side := 2*radius + 1
	need("SADSearch.FullBytes", "sad", len(sad), side*side)
	f := Active().nnet.sadBytes
	for i := range sad {
		dx, dy := i%side-radius, i/side-radius
		sad[i] = -1
		if s.Inside(dx, dy) {
			sad[i] = f(cur[s.Y*s.W+s.X:], s.W, ref[(s.Y+dy)*s.W+s.X+dx:], s.W, s.BlockW, s.BlockH)
		}
	}
}

// FullFloats is FullBytes on planes of float32.
func (s *SADSearch) FullFloats(sad []float32, cur, ref []float32, radius int) {
	s.check("SADSearch.FullFloats", len(cur), len(ref), 0, 0)
	side := 2*radius + 1
	need("SADSearch.FullFloats", "sad", len(sad), side*side)
	f := Active().nnet.sadFloats
	for i := range sad {
		dx, dy := i%side-radius, i/side-radius
		sad[i] = -1
		if s.Inside(dx, dy) {
			sad[i] = f(cur[s.Y*s.W+s.X:], s.W, ref[(s.Y+dy)*s.W+s.X+dx:], s.W, s.BlockW, s.BlockH)
		}
	}
}

// sadBytesGeneric sums |a - b| over h rows of w; rows are as and bs apart.
func sadBytesGeneric(a []uint8, as int, b []uint8, bs, w, h int) int {
	sum := 0
	for y := range h {
		b := b[y*bs:][:w]
		for x, v := range a[y*as:][:w] {
			d := int(v) - int(b[x])
			sum += max(d, -d)
		}
	}
	return sum
}

// sadFloatsGeneric is sadBytesGeneric for float32.
func sadFloatsGeneric(a []float32, as int, b []float32, bs, w, h int) float32 {
	var sum float32
	for y := range h {
		b := b[y*bs:][:w]
		for x, v := range a[y*as:][:w] {
			d := v - b[x]
			if d < 0 {
				d = -d
			}
			sum += d
		}
	}
	return sum
}
