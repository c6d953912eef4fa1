package zoo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Measuring along groups of coordinates: the gradients of neighbouring pixels are alike, so
// what a network predicts for a few of them needs one query and not one each.

// grouped reports whether measurements are those of this file.
func (m *Meta) grouped() bool { return m.Groups > 0 || m.Nearest }

// nearest reports whether the estimator chooses the class to go to.
func (m *Meta) nearest(o *Objective) bool { return m.Nearest && !o.Goal.Targeted }

// checkGroups reports what does not go together.
func (m *Meta) checkGroups(o *Objective) error {
	switch {
	case m.grouped() && m.Central:
		return errors.New("zoo: a Meta with Groups or Nearest takes no central differences")
	case m.nearest(o) && !o.Keep:
		return errors.New("zoo: a Meta with Nearest needs an objective with Keep")
	}
	return nil
}

// cut sorts the chosen coordinates along a Z-order curve, on which neighbours of a plane
// stay close, and makes so many runs of them, as equally long as can be.
func (m *Meta) cut(shape []int, runs int) [][]int {
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	slices.SortFunc(m.chosen, func(a, b int) int {
		za, zb := zOrder(a/w%h, a%w), zOrder(b/w%h, b%w)
		return cmp.Or(cmp.Compare(za, zb), cmp.Compare(a, b))
	})
	n := len(m.chosen)
	groups := make([][]int, min(runs, n))
	for i := range groups {
		groups[i] = m.chosen[i*n/len(groups) : (i+1)*n/len(groups)]
	}
	return groups
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
// coordinate to m.wide: the slope times the coordinate's share in the direction.
func (m *Meta) measureGroups(ctx context.Context, o *Objective, p Point) error {
	step := Differences{Step: m.Step}.step()
	var here []float64 // the scores at p
	if m.nearest(o) {
		if len(o.scores) == 0 || !slices.Equal(o.Image(0), p.X) {
			if _, _, err := o.At(ctx, p.X); err != nil {
				return err
			}
		}
		here = slices.Clone(o.Scores(0))
	}
	groups := m.cut(o.Info().Shape, cmp.Or(m.Groups, len(m.chosen)))
	n := len(p.X)
	batch := o.Batch(len(groups))
	moved := make([]float64, len(groups)) // along the unit direction
	loss := make([]float64, len(groups))
	left := m.wide
	for k, group := range groups {
		u := left[:len(group)]
		left = left[len(group):]
		m.direction(u, group, p.X)
		x := batch[k*n:][:n]
		if moved[k] = displace(o, x, p.X, group, u, -step); moved[k] == 0 { // all at a bound
			moved[k] = displace(o, x, p.X, group, u, step)
		}
		if moved[k] == 0 {
			return fmt.Errorf("zoo: a step of %g is 0 in float32: take a larger one", step)
		}
	}
	if _, err := o.Losses(ctx, len(groups), loss); err != nil {
		return err
	}
	slopes := make([]float64, len(groups))
	if here != nil {
		nearestSlopes(slopes, o, here, moved)
	} else {
		for k, d := range moved {
			slopes[k] = (loss[k] - p.Loss) / d
		}
	}
	left = m.wide
	for k, group := range groups {
		for i := range group {
			left[i] *= slopes[k]
		}
		left = left[len(group):]
	}
	return nil
}

// direction writes to u the unit vector along the prediction on a group. If nothing is
// predicted there, it leads inwards against u.
func (m *Meta) direction(u []float64, group []int, x []float32) {
	var sum float64
	for i, c := range group {
		u[i] = float64(m.map32[c])
		sum += u[i] * u[i]
	}
	length := math.Sqrt(sum)
	for i, c := range group {
		if length > 0 {
			u[i] /= length
		} else {
			u[i] = math.Copysign(1/math.Sqrt(float64(len(group))), float64(x[c])-0.5)
		}
	}
}

// displace writes to x what becomes of p on a way of that length along u on a group. It
// returns how far that is: pixels stay within [0,1].
func displace(o *Objective, x, p []float32, group []int, u []float64, step float64) (moved float64) {
	copy(x, p)
	for i, c := range group {
		v := float64(p[c]) + step*u[i]
		if o.Space == nil {
			v = min(max(v, 0), 1)
		}
		x[c] = float32(v)
		moved += u[i] * (float64(x[c]) - float64(p[c]))
	}
	return moved
}

// nearestSlopes writes the slopes of the margin over the nearest other class: the one with
// the least margin over the length of the margin's slopes, as if scores were linear
// (DeepFool; Moosavi-Dezfooli et al., CVPR 2016). The objective's last batch are the probes.
func nearestSlopes(slopes []float64, o *Objective, here []float64, moved []float64) {
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
			candidate[k] = (margin(o.Scores(k), c) - margin(here, c)) / d
			sum += candidate[k] * candidate[k]
		}
		if away := margin(here, c) / math.Sqrt(sum); away < least {
			least = away
			copy(slopes, candidate)
		}
	}
}
