package mm

import "math"

// certifier checks a sure descent inequality at every iteration.
//
// A gradient method moves to θ⁺ = θ + τ(θ̂−θ), θ̂ = prox_{ηh}(θ−ηv). With e = v−∇f(θ),
// Δ = θ⁺−θ and h convex,
//
//	F(θ⁺) ≤ F(θ) + ‖e‖²/(2L) − (1/(ητ) − L) ‖Δ‖²,
//
// which is step 3 of the proof in the package documentation with c = L. If h is not
// convex, 1/(2η) replaces 1/(ητ) and τ = 1. A surrogate method with statistic s̄ has, with ŝ the exact
// mean statistic at θ and D(x) = g(x;s̄) − g(x;ŝ),
//
//	F(θ⁺) ≤ F(θ) + D(θ) − D(θ⁺) − (ρ/2)(2/τ−1) ‖Δ‖²,
//
// because the exact surrogate majorises f and θ̂ minimises g(·;s̄)+h. Both are
// derived here.
type certifier struct {
	grad   *gradStepper
	stat   *statStepper
	oracle *oracle // of exact statistics
	exact  []float64
	L      float64
	f      float64
	have   bool
}

func newCertifier(r *run, st stepper) (*certifier, error) {
	c := &certifier{}
	if !r.set.Certify {
		return c, nil
	}
	switch s := st.(type) {
	case *statStepper:
		c.follow(r, s)
	case *searcher:
		c.follow(r, s.statStepper)
	case *gradStepper:
		l, err := r.lipschitz()
		if err != nil {
			return nil, err
		}
		c.grad, c.L = s, l.MeanSquare
		c.exact = make([]float64, r.p)
	}
	return c, nil
}

func (c *certifier) follow(r *run, s *statStepper) {
	c.stat = s
	c.oracle = newOracle(r.f, statistics(s.family), r.set.Concurrent)
	c.exact = make([]float64, s.family.StatDim())
}

func (c *certifier) check(r *run, next []float64, tau float64) error {
	if c.exact == nil {
		return nil
	}
	r.pause()
	defer r.resume()
	full := func(x []float64) float64 {
		return prefixValue(r.f, r.n, x, r.set.Concurrent)/float64(r.n) + r.h.Value(x)
	}
	if !c.have {
		c.f, c.have = full(r.x), true
	}
	f := full(next)
	gap := 0.0
	move := sqDistance(next, r.x)
	if c.grad != nil {
		s := c.grad
		r.diag.mean(c.exact, r.x)
		slope := 1 / s.eta
		if r.h.Convex() {
			slope /= tau
		} else {
			slope /= 2
		}
		gap = sqDistance(s.v, c.exact)/(2*c.L) - (slope-c.L)*move
	} else {
		s := c.stat
		c.oracle.mean(c.exact, r.x)
		r.diag.ifo += c.oracle.ifo
		c.oracle.ifo = 0
		d := func(x []float64) float64 { return s.family.Eval(s.stat, x) - s.family.Eval(c.exact, x) }
		gap = d(r.x) - d(next)
		if r.h.Convex() || absorbs(s.family) {
			gap -= s.family.Modulus() / 2 * (2/tau - 1) * move
		}
	}
	bound := c.f + gap
	before := c.f
	c.f = f
	scale := 1 + math.Abs(before) + math.Abs(f)
	if !math.IsInf(before, 0) && !(f <= bound+1e-9*scale) {
		return &CertificateError{r.k, f, bound}
	}
	return nil
}

// absorbs reports whether a family majorises h along with f.
func absorbs(s Surrogate) bool {
	a, ok := s.(interface{ absorbs() bool })
	return ok && a.absorbs()
}
