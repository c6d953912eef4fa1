package attack

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/zoo"
)

// ray measures the distance from the clean image to the victim's boundary along
// a direction, one label a query. It is what the optimisation-based attacks on
// labels minimise.
type ray struct {
	*labeled
	clean []float32
	probe []float32
}

// at asks about the image at distance lambda along the unit direction theta.
func (r *ray) at(ctx context.Context, theta []float64, lambda float64) (bool, error) {
	for i, c := range r.clean {
		r.probe[i] = clip01(float64(c) + lambda*theta[i])
	}
	return r.hit(ctx, r.probe)
}

// bisect narrows the bracket, of which hi achieves the goal, to tol.
func (r *ray) bisect(ctx context.Context, theta []float64, lo, hi, tol float64) (float64, error) {
	for hi-lo > tol {
		mid := (lo + hi) / 2
		if mid == lo || mid == hi {
			break
		}
		ok, err := r.at(ctx, theta, mid)
		if err != nil {
			return hi, err
		}
		if ok {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, nil
}

// near finds the distance along theta when it is about guess: the bracket grows
// or shrinks by 1 % at a time. It is +Inf if the goal is not reached within
// 20 times the guess.
func (r *ray) near(ctx context.Context, theta []float64, guess, tol float64) (float64, error) {
	ok, err := r.at(ctx, theta, guess)
	if err != nil {
		return 0, err
	}
	if ok {
		return r.below(ctx, theta, guess, tol)
	}
	lo := guess
	for hi := guess * 1.01; ; hi *= 1.01 {
		ok, err := r.at(ctx, theta, hi)
		if err != nil {
			return 0, err
		}
		if ok {
			return r.bisect(ctx, theta, lo, hi, tol)
		}
		lo = hi
		if hi > 20*guess {
			return math.Inf(1), nil
		}
	}
}

// below finds the distance along theta when it is less than hi, which achieves the
// goal, but not by much.
func (r *ray) below(ctx context.Context, theta []float64, hi, tol float64) (float64, error) {
	for lo := hi * 0.99; ; lo *= 0.99 {
		ok, err := r.at(ctx, theta, lo)
		if err != nil {
			return 0, err
		}
		if !ok || lo < 1e-9 {
			return r.bisect(ctx, theta, lo, hi, tol)
		}
		hi = lo
	}
}

// begin finds the best of tries random directions, or of five times as many
// more if none reaches the goal. The result is nil if none does.
func (r *ray) begin(ctx context.Context, rnd *rand.Rand, tries int) ([]float64, float64, error) {
	var best []float64
	dist := math.Inf(1)
	consider := func(theta []float64) error {
		length := normalise(theta)
		reach := min(dist, length)
		ok, err := r.at(ctx, theta, reach)
		if err != nil || !ok {
			return err
		}
		d, err := r.bisect(ctx, theta, 0, reach, 1e-5)
		if d < dist {
			best, dist = append(best[:0], theta...), d
		}
		return err
	}
	theta := make([]float64, len(r.clean))
	if s := r.t.Start; s != nil {
		for i, v := range s.Data() {
			theta[i] = float64(v) - float64(r.clean[i])
		}
		if err := consider(theta); err != nil {
			return nil, 0, err
		}
	}
	for i := 0; i < tries || best == nil && i < 6*tries; i++ {
		for j := range theta {
			theta[j] = rnd.NormFloat64()
		}
		if err := consider(theta); err != nil {
			return nil, 0, err
		}
	}
	return best, dist, nil
}

// normalise gives v unit length and returns the length it had.
func normalise(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	length := math.Sqrt(sum)
	if length > 0 {
		for i := range v {
			v[i] /= length
		}
	}
	return length
}

// moved writes the unit direction of theta + f·u.
func moved(dst, theta []float64, f float64, u []float64) {
	for i, v := range theta {
		dst[i] = v + f*u[i]
	}
	normalise(dst)
}

func newRay(v zoo.Labeler, t *Try) *ray {
	return &ray{&labeled{v, t}, t.Clean.Data(), make([]float32, t.Clean.Len())}
}

// Opt is the attack of Cheng et al. (2019): it minimises the distance to the boundary over
// directions, by random gradient-free estimates. Each value of that function takes a
// search. It is a baseline, in the thesis too; SignOpt and HopSkipJump need fewer queries.
type Opt struct {
	Iterations int     // 0 means 1500
	Directions int     // per estimate; 0 means 10
	Smoothing  float64 // first β; 0 means 1e-3
	LR         float64 // first step; 0 means 0.2
	Tries      int     // random first directions; 0 means 100
}

// About describes the attack.
func (a Opt) About() About { return About{"opt", L2, a.defaults()} }

func (a Opt) defaults() Opt {
	a.Iterations, a.Directions, a.Smoothing = cmp.Or(a.Iterations, 1500), cmp.Or(a.Directions, 10), cmp.Or(a.Smoothing, 1e-3)
	a.LR, a.Tries = cmp.Or(a.LR, 0.2), cmp.Or(a.Tries, 100)
	return a
}

// AttackLabels implements LabelAttack.
func (a Opt) AttackLabels(ctx context.Context, v zoo.Labeler, t *Try) error {
	a = a.defaults()
	rnd := t.Rand(0)
	r := newRay(v, t)
	theta, dist, err := r.begin(ctx, rnd, a.Tries)
	if err != nil || theta == nil {
		return err
	}
	beta, alpha, q := a.Smoothing, a.LR, a.Directions
	u, g := make([]float64, len(theta)), make([]float64, len(theta))
	next, probed, stepped := make([]float64, len(theta)), make([]float64, len(theta)), make([]float64, len(theta))
	for range a.Iterations {
		clear(g)
		probeDist := math.Inf(1)
		for range q {
			for i := range u {
				u[i] = rnd.NormFloat64()
			}
			normalise(u)
			moved(next, theta, beta, u)
			d, err := r.near(ctx, next, dist, beta/500)
			if err != nil {
				return err
			}
			if d < probeDist {
				probeDist = d
				copy(probed, next)
			}
			if math.IsInf(d, 1) {
				continue
			}
			for i, v := range u {
				g[i] += (d - dist) / beta * v / float64(q)
			}
		}
		found := dist
		search := func(f float64) (bool, error) {
			moved(next, theta, -f, g)
			d, err := r.near(ctx, next, found, beta/500)
			if err != nil || d >= found {
				return false, err
			}
			found = d
			copy(stepped, next)
			return true, nil
		}
		if alpha, err = lineSearch(alpha, search); err != nil {
			return err
		}
		switch {
		case found < dist && found <= probeDist:
			dist = found
			copy(theta, stepped)
		case probeDist < dist: // the best of the probes beats the step along the estimate
			dist = probeDist
			copy(theta, probed)
		}
		if alpha, beta = refine(alpha, beta); beta < finest {
			t.Converged()
			return nil
		}
	}
	return nil
}

// lineSearch doubles the step up to 15 times while search finds each better than the
// last; if the first is no better than standing, it shrinks the step up to 15 times
// until one is. It returns the step to begin with next time.
func lineSearch(alpha float64, search func(step float64) (bool, error)) (float64, error) {
	ok, err := search(alpha)
	if err != nil {
		return alpha, err
	}
	if ok {
		for range 15 {
			alpha *= 2
			if ok, err = search(alpha); err != nil || !ok {
				break
			}
		}
		return alpha, err
	}
	for range 15 {
		alpha /= 4
		if ok, err = search(alpha); err != nil || ok {
			break
		}
	}
	return alpha, err
}

// finest is the smoothing below which Opt and SignOpt end.
const finest = 1e-8

// refine begins again with a step of 1 and a tenth of the smoothing once no more than
// a tiny step helps.
func refine(alpha, smoothing float64) (float64, float64) {
	if alpha < 1e-4 {
		return 1, smoothing / 10
	}
	return alpha, smoothing
}

// SignOpt is the attack of Cheng et al. (2020): it works as Opt does, but estimates from
// the sign of each change of distance, which takes one query instead of a search. It is the
// right choice for a small L2 from a victim with labels as a check on HopSkipJump, and with
// a large budget.
type SignOpt struct {
	Iterations int     // 0 means 1000
	Directions int     // per estimate (K); 0 means 200
	Smoothing  float64 // h; 0 means 1e-3
	LR         float64 // first step; 0 means 0.2
	Tries      int     // random first directions; 0 means 100
}

// About describes the attack.
func (a SignOpt) About() About { return About{"sign-opt", L2, a.defaults()} }

func (a SignOpt) defaults() SignOpt {
	a.Iterations, a.Directions, a.Smoothing = cmp.Or(a.Iterations, 1000), cmp.Or(a.Directions, 200), cmp.Or(a.Smoothing, 1e-3)
	a.LR, a.Tries = cmp.Or(a.LR, 0.2), cmp.Or(a.Tries, 100)
	return a
}

// AttackLabels implements LabelAttack.
func (a SignOpt) AttackLabels(ctx context.Context, v zoo.Labeler, t *Try) error {
	a = a.defaults()
	rnd := t.Rand(0)
	r := newRay(v, t)
	theta, dist, err := r.begin(ctx, rnd, a.Tries)
	if err != nil || theta == nil {
		return err
	}
	h, alpha, k := a.Smoothing, a.LR, a.Directions
	u, g := make([]float64, len(theta)), make([]float64, len(theta))
	next, kept := make([]float64, len(theta)), make([]float64, len(theta))
	for range a.Iterations {
		clear(g)
		for range k {
			for i := range u {
				u[i] = rnd.NormFloat64()
			}
			normalise(u)
			moved(next, theta, h, u)
			closer, err := r.at(ctx, next, dist)
			if err != nil {
				return err
			}
			s := 1 / float64(k)
			if closer {
				s = -s
			}
			for i, v := range u {
				g[i] += s * v
			}
		}
		found := dist
		search := func(f float64) (bool, error) {
			moved(next, theta, -f, g)
			// One query tells whether the direction is better at all.
			ok, err := r.at(ctx, next, found)
			if err != nil || !ok {
				return false, err
			}
			d, err := r.below(ctx, next, found, h/500)
			if err != nil || d >= found {
				return false, err
			}
			found = d
			copy(kept, next)
			return true, nil
		}
		if alpha, err = lineSearch(alpha, search); err != nil {
			return err
		}
		if found < dist {
			dist = found
			copy(theta, kept)
		}
		if alpha, h = refine(alpha, h); h < finest {
			t.Converged()
			return nil
		}
	}
	return nil
}
