package video

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/internal/parallel"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// MotionExcited is the Motion-Excited Sampler attack (Zhang et al., ECCV 2020; thesis
// chapter 3) on a clip [T, C, H, W]: signed steps within an Linf ball along a guess of the
// gradient. Two probes improve the guess at each step; they explore noise that follows the
// clip's motion. With another Noise it is one of the sampler's rivals: multi-noise,
// one-noise, handcrafted maps, GEO-TRAP.
//
// The zero value has the settings of the released code, with three exceptions. It asks
// about the iterate before it probes, so a success does not cost two more probes
// (Accounting). Probes are clipped to [0,1], the range of victims. A clip at rest is
// explored by one-noise (Sparked.Least).
//
// The scale of the loss matters: the guess grows in proportion to it, and a guess much
// longer than the noise learns nothing more. PriorLR is for losses between 0 and 1; losses
// on logits need a smaller one, or a Limit.
type MotionExcited struct {
	Noise   Noise    // nil means Sparked{}
	L2      bool     // stay in an L2 ball of the whole clip, and step along the guess itself; not in the paper
	Eps     float64  // radius of the ball (κ); 0 means 0.03, with L2 5
	LR      float64  // step of the clip (h); 0 means 0.025, with L2 0.5
	PriorLR float64  // η; 0 means 0.1
	Probe   float64  // L2 length of a probe's displacement in each frame (ε); 0 means 0.1
	Explore float64  // δ; 0 means 0.1
	Tile    int      `json:",omitempty"` // side of the guess; 0 means the clip's
	Decay   float64  `json:",omitempty"` // share of the guess that each step forgets; 0 means none
	Limit   float64  `json:",omitempty"` // largest length of the guess, as a multiple of the noise's; 0 means no limit
	Loss    zoo.Loss // nil means SecondProbability{}, or cross-entropy if targeted, as in GEO-TRAP

	// Starts is the number of randomly striped clips at the edge of the Linf ball, like
	// Square's first point, that the attack asks about first; it goes on from the best. 0
	// means to begin at the clean clip. It is ours.
	Starts int `json:",omitempty"`

	Accounting Accounting // "" means EarlyCheck

	// Shrink is V-BAD's form of a targeted attack: it begins at a clip of the target class
	// (attack.Sample.Start) and moves towards the clean one in a ball that shrinks from
	// radius 1 to Eps. By default a targeted attack begins at the clean clip.
	Shrink bool `json:",omitempty"`
}

// An Accounting says when an iteration of [MotionExcited] asks about its clip. It does not
// change the clips.
type Accounting string

const (
	// EarlyCheck asks about the clip first, and probes only if the clip is no success: k
	// steps and a success cost 3k + 1 queries.
	EarlyCheck Accounting = "early-check"
	// Charged3 asks about both probes and the clip in one call, as the released code
	// counts: k steps and a success cost 3k + 3 queries.
	Charged3 Accounting = "charged-3"
)

// names of the attack by its noise.
func (a MotionExcited) name() string {
	s, ok := a.Noise.(Sparked)
	if !ok {
		return a.Noise.Name()
	}
	if n := s.Map.Name(); n != "motion" {
		return n
	}
	return "motion-excited"
}

// About describes the attack. Its name is motion-excited, u-sample, s-value or the noise's.
func (a MotionExcited) About() attack.About {
	a = a.defaults()
	return attack.About{Name: a.name(), Norm: a.norm(), Options: a}
}

func (a MotionExcited) norm() attack.Norm {
	if a.L2 {
		return attack.L2
	}
	return attack.Linf
}

// defaults leaves a nil Loss, whose meaning follows from the goal.
func (a MotionExcited) defaults() MotionExcited {
	a.Noise = noiseDefaults(a.Noise)
	if a.L2 {
		a.Eps, a.LR = cmp.Or(a.Eps, 5), cmp.Or(a.LR, 0.5)
	}
	a.Eps, a.LR, a.PriorLR = cmp.Or(a.Eps, 0.03), cmp.Or(a.LR, 0.025), cmp.Or(a.PriorLR, 0.1)
	a.Probe, a.Explore = cmp.Or(a.Probe, 0.1), cmp.Or(a.Explore, 0.1)
	a.Accounting = cmp.Or(a.Accounting, EarlyCheck)
	return a
}

// Check implements attack.Checker.
func (a MotionExcited) Check(shape []int) error {
	err := clips(a, shape)
	for _, o := range []struct {
		name  string
		value float64
	}{
		{"Eps", a.Eps}, {"LR", a.LR}, {"PriorLR", a.PriorLR}, {"Probe", a.Probe}, {"Explore", a.Explore},
		{"Tile", float64(a.Tile)}, {"Starts", float64(a.Starts)}, {"Decay", a.Decay}, {"Limit", a.Limit},
	} {
		if !(o.value >= 0) || math.IsInf(o.value, 1) {
			err = errors.Join(err, fmt.Errorf("video: MotionExcited.%s is %g; it must not be negative, and 0 means the default", o.name, o.value))
		}
	}
	if a.Decay > 1 {
		err = errors.Join(err, fmt.Errorf("video: MotionExcited.Decay is %g; it is a share", a.Decay))
	}
	if !a.L2 && a.Eps > 1 {
		err = errors.Join(err, fmt.Errorf("video: MotionExcited.Eps is %g in Linf; pixels lie in [0,1]", a.Eps))
	}
	if a.Accounting != "" && a.Accounting != EarlyCheck && a.Accounting != Charged3 {
		err = errors.Join(err, fmt.Errorf("video: unknown accounting %q (have %q and %q)", string(a.Accounting), EarlyCheck, Charged3))
	}
	if a.Shrink && (a.L2 || a.Accounting == Charged3 || a.Starts > 0) || a.L2 && a.Starts > 0 {
		err = errors.Join(err, errors.New("video: MotionExcited.Shrink is for Linf and early-check, and Starts is for Linf without Shrink"))
	}
	return errors.Join(err, noiseCheck(a.Noise))
}

// clips reports samples that are no clips.
func clips(a attack.Attack, shape []int) error {
	if len(shape) != 4 {
		return fmt.Errorf("video: %T needs clips [T, C, H, W], not samples of shape %v", a, shape)
	}
	return nil
}

// AttackScores implements attack.ScoreAttack.
func (a MotionExcited) AttackScores(ctx context.Context, v zoo.Scorer, t *attack.Try) error {
	a = a.defaults()
	if a.Loss == nil {
		a.Loss = SecondProbability{}
		if t.Goal.Targeted {
			a.Loss = zoo.CrossEntropy{}
		}
	}
	// The prior's draws do not depend on what a noise draws for its maps.
	noise, frames, err := a.Noise.For(t.Clean, t.Rand(1))
	if err != nil {
		return err
	}
	l := &excitedLoop{
		o:     zoo.NewObjective(v, t.Goal, a.Loss),
		prior: a.prior(noise, frames, t.Rand(0)),
		t:     t, one: t.Clean.Clone().Reshape(append([]int{1}, t.Clean.Shape()...)...),
	}
	l.x = l.one.Data()
	if a.Shrink {
		return l.shrink(ctx, a)
	}
	if done, err := l.begin(ctx, a.Starts, a.Eps, t.Rand(2)); done || err != nil {
		return err
	}
	step := l.signs(a.LR, a.Eps)
	if a.L2 || a.Tile > 0 {
		step = l.generic(a)
	}
	ask := l.earlyCheck
	if a.Accounting == Charged3 {
		ask = l.charged3
	}
	for {
		if done, err := ask(ctx); done || err != nil {
			return err
		}
		step()
	}
}

// prior returns the estimator. The released code divides by δ twice, Bandits once.
func (a MotionExcited) prior(noise zoo.Noise, frames int, r *rand.Rand) *zoo.Prior {
	return &zoo.Prior{Tile: a.Tile, Frames: frames, Probe: a.Probe, Explore: a.Explore, LR: a.PriorLR / a.Explore,
		PerFrame: true, Decay: a.Decay, Limit: a.Limit, Noise: noise, Rand: r}
}

// An excitedLoop is the state of an attack.
type excitedLoop struct {
	o     *zoo.Objective
	prior *zoo.Prior
	t     *attack.Try
	one   *tensor.Tensor // the iterate as a batch
	x     []float32      // and as a slice
}

// begin asks about n striped clips and goes to the one of the least loss. It reports a
// success.
func (l *excitedLoop) begin(ctx context.Context, n int, eps float64, r *rand.Rand) (bool, error) {
	if n == 0 {
		return false, nil
	}
	clean := l.t.Clean.Data()
	lo, hi, y := make([]float32, len(clean)), make([]float32, len(clean)), make([]float32, len(clean))
	attack.Linf.Bounds(lo, hi, clean, eps)
	h, w := l.t.Clean.Dim(2), l.t.Clean.Dim(3)
	least := math.Inf(1)
	for range n {
		for plane := 0; plane < len(y); plane += h * w {
			for col := range w {
				from := lo
				if r.IntN(2) == 1 {
					from = hi
				}
				for i := plane + col; i < plane+h*w; i += w {
					y[i] = from[i]
				}
			}
		}
		loss, won, err := l.t.Ask(ctx, l.o, y)
		if err != nil || won {
			return won, err
		}
		if loss < least {
			least = loss
			copy(l.x, y)
		}
	}
	return false, nil
}

// earlyCheck asks about the iterate and then probes. It reports a success.
func (l *excitedLoop) earlyCheck(ctx context.Context) (bool, error) {
	// By itself and not by Try.Ask, which copies the clip.
	var seen [1]zoo.Evaluation
	if err := zoo.Evaluate(ctx, l.o.Victim, l.one, l.o.Loss, l.o.Goal, seen[:]); err != nil {
		return false, err
	}
	if l.t.Offer(l.x, seen[0].Label) {
		return true, nil
	}
	return false, l.improve(ctx)
}

// improve probes at the iterate and improves the guess.
func (l *excitedLoop) improve(ctx context.Context) error {
	if err := l.prior.Probes(l.o, l.x, l.o.Batch(2)); err != nil {
		return err
	}
	var loss [2]float64
	if _, err := l.o.Losses(ctx, 2, loss[:]); err != nil {
		return err
	}
	l.prior.Learn(loss[0], loss[1])
	return nil
}

// charged3 probes and asks about the iterate in one call.
func (l *excitedLoop) charged3(ctx context.Context) (bool, error) {
	batch := l.o.Batch(3)
	if err := l.prior.Probes(l.o, l.x, batch[:2*len(l.x)]); err != nil {
		return false, err
	}
	copy(batch[2*len(l.x):], l.x)
	var loss [3]float64
	seen, err := l.o.Losses(ctx, 3, loss[:])
	if len(seen) == 3 && l.t.Offer(l.x, seen[2].Label) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	l.prior.Learn(loss[0], loss[1])
	return false, nil
}

// generic returns the step of attack.BallStep.
func (l *excitedLoop) generic(a MotionExcited) func() {
	g := make([]float64, len(l.x))
	step := attack.BallStep(a.norm(), a.Eps, &a.LR, l.t.Clean.Data())
	return func() {
		l.prior.Gradient(g)
		step(l.x, g)
	}
}

// signs returns the same for Linf and a guess of the clip's own size, without copies of
// the guess: frames that share one are moved by the same signs.
func (l *excitedLoop) signs(lr, eps float64) func() {
	clean := l.t.Clean.Data()
	s := &signSteps{l: l, n: len(clean) / l.t.Clean.Dim(0), h: float32(lr),
		lo: make([]float32, len(clean)), hi: make([]float32, len(clean))}
	attack.Linf.Bounds(s.lo, s.hi, clean, eps)
	return s.run
}

// signSteps moves a clip against the signs of a guess.
type signSteps struct {
	l      *excitedLoop
	n      int // values of a frame
	h      float32
	lo, hi []float32
	shared bool // all frames have one guess, and d are their steps
	d      []float32
}

func (s *signSteps) run() {
	frames := s.l.t.Clean.Dim(0)
	g := s.l.prior.Guess(0)
	if s.shared = &g[0] == &s.l.prior.Guess(frames - 1)[0]; s.shared {
		if s.d == nil {
			s.d = make([]float32, s.n)
		}
		kernel.SignSteps(s.d, g, -s.h)
	}
	parallel.Run(frames, s)
}

// Part implements parallel.Task: it moves frame t.
func (s *signSteps) Part(t int) {
	lo := t * s.n
	if s.shared {
		kernel.BoxStep(s.l.x[lo:][:s.n], s.d, s.lo[lo:][:s.n], s.hi[lo:][:s.n])
		return
	}
	var d [2048]float32
	g := s.l.prior.Guess(t)
	for i := 0; i < s.n; i += len(d) {
		n := min(len(d), s.n-i)
		kernel.SignSteps(d[:n], g[i:i+n], -s.h)
		kernel.BoxStep(s.l.x[lo+i:][:n], d[:n], s.lo[lo+i:][:n], s.hi[lo+i:][:n])
	}
}
