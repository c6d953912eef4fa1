package attack

import (
	"cmp"
	"math"
	"slices"
)

// ProjectBox moves x, in place, to the point nearest to it, in L2, that lies in the ball of
// radius eps round center and in [0,1]. For Linf this equals Project; for L2 it differs
// where pixels are clipped. center must lie in [0,1]. The distance, computed in float64, is
// at most eps.
//
// For L1 see Croce and Hein (2021, proposition 2.1).
func (n Norm) ProjectBox(x, center []float32, eps float64) {
	if n == Linf {
		n.Project(x, center, eps)
		return
	}
	u, room := make([]float64, len(x)), make([]float64, len(x)) // how far to go, and how far one may
	var most float64
	for i, c := range center {
		d := float64(x[i]) - float64(c)
		u[i], room[i] = math.Abs(d), way(c, d)
		m := min(u[i], room[i])
		if n == L2 {
			m *= m
		}
		most += m
	}
	limit := eps
	if n == L2 {
		limit *= eps
	}
	var keep func(i int) float64 // how far pixel i goes
	switch {
	case most <= limit:
		keep = func(i int) float64 { return min(u[i], room[i]) }
	case n == L2:
		f := stretch(u, room, limit)
		keep = func(i int) float64 { return min(f*u[i], room[i]) }
	default:
		cut := threshold(u, room, limit)
		keep = func(i int) float64 { return min(max(u[i]-cut, 0), room[i]) }
	}
	for i, c := range center {
		d := keep(i)
		if x[i] < c {
			d = -d
		}
		x[i] = clip01(float64(c) + d)
	}
	n.shorten(x, center, eps) // what rounding added
}

// way is how far a pixel can be moved in the direction of d.
func way(c float32, d float64) float64 {
	if d < 0 {
		return float64(c)
	}
	return 1 - float64(c)
}

// stretch is the factor f for which the squares of min(f·u, room) add up to limit, which
// they exceed at f = 1. The sum grows with f, and pieces of it end at a bound: with the
// pixels that are at their bounds taken as such, f is never too large, and a round that
// finds no other at its bound ends.
func stretch(u, room []float64, limit float64) float64 {
	f := 0.0
	for {
		left, free := limit, 0.0
		for i, v := range u {
			if f*v >= room[i] {
				left -= room[i] * room[i]
			} else {
				free += v * v
			}
		}
		if free == 0 || left <= 0 {
			return f
		}
		if next := math.Sqrt(left / free); next > f*(1+1e-15) {
			f = next
		} else {
			return f
		}
	}
}

// threshold is the cut for which min(max(u-cut, 0), room) add up to limit, which they
// exceed at a cut of 0. Bisection finds the piece, and the piece is straight.
func threshold(u, room []float64, limit float64) float64 {
	lo, hi := 0.0, slices.Max(u)
	for range 40 {
		mid := (lo + hi) / 2
		var sum float64
		for i, v := range u {
			sum += min(max(v-mid, 0), room[i])
		}
		if sum > limit {
			lo = mid
		} else {
			hi = mid
		}
	}
	mid := (lo + hi) / 2
	var fixed, free float64
	n := 0.0
	for i, v := range u {
		switch v -= mid; {
		case v >= room[i]:
			fixed += room[i]
		case v > 0:
			free += u[i]
			n++
		}
	}
	if n == 0 {
		return mid
	}
	return min(max((fixed+free-limit)/n, lo), hi)
}

// toPlane writes to d the least displacement of x, in the norm, to the hyperplane w·(x+d) =
// w·x + gap within [0,1], or the one nearest to it if none reaches it (Croce and Hein,
// 2020, FAB, section 2.2).
func (n Norm) toPlane(d []float64, x, w []float32, gap float64) {
	s := sign(gap)
	gap = math.Abs(gap)
	room := d // overwritten pixel by pixel
	for i, v := range w {
		room[i] = way(x[i], s*float64(v))
		if v == 0 {
			room[i] = 0
		}
	}
	if n == L1 {
		steepest(d, w, gap)
	} else {
		t := n.reach(room, w, gap)
		for i, v := range w {
			if v != 0 { // else room is 0, and t may be infinite
				d[i] = min(t*n.pace(float64(v)), room[i])
			}
		}
	}
	for i, v := range w {
		if s*float64(v) < 0 {
			d[i] = -d[i]
		}
	}
}

// pace is how fast a pixel of gradient w moves.
func (n Norm) pace(w float64) float64 {
	if n == Linf {
		return math.Abs(sign(w))
	}
	return math.Abs(w)
}

// reach is the t for which |w|·min(t·pace, room) add up to gap, or infinity if they cannot.
// It grows as in stretch.
func (n Norm) reach(room []float64, w []float32, gap float64) float64 {
	t := 0.0
	for {
		left, slope := gap, 0.0
		for i, v := range w {
			a := math.Abs(float64(v))
			if p := n.pace(a); t*p >= room[i] {
				left -= a * room[i]
			} else {
				slope += a * p
			}
		}
		if slope == 0 {
			return math.Inf(1)
		}
		if next := left / slope; next > t*(1+1e-15) {
			t = next
		} else {
			return t
		}
	}
}

// steepest keeps of the rooms in d those of the largest gradients, the last in part, that
// together bridge the gap.
func steepest(d []float64, w []float32, gap float64) {
	order := make([]int, len(d))
	for i := range order {
		order[i] = i
	}
	size := func(i int) float64 { return math.Abs(float64(w[i])) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size(b), size(a)) })
	for _, i := range order {
		if size(i) > 0 {
			d[i] = min(d[i], gap/size(i))
			gap = max(gap-d[i]*size(i), 0)
		}
	}
}
