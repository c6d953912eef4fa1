package attack

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// whiteBox asks a differentiable victim about single images.
type whiteBox struct {
	v      zoo.Differentiable
	t      *Try
	loss   zoo.DifferentiableLoss
	goal   zoo.Goal // of the loss
	x, g   *tensor.Tensor
	scores []float64
	kind   zoo.ScoreKind
}

func newWhiteBox(v zoo.Differentiable, t *Try, loss zoo.DifferentiableLoss) *whiteBox {
	info := v.Info()
	shape := append([]int{1}, info.Shape...)
	return &whiteBox{v, t, loss, t.Goal, tensor.New(shape...), tensor.New(shape...), make([]float64, info.Classes), info.Scores}
}

// at returns the loss at x, the victim's answer, and the gradient up to a positive
// factor, which is valid until the next call.
func (b *whiteBox) at(ctx context.Context, x []float32) (loss float64, label int, g []float32, err error) {
	copy(b.x.Data(), x)
	if err := b.v.Gradients(ctx, b.x, b.loss, []zoo.Goal{b.goal}, b.scores, b.g); err != nil {
		return 0, 0, nil, err
	}
	return b.loss.Value(b.scores, b.kind, b.goal), zoo.Top(b.scores), b.g.Data(), nil
}

// orLoss is a loss, or the one that the attack's paper minimises if it is nil.
func orLoss[L zoo.Loss](l, paper L) L {
	if any(l) == nil {
		return paper
	}
	return l
}

// FGSM is the fast gradient sign method of Goodfellow et al. (2015), and for L2 its
// counterpart along the gradient: a single step to the edge of the ball. It costs two
// queries at most; PGD is far stronger.
type FGSM struct {
	Norm Norm
	Eps  float64 // 0 means 2 for L2, 0.3 for Linf
}

// About describes the attack.
func (a FGSM) About() About { return About{"fgsm", a.Norm, a.defaults()} }

func (a FGSM) defaults() FGSM {
	a.Eps = cmp.Or(a.Eps, radiusOf(a.Norm))
	return a
}

// AttackGradients implements GradientAttack.
func (a FGSM) AttackGradients(ctx context.Context, v zoo.Differentiable, t *Try) error {
	a = a.defaults()
	return PGD{Norm: a.Norm, Eps: a.Eps, Step: a.Eps, Iterations: 1, NoRandom: true}.AttackGradients(ctx, v, t)
}

// PGD is projected gradient descent from a random point of the ball (Madry et al. 2018). It
// is the right choice for a quick reference under a ball; [APGD] finds more.
//
// It stops at its first success, unlike the authors' code, and also asks about the random
// start and the last point: at most Iterations+1 queries. The default step for digits,
// 2.5·Eps/Iterations = 0.019, is longer than the paper's 0.01.
type PGD struct {
	Norm       Norm
	Eps        float64                // 0 means 2 for L2, 0.3 for Linf
	Step       float64                // 0 means 2.5·Eps/Iterations
	Iterations int                    // 0 means 40
	NoRandom   bool                   // begin at the clean image
	Loss       zoo.DifferentiableLoss // nil means cross-entropy, the paper's
}

// About describes the attack.
func (a PGD) About() About { return About{"pgd", a.Norm, a.defaults()} }

func (a PGD) defaults() PGD {
	a.Eps = FGSM{Norm: a.Norm, Eps: a.Eps}.defaults().Eps
	a.Iterations = cmp.Or(a.Iterations, 40)
	a.Step = cmp.Or(a.Step, 2.5*a.Eps/float64(a.Iterations))
	a.Loss = orLoss[zoo.DifferentiableLoss](a.Loss, zoo.CrossEntropy{})
	return a
}

// AttackGradients implements GradientAttack.
func (a PGD) AttackGradients(ctx context.Context, v zoo.Differentiable, t *Try) error {
	a = a.defaults()
	clean := t.Clean.Data()
	x := t.start()
	if !a.NoRandom {
		scatter(x, a.Norm, a.Eps, t.Rand(0))
		a.Norm.Project(x, clean, a.Eps)
	}
	b := newWhiteBox(v, t, a.Loss)
	step := BallStep(a.Norm, a.Eps, &a.Step, clean)
	wide := make([]float64, len(x))
	for i := 0; ; i++ {
		_, label, g, err := b.at(ctx, x)
		if err != nil || t.Offer(x, label) || i == a.Iterations {
			return err
		}
		for j, v := range g {
			wide[j] = float64(v)
		}
		step(x, wide)
	}
}

// scatter moves x to a uniformly random point of the ball round it.
func scatter(x []float32, n Norm, eps float64, r *rand.Rand) {
	u := n.noise(len(x), r)
	f := eps
	if n != Linf {
		normalise(u)
		f *= math.Pow(r.Float64(), 1/float64(len(u)))
	}
	for i, v := range u {
		x[i] += float32(f * v)
	}
}

// CarliniWagner is the L2 attack of Carlini and Wagner (2017): Adam on
// ‖x'-x‖² + c·hinge in the tanh space, with a binary search on c. It is the right
// choice as the reference for the least L2 that gradients reach.
//
// Each iteration is one query. The run for one c ends early if a tenth of its iterations
// lowered the loss by less than a fraction of 1e-4. The authors' code begins with a smaller
// c and takes more iterations: C of 0.001 and Iterations of 10,000 are as thorough.
type CarliniWagner struct {
	Kappa      float64 // confidence: the margin from which an image is a success
	C          float64 // first weight of the hinge; 0 means 0.01
	Searches   int     // binary search steps on c; 0 means 9
	Iterations int     // per search step; 0 means 1000
	LR         float64 // 0 means 0.01
}

// About describes the attack.
func (a CarliniWagner) About() About { return About{"carlini-wagner", L2, a.defaults()} }

func (a CarliniWagner) defaults() CarliniWagner {
	a.C, a.Searches = cmp.Or(a.C, 0.01), cmp.Or(a.Searches, 9)
	a.Iterations, a.LR = cmp.Or(a.Iterations, 1000), cmp.Or(a.LR, 0.01)
	return a
}

// AttackGradients implements GradientAttack.
func (a CarliniWagner) AttackGradients(ctx context.Context, v zoo.Differentiable, t *Try) error {
	a = a.defaults()
	clean := t.Clean.Data()
	d := len(clean)
	b := newWhiteBox(v, t, zoo.Hinge{Kappa: a.Kappa})
	c := newWeightSearch(a.C)
	n := a.Iterations
	w, x, slope := make([]float32, d), make([]float32, d), make([]float32, d)
	for range a.Searches {
		clear(w)
		adam := newAdam(d, a.LR)
		won := false
		best := math.Inf(1)
		for i := range n {
			Tanh.Image(x, w, clean)
			loss, label, g, err := b.at(ctx, x)
			if err != nil {
				return err
			}
			if loss == 0 && t.Offer(x, label) {
				won = true
			}
			dist := L2.Distance(x, clean)
			total := dist*dist + c.value*loss
			if i%(n/10+1) == n/10 { // no progress in a tenth of the iterations
				if total > 0.9999*best {
					break
				}
				best = total
			}
			Tanh.Slope(slope, x)
			for j := range w {
				grad := (2*(float64(x[j])-float64(clean[j])) + c.value*float64(g[j])) * float64(slope[j])
				w[j] -= float32(adam.step(j, grad))
			}
		}
		c.next(won)
	}
	return nil
}

// A weightSearch looks for the least weight c of the loss, beside the distance,
// with which an attack succeeds.
type weightSearch struct{ lo, hi, value float64 }

func newWeightSearch(c float64) *weightSearch { return &weightSearch{0, math.Inf(1), c} }

// next moves on: down after a success, up after a failure, by bisection once
// there is an upper bound and by a factor of 10 before.
func (s *weightSearch) next(success bool) {
	if success {
		s.hi = min(s.hi, s.value)
	} else {
		s.lo = max(s.lo, s.value)
	}
	if math.IsInf(s.hi, 1) {
		s.value *= 10
	} else {
		s.value = (s.lo + s.hi) / 2
	}
}

// adam is Adam with a step counter for every coordinate, as ZOO uses it.
type adam struct {
	lr   float64
	m, v []float64
	t    []int
}

func newAdam(n int, lr float64) *adam {
	return &adam{lr, make([]float64, n), make([]float64, n), make([]int, n)}
}

// step returns how far coordinate i is to move against gradient g.
func (a *adam) step(i int, g float64) float64 {
	const beta1, beta2 = 0.9, 0.999
	a.t[i]++
	a.m[i] = beta1*a.m[i] + (1-beta1)*g
	a.v[i] = beta2*a.v[i] + (1-beta2)*g*g
	t := float64(a.t[i])
	return a.lr * math.Sqrt(1-math.Pow(beta2, t)) / (1 - math.Pow(beta1, t)) * a.m[i] / (math.Sqrt(a.v[i]) + 1e-8)
}

// reset forgets everything.
func (a *adam) reset() {
	clear(a.m)
	clear(a.v)
	clear(a.t)
}
