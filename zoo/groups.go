package zoo

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// Measuring along groups of coordinates: the gradients of neighbouring pixels are alike, so
// what a network predicts for a few of them needs one query and not one each.

// cut sorts the chosen coordinates along a Z-order curve, on which neighbours of a plane
// stay close, and makes so many runs of them, as equally long as can be.
func (m *Meta) cut(shape []int, runs int) [][]int {
	n := len(m.chosen)
	runs = min(runs, n)
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	slices.SortFunc(m.chosen, func(a, b int) int {
		za, zb := zOrder(a/w%h, a%w), zOrder(b/w%h, b%w)
		return cmp.Or(cmp.Compare(za, zb), cmp.Compare(a, b))
	})
	m.groups = m.groups[:0]
	for i := range runs {
		m.groups = append(m.groups, m.chosen[i*n/runs:(i+1)*n/runs])
	}
	return m.groups
}

// zOrder interleaves the bits of a row and a column.
func zOrder(y, x int) (z uint64) {
	for b := range 32 {
		z |= uint64(x>>b&1)<<(2*b) | uint64(y>>b&1)<<(2*b+1)
	}
	return z
}

// measureGroups asks for a difference along the prediction on each group of the chosen
// coordinates, against the predicted gradient, and writes what follows for each chosen
// coordinate to m.wide: that difference times the coordinate's share in the direction.
func (m *Meta) measureGroups(ctx context.Context, o *Objective, p Point) error {
	step := Differences{Step: m.Step}.step()
	groups := m.cut(o.Info().Shape, cmp.Or(m.Groups, len(m.chosen)))
	var here []float64 // the scores at p
	asked := 0
	if m.nearest(o) {
		here = make([]float64, o.Info().Classes)
		if len(o.scores) > 0 && slices.Equal(o.Image(0), p.X) {
			copy(here, o.Scores(0))
		} else {
			asked = 1
		}
	}
	n := len(p.X)
	batch := o.Batch(asked + len(groups))
	copy(batch[:asked*n], p.X)
	moved := make([]float64, len(groups)) // along the unit direction
	for k, group := range groups {
		x := batch[(asked+k)*n:][:n]
		if moved[k] = m.displace(o, x, p.X, group, -step); moved[k] == 0 { // all at a bound
			moved[k] = m.displace(o, x, p.X, group, step)
		}
		if moved[k] == 0 {
			return fmt.Errorf("zoo: a step of %g is 0 in float32: take a larger one", step)
		}
	}
	loss := make([]float64, asked+len(groups))
	if _, err := o.Losses(ctx, len(loss), loss); err != nil {
		return err
	}
	slopes := make([]float64, len(groups))
	if m.nearest(o) {
		if asked == 1 {
			copy(here, o.Scores(0))
		}
		nearestSlopes(slopes, o, here, asked, moved)
	} else {
		for k, d := range moved {
			slopes[k] = (loss[k] - p.Loss) / d
		}
	}
	i := 0
	for k, group := range groups {
		length := m.length(group)
		for _, c := range group { // in the order of m.chosen
			m.wide[i] = slopes[k] * m.direction(c, length, len(group), p.X)
			i++
		}
	}
	return nil
}

// displace writes to x what becomes of p on a way of that length along the prediction on a
// group. It returns how far that is: pixels stay within [0,1].
func (m *Meta) displace(o *Objective, x, p []float32, group []int, step float64) (moved float64) {
	copy(x, p)
	length := m.length(group)
	for _, c := range group {
		u := m.direction(c, length, len(group), p)
		v := float64(p[c]) + step*u
		if o.Space == nil {
			v = min(max(v, 0), 1)
		}
		x[c] = float32(v)
		moved += u * (float64(x[c]) - float64(p[c]))
	}
	return moved
}

// length is that of the prediction on a group.
func (m *Meta) length(group []int) float64 {
	var sum float64
	for _, c := range group {
		sum += float64(m.map32[c]) * float64(m.map32[c])
	}
	return math.Sqrt(sum)
}

// direction is the entry for coordinate c of the unit vector along the prediction of that
// length on a group of n. If nothing is predicted there, it leads inwards.
func (m *Meta) direction(c int, length float64, n int, x []float32) float64 {
	if length > 0 {
		return float64(m.map32[c]) / length
	}
	return math.Copysign(1/math.Sqrt(float64(n)), float64(x[c])-0.5)
}

// nearest reports whether the estimator chooses the class to go to.
func (m *Meta) nearest(o *Objective) bool { return m.Nearest && !o.Goal.Targeted }

// nearestSlopes writes the slopes of the margin over the nearest other class: the one with
// the least margin over the length of the margin's slopes, as if scores were linear
// (DeepFool; Moosavi-Dezfooli et al., CVPR 2016).
func nearestSlopes(slopes []float64, o *Objective, here []float64, first int, moved []float64) {
	y, kind := o.Goal.Label, o.Info().Scores
	least := math.Inf(1)
	candidate := make([]float64, len(slopes))
	margin := func(scores []float64, c int) float64 { return logScore(scores[y], kind) - logScore(scores[c], kind) }
	for c := range here {
		if c == y {
			continue
		}
		var sum float64
		for k, d := range moved {
			candidate[k] = (margin(o.Scores(first+k), c) - margin(here, c)) / d
			sum += candidate[k] * candidate[k]
		}
		if away := margin(here, c) / math.Sqrt(sum); away < least {
			least = away
			copy(slopes, candidate)
		}
	}
}

// checkGroups reports what does not go together.
func (m *Meta) checkGroups(o *Objective) error {
	switch {
	case m.Central:
		return fmt.Errorf("zoo: a Meta with Groups or Nearest takes no central differences")
	case m.nearest(o) && !o.Keep:
		return fmt.Errorf("zoo: a Meta with Nearest needs an objective with Keep")
	}
	return nil
}
