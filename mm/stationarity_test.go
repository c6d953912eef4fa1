package mm

import (
	"math"
	"testing"
)

// The measures against what they are defined to be: ‖∇f‖ without h; the MM residual
// of ProxGrad is the gradient mapping; the subgradient bound is no less than the
// true distance of 0 from ∂F after one proximal step.
func TestMeasures(t *testing.T) {
	f := nonconvexLogistic(80, 6, 101)
	r := newCounter(102, streamData)
	for range 20 {
		x := randomVec(&r, 6, 1)
		step := 0.1 + r.float()
		if got, want := GradientMapping(Problem{f, nil}, x, step), norm(gradAt(f, x)); !(math.Abs(got-want) <= 1e-12) {
			t.Errorf("mapping %g without h, ‖∇f‖ %g", got, want)
		}
		const lambda = 0.1
		p := Problem{f, L1{Lambda: lambda}}
		res, err := Residual(&ProxGrad{f, step}, p, x)
		if want := GradientMapping(p, x, step); err != nil || !(math.Abs(res-want) <= 1e-12) {
			t.Errorf("residual %g, mapping %g, error %v", res, want, err)
		}
		plus := gradAt(f, x)
		proxStep(plus, p.Reg, x, step)
		g := gradAt(f, plus)
		dist := 0.0
		for j, v := range plus {
			d := g[j] + lambda*sign(v)
			if v == 0 {
				d = max(0, math.Abs(g[j])-lambda)
			}
			dist += d * d
		}
		if dist = math.Sqrt(dist); dist > SubgradientBound(p, x, step)*(1+1e-12) {
			t.Errorf("distance %g above the bound %g", dist, SubgradientBound(p, x, step))
		}
	}
	// At a limit all measures vanish, for a regulariser that is not convex as well.
	for _, h := range []Regularizer{L1{Lambda: 0.01}, MCP{Lambda: 0.01, Gamma: 100}, L0{Lambda: 1e-4}, Sphere{}} {
		x0 := []float64{1, 1, 1, 1, 1, 1}
		for _, m := range []Measure{MeasureMapping, MeasureResidual, MeasureSubgradient} {
			res := solve(t, Problem{f, h}, x0, Settings{IFO: 80 * 3000, Measure: m}, SPIMM{})
			if res.Stationarity > 1e-9 {
				t.Errorf("%s: measure %d is %g after 3000 passes", name(h), m, res.Stationarity)
			}
		}
	}
	// The line search has a family, whose step it changes.
	res := solve(t, Problem{f, nil}, nil, Settings{Measure: MeasureResidual}, MM{LineSearch: true, Step: 1})
	if want := norm(gradAt(f, res.X)); !(math.Abs(res.Stationarity-want) <= 1e-12) {
		t.Errorf("line search: residual %g, ‖∇f‖ %g", res.Stationarity, want)
	}
}

// Coins come up as often as their probabilities say.
func TestRandomRefreshes(t *testing.T) {
	const n, steps = 100, 20000
	f := nonconvexLogistic(n, 2, 103)
	for _, c := range []struct {
		m    Method
		rate float64
	}{
		{SCSG{}, 10.0 / 110}, {SCSG{Batch: 25}, 25.0 / 125}, {LSVRG{}, 22.0 / 100}, {LSVRG{RefreshProb: 0.03}, 0.03},
		{PAGE{}, 10.0 / 110}, {PAGE{RefreshProb: 0.4}, 0.4}, {SPIMM{RefreshProb: 0.2}, 0.2},
	} {
		res := solve(t, Problem{f, nil}, nil, Settings{MajorIterations: steps}, c.m)
		got := float64(res.Refresh) / steps
		if sd := math.Sqrt(c.rate * (1 - c.rate) / steps); !(math.Abs(got-c.rate) <= 4*sd) {
			t.Errorf("%v%+v: refreshed at %.4f of the steps, want %.4f ± %.4f", c.m, c.m, got, c.rate, sd)
		}
		// What is not a refresh is an inner step.
		if res.IFO < res.Refresh*n {
			t.Errorf("%v: %d IFO for %d refreshes", c.m, res.IFO, res.Refresh)
		}
	}
}
