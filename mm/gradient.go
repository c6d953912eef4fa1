package mm

import (
	"fmt"
	"math"
)

// An estimator turns v into its estimate of ∇f(r.x) at iteration r.k. It may keep
// its state in v.
type estimator interface {
	estimate(v []float64)
}

// A gradStepper takes proximal steps along an estimated gradient: the one loop of
// all rivals.
type gradStepper struct {
	r     *run
	est   estimator
	v     []float64
	eta   float64
	decay func(k int) float64 // of the step; nil is 1
	step  float64
	rules StepRule
}

// newGradStepper resolves the step: that given, or the theory's.
func newGradStepper(r *run, step float64, theory func(Lipschitz) float64) (*gradStepper, error) {
	if err := checkGiven("Step", step); err != nil {
		return nil, err
	}
	if step == 0 {
		l, err := r.lipschitz()
		if err != nil {
			return nil, err
		}
		step = theory(l)
	}
	if err := checkProxStep(r.h, step); err != nil {
		return nil, err
	}
	return &gradStepper{r: r, v: make([]float64, r.p), step: step, eta: step}, nil
}

func (s *gradStepper) modulus() float64 { return 1 / s.eta }
func (s *gradStepper) rule() StepRule   { return s.rules }

func (s *gradStepper) propose(dst []float64) error {
	s.est.estimate(s.v)
	s.eta = s.step
	if s.decay != nil {
		s.eta *= s.decay(s.r.k)
	}
	dst = dst[:len(s.v)]
	for j, v := range s.r.x {
		dst[j] = v - s.eta*s.v[j]
	}
	s.r.h.Prox(dst, dst, s.eta)
	s.r.stats.Prox++
	return nil
}

// SGD is the proximal stochastic gradient method, v = mean of ∇f_i over a batch,
// with the step Step/√(1+k·Batch/n): constant at first, then falling as the number
// of passes grows. Order 1/ε⁴ IFO; it is fast early and stalls at a noise floor.
type SGD struct {
	Batch int // zero is 1
	// Step is the first step; zero is 1/max L_i, halved for h not convex.
	Step float64
	// Constant keeps the step.
	Constant bool
}

func (SGD) String() string { return "SGD" }

func (m SGD) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, 1, r.n, false)
	if err != nil {
		return nil, err
	}
	s, err := newGradStepper(r, m.Step, func(l Lipschitz) float64 { return halved(1/l.Max, r.h) })
	if err != nil {
		return nil, err
	}
	if !m.Constant {
		rate := float64(b) / float64(r.n)
		s.decay = func(k int) float64 { return 1 / math.Sqrt(1+float64(k)*rate) }
	}
	s.est = &plain{r, newSampler(r), make([]int, b)}
	return s, nil
}

func newSampler(r *run) sampler {
	return sampler{counter: newCounter(r.set.Seed, streamBatch), n: r.n}
}

// halved returns half the step where the regulariser is not convex.
func halved(step float64, h Regularizer) float64 {
	if !h.Convex() {
		step /= 2
	}
	return step
}

// plain is a batch mean with no memory.
type plain struct {
	r     *run
	batch sampler
	idx   []int
}

func (e *plain) estimate(v []float64) {
	clear(v)
	e.batch.draw(e.idx, true)
	e.r.grad.addBatch(v, e.idx, e.r.x, 1)
}

// SVRG (Johnson and Zhang 2013; non-convex: Reddi et al. 2016) corrects a batch by
// its gradients at a snapshot, whose full gradient is known. With the defaults,
// b = ⌈n^⅔⌉, a new snapshot every ⌈n^⅓⌉ iterations and step 1/(3L), order
// n + n^⅔/ε² IFO.
type SVRG struct {
	Batch  int
	Period int
	Step   float64 // zero is 1/(3L), halved for h not convex
}

func (SVRG) String() string { return "SVRG" }

func (m SVRG) start(r *run) (stepper, error) {
	q, err := batchSize("Period", m.Period, ceilPow(r.n, 1.0/3), r.n, false)
	if err != nil {
		return nil, err
	}
	return startSnapshot(r, m.Batch, m.Step, third(r), &snapshot{period: q})
}

func third(r *run) func(Lipschitz) float64 {
	return func(l Lipschitz) float64 { return halved(1/(3*l.MeanSquare), r.h) }
}

// LSVRG is loopless SVRG (Kovalev, Horváth and Richtárik 2020): a new snapshot
// with probability RefreshProb at each iteration. The defaults are those of SVRG:
// b = ⌈n^⅔⌉, probability b/n, step 1/(3L).
type LSVRG struct {
	Batch       int
	RefreshProb float64
	Step        float64
}

func (LSVRG) String() string { return "L-SVRG" }

func (m LSVRG) start(r *run) (stepper, error) {
	if !(m.RefreshProb >= 0 && m.RefreshProb <= 1) {
		return nil, fmt.Errorf("mm: RefreshProb is %g", m.RefreshProb)
	}
	b, err := batchSize("Batch", m.Batch, ceilPow(r.n, 2.0/3), r.n, false)
	if err != nil {
		return nil, err
	}
	p := m.RefreshProb
	if p == 0 {
		p = float64(b) / float64(r.n)
	}
	return startSnapshot(r, b, m.Step, third(r), &snapshot{prob: p})
}

// SCSG (Lei, Ju, Chen and Jordan 2017) is SVRG with snapshots of geometric life,
// n/b iterations in the mean, and, where RefreshBatch < n, from a large batch
// instead of all components. Step (1/(6L))·(b/B)^⅔; the default batch is ⌈√n⌉.
// Order min(n^⅔/ε², ε^(−10/3)) IFO.
type SCSG struct {
	Batch        int
	RefreshBatch int // B, zero is n
	Step         float64
}

func (SCSG) String() string { return "SCSG" }

func (m SCSG) start(r *run) (stepper, error) {
	big, err := batchSize("RefreshBatch", m.RefreshBatch, r.n, r.n, true)
	if err != nil {
		return nil, err
	}
	b, err := batchSize("Batch", m.Batch, ceilPow(r.n, 0.5), r.n, false)
	if err != nil {
		return nil, err
	}
	ratio := float64(b) / float64(big)
	theory := func(l Lipschitz) float64 {
		return halved(math.Pow(min(1, ratio), 2.0/3)/(6*l.MeanSquare), r.h)
	}
	return startSnapshot(r, b, m.Step, theory, &snapshot{prob: 1 / (1 + 1/ratio), big: big})
}

// snapshot is the control-variate estimator of the SVRG family.
type snapshot struct {
	r      *run
	period int
	prob   float64
	big    int // zero is n
	since  int
	at, mu []float64
	batch  sampler
	coin   counter
	idx    []int
	large  []int
}

func startSnapshot(r *run, batch int, step float64, theory func(Lipschitz) float64, e *snapshot) (stepper, error) {
	b, err := batchSize("Batch", batch, ceilPow(r.n, 2.0/3), r.n, false)
	if err != nil {
		return nil, err
	}
	s, err := newGradStepper(r, step, theory)
	if err != nil {
		return nil, err
	}
	e.r, e.batch, e.coin = r, newSampler(r), newCounter(r.set.Seed, streamCoin)
	e.at, e.mu, e.idx = make([]float64, r.p), make([]float64, r.p), make([]int, b)
	if e.big == 0 {
		e.big = r.n
	}
	if e.big < r.n {
		e.large = make([]int, e.big)
	}
	e.since = -1
	s.est = e
	return s, nil
}

func (e *snapshot) estimate(v []float64) {
	fresh := e.since < 0 || e.period > 0 && e.since == e.period
	if e.prob > 0 && e.since >= 0 {
		fresh = e.coin.float() < e.prob
	}
	if fresh {
		if e.big == e.r.n {
			e.r.grad.mean(e.mu, e.r.x)
			e.r.refreshed = true
		} else {
			clear(e.mu)
			e.batch.draw(e.large, true)
			e.r.grad.addBatch(e.mu, e.large, e.r.x, 1)
		}
		e.r.stats.Refresh++
		copy(e.at, e.r.x)
		copy(v, e.mu)
		e.since = 1
		return
	}
	e.since++
	copy(v, e.mu)
	e.batch.draw(e.idx, true)
	e.r.grad.addDiff(v, e.idx, e.r.x, e.at)
}

// estimate makes path an estimator of gradients.
func (p *path) estimate(v []float64) { p.update(v) }

func startPath(r *run, o pathOptions, defBatch, defPeriod int, step float64, rule StepRule) (*gradStepper, error) {
	if err := o.resolve(r.n, defBatch, defPeriod); err != nil {
		return nil, err
	}
	if err := checkRule(rule, r.h); err != nil {
		return nil, err
	}
	s, err := newGradStepper(r, step, func(l Lipschitz) float64 {
		return theoryStep(l.MeanSquare, o.ratio(), r.h)
	})
	if err != nil {
		return nil, err
	}
	if s.rules, err = needsL(r, rule); err != nil {
		return nil, err
	}
	s.est = newPath(r, r.grad, o)
	return s, nil
}

// SARAH (Nguyen et al. 2017) has the path-integrated estimator with single
// components and a refresh every n iterations. The default step is
// 1/(L(1+√(Period/Batch))) ≈ 1/(L√n).
type SARAH struct {
	Batch  int // zero is 1
	Period int // zero is n
	Step   float64
}

func (SARAH) String() string { return "SARAH" }

func (m SARAH) start(r *run) (stepper, error) {
	return startPath(r, pathOptions{batch: m.Batch, period: m.Period}, 1, r.n, m.Step, nil)
}

// SPIDER (Fang, Li, Lin and Zhang 2018), first-order finite-sum form: batches of
// √n/N0, a refresh every N0·√n iterations, and the normalised step
// min(Eps/(L·N0·‖v‖), 1/(2·L·N0)). With a convex h the prox step takes v's place
// (ours).
type SPIDER struct {
	Eps          float64 // ε; zero is 1e-2
	N0           float64 // zero is 1
	Batch        int
	Period       int
	RefreshBatch int     // the online case; zero is n
	Step         float64 // zero is 1/(2·L·N0)
}

func (SPIDER) String() string { return "SPIDER" }

func (m SPIDER) start(r *run) (stepper, error) {
	n0, eps := orOne(m.N0), m.Eps
	if eps == 0 {
		eps = 1e-2
	}
	root := math.Sqrt(float64(r.n))
	batch := max(1, int(math.Ceil(root/n0-1e-9)))
	period := max(1, int(math.Ceil(root*n0-1e-9)))
	step := m.Step
	if step == 0 {
		l, err := r.lipschitz()
		if err != nil {
			return nil, err
		}
		step = 1 / (2 * l.MeanSquare * n0)
	}
	return startPath(r, pathOptions{batch: m.Batch, period: m.Period, refreshBatch: m.RefreshBatch},
		batch, period, step, Normalized{eps, n0})
}

// SpiderBoost (Wang et al. 2019) is SPIDER's estimator with the constant step
// 1/(2L), b = q = ⌈√n⌉; with h it is Prox-SpiderBoost, whose composite form equals
// SPI-MM's default (Proposition 1). Here it follows gradients where SPIMM follows
// statistics.
type SpiderBoost struct {
	Batch              int
	Period             int
	RefreshBatch       int
	WithoutReplacement bool
	Step               float64 // zero is 1/(2L), 1/(4L) for h not convex, at q = b
}

func (SpiderBoost) String() string { return "SpiderBoost" }

func (m SpiderBoost) start(r *run) (stepper, error) {
	root := ceilPow(r.n, 0.5)
	o := pathOptions{batch: m.Batch, period: m.Period, refreshBatch: m.RefreshBatch, without: m.WithoutReplacement}
	return startPath(r, o, root, root, m.Step, nil)
}

// ProxSARAH (Pham et al. 2020) averages the iterate with the proximal point,
// θ⁺ = (1−Gamma)θ + Gamma·θ̂, for convex h only. The defaults are Gamma 0.95,
// b = q = ⌈√n⌉ and SpiderBoost's step over Gamma (the step is ours).
type ProxSARAH struct {
	Gamma  float64
	Batch  int
	Period int
	Step   float64
}

func (ProxSARAH) String() string { return "ProxSARAH" }

func (m ProxSARAH) start(r *run) (stepper, error) {
	root := ceilPow(r.n, 0.5)
	gamma := m.Gamma
	if gamma == 0 {
		gamma = 0.95
	}
	s, err := startPath(r, pathOptions{batch: m.Batch, period: m.Period}, root, root, m.Step, Damped{gamma})
	if err == nil && m.Step == 0 {
		s.step /= gamma
	}
	return s, err
}

// PAGE (Li, Bao, Zhang and Richtárik 2021) refreshes with probability b/(n+b) and
// moves by the path-integrated estimator otherwise; b = ⌈√n⌉, step
// 1/(L(1+√((1−p)/(p·b)))) ≈ 1/(2L).
type PAGE struct {
	Batch       int
	RefreshProb float64
	Step        float64
}

func (PAGE) String() string { return "PAGE" }

func (m PAGE) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, ceilPow(r.n, 0.5), r.n, false)
	if err != nil {
		return nil, err
	}
	p := m.RefreshProb
	if p == 0 {
		p = float64(b) / float64(r.n+b)
	}
	return startPath(r, pathOptions{batch: b, prob: p}, b, 0, m.Step, nil)
}
