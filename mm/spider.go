package mm

import (
	"fmt"
	"math"
)

// estimate makes path an estimator of gradients.
func (p *path) estimate(v []float64) { p.update(v) }

func startPath(r *run, o pathOptions, defBatch, defPeriod int, step float64, rule StepRule) (*gradStepper, error) {
	if err := o.resolve(r.n, defBatch, defPeriod); err != nil {
		return nil, err
	}
	if err := checkRule(rule, r); err != nil {
		return nil, err
	}
	s, err := newGradStepper(r, step, func(l Lipschitz) float64 {
		return theoryStep(l.MeanSquare, o.ratio(), r.h)
	})
	if err != nil {
		return nil, err
	}
	s.rules = rule
	s.est = newPath(r, r.grad, o)
	return s, nil
}

// SARAH (Nguyen, Liu, Scheinberg and Takáč 2017) follows the path-integrated estimator
//
//	v_k = v_{k−1} + (1/b) Σ_{i∈S} (∇f_i(θ_k) − ∇f_i(θ_{k−1})),
//
// which is exact at refreshes, with single components by default. A refresh costs n
// component gradients and any other iteration 2·Batch.
type SARAH struct {
	// Batch is b, drawn with replacement, at most n. 0 means 1.
	Batch int
	// Period is the number of iterations per refresh. 0 means n.
	Period int
	// Step is the step length (η). 0 means 1/(L(1+√(Period/Batch))), which is about
	// 1/(L√n), and half of it if h is not convex (the constant is ours).
	Step float64
}

// String returns "SARAH".
func (SARAH) String() string { return "SARAH" }

func (m SARAH) start(r *run) (stepper, error) {
	return startPath(r, pathOptions{batch: m.Batch, period: m.Period}, 1, r.n, m.Step, nil)
}

// SPIDER (Fang, Li, Lin and Zhang 2018) has the estimator of SARAH with batches of
// √n/N0, a refresh every N0·√n iterations, and a step that is normalised: its length
// is min(Eps/(L·N0·‖v‖), 1/(2·L·N0)). For a convex h the proximal step takes the place
// of v (ours); a regulariser that is not convex is refused. The method reaches
// ‖∇f‖ ≤ ε in O(n + √n/ε²), and in O(ε⁻³) in the online case.
type SPIDER struct {
	// Eps is the accuracy aimed at (ε). 0 means 1e-2.
	Eps float64
	// N0 trades the batch for the period (n₀), from 1 to √n. 0 means 1.
	N0 float64
	// Batch is b, drawn with replacement, at most n. 0 means ⌈√n/N0⌉.
	Batch int
	// Period is the number of iterations per refresh. 0 means ⌈N0·√n⌉.
	Period int
	// RefreshBatch is the number of components of a refresh, drawn with replacement:
	// the online case. 0 and n mean all components, once each.
	RefreshBatch int
	// Step is the step length where the normalisation does not bind (η). 0 means
	// 1/(2·L·N0).
	Step float64
}

// String returns "SPIDER".
func (SPIDER) String() string { return "SPIDER" }

func (m SPIDER) start(r *run) (stepper, error) {
	n0, eps := orOne(m.N0), m.Eps
	if eps == 0 {
		eps = 1e-2
	}
	root := math.Sqrt(float64(r.n))
	if !(n0 >= 1 && n0 <= root) {
		return nil, fmt.Errorf("mm: SPIDER.N0 is %g, want a number from 1 to √n = %g", m.N0, root)
	}
	if err := positive("SPIDER.Eps", eps); err != nil {
		return nil, err
	}
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

// SpiderBoost (Wang, Ji, Zhou, Liang and Tarokh 2019) is SPIDER's estimator with a
// constant step length. With h it is Prox-SpiderBoost, whose iterates equal those of
// SPIMM's zero value (Proposition 1). SpiderBoost carries a gradient along the path
// where SPIMM carries a statistic.
type SpiderBoost struct {
	// Batch is b, at most n. 0 means ⌈√n⌉.
	Batch int
	// Period is the number of iterations per refresh. 0 means ⌈√n⌉.
	Period int
	// RefreshBatch is the number of components of a refresh, drawn with replacement.
	// 0 and n mean all components, once each.
	RefreshBatch int
	// WithoutReplacement draws batches of distinct components.
	WithoutReplacement bool
	// Step is the step length (η). 0 means 1/(L(1+√(Period/Batch))), half of it if h
	// is not convex: 1/(2L) and 1/(4L) with the other defaults.
	Step float64
}

// String returns "SpiderBoost".
func (SpiderBoost) String() string { return "SpiderBoost" }

func (m SpiderBoost) start(r *run) (stepper, error) {
	root := ceilPow(r.n, 0.5)
	o := pathOptions{batch: m.Batch, period: m.Period, refreshBatch: m.RefreshBatch, without: m.WithoutReplacement}
	return startPath(r, o, root, root, m.Step, nil)
}

// ProxSARAH (Pham, Nguyen, Phan and Tran-Dinh 2020) averages the iterate with the
// proximal point: θ⁺ = (1−Gamma)θ + Gamma·θ̂. It is for a convex h only.
type ProxSARAH struct {
	// Gamma is the weight of the proximal point, in (0, 1] (γ). 0 means 0.95.
	Gamma float64
	// Batch is b, drawn with replacement, at most n. 0 means ⌈√n⌉.
	Batch int
	// Period is the number of iterations per refresh. 0 means ⌈√n⌉.
	Period int
	// Step is the step length of the proximal point (η). 0 means SpiderBoost's step
	// over Gamma (ours).
	Step float64
}

// String returns "ProxSARAH".
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

// PAGE (Li, Bao, Zhang and Richtárik 2021) is SARAH's estimator with random refreshes:
// each iteration takes a full gradient with probability RefreshProb.
type PAGE struct {
	// Batch is b, drawn with replacement, at most n. 0 means ⌈√n⌉.
	Batch int
	// RefreshProb is the probability of a refresh (p). 0 means b/(n+b).
	RefreshProb float64
	// Step is the step length (η). 0 means 1/(L(1+√((1−p)/(p·b)))), which is about
	// 1/(2L), and half of it if h is not convex.
	Step float64
}

// String returns "PAGE".
func (PAGE) String() string { return "PAGE" }

func (m PAGE) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, ceilPow(r.n, 0.5), r.n)
	if err != nil {
		return nil, err
	}
	p := m.RefreshProb
	if p == 0 {
		p = float64(b) / float64(r.n+b)
	}
	return startPath(r, pathOptions{batch: b, prob: p}, b, 0, m.Step, nil)
}
