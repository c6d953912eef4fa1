package mm

import (
	"errors"
	"math"
)

// MM is the classical scheme: minimise the mean of all surrogates anchored at the
// iterate. n IFO an iteration; the objective never increases. With the default
// family it is the proximal gradient method.
type MM struct {
	// Surrogate is the family; nil is ProxGrad.
	Surrogate Surrogate
	// Step of the default family; zero is 1/L.
	Step float64
	// LineSearch, for the default family only, starts each iteration from twice
	// the last step and halves it until the surrogate majorises at its minimiser.
	// The component values are counted in Stats.Values; no constant is needed
	// when Step is set. Comparing values limits the accuracy of θ to about the
	// root of the machine's.
	LineSearch bool
}

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
		return nil, errors.New("mm: LineSearch is for the default family")
	}
	if l, ok := r.h.(StepLimiter); ok && !math.IsInf(l.MaxStep(), 1) {
		return nil, errors.New("mm: LineSearch with a regulariser that limits the step")
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

// MISO (Mairal 2015) keeps one surrogate a component, refreshes that of a random
// one, and minimises their mean. n IFO at the start, Batch an iteration; memory
// n·StatDim. The mean of the true majorants never increases; for non-convex sums
// the guarantee is asymptotic. Each surrogate must majorise its own component, so
// the default step is 1/max L_i.
type MISO struct {
	Surrogate Surrogate
	Step      float64
	Batch     int // zero is 1
}

func (MISO) String() string { return "MISO" }

func (m MISO) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, 1, r.n, false)
	if err != nil {
		return nil, err
	}
	s, err := newStatStepper(r, m.Surrogate, m.Step, func(l Lipschitz) float64 { return 1 / l.Max })
	if err != nil {
		return nil, err
	}
	dim := len(s.stat)
	if dim > math.MaxInt/8/r.n {
		return nil, errors.New("mm: MISO's table would not fit in memory")
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

// SMM (Mairal 2013) averages surrogates of random components as it meets them,
// s̄_k = (1−w_k) s̄_{k−1} + w_k s_i(θ), with w_k = √(K0+1)/√(K0+k). Batch IFO an
// iteration, memory StatDim. Stationarity is almost sure and asymptotic; in
// practice it is fast early and stalls at a noise floor. The default step is
// 1/max L_i.
type SMM struct {
	Surrogate Surrogate
	Step      float64
	Batch     int     // zero is 1
	K0        float64 // zero is n/Batch
}

func (SMM) String() string { return "SMM" }

func (m SMM) start(r *run) (stepper, error) {
	b, err := batchSize("Batch", m.Batch, 1, r.n, false)
	if err != nil {
		return nil, err
	}
	if err := checkGiven("K0", m.K0); err != nil {
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

// SPIMM is SPI-MM, stochastic path-integrated majorization-minimization, of chapter
// 6 (Zhang, Zhou, Yang and Feng, IJCAI 2019) as reconstructed here: the surrogate is
// exact every Period iterations and carried along the path by small batches in
// between, so it majorises in expectation up to the variance of the path.
//
// The zero value is the finite-sum method of theorem A (C when h is not convex,
// D for another family): Batch = Period = ⌈√n⌉, exact refreshes, step 1/(2L) or
// 1/(4L), with at most 3n + 3√n·K component gradients in K iterations.
type SPIMM struct {
	// Surrogate is the family; nil is ProxGrad, for which the iteration is that of
	// Prox-SpiderBoost (Proposition 1).
	Surrogate Surrogate
	// Step of the default family. Zero is 1/(L(1+√(Period/Batch))), half of it when
	// h is not convex.
	Step float64
	// Batch is b, zero is ⌈√n⌉. Batch = 1 with Period = n is outside the theorems
	// at step 1/(2L) and often the fastest in practice.
	Batch int
	// Period is q, the iterations from one refresh to the next; zero is ⌈√n⌉. The
	// theorems need Period ≤ Batch.
	Period int
	// RefreshProb, if positive, replaces Period by a coin (the loopless form).
	RefreshProb float64
	// RefreshBatch is B, drawn with replacement; zero is n and exact. B < n is the
	// online case, which leaves an error floor of order σ²/B.
	RefreshBatch int
	// WithoutReplacement draws batches of distinct indices.
	WithoutReplacement bool
	// Rule shortens the steps; nil is Full. Only for convex h.
	Rule StepRule
}

func (SPIMM) String() string { return "SPI-MM" }

func (m SPIMM) start(r *run) (stepper, error) {
	o := pathOptions{m.Batch, m.Period, m.RefreshBatch, m.RefreshProb, m.WithoutReplacement}
	root := ceilPow(r.n, 0.5)
	if err := o.resolve(r.n, root, root); err != nil {
		return nil, err
	}
	if err := checkRule(m.Rule, r.h); err != nil {
		return nil, err
	}
	s, err := newStatStepper(r, m.Surrogate, m.Step, func(l Lipschitz) float64 {
		return theoryStep(l.MeanSquare, o.ratio(), r.h)
	})
	if err != nil {
		return nil, err
	}
	if s.rules, err = needsL(r, m.Rule); err != nil {
		return nil, err
	}
	p := newPath(r, s.oracle, o)
	s.update = func() error { p.update(s.stat); return nil }
	return s, nil
}

// needsL makes sure that L is known to a rule that uses it.
func needsL(r *run, rule StepRule) (StepRule, error) {
	if n, ok := rule.(Normalized); ok {
		if err := checkGiven("Eps", n.Eps); err != nil || n.Eps == 0 || !(n.N0 >= 0) {
			return nil, errors.New("mm: Normalized needs Eps > 0 and N0 ≥ 0")
		}
		if _, err := r.lipschitz(); err != nil {
			return nil, err
		}
	}
	if d, ok := rule.(Damped); ok && !(d.Gamma > 0 && d.Gamma <= 1) {
		return nil, errors.New("mm: Damped needs Gamma in (0, 1]")
	}
	return rule, nil
}
