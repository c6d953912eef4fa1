package mm

import (
	"fmt"
	"math"
)

// A StepRule shortens the move from θ to the minimiser θ̂ of the surrogate: the next
// iterate is θ + τ(θ̂−θ). Averages leave a non-convex domain, so Minimize refuses any
// rule but Full for a regulariser that is not convex.
type StepRule interface {
	// Factor returns τ in (0, 1] for the length dist = ‖θ̂−θ‖ and the smoothness
	// constant L (Lipschitz.MeanSquare). If no constant is known, L is NaN; a rule
	// that needs it then returns NaN, and Minimize an error.
	Factor(dist, L float64) float64
}

// Full is the rule τ = 1.
type Full struct{}

// Factor returns 1.
func (Full) Factor(_, _ float64) float64 { return 1 }

// Normalized is the rule of SPIDER (Fang, Li, Lin and Zhang 2018): no move is longer
// than Eps/(L·N0). With batches of √n/N0 and a refresh every N0·√n iterations, the
// estimator's error then stays below Eps in the mean.
type Normalized struct {
	// Eps > 0 is the accuracy aimed at, for ‖∇f‖ or the gradient mapping (ε).
	Eps float64
	// N0 is SPIDER's n₀, positive; 0 means 1.
	N0 float64
}

// Validate checks both fields.
func (s Normalized) Validate(_, _ int) error {
	return firstError(positive("Normalized.Eps", s.Eps), nonNegative("Normalized.N0", s.N0))
}

// Factor returns min(1, Eps/(L·N0·dist)), or NaN if L is NaN.
func (s Normalized) Factor(dist, L float64) float64 {
	if limit := s.Eps / (L * orOne(s.N0)); !(dist <= limit) {
		return limit / dist
	}
	return 1
}

// Damped is the constant rule τ = Gamma, the averaging of ProxSARAH (Pham, Nguyen,
// Phan and Tran-Dinh 2020).
type Damped struct {
	// Gamma is in (0, 1] (γ).
	Gamma float64
}

// Validate checks Gamma.
func (s Damped) Validate(_, _ int) error {
	if !(s.Gamma > 0 && s.Gamma <= 1) {
		return fmt.Errorf("mm: Damped.Gamma is %g, want a number in (0, 1]", s.Gamma)
	}
	return nil
}

// Factor returns Gamma.
func (s Damped) Factor(_, _ float64) float64 { return s.Gamma }

// checkRule refuses an invalid rule, and one that averages iterates off a non-convex
// domain.
func checkRule(rule StepRule, r *run) error {
	if rule == nil {
		return nil
	}
	if _, ok := rule.(Full); !ok && !r.h.Convex() {
		return fmt.Errorf("mm: the step rule %T averages iterates, which leaves the domain of %T (not convex)", rule, r.h)
	}
	return validate(rule, r.n, r.p)
}

// shorten moves next to x + τ(next−x) and returns τ.
func (r *run) shorten(rule StepRule, next []float64, dist float64) (float64, error) {
	if rule == nil {
		return 1, nil
	}
	l, err := r.lipschitz()
	if err != nil {
		l.MeanSquare = math.NaN()
	}
	tau := rule.Factor(dist, l.MeanSquare)
	switch {
	case tau == 1:
		return 1, nil
	case !(tau > 0 && tau < 1):
		if err == nil || !math.IsNaN(tau) {
			err = fmt.Errorf("mm: the step rule %T returned the factor %g, want one in (0, 1]", rule, tau)
		}
		return 0, err
	}
	for j, v := range r.x {
		next[j] = v + tau*(next[j]-v)
	}
	return tau, nil
}
