package attack

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/zoo"
)

// labeled asks a labeler about single images and reports to a Try.
type labeled struct {
	v zoo.Labeler
	t *Try
}

// hit asks whether the victim's answer for x achieves the goal, and offers x.
func (l *labeled) hit(ctx context.Context, x []float32) (bool, error) {
	return l.t.AskLabel(ctx, l.v, x)
}

// bisect moves the adversarial image far towards near, along the line between
// them, until the gap is within tol of their distance, and leaves the last
// image that achieved the goal in far.
func (l *labeled) bisect(ctx context.Context, near, far []float32, tol float64) error {
	lo, hi := 0.0, 1.0
	mid := make([]float32, len(far))
	from := append([]float32(nil), far...)
	for hi-lo > tol {
		a := (lo + hi) / 2
		blend(mid, near, from, a)
		ok, err := l.hit(ctx, mid)
		if err != nil {
			return err
		}
		if ok {
			hi = a
			copy(far, mid)
		} else {
			lo = a
		}
	}
	return nil
}

// blend writes (1-a)·near + a·far.
func blend(dst, near, far []float32, a float64) {
	for i, v := range near {
		dst[i] = clip01(float64(v) + a*(float64(far[i])-float64(v)))
	}
}

// begin finds an image that achieves the goal: that of the Try if it does, else noise.
// Untargeted that is uniform noise, and if the victim sees the sample's own class in all
// of a hundred, darker and paler noise.
func (l *labeled) begin(ctx context.Context, r *rand.Rand, tries int) ([]float32, error) {
	x := make([]float32, l.t.Clean.Len())
	if s := l.t.Start; s != nil {
		copy(x, s.Data())
		ok, err := l.hit(ctx, x)
		if err != nil || ok {
			return x, err
		}
	}
	const plain = 100
	low, span := float32(0), float32(1)
	for k := range tries {
		if k >= plain {
			span = r.Float32()
			low = (1 - span) * r.Float32()
		}
		for i := range x {
			x[i] = low + span*r.Float32()
		}
		ok, err := l.hit(ctx, x)
		if err != nil || ok {
			return x, err
		}
	}
	return nil, nil
}

// Boundary is the decision-based attack of Brendel et al. (2018): a random walk along the
// decision boundary towards the clean image. It is the baseline of attacks on labels;
// HopSkipJump needs fewer queries for the same distance. It takes one query per step, and
// one more every ten steps.
type Boundary struct {
	Steps  int     // at most; 0 means 25,000
	Sphere float64 // first length of the step along the sphere, relative to the distance; 0 means 0.01
	Source float64 // first length of the step towards the clean image; 0 means 0.01
	Adapt  float64 // factor by which the two adapt; 0 means 1.5
}

// About describes the attack.
func (a Boundary) About() About { return About{"boundary", L2, a.defaults()} }

func (a Boundary) defaults() Boundary {
	a.Steps, a.Sphere, a.Source = cmp.Or(a.Steps, 25000), cmp.Or(a.Sphere, 0.01), cmp.Or(a.Source, 0.01)
	a.Adapt = cmp.Or(a.Adapt, 1.5)
	return a
}

// AttackLabels implements LabelAttack.
func (a Boundary) AttackLabels(ctx context.Context, v zoo.Labeler, t *Try) error {
	a = a.defaults()
	r := t.Rand(0)
	l := &labeled{v, t}
	clean := t.Clean.Data()
	x, err := l.begin(ctx, r, 1000)
	if err != nil || x == nil {
		return err
	}
	if err := l.bisect(ctx, clean, x, 1e-3); err != nil {
		return err
	}
	p := newPace(a)
	side := make([]float32, len(x))
	next := make([]float32, len(x))
	for i := range a.Steps {
		dist := L2.Distance(x, clean)
		if dist == 0 {
			t.Converged()
			return nil
		}
		along(side, x, clean, p.sphere, dist, r)
		if i%10 == 0 {
			ok, err := l.hit(ctx, side)
			if err != nil {
				return err
			}
			p.onSphere.add(ok)
		}
		towards(next, side, clean, p.source, dist)
		ok, err := l.hit(ctx, next)
		if err != nil {
			return err
		}
		p.onStep.add(ok)
		if ok && L2.Distance(next, clean) < dist {
			x, next = next, x
		}
		p.adjust()
		if p.source < 1e-7 {
			t.Converged()
			return nil
		}
	}
	return nil
}

// A pace is the lengths of Boundary's two steps, relative to the distance, and what they
// adapt to: whether steps along the sphere, and whole steps, reached the goal.
type pace struct {
	sphere, source, factor float64
	onSphere, onStep       window
}

func newPace(a Boundary) *pace {
	return &pace{a.Sphere, a.Source, a.Adapt, window{size: 100}, window{size: 30}}
}

// adjust lengthens the steps where they succeed often and shortens them where they
// seldom do.
func (p *pace) adjust() {
	if rate, full := p.onSphere.rate(); full && rate > 0.5 {
		p.sphere, p.source = p.sphere*p.factor, p.source*p.factor
		p.onSphere.reset()
	} else if full && rate < 0.2 {
		p.sphere, p.source = p.sphere/p.factor, p.source/p.factor
		p.onSphere.reset()
	}
	if rate, full := p.onStep.rate(); full && rate > 0.25 {
		p.source *= p.factor
		p.onStep.reset()
	} else if full && rate < 0.1 {
		p.source /= p.factor
		p.onStep.reset()
	}
}

// along writes a step of relative length delta on the sphere round clean through x.
func along(dst, x, clean []float32, delta, dist float64, r *rand.Rand) {
	d := len(x)
	eta := make([]float64, d)
	var dot float64
	for i := range eta {
		eta[i] = r.NormFloat64()
		dot += eta[i] * (float64(x[i]) - float64(clean[i]))
	}
	dot /= dist * dist
	var sum float64
	for i := range eta {
		eta[i] -= dot * (float64(x[i]) - float64(clean[i]))
		sum += eta[i] * eta[i]
	}
	f := delta * dist / math.Sqrt(sum)
	shrink := 1 / math.Sqrt(1+delta*delta)
	for i := range eta {
		dst[i] = clip01(float64(clean[i]) + shrink*(float64(x[i])-float64(clean[i])+f*eta[i]))
	}
}

// towards writes a step from x to clean that brings the distance to
// (1-eps)·dist, or shortens it by that much if x is no longer at dist.
func towards(dst, x, clean []float32, eps, dist float64) {
	now := L2.Distance(x, clean)
	length := max(now-(1-eps)*dist, 0) // the correction to the sphere is part of the step
	f := 1 - length/max(now, 1e-30)
	for i, c := range clean {
		dst[i] = clip01(float64(c) + f*(float64(x[i])-float64(c)))
	}
}

// A window counts successes among the last size.
type window struct {
	size int
	last []bool
}

func (w *window) add(ok bool) {
	if len(w.last) == w.size {
		w.last = append(w.last[:0], w.last[1:]...)
	}
	w.last = append(w.last, ok)
}

// rate is the share of successes once the window is full.
func (w *window) rate() (float64, bool) {
	if len(w.last) < w.size {
		return 0, false
	}
	hits := 0
	for _, ok := range w.last {
		if ok {
			hits++
		}
	}
	return float64(hits) / float64(w.size), true
}

func (w *window) reset() { w.last = w.last[:0] }
