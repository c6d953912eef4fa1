package mm

import "math"

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
	step, err := r.step(step, theory)
	if err != nil {
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

// SGD is the proximal stochastic gradient method (Robbins and Monro 1951; non-convex:
// Ghadimi and Lan 2013): v is the mean of ∇f_i over a batch drawn with replacement.
// The step length is Step/√(1+k·Batch/n) at iteration k: nearly constant at first,
// then falling with the number of passes (this schedule is ours). It costs Batch
// component gradients per iteration and reaches ‖G‖ ≤ ε in O(1/ε⁴). SGD is often
// fastest in the first pass and then stalls at a noise floor.
type SGD struct {
	// Batch is the number of components per iteration, at most n. 0 means 1.
	Batch int
	// Step is the first step length (η). 0 means 1/max L_i, half of it if h is not
	// convex.
	Step float64
	// Constant keeps the step length at Step.
	Constant bool
}

// String returns "SGD".
func (SGD) String() string { return "SGD" }

func (m SGD) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, 1, r.n)
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
