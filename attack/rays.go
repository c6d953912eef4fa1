package attack

import (
	"cmp"
	"context"
	"math"

	"github.com/mettleml/mettle/zoo"
)

// RayS is the Ray Searching attack of Chen and Gu (2020): it searches a vector of signs
// with the least Linf distance to the boundary along it, by flipping blocks that halve in
// size. One query rejects a flip that does not help; a bisection measures one that does. It
// is the right choice for a small Linf distance from a victim that answers with labels, and
// has nothing to tune.
//
// The authors' code begins with signs of +1 as well, but its first query is about all of
// them flipped. This one asks about the signs of +1 first. Both count every check and every
// step of a bisection as one query.
//
// It takes no start image. Its first rays end at corners of [0,1]^d, which seldom have a
// given class: use it untargeted.
type RayS struct {
	Eps       float64 // stop at this Linf distance; 0 means go on until the budget ends
	Tolerance float64 // of the bisection, in Linf; 0 means 1e-3/sqrt(d), which is an L2 length of 1e-3
}

// About describes the attack.
func (a RayS) About() About { return About{"rays", Linf, a} }

// AttackLabels implements LabelAttack.
func (a RayS) AttackLabels(ctx context.Context, v zoo.Labeler, t *Try) error {
	l := &labeled{v, t}
	clean := t.Clean.Data()
	d := len(clean)
	tolerance := cmp.Or(a.Tolerance, 1e-3/math.Sqrt(float64(d)))
	signs := make([]float32, d)
	for i := range signs {
		signs[i] = 1
	}
	probe := make([]float32, d)
	at := func(r float64) (bool, error) {
		for i, c := range clean {
			probe[i] = clip01(float64(c) + r*float64(signs[i]))
		}
		return l.hit(ctx, probe)
	}
	radius := math.Inf(1)
	// improve measures the present signs, if they reach the goal nearer than radius.
	improve := func() (bool, error) {
		hi := min(radius, 1) // beyond 1 every pixel is at a bound
		ok, err := at(hi)
		if err != nil || !ok {
			return false, err
		}
		lo := 0.0
		for hi-lo > tolerance {
			mid := (lo + hi) / 2
			ok, err := at(mid)
			if err != nil {
				return false, err
			}
			if ok {
				hi = mid
			} else {
				lo = mid
			}
		}
		better := hi < radius
		radius = hi
		return better, nil
	}
	if _, err := improve(); err != nil {
		return err
	}
	for level := 0; ; level++ {
		if 1<<level >= 2*d { // every single sign has been tried
			level = 0
		}
		size := (d + (1 << level) - 1) >> level
		for lo := 0; lo < d; lo += size {
			if a.Eps > 0 && radius <= a.Eps {
				return nil
			}
			hi := min(lo+size, d)
			flip(signs[lo:hi])
			better, err := improve()
			if err != nil {
				return err
			}
			if !better {
				flip(signs[lo:hi])
			}
		}
	}
}
