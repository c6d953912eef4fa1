package attack

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// FAB is the Fast Adaptive Boundary attack (Croce and Hein, 2020): it steps to the point
// where a linear victim would change its answer, with a pull towards the clean sample. From
// each success it steps part of the way back to the clean sample. It is the right choice
// for a small distance that gradients reach quickly. It also works in Linf and L1, unlike
// [CarliniWagner].
//
// Without option Targets each iteration takes one gradient, and so one query, per other
// class. With Targets (FAB-T) it runs once towards each of the most likely wrong classes,
// with one gradient per iteration; one more query ranks the classes. Each run begins with
// the gradients of one more iteration. A success costs those of another, at the point that
// it steps back to.
//
// With option Eps only a success within that radius counts, and it ends the attack. Without
// it the attack goes on to the least distance. The victim's answer at a new point comes
// with the gradient there and costs no extra query.
type FAB struct {
	Norm       Norm
	Eps        float64 // radius of the ball; 0 means no ball: the least distance is sought
	Iterations int     // of a run; 0 means 100
	Restarts   int     // runs per target, all but the first from random points; 0 means 1
	Targets    int     // wrong classes to aim at, the most likely first; 0 means all at once. A targeted goal has its own target only.
	AlphaMax   float64 // greatest pull towards the clean sample; 0 means 0.1
	Eta        float64 // overshoot (η); 0 means 1.05
	Beta       float64 // after a success, the fraction of the distance to the clean sample that is kept (β); 0 means 0.9
}

// About describes the attack.
func (a FAB) About() About { return About{"fab", a.Norm, a.defaults()} }

func (a FAB) defaults() FAB {
	a.Iterations, a.Restarts = cmp.Or(a.Iterations, 100), cmp.Or(a.Restarts, 1)
	a.AlphaMax, a.Eta, a.Beta = cmp.Or(a.AlphaMax, 0.1), cmp.Or(a.Eta, 1.05), cmp.Or(a.Beta, 0.9)
	return a
}

// AttackGradients implements GradientAttack.
func (a FAB) AttackGradients(ctx context.Context, v zoo.Differentiable, t *Try) error {
	a = a.defaults()
	goals, err := aims(ctx, v, t, a.Targets)
	if err != nil {
		return err
	}
	for stream, goal := range goals {
		r := newFABRun(a, v, t, goal)
		for restart := range a.Restarts {
			if err := r.run(ctx, restart > 0, uint64(stream*a.Restarts+restart)); err != nil || a.Eps > 0 && t.Success() {
				return err
			}
		}
	}
	return nil
}

// fabRun is FAB on a sample, towards the borders to some classes.
type fabRun struct {
	FAB
	v       zoo.Differentiable
	t       *Try
	borders []zoo.Goal     // towards whose target a border lies
	x, g    *tensor.Tensor // a copy of the point for each border, and the gradients there
	scores  []float64
	kind    zoo.ScoreKind
	nearest float64
	d1, d2  []float64
}

func newFABRun(a FAB, v zoo.Differentiable, t *Try, goal zoo.Goal) *fabRun {
	info := v.Info()
	r := &fabRun{FAB: a, v: v, t: t, borders: []zoo.Goal{goal}, kind: info.Scores, nearest: math.Inf(1)}
	if !goal.Targeted {
		r.borders = r.borders[:0]
		for c := range info.Classes {
			if c != goal.Label {
				r.borders = append(r.borders, zoo.Targeted(goal.Label, c))
			}
		}
	}
	shape := append([]int{len(r.borders)}, info.Shape...)
	r.x, r.g = tensor.New(shape...), tensor.New(shape...)
	r.scores = make([]float64, len(r.borders)*info.Classes)
	r.d1, r.d2 = make([]float64, info.Size()), make([]float64, info.Size())
	return r
}

// border is the loss whose zero is the border between the true class and a target, and
// whose gradient a white box does not scale.
type border struct{ zoo.Margin }

// Name implements zoo.Loss.
func (border) Name() string { return "border" }

// Value implements zoo.Loss.
func (b border) Value(scores []float64, kind zoo.ScoreKind, g zoo.Goal) float64 {
	pair := [2]float64{scores[g.Label], scores[g.Target]}
	return b.Margin.Value(pair[:], kind, zoo.Targeted(0, 1))
}

// Gradient implements zoo.DifferentiableLoss.
func (border) Gradient(dst, _ []float64, g zoo.Goal) {
	clear(dst)
	dst[g.Label], dst[g.Target] = 1, -1
}

// look asks for the gradients at x, in calls that the victim takes, and returns its answer.
func (r *fabRun) look(ctx context.Context, x []float32) (label int, err error) {
	n, most := len(r.borders), len(r.borders)
	for i := range n {
		copy(r.x.Index(i).Data(), x)
	}
	info := r.v.Info()
	if info.Batch > 0 {
		most = info.Batch
	}
	for lo := 0; lo < n; lo += most {
		hi := min(lo+most, n)
		if err := r.v.Gradients(ctx, r.x.Slice(lo, hi), border{}, r.borders[lo:hi], r.scores[lo*info.Classes:hi*info.Classes], r.g.Slice(lo, hi)); err != nil {
			return 0, err
		}
	}
	return zoo.Top(r.scores[:info.Classes]), nil
}

// run is a run of all iterations.
func (r *fabRun) run(ctx context.Context, random bool, stream uint64) error {
	clean := r.t.Clean.Data()
	x := slices.Clone(clean)
	if random {
		r.scatter(x, stream)
	}
	if _, err := r.look(ctx, x); err != nil {
		return err
	}
	for i := range r.Iterations {
		r.step(x)
		label, err := r.look(ctx, x)
		if err != nil {
			return err
		}
		if !r.t.Goal.Achieved(label) {
			continue // the gradients of the next step are known
		}
		d := r.Norm.Distance(x, clean)
		r.nearest = min(r.nearest, d)
		if r.Eps == 0 || d <= r.Eps {
			r.t.Offer(x, label)
		}
		if r.Eps > 0 && d <= r.Eps || i == r.Iterations-1 {
			return nil
		}
		for j, c := range clean {
			x[j] = c + float32(r.Beta*(float64(x[j])-float64(c)))
		}
		if _, err = r.look(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// scatter moves x to a random point halfway to the edge of a ball: that of Eps, or a usual
// one, or that of the nearest success.
func (r *fabRun) scatter(x []float32, stream uint64) {
	u := r.Norm.noise(len(x), r.t.Rand(stream))
	f := min(r.nearest, cmp.Or(r.Eps, radiusOf(r.Norm))) / length(r.Norm, u) / 2
	for i, v := range u {
		x[i] = clip01(float64(x[i]) + f*v)
	}
}

// step moves x over the nearest border, as far as the gradients tell.
func (r *fabRun) step(x []float32) {
	clean := r.t.Clean.Data()
	k := r.v.Info().Classes
	nearest, at, margin := math.Inf(1), 0, 0.0
	dual := r.Norm.dual()
	for i, g := range r.borders {
		m := border{}.Value(r.scores[i*k:(i+1)*k], r.kind, g)
		if d := math.Abs(m) / (length(dual, r.g.Index(i).Data()) + 1e-12); d < nearest {
			nearest, at, margin = d, i, m
		}
	}
	w := r.g.Index(at).Data()
	// The border is where margin + w·(z-x) is 0.
	r.Norm.toPlane(r.d1, x, w, -margin)
	gap := -margin
	for i, v := range w {
		gap += float64(v) * (float64(x[i]) - float64(clean[i]))
	}
	r.Norm.toPlane(r.d2, clean, w, gap)
	a1, a2 := max(length(r.Norm, r.d1), 1e-8), max(length(r.Norm, r.d2), 1e-8)
	alpha := min(a1/(a1+a2), r.AlphaMax)
	for i, c := range clean {
		x[i] = clip01((float64(x[i])+r.Eta*r.d1[i])*(1-alpha) + (float64(c)+r.Eta*r.d2[i])*alpha)
	}
}

// Check implements Checker.
func (a FAB) Check(shape []int) error {
	return errors.Join(sane(a), inBall(a, a.Norm, a.Eps, shape))
}
