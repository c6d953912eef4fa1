package mm

// SPIMM is SPI-MM, stochastic path-integrated majorization-minimization, of chapter 6
// (Zhang, Zhou, Yang and Feng 2019), as reconstructed here. The mean surrogate is
// exact every Period iterations. In between, small batches carry it along the path of
// the iterates. So it majorises in expectation, up to the variance along the path.
//
// A refresh costs n component gradients and any other iteration 2·Batch. The zero
// value has the parameters of theorem A (C if h is not convex, D for another family):
// at most 3n + 3√n·K component gradients in K iterations, and ‖G‖ ≤ ε in O(n + √n/ε²).
type SPIMM struct {
	// Surrogate is the family. Nil means ProxGrad, for which the iteration is that of
	// Prox-SpiderBoost (Proposition 1).
	Surrogate Surrogate
	// Step is the step length of the default family (η). 0 means
	// 1/(L(1+√(Period/Batch))), half of it if h is not convex: 1/(2L) and 1/(4L) with
	// the other defaults.
	Step float64
	// Batch is the number of components per iteration between refreshes (b), at most
	// n. 0 means ⌈√n⌉. Batch 1 with Period n is often the fastest in practice; at
	// step 1/(2L) it is outside the theorems.
	Batch int
	// Period is the number of iterations per refresh (q). 0 means ⌈√n⌉. The theorems
	// need Period ≤ Batch.
	Period int
	// RefreshProb, if positive, replaces Period: each iteration is a refresh with this
	// probability (the loopless form). Setting both is an error.
	RefreshProb float64
	// RefreshBatch is the number of components of a refresh (B), drawn with
	// replacement. 0 and n mean all components, once each. B < n is the online case,
	// which leaves an error floor of order σ²/B in ‖G‖².
	RefreshBatch int
	// WithoutReplacement draws batches of distinct components.
	WithoutReplacement bool
	// Rule shortens the steps, for a convex h only. Nil means Full.
	Rule StepRule
}

// String returns "SPI-MM".
func (SPIMM) String() string { return "SPI-MM" }

func (m SPIMM) start(r *run) (stepper, error) {
	o := pathOptions{m.Batch, m.Period, m.RefreshBatch, m.RefreshProb, m.WithoutReplacement}
	root := ceilPow(r.n, 0.5)
	if err := o.resolve(r.n, root, root); err != nil {
		return nil, err
	}
	if err := checkRule(m.Rule, r); err != nil {
		return nil, err
	}
	s, err := newStatStepper(r, m.Surrogate, m.Step, func(l Lipschitz) float64 {
		return theoryStep(l.MeanSquare, o.ratio(), r.h)
	})
	if err != nil {
		return nil, err
	}
	s.rules = m.Rule
	p := newPath(r, s.oracle, o)
	s.update = func() error { p.update(s.stat); return nil }
	return s, nil
}
