package mm

// A StepRule shortens the move from θ to the minimiser θ̂ of the surrogate to
// θ + τ(θ̂−θ). Averages leave a non-convex domain, so a regulariser that is not
// convex is refused with any rule but Full.
type StepRule interface {
	// Factor returns τ in (0, 1] for ‖θ̂−θ‖ = dist and the smoothness constant L.
	Factor(dist, L float64) float64
}

// Full is τ = 1.
type Full struct{}

func (Full) Factor(_, _ float64) float64 { return 1 }

// Normalized bounds every move by Eps/(L·N0), SPIDER's step: then the estimator's
// error stays below Eps within a period of N0·√n batches of √n/N0.
type Normalized struct {
	Eps float64 // ε, the aim for ‖∇f‖ (or the gradient mapping)
	N0  float64 // zero is 1
}

func (s Normalized) Factor(dist, L float64) float64 {
	if limit := s.Eps / (L * orOne(s.N0)); dist > limit {
		return limit / dist
	}
	return 1
}

// Damped is τ = Gamma, ProxSARAH's averaging.
type Damped struct {
	Gamma float64
}

func (s Damped) Factor(_, _ float64) float64 { return s.Gamma }

// shorten moves next to x + τ(next−x) and returns τ.
func shorten(rule StepRule, next, x []float64, dist, L float64) float64 {
	if rule == nil {
		return 1
	}
	tau := rule.Factor(dist, L)
	if tau == 1 {
		return 1
	}
	for j, v := range x {
		next[j] = v + tau*(next[j]-v)
	}
	return tau
}
