package mm

import (
	"errors"
	"fmt"
)

// A Surrogate is an additive family of surrogates: anchored at κ,
//
//	g_i(θ;κ) = ⟨s_i(κ), φ(θ)⟩ + ψ(θ) + const,
//
// with a statistic s_i of fixed length, g_i(κ;κ) = f_i(κ) and equal gradients there.
// Means of surrogates, tables of them (MISO), averages (SMM) and path-integrated
// differences (SPIMM) are then vector arithmetic on statistics. That families be
// additive is a design of ours and not of the source.
//
// Implement it to use a majoriser of your own with MM, MISO, SMM and SPIMM. While
// these run, Settings.Certify checks the majorisation. A family may also implement
// BatchStater and PairStater for speed, and Validator.
type Surrogate interface {
	// StatDim returns the length of a statistic.
	StatDim() int
	// AddStat adds scale·s_i(anchor) to dst.
	AddStat(dst []float64, i int, anchor []float64, scale float64)
	// Minimize writes argmin_x ⟨stat,φ(x)⟩ + ψ(x) + h(x) to dst. Iterative solvers
	// may begin at start, the current iterate.
	Minimize(dst, stat, start []float64, h Regularizer) error
	// Eval returns ⟨stat,φ(x)⟩ + ψ(x). It need not include the constant.
	Eval(stat, x []float64) float64
	// Modulus returns a strong convexity ρ that every mean surrogate has, or 0 if
	// there is none to promise.
	Modulus() float64
}

// A BatchStater is a Surrogate with a fast path for many components.
type BatchStater interface {
	// AddBatchStat adds scale·Σ_{i∈idx} s_i(anchor) to dst. An index that occurs
	// twice counts twice.
	AddBatchStat(dst []float64, idx []int, anchor []float64, scale float64)
}

// A PairStater is a Surrogate with a fast path for differences between two anchors.
type PairStater interface {
	// AddStatDiff adds scale·Σ_{i∈idx} (s_i(a) − s_i(b)) to dst.
	AddStatDiff(dst []float64, idx []int, a, b []float64, scale float64)
}

// SurrogateValue returns g_i(x;anchor), its constant fixed by g_i(κ;κ) = f_i(κ). It
// panics unless i is in [0, n) and both points have one entry per parameter.
func SurrogateValue(s Surrogate, f FiniteSum, i int, x, anchor []float64) float64 {
	checkLen("SurrogateValue", len(x), f.Dim())
	checkLen("SurrogateValue", len(anchor), f.Dim())
	if n := f.Len(); i < 0 || i >= n {
		panic(Error(fmt.Sprintf("SurrogateValue: component %d of %d", i, n)))
	}
	stat := make([]float64, s.StatDim())
	s.AddStat(stat, i, anchor, 1)
	return f.Component(i, anchor) + s.Eval(stat, x) - s.Eval(stat, anchor)
}

func statistics(s Surrogate) additive {
	a := additive{dim: s.StatDim(), add: s.AddStat}
	if b, ok := s.(BatchStater); ok {
		a.batch = b.AddBatchStat
	}
	if d, ok := s.(PairStater); ok {
		a.diff = d.AddStatDiff
	}
	a.fill()
	return a
}

// ProxGrad is the quadratic surrogate family
//
//	g_i(θ;κ) = f_i(κ) + ⟨∇f_i(κ), θ−κ⟩ + ‖θ−κ‖²/(2·Step),
//
// with h kept exactly: the Lipschitz-gradient surrogate of Mairal (2013, 2015) if
// h = 0, the proximal gradient surrogate otherwise. Its statistic is
// κ − Step·∇f_i(κ), p numbers. Its minimiser is the proximal point at step Step of the
// mean statistic. It majorises f_i for Step ≤ 1/L_i, and the mean majorises f for
// Step ≤ 1/L. Theorems A, B and C apply. It is the default family of every method.
type ProxGrad struct {
	// Sum is the problem's sum.
	Sum FiniteSum
	// Step > 0 is the step length η = 1/ρ.
	Step float64
}

// Validate checks that the family fits the problem.
func (s *ProxGrad) Validate(n, p int) error {
	return firstError(sameSum("ProxGrad", s.Sum, n, p), positive("ProxGrad.Step", s.Step))
}

// StatDim returns p.
func (s *ProxGrad) StatDim() int { return s.Sum.Dim() }

// Modulus returns 1/Step.
func (s *ProxGrad) Modulus() float64 { return 1 / s.Step }

// AddStat adds scale·(anchor − Step·∇f_i(anchor)) to dst.
func (s *ProxGrad) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	s.Sum.AddGrad(dst, i, anchor, -scale*s.Step)
	axpy(dst, scale, anchor)
}

// AddBatchStat adds scale·Σ_{i∈idx} s_i(anchor) to dst.
func (s *ProxGrad) AddBatchStat(dst []float64, idx []int, anchor []float64, scale float64) {
	if b, ok := s.Sum.(BatchGrader); ok {
		b.AddBatchGrad(dst, idx, anchor, -scale*s.Step)
	} else {
		for _, i := range idx {
			s.Sum.AddGrad(dst, i, anchor, -scale*s.Step)
		}
	}
	axpy(dst, scale*float64(len(idx)), anchor)
}

// AddStatDiff adds scale·Σ_{i∈idx} (s_i(a) − s_i(b)) to dst.
func (s *ProxGrad) AddStatDiff(dst []float64, idx []int, a, b []float64, scale float64) {
	if d, ok := s.Sum.(PairGrader); ok {
		d.AddGradDiff(dst, idx, a, b, -scale*s.Step)
	} else {
		for _, i := range idx {
			s.Sum.AddGrad(dst, i, a, -scale*s.Step)
			s.Sum.AddGrad(dst, i, b, scale*s.Step)
		}
	}
	scale *= float64(len(idx))
	b = b[:len(a)]
	dst = dst[:len(a)]
	for j, v := range a {
		dst[j] += scale * (v - b[j])
	}
}

// Minimize writes the proximal point of stat at step Step to dst.
func (s *ProxGrad) Minimize(dst, stat, _ []float64, h Regularizer) error {
	h.Prox(dst, stat, s.Step)
	return nil
}

// Eval returns (‖x‖²/2 − ⟨stat,x⟩)/Step.
func (s *ProxGrad) Eval(stat, x []float64) float64 {
	return (sqNorm(x)/2 - dot(stat, x)) / s.Step
}

func (s *ProxGrad) grain() int {
	if g, ok := s.Sum.(grainer); ok {
		return g.grain()
	}
	return 2048
}

// A statStepper minimises the mean surrogate that its update maintains: the one
// loop of MM, MISO, SMM and SPI-MM.
type statStepper struct {
	r      *run
	family Surrogate
	oracle *oracle
	stat   []float64
	// update turns stat into the statistic of iteration r.k at r.x.
	update func() error
	rules  StepRule
}

// newStatStepper resolves the family: that given, or ProxGrad with the step, or
// with the theory's step.
func newStatStepper(r *run, family Surrogate, step float64, theory func(Lipschitz) float64) (*statStepper, error) {
	if family == nil {
		step, err := r.step(step, theory)
		if err != nil {
			return nil, err
		}
		family = &ProxGrad{Sum: r.f, Step: step}
	} else if step != 0 {
		return nil, errors.New("mm: both a Surrogate and a Step are set: the step belongs to the family")
	}
	if err := validate(family, r.n, r.p); err != nil {
		return nil, err
	}
	if err := accepts(family, r.h); err != nil {
		return nil, err
	}
	if p, ok := family.(*ProxGrad); ok {
		if err := checkProxStep(r.h, p.Step); err != nil {
			return nil, err
		}
	}
	s := &statStepper{r: r, family: family, oracle: newOracle(r.f, statistics(family), r.set.Concurrent)}
	if g, ok := family.(grainer); ok {
		s.oracle.grain = g.grain()
	}
	s.stat = make([]float64, family.StatDim())
	r.counted = append(r.counted, s.oracle)
	return s, nil
}

// accepts refuses a regulariser that the family cannot be minimised with.
func accepts(s Surrogate, h Regularizer) error {
	if c, ok := s.(interface{ accepts(Regularizer) error }); ok {
		return c.accepts(h)
	}
	return nil
}

// family returns the surrogate family of a stepper, nil if it has none.
func family(st stepper) Surrogate {
	switch s := st.(type) {
	case *statStepper:
		return s.family
	case *searcher:
		return s.family
	}
	return nil
}

func (s *statStepper) modulus() float64 {
	if m := s.family.Modulus(); m > 0 {
		return m
	}
	return 1
}

func (s *statStepper) rule() StepRule { return s.rules }

func (s *statStepper) propose(dst []float64) error {
	if err := s.update(); err != nil {
		return err
	}
	s.r.stats.Prox++
	if !allFinite(s.stat) {
		return &NonFiniteError{s.r.k, s.r.ifo()}
	}
	return s.family.Minimize(dst, s.stat, s.r.x, s.r.h)
}

// refresh makes the statistic exact at r.x.
func (s *statStepper) refresh() {
	s.oracle.mean(s.stat, s.r.x)
	s.r.stats.Refresh++
	s.r.refreshed = true
}

// step returns the step given, or the theory's if none is given.
func (r *run) step(given float64, theory func(Lipschitz) float64) (float64, error) {
	if err := nonNegative("Step", given); err != nil {
		return 0, err
	}
	if given == 0 {
		l, err := r.lipschitz()
		if err != nil {
			return 0, err
		}
		if given = theory(l); !finite(given) {
			return 0, fmt.Errorf("%w: the default step needs Lipschitz.Max", ErrNoLipschitz)
		}
	}
	return given, checkProxStep(r.h, given)
}

func checkProxStep(h Regularizer, step float64) error {
	if l, ok := h.(StepLimiter); ok && !(step < l.MaxStep()) {
		return fmt.Errorf("mm: step %g: the prox of %T needs a step below %g", step, h, l.MaxStep())
	}
	return nil
}

// batchSize resolves a number of components to draw: 0 means the default.
func batchSize(name string, given, def, n int) (int, error) {
	switch {
	case given < 0:
		return 0, fmt.Errorf("mm: %s is %d, want at least 1, or 0 for the default", name, given)
	case given == 0:
		return def, nil
	case given > n:
		return 0, fmt.Errorf("mm: %s is %d, more than the %d components", name, given, n)
	}
	return given, nil
}
