package video

import (
	"bytes"
	"slices"
)

// weighted is a colour and how often it occurs.
type weighted struct {
	c [3]byte
	n int
}

// medianCut returns at most n colours that stand for those that occur: all of them if
// they are no more, and else the means of the boxes that remain when the box with the
// largest spread, weighted by its pixels, is halved again and again at the median of
// its longest side.
func medianCut(counts map[[3]byte]int, n int) [][3]byte {
	all := make([]weighted, 0, len(counts))
	for c, k := range counts {
		all = append(all, weighted{c, k})
	}
	slices.SortFunc(all, func(a, b weighted) int { return bytes.Compare(a.c[:], b.c[:]) })
	if len(all) <= n {
		colors := make([][3]byte, len(all))
		for i, w := range all {
			colors[i] = w.c
		}
		return colors
	}
	boxes := []box{newBox(all)}
	for len(boxes) < n {
		i := 0
		for k, b := range boxes {
			if b.score > boxes[i].score {
				i = k
			}
		}
		a, b := boxes[i].split()
		boxes[i] = a
		boxes = append(boxes, b)
	}
	colors := make([][3]byte, n)
	for i, b := range boxes {
		colors[i] = b.mean()
	}
	return colors
}

// box is a set of colours.
type box struct {
	colors []weighted
	pixels int
	axis   int // the longest side
	score  int // its length times the pixels, 0 if there is one colour
}

func newBox(colors []weighted) box {
	b := box{colors: colors}
	lo, hi := colors[0].c, colors[0].c
	for _, w := range colors {
		b.pixels += w.n
		for k, v := range w.c {
			lo[k], hi[k] = min(lo[k], v), max(hi[k], v)
		}
	}
	for k := range 3 {
		if length := int(hi[k]-lo[k]) * b.pixels; length > b.score {
			b.axis, b.score = k, length
		}
	}
	return b
}

// split halves a box of two colours or more.
func (b box) split() (box, box) {
	slices.SortStableFunc(b.colors, func(x, y weighted) int { return int(x.c[b.axis]) - int(y.c[b.axis]) })
	i, pixels := 0, 0
	for i < len(b.colors)-1 && (i == 0 || 2*pixels < b.pixels) {
		pixels += b.colors[i].n
		i++
	}
	return newBox(b.colors[:i]), newBox(b.colors[i:])
}

// mean returns the mean colour of the pixels.
func (b box) mean() (c [3]byte) {
	for k := range c {
		sum := 0
		for _, w := range b.colors {
			sum += int(w.c[k]) * w.n
		}
		c[k] = byte((2*sum + b.pixels) / (2 * b.pixels))
	}
	return c
}
