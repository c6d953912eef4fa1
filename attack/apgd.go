package attack

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/zoo"
)

// APGD is Auto-PGD (Croce and Hein, 2020, section 3): projected gradient ascent with
// momentum. It begins with long steps. At a few checkpoints it tests whether the loss still
// grows; if not, it halves the step and goes back to the best point. It has no step length
// to tune. It is the right choice for what gradients reach under a ball, alone or with
// [FAB] and [Square] in [AutoAttack].
//
// With option Targets it runs once towards each of the most likely wrong classes; any wrong
// class still counts as a success. It stops at its first success. A gradient is one query,
// so a run takes Iterations+1 queries; with Targets one more query ranks the classes.
//
// In L1 (Croce and Hein, 2021) a step moves only the pixels with the largest gradients. How
// many follows from the number of pixels in which the best point differs from the clean
// image. A run has three parts, with radii of three, two and one times Eps.
//
// The paper leaves two choices. Here the first checkpoint compares the loss after the first
// step with the loss at the start. A step in L2 ends at the nearest point of the ball and
// [0,1] together ([Norm.ProjectBox]), not at the nearest point of the ball with its pixels
// clipped afterwards.
type APGD struct {
	Norm       Norm
	Eps        float64 // radius of the ball; 0 means 0.3 for Linf, 2 for L2, 10 for L1
	Iterations int     // 0 means 100
	Restarts   int     // runs from random points, for each target; 0 means 1
	Targets    int     // wrong classes to aim at, the most likely first; 0 means no targeted runs. A targeted goal has its own target only.
	Rho        float64 // share of steps that must improve the loss (ρ); 0 means 0.75
	// Repeats is the number of calls whose gradients are averaged, for a victim that
	// answers at random; 0 means 1. A white box scales each gradient by a positive factor
	// (zoo.Differentiable), so the average is one of directions.
	Repeats int
	// Loss is minimised; nil means cross-entropy. With Targets, nil means zoo.DLR, or
	// zoo.Margin if there are fewer than four classes.
	Loss zoo.DifferentiableLoss
}

// About describes the attack.
func (a APGD) About() About { return About{"apgd", a.Norm, a.defaults()} }

// defaults leaves a nil Loss with Targets, whose meaning follows from the victim.
func (a APGD) defaults() APGD {
	a.Eps = cmp.Or(a.Eps, radiusOf(a.Norm))
	a.Iterations, a.Restarts, a.Repeats = cmp.Or(a.Iterations, 100), cmp.Or(a.Restarts, 1), cmp.Or(a.Repeats, 1)
	a.Rho = cmp.Or(a.Rho, 0.75)
	if a.Targets == 0 {
		a.Loss = orLoss[zoo.DifferentiableLoss](a.Loss, zoo.CrossEntropy{})
	}
	return a
}

// AttackGradients implements GradientAttack.
func (a APGD) AttackGradients(ctx context.Context, v zoo.Differentiable, t *Try) error {
	a = a.defaults()
	classes := v.Info().Classes
	if a.Loss == nil {
		a.Loss = zoo.DLR{}
		if classes < 4 {
			a.Loss = zoo.Margin{}
		}
	}
	if _, dlr := a.Loss.(zoo.DLR); dlr && classes < 3 {
		return fmt.Errorf("attack: APGD with the DLR loss needs three classes, and victim %q has %d; take another Loss", v.Info().Name, classes)
	}
	goals, err := aims(ctx, v, t, a.Targets)
	if err != nil {
		return err
	}
	r := apgdRun{APGD: a, t: t, b: newWhiteBox(v, t, a.Loss), rand: t.Rand(0)}
	for _, r.b.goal = range goals {
		for range a.Restarts {
			if err := r.restart(ctx); err != nil || t.Success() {
				return err
			}
		}
	}
	return nil
}

// aims are the goals that an attack goes for in turn: that of the try, or towards each of
// so many wrong classes, the most likely first. To know these costs a query.
func aims(ctx context.Context, v zoo.Scorer, t *Try, targets int) ([]zoo.Goal, error) {
	if targets == 0 || t.Goal.Targeted {
		return []zoo.Goal{t.Goal}, nil
	}
	info := v.Info()
	x := t.Clean.Reshape(append([]int{1}, t.Clean.Shape()...)...)
	scores := make([]float64, info.Classes)
	if err := v.Scores(ctx, x, scores); err != nil {
		return nil, err
	}
	order := make([]int, info.Classes)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	var goals []zoo.Goal
	for _, c := range order {
		if c != t.Goal.Label && len(goals) < targets {
			goals = append(goals, zoo.Targeted(t.Goal.Label, c))
		}
	}
	return goals, nil
}

// apgdRun is APGD on a sample.
type apgdRun struct {
	APGD
	t    *Try
	b    *whiteBox
	rand *rand.Rand
}

// A state is a point and what was learned there.
type apgdState struct {
	x    []float32
	g    []float32
	loss float64
}

func (s *apgdState) set(o *apgdState) {
	copy(s.x, o.x)
	copy(s.g, o.g)
	s.loss = o.loss
}

// restart is a run from a random point.
func (r *apgdRun) restart(ctx context.Context) error {
	clean := r.t.Clean.Data()
	x := slices.Clone(clean)
	if r.Norm != L1 {
		r.scatter(x, r.Eps)
		_, err := r.climb(ctx, x, r.Eps, r.Iterations, 0)
		return err
	}
	third := int(math.Ceil(0.3 * float64(r.Iterations)))
	r.scatter(x, 3*r.Eps)
	for i, n := range []int{third, third, r.Iterations - 2*third} {
		eps := float64(3-i) * r.Eps
		L1.ProjectBox(x, clean, eps)
		// What a part begins with tells how many pixels are to move.
		share := float64(distances(x, clean).L0) / float64(len(x)) / sparser
		best, err := r.climb(ctx, x, eps, n, share)
		if err != nil || r.t.Success() {
			return err
		}
		x = best
	}
	return nil
}

// scatter moves x to a random point at the edge of the ball, and clips it.
func (r *apgdRun) scatter(x []float32, eps float64) {
	u := r.Norm.noise(len(x), r.rand)
	f := eps / length(r.Norm, u)
	if r.Norm == L1 {
		f = 1 // cut back to the ball
	}
	for i, v := range u {
		x[i] += float32(f * v)
	}
	r.Norm.Project(x, r.t.Clean.Data(), eps)
}

// sparser is how many times fewer pixels than have moved a step in L1 moves.
const sparser = 1.5

// climb runs from x in a ball of radius eps, and returns the best point. share is that of
// the pixels a step in L1 moves at first.
func (r *apgdRun) climb(ctx context.Context, x []float32, eps float64, iterations int, share float64) (found []float32, err error) {
	now := &apgdState{x: x, g: make([]float32, len(x))}
	if err := r.look(ctx, now); err != nil || r.t.Success() {
		return nil, err
	}
	best := &apgdState{x: slices.Clone(x), g: slices.Clone(now.g), loss: now.loss}
	old := slices.Clone(x)
	s := newSchedule(iterations, r.Rho, 2*eps, now.loss)
	sparse := newSparsity(iterations, eps, share, r.t.Clean.Data(), x)
	next := make([]float32, len(x))
	for i := range iterations {
		if r.Norm == L1 {
			sparse.step(next, now)
			L1.ProjectBox(next, r.t.Clean.Data(), eps)
		} else {
			r.step(next, now, old, s.size, eps, i == 0)
		}
		copy(old, now.x)
		copy(now.x, next)
		if err := r.look(ctx, now); err != nil || r.t.Success() {
			return nil, err
		}
		if now.loss < best.loss {
			best.set(now)
		}
		back := false
		if r.Norm == L1 {
			back = sparse.seen(best.x)
		} else {
			back = s.seen(now.loss, best.loss)
		}
		if back {
			now.set(best)
		}
	}
	return best.x, nil
}

// look asks about a point and offers it, if it lies in the ball.
func (r *apgdRun) look(ctx context.Context, s *apgdState) error {
	inside := r.Norm.Distance(s.x, r.t.Clean.Data()) <= r.Eps
	s.loss = 0
	for i := range r.Repeats {
		loss, label, g, err := r.b.at(ctx, s.x)
		if err != nil {
			return err
		}
		s.loss += loss / float64(r.Repeats)
		if i == 0 {
			copy(s.g, g)
		} else {
			for j, v := range g {
				s.g[j] += v
			}
		}
		// Of several answers the last decides.
		if i == r.Repeats-1 && inside {
			r.t.Offer(s.x, label)
		}
	}
	return nil
}

// step writes the next point: along the gradient to the ball, and of that three quarters
// and a quarter of the step before.
func (r *apgdRun) step(next []float32, now *apgdState, old []float32, size, eps float64, first bool) {
	clean := r.t.Clean.Data()
	f := size
	if r.Norm == L2 {
		f /= norm2(now.g) + 1e-12
	}
	for i, v := range now.g {
		if r.Norm == Linf {
			v = sign(v)
		}
		next[i] = now.x[i] - float32(f*float64(v))
	}
	r.Norm.ProjectBox(next, clean, eps)
	if first {
		return
	}
	const a = 0.75
	for i, z := range next {
		x := now.x[i]
		next[i] = x + float32(a*(z-x)) + float32((1-a)*(x-old[i]))
	}
	r.Norm.ProjectBox(next, clean, eps)
}

// A schedule is the step length of APGD and its checkpoints (Croce and Hein, 2020, section
// 3.1): the first at 0.22 of the iterations, the next 0.19 later; each following gap is
// 0.03 shorter, but at least 0.06.
type schedule struct {
	size float64

	rho                    float64
	period, shorter, least int // of checkpoints
	since                  int // the last one
	improved               int // steps since then that improved the loss
	last                   float64
	bestThen               float64 // at the last checkpoint
	halvedThen             bool
}

func newSchedule(iterations int, rho, size, loss float64) *schedule {
	// A hundredth as an integer: 0.06·100 must not be 5.
	part := func(percent int) int { return max(percent*iterations/100, 1) }
	return &schedule{size: size, rho: rho, period: part(22), shorter: part(3), least: part(6), last: loss, bestThen: loss, halvedThen: true}
}

// seen is told the loss after a step, and the least so far. It reports whether the step is
// now halved, for which the run goes back to the best point.
func (s *schedule) seen(loss, best float64) bool {
	if loss < s.last {
		s.improved++
	}
	s.last = loss
	if s.since++; s.since < s.period {
		return false
	}
	halve := float64(s.improved) <= s.rho*float64(s.period) || !s.halvedThen && best >= s.bestThen
	s.since, s.improved, s.bestThen, s.halvedThen = 0, 0, best, halve
	s.period = max(s.period-s.shorter, s.least)
	if halve {
		s.size /= 2
	}
	return halve
}

// A sparsity is the step length of APGD in L1, and how many pixels a step moves (Croce and
// Hein, 2021).
type sparsity struct {
	clean         []float32
	eps, size     float64
	share         float64 // of the pixels
	moved         float64 // by the best point at the last checkpoint
	period, since int
	sizes         []float64
}

func newSparsity(iterations int, eps, share float64, clean, x []float32) *sparsity {
	return &sparsity{clean: clean, eps: eps, size: eps, share: share, moved: float64(distances(x, clean).L0), period: max(4*iterations/100, 1)}
}

// step writes to next the point now moved in the pixels of the largest gradients by size
// together.
func (s *sparsity) step(next []float32, now *apgdState) {
	n := len(next)
	s.sizes = s.sizes[:0]
	for _, v := range now.g {
		s.sizes = append(s.sizes, math.Abs(float64(v)))
	}
	slices.Sort(s.sizes)
	least := s.sizes[min(max(int((1-s.share)*float64(n)), 0), n-1)]
	count := 0.0
	for _, v := range now.g {
		if v != 0 && math.Abs(float64(v)) >= least {
			count++
		}
	}
	for i, v := range now.g {
		next[i] = now.x[i]
		if v != 0 && math.Abs(float64(v)) >= least {
			next[i] -= float32(s.size / count * float64(sign(v)))
		}
	}
}

// seen counts a step. At a checkpoint it looks how many pixels the best point has moved:
// if these became fewer the step is long again and the run goes back to the best point,
// which it reports; else the step shrinks.
func (s *sparsity) seen(best []float32) bool {
	if s.since++; s.since < s.period {
		return false
	}
	s.since = 0
	moved := float64(distances(best, s.clean).L0)
	fewer := moved < 0.95*s.moved
	s.moved, s.share = moved, moved/float64(len(best))/sparser
	if fewer {
		s.size = s.eps
	} else {
		s.size = max(s.size/1.5, s.eps/10)
	}
	return fewer
}

// Check implements Checker.
func (a APGD) Check(shape []int) error {
	err := ball(a, a.Norm, a.defaults().Eps, shape)
	if a.Rho > 1 {
		err = cmp.Or(err, fmt.Errorf("attack: APGD.Rho is %g; it is a share of the steps", a.Rho))
	}
	return err
}
