package mm

import "math"

// Measure selects a measure of stationarity. Each is a norm, not a squared norm, and
// is 0 exactly at the stationary points of F.
type Measure int

const (
	// MeasureMapping is the norm of the gradient mapping,
	// ‖x − prox_{ηh}(x − η∇f(x))‖/η, which is ‖∇f(x)‖ if h = 0. The step length η is
	// Settings.MappingStep. It is the default.
	MeasureMapping Measure = iota
	// MeasureResidual is the residual of the method's own surrogate family,
	// ρ‖x − argmin(ḡ(·;x)+h)‖, for MM, MISO, SMM and SPIMM only. For ProxGrad it
	// equals the gradient mapping at η = 1/ρ.
	MeasureResidual
	// MeasureSubgradient bounds dist(0, ∂F) at the point x⁺ that one exact proximal
	// step from x reaches, by ‖∇f(x⁺) − ∇f(x) + (x − x⁺)/η‖. It suits a regulariser
	// that is not convex, where the gradient mapping depends on the choice of the
	// proximal point.
	MeasureSubgradient
)

// GradientMapping returns the norm of the gradient mapping at x,
// ‖x − prox_{ηh}(x − η∇f(x))‖/η for η = step. It panics unless step is positive and x
// has one entry per parameter.
func GradientMapping(p Problem, x []float64, step float64) float64 {
	checkPoint("GradientMapping", p.Sum, x, step)
	g := make([]float64, len(x))
	FullGrad(g, p.Sum, x)
	proxStep(g, p.Reg, x, step)
	return distance(g, x) / step
}

// SubgradientBound returns MeasureSubgradient at x for η = step. It panics unless
// step is positive and x has one entry per parameter.
func SubgradientBound(p Problem, x []float64, step float64) float64 {
	checkPoint("SubgradientBound", p.Sum, x, step)
	return subgradientBound(newGradOracle(p.Sum, 1), p.Sum.Len(), p.Reg, x, step)
}

// Residual returns MeasureResidual of a surrogate family at x. It returns an error
// if the family does not fit the problem or cannot be minimised with its regulariser.
// It panics unless x has one entry per parameter.
func Residual(s Surrogate, p Problem, x []float64) (float64, error) {
	checkLen("Residual", len(x), p.Sum.Dim())
	if err := validate(s, p.Sum.Len(), p.Sum.Dim()); err != nil {
		return math.NaN(), err
	}
	o := newOracle(p.Sum, statistics(s), 1)
	return residual(o, s, p.Sum.Len(), p.Reg, x)
}

func checkPoint(op string, f FiniteSum, x []float64, step float64) {
	checkLen(op, len(x), f.Dim())
	mustBe(positive(op+": step", step))
}

// proxStep replaces the gradient g at x by prox_{ηh}(x − ηg).
func proxStep(g []float64, h Regularizer, x []float64, step float64) {
	for j, v := range x {
		g[j] = v - step*g[j]
	}
	if h != nil {
		h.Prox(g, g, step)
	}
}

func subgradientBound(o *oracle, n int, h Regularizer, x []float64, step float64) float64 {
	g, plus, gp := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	o.prefixMean(g, n, x)
	copy(plus, g)
	proxStep(plus, h, x, step)
	o.prefixMean(gp, n, plus)
	for j := range gp {
		gp[j] += (x[j]-plus[j])/step - g[j]
	}
	return norm(gp)
}

func residual(o *oracle, s Surrogate, n int, h Regularizer, x []float64) (float64, error) {
	if h == nil {
		h = Zero{}
	}
	stat, hat := make([]float64, s.StatDim()), make([]float64, len(x))
	o.prefixMean(stat, n, x)
	if err := accepts(s, h); err != nil {
		return math.NaN(), err
	}
	if err := s.Minimize(hat, stat, x, h); err != nil {
		return math.NaN(), err
	}
	rho := s.Modulus()
	if rho == 0 {
		rho = 1
	}
	return rho * distance(hat, x), nil
}

// measure evaluates the measure of the settings at x.
func (r *run) measure(st stepper, x []float64) (float64, error) {
	if r.set.Measure == MeasureResidual {
		s := family(st)
		o := newOracle(r.f, statistics(s), r.set.Concurrent)
		v, err := residual(o, s, r.set.Evaluate, r.h, x)
		r.diag.ifo += o.ifo
		return v, err
	}
	step := r.set.MappingStep
	if step == 0 {
		l, err := r.lipschitz()
		if err != nil {
			// No constant is known: the mapping at the method's own step.
			if step = 1 / st.modulus(); !(step > 0) || !finite(step) {
				return math.NaN(), err
			}
		} else {
			step = theoryStep(l.MeanSquare, 1, r.h)
		}
	}
	if r.set.Measure == MeasureSubgradient {
		return subgradientBound(r.diag, r.set.Evaluate, r.h, x, step), nil
	}
	g := make([]float64, r.p)
	r.diag.prefixMean(g, r.set.Evaluate, x)
	proxStep(g, r.h, x, step)
	return distance(g, x) / step, nil
}

// locate evaluates F and the measure at x; what cannot be evaluated is NaN.
func (r *run) locate(st stepper, x []float64) Location {
	v, _ := r.measure(st, x)
	return Location{X: x, F: r.value(x), Stationarity: v}
}

func (r *run) value(x []float64) float64 {
	m := r.set.Evaluate
	return prefixValue(r.f, m, x, r.set.Concurrent)/float64(m) + r.h.Value(x)
}

// theoryStep returns the step of theorems A to C for a path-integrated estimator
// with q/b = ratio (ours): with c = L√ratio in the one-step inequality the
// coefficient of ‖Δ‖² is positive below 1/(L(1/2+√ratio)) for convex h and below
// 1/(L(1+2√ratio)) for any h; 1/(L(1+√ratio)) and half of it keep clear of that.
// At q = b they are 1/(2L) and 1/(4L).
func theoryStep(L, ratio float64, h Regularizer) float64 {
	s := 1 / (L * (1 + math.Sqrt(ratio)))
	if h != nil && !h.Convex() {
		s /= 2
	}
	return s
}
