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
// differences (SPI-MM) are then vector arithmetic on statistics; that families be
// additive is this package's design and not the paper's.
//
// Implement it to use a majoriser of your own with every method of the family;
// Settings.Certify checks the majorisation as it runs.
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
	// Modulus returns the strong convexity ρ of every mean surrogate, zero if
	// there is none to promise.
	Modulus() float64
}

// A BatchStater is a Surrogate with a fast path for many components.
type BatchStater interface {
	AddBatchStat(dst []float64, idx []int, anchor []float64, scale float64)
}

// A PairStater is a Surrogate with a fast path for differences between anchors.
type PairStater interface {
	// AddStatDiff adds scale·Σ_{i∈idx} (s_i(a) − s_i(b)) to dst.
	AddStatDiff(dst []float64, idx []int, a, b []float64, scale float64)
}

// SurrogateValue returns g_i(x;anchor), its constant fixed by g_i(κ;κ) = f_i(κ).
func SurrogateValue(s Surrogate, f FiniteSum, i int, x, anchor []float64) float64 {
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

// ProxGrad is the quadratic surrogate
//
//	g_i(θ;κ) = f_i(κ) + ⟨∇f_i(κ), θ−κ⟩ + ‖θ−κ‖²/(2·Step),
//
// with h kept exactly: the Lipschitz-gradient surrogate when h = 0, the proximal
// gradient surrogate otherwise. Its statistic is κ − Step·∇f_i(κ), its minimiser
// prox_{Step·h} of the mean statistic. It majorises f_i for Step ≤ 1/L_i, and the
// mean majorises f for Step ≤ 1/L. Theorems A, B and C apply.
type ProxGrad struct {
	Sum  FiniteSum
	Step float64
}

func (s *ProxGrad) StatDim() int     { return s.Sum.Dim() }
func (s *ProxGrad) Modulus() float64 { return 1 / s.Step }

func (s *ProxGrad) AddStat(dst []float64, i int, anchor []float64, scale float64) {
	s.Sum.AddGrad(dst, i, anchor, -scale*s.Step)
	axpy(dst, scale, anchor)
}

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

func (s *ProxGrad) Minimize(dst, stat, _ []float64, h Regularizer) error {
	h.Prox(dst, stat, s.Step)
	return nil
}

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
		family = &ProxGrad{Sum: r.f, Step: step}
	} else if step != 0 {
		return nil, errors.New("mm: both a Surrogate and a Step are set: the step belongs to the family")
	}
	if c, ok := family.(interface{ accepts(Regularizer) error }); ok {
		if err := c.accepts(r.h); err != nil {
			return nil, err
		}
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

func checkGiven(name string, v float64) error {
	if !(v >= 0) || !finite(v) {
		return fmt.Errorf("mm: %s is %g", name, v)
	}
	return nil
}

func checkProxStep(h Regularizer, step float64) error {
	if l, ok := h.(StepLimiter); ok && !(step < l.MaxStep()) {
		return fmt.Errorf("mm: step %g: the prox of %T needs it below %g", step, h, l.MaxStep())
	}
	return nil
}

func checkRule(rule StepRule, h Regularizer) error {
	if rule == nil || h.Convex() {
		return nil
	}
	if _, ok := rule.(Full); ok {
		return nil
	}
	return fmt.Errorf("mm: step rule %T averages iterates, which leaves the domain of %T (not convex)", rule, h)
}

// batchSize resolves a batch option: zero is the default, and a batch drawn
// without replacement cannot exceed n.
func batchSize(name string, given, def, n int, without bool) (int, error) {
	switch {
	case given < 0:
		return 0, fmt.Errorf("mm: %s is %d", name, given)
	case given == 0:
		return def, nil
	case without && given > n:
		return 0, fmt.Errorf("mm: %s %d without replacement from %d components", name, given, n)
	}
	return given, nil
}
