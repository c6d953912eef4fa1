package mm

import (
	"errors"
	"fmt"
	"math"
)

// MM is classical majorization-minimization (Hunter and Lange 2004): it minimises the
// mean of all surrogates anchored at the iterate. It costs n component gradients per
// iteration, and the objective never increases. With the default family it is the
// proximal gradient method, which reaches ‖G‖ ≤ ε in O(n/ε²).
type MM struct {
	// Surrogate is the family. Nil means ProxGrad.
	Surrogate Surrogate
	// Step is the step length of the default family (η). 0 means 1/L.
	Step float64
	// LineSearch, for the default family only, starts each iteration at twice the
	// last step and halves it until the surrogate majorises at its minimiser. If
	// Step is set, the search starts there and needs no constant L. Stats.Values
	// counts the component values it computes. Comparing values limits the accuracy
	// of θ to about 1e-8.
	LineSearch bool
}

// String returns "MM".
func (MM) String() string { return "MM" }

func (m MM) start(r *run) (stepper, error) {
	s, err := newStatStepper(r, m.Surrogate, m.Step, func(l Lipschitz) float64 { return 1 / l.MeanSquare })
	if err != nil {
		return nil, err
	}
	s.update = func() error { s.refresh(); return nil }
	if !m.LineSearch {
		return s, nil
	}
	if m.Surrogate != nil {
		return nil, errors.New("mm: LineSearch is for the default family: leave Surrogate nil")
	}
	if l, ok := r.h.(StepLimiter); ok && !math.IsInf(l.MaxStep(), 1) {
		return nil, fmt.Errorf("mm: LineSearch does not serve %T, which limits the step", r.h)
	}
	return &searcher{statStepper: s, family: s.family.(*ProxGrad), g: make([]float64, r.p), o: r.grad}, nil
}

// searcher is MM with a backtracking step.
type searcher struct {
	*statStepper
	family *ProxGrad
	g      []float64
	o      *oracle
}

func (s *searcher) propose(dst []float64) error {
	r := s.r
	s.o.mean(s.g, r.x)
	r.stats.Refresh++
	r.refreshed = true
	value := func(x []float64) float64 {
		r.stats.Values += int64(r.n)
		return sumValue(r.f, x, r.set.Concurrent) / float64(r.n)
	}
	f := value(r.x)
	if s.family.Step < 1e300 { // at a stationary point every step is accepted
		s.family.Step *= 2
	}
	for ; ; s.family.Step /= 2 {
		step := s.family.Step
		if step == 0 {
			return errors.New("no step is small enough: wrong gradient?")
		}
		copy(dst, s.g)
		proxStep(dst, r.h, r.x, step)
		r.stats.Prox++
		slope := 0.0
		for j, v := range s.g {
			slope += v * (dst[j] - r.x[j])
		}
		move := sqDistance(dst, r.x)
		if !finite(move) {
			if !allFinite(s.g) {
				return &NonFiniteError{r.k, r.ifo()}
			}
			continue
		}
		if value(dst) <= f+slope+move/(2*step)+1e-14*math.Abs(f) {
			break
		}
	}
	for j, v := range r.x {
		s.stat[j] = v - s.family.Step*s.g[j]
	}
	return nil
}

// MISO (Mairal 2015) keeps one surrogate per component, refreshes that of a random
// component, and minimises the mean. It costs n component gradients at the start and
// Batch per iteration, and memory for n statistics. The mean of the surrogates never
// increases; for non-convex sums the guarantee is asymptotic.
type MISO struct {
	// Surrogate is the family. It must majorise every component. Nil means ProxGrad.
	Surrogate Surrogate
	// Step is the step length of the default family (η). 0 means 1/max L_i.
	Step float64
	// Batch is the number of surrogates refreshed per iteration, drawn with
	// replacement, at most n. 0 means 1.
	Batch int
}

// String returns "MISO".
func (MISO) String() string { return "MISO" }

func (m MISO) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, 1, r.n)
	if err != nil {
		return nil, err
	}
	s, err := newStatStepper(r, m.Surrogate, m.Step, func(l Lipschitz) float64 { return 1 / l.Max })
	if err != nil {
		return nil, err
	}
	dim := len(s.stat)
	if err := fits("MISO's table", float64(r.n)*float64(dim), maxNumbers); err != nil {
		return nil, err
	}
	table, fresh := make([]float64, r.n*dim), make([]float64, dim)
	batch := sampler{counter: newCounter(r.set.Seed, streamBatch), n: r.n}
	first := true
	s.update = func() error {
		if first {
			first = false
			for i := range r.n {
				s.oracle.one(table[i*dim:(i+1)*dim], i, r.x, 1)
			}
			s.refresh()
			s.oracle.ifo -= int64(r.n) // the mean is that of the table
			return nil
		}
		for range b {
			i := batch.intn(r.n)
			old := table[i*dim : (i+1)*dim]
			clear(fresh)
			s.oracle.one(fresh, i, r.x, 1)
			inv := 1 / float64(r.n)
			for j, v := range fresh {
				s.stat[j] += (v - old[j]) * inv
				old[j] = v
			}
		}
		return nil
	}
	return s, nil
}

// SMM is stochastic majorization-minimization (Mairal 2013). It averages the surrogates
// of random components as it meets them,
//
//	s̄_k = (1−w_k) s̄_{k−1} + w_k s_i(θ_{k−1}),  w_k = √(K0+1)/√(K0+k).
//
// It costs Batch component gradients per iteration and memory for one statistic.
// Stationarity is almost sure and asymptotic. In practice the method is fast early
// and stalls at a noise floor.
type SMM struct {
	// Surrogate is the family. It must majorise every component. Nil means ProxGrad.
	Surrogate Surrogate
	// Step is the step length of the default family (η). 0 means 1/max L_i.
	Step float64
	// Batch is the number of components per iteration, drawn with replacement, at
	// most n. 0 means 1.
	Batch int
	// K0 delays the fall of the weights, in iterations. 0 means n/Batch.
	K0 float64
}

// String returns "SMM".
func (SMM) String() string { return "SMM" }

func (m SMM) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, 1, r.n)
	if err != nil {
		return nil, err
	}
	if err := nonNegative("K0", m.K0); err != nil {
		return nil, err
	}
	s, err := newStatStepper(r, m.Surrogate, m.Step, func(l Lipschitz) float64 { return 1 / l.Max })
	if err != nil {
		return nil, err
	}
	k0 := m.K0
	if k0 == 0 {
		k0 = float64(r.n) / float64(b)
	}
	batch := sampler{counter: newCounter(r.set.Seed, streamBatch), n: r.n}
	idx := make([]int, b)
	s.update = func() error {
		w := math.Sqrt(k0+1) / math.Sqrt(k0+float64(r.k+1))
		for j := range s.stat {
			s.stat[j] *= 1 - w
		}
		batch.draw(idx, true)
		s.oracle.addBatch(s.stat, idx, r.x, w)
		return nil
	}
	return s, nil
}
