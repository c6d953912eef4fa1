package mm

import "math"

// SVRG (Johnson and Zhang 2013; non-convex: Reddi, Hefny, Sra, Póczos and Smola 2016)
// corrects the gradient of a batch by its gradient at a snapshot, whose full gradient
// is known:
//
//	v = (1/b) Σ_{i∈S} (∇f_i(θ) − ∇f_i(θ̃)) + ∇f(θ̃).
//
// A snapshot costs n component gradients and any other iteration 2·Batch. With the
// defaults the method reaches ‖G‖ ≤ ε in O(n + n^⅔/ε²).
type SVRG struct {
	// Batch is b, drawn with replacement, at most n. 0 means ⌈n^⅔⌉.
	Batch int
	// Period is the number of iterations per snapshot. 0 means ⌈n^⅓⌉.
	Period int
	// Step is the step length (η). 0 means 1/(3L), half of it if h is not convex.
	Step float64
}

// String returns "SVRG".
func (SVRG) String() string { return "SVRG" }

func (m SVRG) start(r *run) (stepper, error) {
	if err := atLeast("Period", m.Period, 0); err != nil {
		return nil, err
	}
	q := m.Period
	if q == 0 {
		q = ceilPow(r.n, 1.0/3)
	}
	return startSnapshot(r, m.Batch, m.Step, third(r), &snapshot{period: q})
}

func third(r *run) func(Lipschitz) float64 {
	return func(l Lipschitz) float64 { return halved(1/(3*l.MeanSquare), r.h) }
}

// LSVRG is loopless SVRG (Kovalev, Horváth and Richtárik 2020): each iteration takes a
// new snapshot with probability RefreshProb. Otherwise it is SVRG, at the same cost.
type LSVRG struct {
	// Batch is b, drawn with replacement, at most n. 0 means ⌈n^⅔⌉.
	Batch int
	// RefreshProb is the probability of a snapshot. 0 means b/n.
	RefreshProb float64
	// Step is the step length (η). 0 means 1/(3L), half of it if h is not convex.
	Step float64
}

// String returns "L-SVRG".
func (LSVRG) String() string { return "L-SVRG" }

func (m LSVRG) start(r *run) (stepper, error) {
	if err := checkProb(m.RefreshProb); err != nil {
		return nil, err
	}
	b, err := batchSize("Batch", m.Batch, ceilPow(r.n, 2.0/3), r.n)
	if err != nil {
		return nil, err
	}
	p := m.RefreshProb
	if p == 0 {
		p = float64(b) / float64(r.n)
	}
	return startSnapshot(r, b, m.Step, third(r), &snapshot{prob: p})
}

// SCSG (Lei, Ju, Chen and Jordan 2017) is SVRG with snapshots of random life: their
// number of iterations is geometric with mean RefreshBatch/Batch. If RefreshBatch < n,
// a snapshot's gradient is the mean over a large batch instead of all components. A
// snapshot costs RefreshBatch component gradients and any other iteration 2·Batch.
// The method reaches ‖G‖ ≤ ε in O(min(n^⅔/ε², ε^(−10/3))).
type SCSG struct {
	// Batch is b, drawn with replacement, at most n. 0 means ⌈√n⌉.
	Batch int
	// RefreshBatch is B, the components of a snapshot, drawn with replacement. 0 and
	// n mean all components, once each.
	RefreshBatch int
	// Step is the step length (η). 0 means (1/(6L))·(b/B)^⅔, half of it if h is not
	// convex.
	Step float64
}

// String returns "SCSG".
func (SCSG) String() string { return "SCSG" }

func (m SCSG) start(r *run) (stepper, error) {
	big, err := batchSize("RefreshBatch", m.RefreshBatch, r.n, r.n)
	if err != nil {
		return nil, err
	}
	b, err := batchSize("Batch", m.Batch, ceilPow(r.n, 0.5), r.n)
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
	b, err := batchSize("Batch", batch, ceilPow(r.n, 2.0/3), r.n)
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
