package mm

import (
	"math"
	"testing"
)

// drive runs a gradient method by hand and shows every step: v is the estimate of
// the gradient at x, from which the method moves to next.
func drive(t *testing.T, p Problem, x0 []float64, seed uint64, steps int, m Method, see func(k int, x, next, v []float64, eta float64)) {
	t.Helper()
	r := newRun(t.Context(), p, x0, &Settings{Seed: seed})
	st, err := m.start(r)
	if err != nil {
		t.Fatal(err)
	}
	s := st.(*gradStepper)
	next := make([]float64, r.p)
	for k := range steps {
		if err := s.propose(next); err != nil {
			t.Fatal(err)
		}
		if _, err := r.shorten(s.rule(), next, distance(next, r.x)); err != nil {
			t.Fatal(err)
		}
		see(k, r.x, next, s.v, s.eta)
		r.x, next = next, r.x
		r.k++
	}
}

func gradAt(f FiniteSum, x []float64) []float64 {
	g := make([]float64, len(x))
	FullGrad(g, f, x)
	return g
}

// S1, Proposition 3 with equality: on a fixed path the estimator's variance is
// Σ_j (1/b)·Var_i[∇f_i(θ_j) − ∇f_i(θ_{j−1})], times (n−b)/(n−1) without replacement,
// and its mean error is zero.
func TestVarianceIdentity(t *testing.T) {
	const n, p, b, steps, draws = 40, 5, 3, 6, 20000
	f := nonconvexLogistic(n, p, 61)
	r := newCounter(62, streamData)
	pathPoints := make([][]float64, steps)
	for k := range pathPoints {
		pathPoints[k] = randomVec(&r, p, 1)
	}
	one := 0.0
	for k := 1; k < steps; k++ {
		mean := gradAt(f, pathPoints[k])
		axpy(mean, -1, gradAt(f, pathPoints[k-1]))
		for i := range n {
			d := make([]float64, p)
			f.AddGradDiff(d, []int{i}, pathPoints[k], pathPoints[k-1], 1)
			one += sqDistance(d, mean) / n / b
		}
	}
	exact := gradAt(f, pathPoints[steps-1])
	for _, without := range []bool{false, true} {
		want := one
		if without {
			want *= float64(n-b) / float64(n-1)
		}
		run := newRun(t.Context(), Problem{f, nil}, nil, &Settings{Seed: 63})
		est := newPath(run, run.grad, pathOptions{batch: b, period: steps, refreshBatch: n, without: without})
		v, sum := make([]float64, p), make([]float64, p)
		sq, quad := 0.0, 0.0
		for range draws {
			for _, x := range pathPoints {
				copy(run.x, x)
				est.update(v)
			}
			e := sqDistance(v, exact)
			sq += e / draws
			quad += e * e / draws
			axpy(sum, 1.0/draws, v)
		}
		se := math.Sqrt((quad - sq*sq) / draws)
		if !(math.Abs(sq-want) <= 0.01*want+3*se) {
			t.Errorf("without %v: E‖e‖² = %.6g ± %.2g, identity %.6g", without, sq, se, want)
		}
		if d := distance(sum, exact); !(d <= 4*math.Sqrt(want/draws)) {
			t.Errorf("without %v: mean error %g, expected about %g", without, d, math.Sqrt(want/draws))
		}
	}
}

// S2: given the past, the expected error is the last error. All batches of n = 4
// are enumerated.
func TestMartingale(t *testing.T) {
	const n, p = 4, 3
	f := nonconvexLogistic(n, p, 64)
	r := newCounter(65, streamData)
	a, b, v := randomVec(&r, p, 1), randomVec(&r, p, 1), randomVec(&r, p, 1)
	for _, size := range []int{1, 2} {
		mean := make([]float64, p)
		count := int(math.Pow(n, float64(size)))
		for c := range count {
			idx := []int{c % n, c / n}[:size]
			w := append([]float64(nil), v...)
			o := newGradOracle(f, 1)
			o.addDiff(w, idx, a, b)
			axpy(mean, 1/float64(count), w)
		}
		axpy(mean, -1, gradAt(f, a))
		want := append([]float64(nil), v...)
		axpy(want, -1, gradAt(f, b))
		if d := distance(mean, want); !(d <= 1e-14) {
			t.Errorf("batch of %d: conditional mean error is off by %g", size, d)
		}
	}
}

// S3: the one-step inequality holds at every step of every gradient method, for
// convex and other h and for several c, whatever was drawn.
func TestOneStepInequality(t *testing.T) {
	f := nonconvexLogistic(120, 6, 66)
	L := f.Lipschitz().MeanSquare
	x0 := []float64{2, -1, 3, 0, 1, -2}
	for _, h := range []Regularizer{Zero{}, L1{Lambda: 0.02}, Ball{}, GroupLasso{Lambda: 0.05}, MCP{Lambda: 0.02, Gamma: 100}, L0{Lambda: 0.01}, Sphere{}} {
		p := Problem{f, h}
		for _, m := range []Method{SGD{}, SGD{Step: 1 / L, Batch: 5}, SVRG{}, LSVRG{}, SAGA{}, SCSG{}, SARAH{}, SpiderBoost{}, SpiderBoost{Step: 1 / L}, SPIDER{}, PAGE{}, ProxSARAH{}} {
			if _, average := m.(ProxSARAH); average && !h.Convex() {
				continue
			}
			if _, average := m.(SPIDER); average && !h.Convex() {
				continue
			}
			tau := 1.0
			drive(t, p, x0, 67, 150, m, func(k int, x, next, v []float64, eta float64) {
				slope := 1 / (2 * eta)
				if h.Convex() {
					// τ is the share of the way to the proximal point.
					hat := append([]float64(nil), v...)
					proxStep(hat, h, x, eta)
					tau = 1
					if d := distance(hat, x); !(d <= 0) {
						tau = distance(next, x) / d
					}
					if tau == 0 {
						return
					}
					slope = 1 / (eta * tau)
				}
				before, after := p.Value(x), p.Value(next)
				e := sqDistance(v, gradAt(f, x))
				move := sqDistance(next, x)
				for _, c := range []float64{L / 3, L, 3 * L} {
					bound := before + e/(2*c) - (slope-L/2-c/2)*move
					if !math.IsInf(before, 1) && after > bound+1e-11*(1+math.Abs(before)) {
						t.Fatalf("%v, %s, step %d, c = %.3gL: F %.15g above the bound %.15g", m, name(h), k, c/L, after, bound)
					}
				}
			})
		}
	}
}

// Proposition 3 and theorems A and B in the mean over 500 seeds: the variance bound
// at every step (S3), Σ‖Δ‖² ≤ 2·D0/L (S4), and the mean squared stationarity
// over the iterates ≤ 20·L·D0/K for convex h, ≤ 4·L·D0/K for h = 0 (S5).
func TestTheoremsInTheMean(t *testing.T) {
	const n, p, steps, seeds = 49, 4, 40, 500
	f := nonconvexLogistic(n, p, 68)
	L := f.Lipschitz().MeanSquare
	x0 := []float64{3, -2, 2, 1}
	for _, h := range []Regularizer{nil, L1{Lambda: 0.02}} {
		problem := Problem{f, h}
		best := solve(t, problem, x0, Settings{IFO: n * 3000}, MM{}).F
		gap := problem.Value(x0) - best
		var moves, mapping float64
		errs, path := make([]float64, steps), make([]float64, steps)
		var diff []float64 // LHS − RHS of the variance bound at the last step
		for seed := range uint64(seeds) {
			total := 0.0
			epoch := 0.0
			last := 0.0
			drive(t, problem, x0, seed, steps, SpiderBoost{}, func(k int, x, next, v []float64, eta float64) {
				if k%7 == 0 {
					epoch = 0
				}
				g := gradAt(f, x)
				e := sqDistance(v, g)
				errs[k] += e / seeds
				path[k] += epoch * L * L / 7 / seeds
				if k == steps-2 {
					last = e - epoch*L*L/7
				}
				move := sqDistance(next, x)
				epoch += move
				total += move
				proxStep(g, h, x, eta)
				mapping += sqDistance(g, x) / (eta * eta) / steps / seeds
			})
			moves += total / seeds
			diff = append(diff, last)
		}
		for k := range errs {
			if errs[k] > path[k]*1.1+1e-15 {
				t.Errorf("step %d: E‖e‖² %.4g above (L²/b)ΣE‖Δ‖² = %.4g", k, errs[k], path[k])
			}
			if k%7 == 0 && errs[k] > 1e-28 {
				t.Errorf("refresh at step %d leaves the error %g", k, errs[k])
			}
		}
		mean, sq := 0.0, 0.0
		for _, d := range diff {
			mean += d / seeds
			sq += d * d / seeds
		}
		if se := math.Sqrt((sq - mean*mean) / seeds); mean > 3*se {
			t.Errorf("variance bound exceeded by %g, standard error %g", mean, se)
		}
		if moves > 2*gap/L {
			t.Errorf("Σ‖Δ‖² = %g above 2·D0/L = %g", moves, 2*gap/L)
		}
		bound := 20 * L * gap / steps
		if h == nil {
			bound = 4 * L * gap / steps
		}
		if mapping > bound {
			t.Errorf("mean ‖G‖² = %g above the theorem's %g", mapping, bound)
		}
	}
}

// Theorem C: for h not convex, Σ‖Δ‖² ≤ 2·D0/L and the mean of the squared
// subgradient bound at θ_{k+1} ≤ 108·L·D0/K.
func TestTheoremCInTheMean(t *testing.T) {
	const n, steps, seeds = 49, 40, 200
	f := nonconvexLogistic(n, 4, 69)
	L := f.Lipschitz().MeanSquare
	for _, h := range []Regularizer{MCP{Lambda: 0.05, Gamma: 200}, L0{Lambda: 0.01}, Sphere{}} {
		problem := Problem{f, h}
		x0 := []float64{3, -2, 2, 1}
		h.Prox(x0, x0, 1e-3)
		best := math.Inf(1)
		moves, sub := 0.0, 0.0
		for seed := range uint64(seeds) {
			drive(t, problem, x0, seed, steps, SpiderBoost{}, func(k int, x, next, v []float64, eta float64) {
				moves += sqDistance(next, x) / seeds
				d := gradAt(f, next)
				for j := range d {
					d[j] -= v[j] + (next[j]-x[j])/eta
				}
				sub += sqNorm(d) / steps / seeds
				best = min(best, problem.Value(next))
			})
		}
		// The least value met stands for the infimum: it makes the bounds smaller.
		gap := problem.Value(x0) - best
		if moves > 2*gap/L || sub > 108*L*gap/steps {
			t.Errorf("%s: Σ‖Δ‖² %g (bound %g), mean dist² %g (bound %g)", name(h), moves, 2*gap/L, sub, 108*L*gap/steps)
		}
	}
}

// S6, Proposition 2: with 1/η ≥ L + c the surrogate plus ‖e‖²/(2c) lies above f, at
// 1000 random points at every step; without the slack it does not, always.
func TestMajorantSlack(t *testing.T) {
	f := nonconvexLogistic(100, 4, 70)
	L := f.Lipschitz().MeanSquare
	c := L
	r := newCounter(71, streamData)
	dips := 0
	drive(t, Problem{f, nil}, []float64{3, -2, 2, 1}, 72, 60, SpiderBoost{Step: 1 / (L + c), Batch: 2, Period: 30}, func(k int, x, next, v []float64, eta float64) {
		slack := sqDistance(v, gradAt(f, x)) / (2 * c)
		fx := Problem{f, nil}.Value(x)
		for range 1000 {
			d := randomVec(&r, 4, math.Pow(10, -3*r.float()))
			g := fx + dot(v, d) + sqNorm(d)/(2*eta)
			axpy(d, 1, x)
			at := Problem{f, nil}.Value(d)
			if g+slack < at-1e-12 {
				t.Fatalf("step %d: surrogate %g + slack %g below f = %g", k, g, slack, at)
			}
			if g < at {
				dips++
			}
		}
	})
	if dips == 0 {
		t.Error("the random surrogate never dips below f: the band of figure 6.1 is missing")
	}
}

// S7: exact counts.
func TestCounts(t *testing.T) {
	const n, steps = 50, 37
	f := nonconvexLogistic(n, 3, 73)
	p := Problem{f, L1{Lambda: 0.01}}
	ceil := func(a, b int) int64 { return int64((a + b - 1) / b) }
	for _, c := range []struct {
		m                  Method
		ifo, prox, refresh int64
	}{
		{SPIMM{Batch: 4, Period: 6}, n*ceil(steps, 6) + 8*(steps-ceil(steps, 6)), steps, ceil(steps, 6)},
		{SPIMM{}, n*ceil(steps, 8) + 16*(steps-ceil(steps, 8)), steps, ceil(steps, 8)},
		{SpiderBoost{Batch: 4, Period: 6}, n*ceil(steps, 6) + 8*(steps-ceil(steps, 6)), steps, ceil(steps, 6)},
		{SPIMM{Batch: 4, Period: 6, RefreshBatch: 20}, 20*ceil(steps, 6) + 8*(steps-ceil(steps, 6)), steps, ceil(steps, 6)},
		{MM{}, n * steps, steps, steps},
		{MISO{}, n + steps - 1, steps, 1},
		{MISO{Batch: 3}, n + 3*(steps-1), steps, 1},
		{SMM{Batch: 3}, 3 * steps, steps, 0},
		{SGD{Batch: 3}, 3 * steps, steps, 0},
		{SVRG{Batch: 3, Period: 5}, n*ceil(steps, 5) + 6*(steps-ceil(steps, 5)), steps, ceil(steps, 5)},
		{SAGA{}, n + steps - 1, steps, 1},
		{SAGA{Batch: 3}, n + 3*(steps-1), steps, 1},
		{SARAH{}, n + 2*(steps-1), steps, 1},
	} {
		for _, sum := range []FiniteSum{f, plainSum{f}} {
			lip := f.Lipschitz()
			res := solve(t, Problem{sum, p.Reg}, nil, Settings{MajorIterations: steps, Lipschitz: lip}, c.m)
			if res.IFO != c.ifo || res.Prox != c.prox || res.Refresh != c.refresh {
				t.Errorf("%v%+v: IFO %d prox %d refresh %d, want %d %d %d", c.m, c.m, res.IFO, res.Prox, res.Refresh, c.ifo, c.prox, c.refresh)
			}
		}
	}
	// The bound of the package documentation on the total.
	res := solve(t, p, nil, Settings{MajorIterations: 1000}, SPIMM{})
	if bound := int64(3*n + 3*8*1000); res.IFO > bound {
		t.Errorf("%d IFO in 1000 iterations, bound 3n+3√n·K = %d", res.IFO, bound)
	}
}
