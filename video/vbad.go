package video

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// VBAD is the attack of Jiang et al. (2019, "Black-box Adversarial Attacks on Video
// Recognition Models"): a network of your own for images gives the direction in which the
// pixels of each frame change its features. Queries then determine the sign and weight of
// each patch by natural evolution strategies. A round costs Samples queries and one for the
// step, or more if a targeted attack has to shorten the step.
//
// Untargeted it begins at a random point of the ball. Targeted it begins at a clip of the
// target class (attack.Sample.Start) and shrinks the ball round the clean clip from radius
// 1 to Eps. The constants are those of the authors' code.
type VBAD struct {
	// Network maps frames [N, C, H, W], as Preprocess makes them, to features [N, ...]; the
	// authors' is a ResNet-50 for ImageNet with its last layer. It must be given.
	Network    nn.Module
	Preprocess data.Preprocess // of a frame

	Eps     float64 // radius of the Linf ball; 0 means 0.05
	Samples int     // queries per estimate, even; 0 means 48
	Sigma   float64 // standard deviation of the probes; 0 means 1e-3, or 1e-6 if targeted
	Patches int     // along each side of a frame; 0 means 8
	LR      float64 // longest step; 0 means 0.01
	MinLR   float64 // shortest step; 0 means LR/10
	Masked  float64 // targeted: share of the features that are ignored in a round; 0 means 0.9
	Loss    zoo.Loss
}

// About describes the attack.
func (a VBAD) About() attack.About {
	return attack.About{Name: "v-bad", Norm: attack.Linf, Options: a.defaults()}
}

// defaults leaves a Sigma of 0, whose meaning follows from the goal.
func (a VBAD) defaults() VBAD {
	a.Eps, a.Samples, a.Patches = cmp.Or(a.Eps, 0.05), cmp.Or(a.Samples, 48), cmp.Or(a.Patches, 8)
	a.LR, a.Masked = cmp.Or(a.LR, 0.01), cmp.Or(a.Masked, 0.9)
	a.MinLR = cmp.Or(a.MinLR, a.LR/10)
	if a.Loss == nil {
		a.Loss = zoo.CrossEntropy{}
	}
	return a
}

// Check implements attack.Checker.
func (a VBAD) Check(shape []int) error {
	err := clips(a, shape)
	if a.Network == nil {
		err = errors.Join(err, errors.New("video: VBAD has no Network; it is one for images, such as a classifier of single frames"))
	}
	for _, v := range []float64{a.Eps, float64(a.Samples), a.Sigma, float64(a.Patches), a.LR, a.MinLR, a.Masked} {
		if !(v >= 0) || math.IsInf(v, 1) {
			err = errors.Join(err, fmt.Errorf("video: VBAD has an option of %g; none is negative, and 0 means the default", v))
		}
	}
	if a.Eps > 1 || a.Masked > 1 || a.Samples%2 != 0 {
		err = errors.Join(err, fmt.Errorf("video: VBAD with Eps %g, Masked %g, Samples %d; the first two are at most 1, the last is even", a.Eps, a.Masked, a.Samples))
	}
	if len(shape) == 4 {
		_, bad := a.Preprocess.OutputShape(shape[1:])
		err = errors.Join(err, bad)
	}
	return err
}

// AttackScores implements attack.ScoreAttack.
func (a VBAD) AttackScores(ctx context.Context, v zoo.Scorer, t *attack.Try) error {
	a = a.defaults()
	a.Sigma = cmp.Or(a.Sigma, map[bool]float64{false: 1e-3, true: 1e-6}[t.Goal.Targeted])
	e := newPatchSearch(a, zoo.NewObjective(v, t.Goal, a.Loss), t)
	if t.Goal.Targeted {
		s, err := newShrinker(t, e.o, a.Eps)
		if err != nil {
			return err
		}
		s.lr = [2]float64{a.LR, a.MinLR}
		return s.run(ctx, e.direction)
	}
	clean := t.Clean.Data()
	x := slices.Clone(clean)
	r := t.Rand(1)
	for i := range x {
		x[i] += float32(a.Eps * (2*r.Float64() - 1))
	}
	attack.Linf.Project(x, clean, a.Eps)
	// The step is halved when losses no longer fall, and the attack gives up in the end.
	const plateau, patience = 20, 200
	var losses []float64
	least, since := math.Inf(1), 0
	for {
		loss, won, err := t.Ask(ctx, e.o, x)
		if err != nil || won {
			return err
		}
		if losses = append(losses, loss); len(losses) == plateau {
			if losses[plateau-1] >= losses[0] {
				a.LR = max(a.LR/2, a.MinLR)
			}
			losses = losses[:0]
		}
		if since++; loss < least {
			least, since = loss, 0
		} else if since == patience {
			t.Converged()
			return nil
		}
		d, err := e.direction(ctx, x)
		if err != nil {
			return err
		}
		for i, s := range d {
			x[i] -= float32(a.LR) * s
		}
		attack.Linf.Project(x, clean, a.Eps)
	}
}

// A patchSearch estimates how the patches of a clip should follow the tentative direction.
type patchSearch struct {
	VBAD
	o       *zoo.Objective
	goal    zoo.Goal
	shape   []int
	rand    *rand.Rand
	tape    *autograd.Tape
	wanted  [][]float32 // the features of the frames of the clip to begin from
	tent, d []float32   // the tentative direction, and that of the patches along it
	u       []float32   // what the probes try: Samples/2 times a weight for each patch
	patch   []int32     // of each pixel of a plane
}

func newPatchSearch(a VBAD, o *zoo.Objective, t *attack.Try) *patchSearch {
	e := &patchSearch{VBAD: a, o: o, goal: t.Goal, shape: t.Clean.Shape(), rand: t.Rand(0), tape: autograd.NewTape(autograd.Eval, 0)}
	size := t.Clean.Len()
	e.tent, e.d = make([]float32, size), make([]float32, size)
	h, w := e.shape[2], e.shape[3]
	e.patch = make([]int32, h*w)
	for i := range e.patch {
		e.patch[i] = int32(i/w*a.Patches/h*a.Patches + i%w*a.Patches/w)
	}
	e.u = make([]float32, a.Samples/2*e.weights())
	if t.Goal.Targeted && t.Start != nil {
		for f := range e.shape[0] {
			e.features(t.Start.Data()[f*size/e.shape[0]:], func(z autograd.Var, _ autograd.Var) {
				e.wanted = append(e.wanted, slices.Clone(z.Data()))
			})
		}
	}
	return e
}

func (e *patchSearch) weights() int { return e.shape[0] * e.Patches * e.Patches }

// features gives use the features of a frame, and the input that they follow from. What
// the tape made is valid until use returns.
func (e *patchSearch) features(frame []float32, use func(z, in autograd.Var)) {
	e.tape.Reset()
	shape, err := e.Preprocess.OutputShape(e.shape[1:])
	if err != nil {
		tensor.Panic("video.VBAD", err.Error()) // Check has seen to it
	}
	x := tensor.New(append([]int{1}, shape...)...)
	e.Preprocess.Apply(x.Data(), frame[:e.shape[1]*e.shape[2]*e.shape[3]], e.shape[1:])
	in := e.tape.Watch(x)
	use(e.Network.Forward(in), in)
}

// tentative finds, frame by frame, the signs of the gradient of the mean squared error of
// the features from those that are wanted.
func (e *patchSearch) tentative(x []float32) {
	frames := e.shape[0]
	n := len(x) / frames
	g := make([]float32, n)
	for f := range frames {
		e.features(x[f*n:][:n], func(z, in autograd.Var) {
			goal, mask := tensor.New(z.Shape()...), tensor.New(z.Shape()...)
			for i := range goal.Data() {
				mask.Data()[i] = 1
				if e.wanted == nil {
					goal.Data()[i] = float32(math.Abs(5 * e.rand.NormFloat64()))
					continue
				}
				goal.Data()[i] = e.wanted[f][i]
				if e.rand.Float64() < e.Masked {
					mask.Data()[i] = 0
				}
			}
			diff := autograd.Mul(autograd.Sub(z, e.tape.Input(goal)), e.tape.Input(mask))
			dx := e.tape.Gradients(autograd.Sum(autograd.Mul(diff, diff)), in).Of(in)
			clear(g)
			if dx != nil {
				e.Preprocess.Adjoint(g, dx.Data(), e.shape[1:])
			}
			kernel.Sign(e.tent[f*n:][:n], g)
		})
	}
}

// most is how many values the probes of one call have at most, which keeps their memory
// small on large clips.
const most = 1 << 24

// direction returns the signs that the patches give the tentative direction at x, those of
// a gradient. It is valid until the next call.
func (e *patchSearch) direction(ctx context.Context, x []float32) ([]float32, error) {
	e.tentative(x)
	k := e.weights()
	kernel.Normal(e.u, 0, 1, e.rand.Uint64(), 0)
	losses := make([]float64, e.Samples)
	lost := make([]bool, e.Samples) // a probe that lost the class that is wanted
	step := max(2, most/len(x)&^1)
	for lo := 0; lo < e.Samples; lo += step {
		hi := min(lo+step, e.Samples)
		batch := e.o.Batch(hi - lo)
		for i := lo; i < hi; i++ {
			sigma := float32(e.Sigma)
			if i%2 == 1 {
				sigma = -sigma
			}
			probe := batch[(i-lo)*len(x):][:len(x)]
			e.along(e.u[i/2*k:][:k], func(at int, u float32) {
				probe[at] = min(max(x[at]+sigma*u*e.tent[at], 0), 1)
			})
		}
		seen, err := e.o.Losses(ctx, hi-lo, losses[lo:hi])
		if err != nil {
			return nil, err
		}
		for i, s := range seen {
			lost[lo+i] = e.goal.Targeted && !e.goal.Achieved(s.Label)
		}
	}
	w := make([]float32, k)
	for i, rank := range ranks(losses, lost) {
		if i%2 == 1 {
			rank = -rank
		}
		kernel.Axpy(w, float32(rank), e.u[i/2*k:][:k])
	}
	kernel.Sign(w, w)
	e.along(w, func(at int, s float32) { e.d[at] = s * e.tent[at] })
	return e.d, nil
}

// along calls f for each value of a clip with the weight of its patch.
func (e *patchSearch) along(w []float32, f func(at int, w float32)) {
	n, per := len(e.patch), e.Patches*e.Patches
	for plane := range e.shape[0] * e.shape[1] {
		own := w[plane/e.shape[1]*per:][:per]
		for i, p := range e.patch {
			f(plane*n+i, own[p])
		}
	}
}

// ranks replaces losses by their ranks, from -1/2 for the least to 1/2. What is lost ranks
// last, and shares one rank, the mean of theirs.
func ranks(losses []float64, lost []bool) []float64 {
	n := len(losses)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if lost[a] != lost[b] {
			return cmp.Compare(b2i(lost[a]), b2i(lost[b]))
		}
		return cmp.Compare(losses[a], losses[b])
	})
	kept := 0
	for _, l := range lost {
		if !l {
			kept++
		}
	}
	r := make([]float64, n)
	for at, i := range order {
		v := float64(at)
		if lost[i] {
			v = float64(kept+n-1) / 2
		}
		r[i] = v/float64(max(n-1, 1)) - 0.5
	}
	return r
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
