package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/zoo"
)

// jobs binds every attack to v, under options with which it succeeds on the
// linear victims of these tests.
func jobs(v *linear, start Start) []Job {
	l := zoo.LabelsOf(v)
	return []Job{
		WithScores(ZOO{Iterations: 300, C: 10}, v),
		WithScores(ZOO{Iterations: 300, C: 10, Solver: CoordinateNewton, Importance: true}, v),
		WithScores(ZOO{Iterations: 400, C: 10, Box: Tanh, Sizes: []int{3, 6}, Switch: []int{50}, LR: 0.05}, v),
		WithScores(ZOO{Iterations: 300, Searches: 3, C: 1}, v),
		WithScores(AutoZOOM{Iterations: 2000, Weight: 10, Decoder: Bilinear{6}, LR: 0.05, Directions: 4, Switch: 500}, v),
		WithScores(Bandits{Eps: 4}, v),
		WithScores(Bandits{Eps: 4, Tile: 3}, v),
		WithScores(Bandits{Norm: Linf, Eps: 0.4, LR: 0.02, PriorLR: 10}, v),
		WithScores(NES{Eps: 4}, v),
		WithScores(NES{Norm: Linf, Eps: 0.4, LR: 0.02}, v),
		WithScores(Square{Eps: 4}, v),
		WithScores(Square{Norm: Linf, Eps: 0.4}, v),
		WithScores(SimBA{}, v),
		WithScores(SimBA{DCT: true, Fraction: 1}, v),
		WithScores(SignHunter{Eps: 4}, v),
		WithScores(SignHunter{Norm: Linf, Eps: 0.4}, v),
		WithLabels(Boundary{Start: start}, l),
		WithLabels(Opt{Start: start}, l),
		WithLabels(SignOpt{Start: start}, l),
		WithLabels(HopSkipJump{Start: start}, l),
		WithLabels(HopSkipJump{Norm: Linf, Start: start}, l),
		WithLabels(RayS{}, l),
		WithGradients(FGSM{Eps: 4}, v),
		WithGradients(FGSM{Norm: Linf, Eps: 0.4}, v),
		WithGradients(PGD{Eps: 4}, v),
		WithGradients(PGD{Norm: Linf, Eps: 0.4}, v),
		WithGradients(CarliniWagner{Iterations: 200, Searches: 4, C: 1}, v),
	}
}

// TestAttacks runs every attack on a victim whose boundary is known, and checks
// what holds for all: the count, the budget, the box, the record.
func TestAttacks(t *testing.T) {
	v := newLinear(1, 4, 2, 6, 6)
	samples := v.samples(5, 40)
	start := v.start(samples)
	for _, targeted := range []bool{false, true} {
		for i, job := range jobs(v, start) {
			if targeted && job.About().Name == "rays" {
				continue // it begins at the corner of all ones, which is seldom of the wanted class
			}
			name := fmt.Sprintf("%d %s %s targeted=%v", i, job.About().Name, job.About().Norm, targeted)
			t.Run(name, func(t *testing.T) {
				const budget = 4000
				v.count.Store(0)
				c := Campaign{Job: job, Targeted: targeted, Budget: budget, Seed: 3, Workers: 1}
				res, err := c.Run(context.Background(), samples[:6])
				if err != nil {
					t.Fatal(err)
				}
				var counted int
				for _, r := range res.Records {
					counted += r.Queries + r.Clean + r.Verify
					if r.Queries > budget || r.Clean != 1 {
						t.Errorf("sample %d: %d queries of %d, %d for the clean check", r.Index, r.Queries, budget, r.Clean)
					}
					checkRecord(t, samples, job.About().Norm, &r)
				}
				if counted != int(v.count.Load()) {
					t.Errorf("ledger has %d queries, the victim saw %d", counted, v.count.Load())
				}
				s := res.Summary()
				t.Logf("success %.2f, queries %.0f, L2 %.3f, Linf %.3f", s.SuccessRate, s.QueriesMean, s.L2Mean, s.LinfMean)
				if s.SuccessRate < 0.8 {
					t.Errorf("success rate %v", s.SuccessRate)
				}
				if s.VerifiedRate != s.SuccessRate {
					t.Errorf("verified %v of %v", s.VerifiedRate, s.SuccessRate)
				}
			})
		}
	}
}

func checkRecord(t *testing.T, samples []Sample, n Norm, r *Record) {
	t.Helper()
	if !r.Success {
		if r.Adversarial != nil || len(r.Trace) != 0 {
			t.Errorf("sample %d: a failure with an adversarial image", r.Index)
		}
		return
	}
	clean := samples[r.Index].X.Data()
	l0, l2, linf := distances(r.Adversarial, clean)
	if r.Best.L0 != l0 || r.Best.L2 != l2 || r.Best.Linf != linf {
		t.Errorf("sample %d: recorded %+v, image has L0 %d L2 %v Linf %v", r.Index, r.Best, l0, l2, linf)
	}
	for i, p := range r.Adversarial {
		if !(p >= 0 && p <= 1) {
			t.Fatalf("sample %d: pixel %d is %v", r.Index, i, p)
		}
	}
	for i := 1; i < len(r.Trace); i++ {
		if r.Trace[i].dist(n) >= r.Trace[i-1].dist(n) || r.Trace[i].Queries < r.Trace[i-1].Queries {
			t.Errorf("sample %d: trace goes from %+v to %+v", r.Index, r.Trace[i-1], r.Trace[i])
		}
	}
	if r.First.Queries > r.Queries {
		t.Errorf("sample %d: first success at %d of %d queries", r.Index, r.First.Queries, r.Queries)
	}
}

// TestBalls checks that attacks under a ball stay in it.
func TestBalls(t *testing.T) {
	v := newLinear(2, 3, 1, 8, 8)
	samples := v.samples(6, 5)
	for _, c := range []struct {
		job Job
		eps float64
	}{
		{WithScores(Bandits{Eps: 1.5}, v), 1.5}, {WithScores(NES{Eps: 1.5}, v), 1.5},
		{WithScores(Square{Eps: 1.5}, v), 1.5}, {WithScores(SignHunter{Eps: 1.5}, v), 1.5},
		{WithScores(Square{Norm: Linf, Eps: 0.2}, v), 0.2}, {WithScores(SignHunter{Norm: Linf, Eps: 0.2}, v), 0.2},
		{WithScores(NES{Norm: Linf, Eps: 0.2}, v), 0.2}, {WithScores(Bandits{Norm: Linf, Eps: 0.2}, v), 0.2},
		{WithGradients(PGD{Eps: 1.5}, v), 1.5}, {WithGradients(PGD{Norm: Linf, Eps: 0.2}, v), 0.2},
	} {
		res, err := (&Campaign{Job: c.job, Budget: 2000}).Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res.Records {
			if d := r.Best.dist(c.job.About().Norm); !(d <= c.eps*(1+1e-6)) {
				t.Errorf("%s %s: distance %v beyond %v", c.job.About().Name, c.job.About().Norm, d, c.eps)
			}
		}
	}
}

// TestMinimumDistance: on a linear victim with two classes the attacks that
// seek the nearest success end at the exact distance to the boundary.
func TestMinimumDistance(t *testing.T) {
	v := newLinear(7, 2, 1, 5, 5)
	samples := v.samples(8, 6)
	l := zoo.LabelsOf(v)
	for _, c := range []struct {
		job    Job
		budget int
		tol    float64
	}{
		{WithLabels(HopSkipJump{}, l), 10000, 1.02},
		{WithLabels(Boundary{}, l), 20000, 1.05},
		{WithLabels(SignOpt{}, l), 20000, 1.03},
		{WithLabels(Opt{}, l), 10000, 1.02},
		{WithScores(ZOO{Searches: 9, Iterations: 400, C: 0.1, NoAbort: true}, v), 400000, 1.05},
		{WithGradients(CarliniWagner{}, v), 10000, 1.02},
	} {
		res, err := (&Campaign{Job: c.job, Budget: c.budget}).Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		var ratios []float64
		for _, r := range res.Records {
			ratios = append(ratios, r.Best.L2/v.edge(samples[r.Index].X.Data(), r.Label))
		}
		m := median(ratios)
		t.Logf("%s: L2 over the exact distance: %.4f", c.job.About().Name, ratios)
		if !(m < c.tol) || slices.Min(ratios) < 0.999 {
			t.Errorf("%s: median ratio %.4f, want at most %v and none below 1", c.job.About().Name, m, c.tol)
		}
	}
}

// TestRaySReachesTheSmallestLinf: on a linear victim with two classes the search over
// single signs ends within 1 % of the exact distance.
func TestRaySReachesTheSmallestLinf(t *testing.T) {
	v := newLinear(7, 2, 1, 28, 28)
	v.b[0] = 60 // which puts the boundary at about 0.06
	for i := range v.w[1] {
		v.w[1][i] += 0.3 // and the corner of all ones, where the search begins, beyond it
	}
	samples := v.samples(8, 3)
	res, err := (&Campaign{Job: WithLabels(RayS{}, zoo.LabelsOf(v)), Budget: 10000}).Run(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range res.Records {
		exact := v.edgeLinf(samples[r.Index].X.Data(), r.Label)
		t.Logf("sample %d: Linf %v, exact %v", r.Index, r.Best.Linf, exact)
		if !(r.Best.Linf > 0.999*exact && r.Best.Linf < 1.01*exact) {
			t.Errorf("sample %d: Linf %v, exact %v", r.Index, r.Best.Linf, exact)
		}
	}
}

// TestSignHunterFindsTheSigns: on a linear loss one pass over single signs is
// enough.
func TestSignHunterFindsTheSigns(t *testing.T) {
	v := newLinear(3, 2, 1, 4, 8)
	v.b[0] = 1e6 // never reached, so that the search goes on
	s := v.samples(1, 1)[0]
	var last []float32
	spy := zoo.ScorerFunc(v.info, v.Scores)
	d := s.X.Len()
	budget := 1 // the corner itself
	for size := d; ; size = (size + 1) / 2 {
		budget += (d + size - 1) / size
		if size == 1 {
			break
		}
	}
	ledger := &zoo.Ledger{Budget: budget}
	try := &Try{Clean: s.X, Goal: zoo.Untargeted(0), norm: Linf, ledger: ledger}
	best := math.Inf(1)
	rec := recorder{Scorer: spy, see: func(x []float32, scores []float64) {
		if m := scores[0] - scores[1]; m < best {
			best = m
			last = slices.Clone(x)
		}
	}}
	err := SignHunter{Norm: Linf, Eps: 0.01, Loss: zoo.Loss{Kind: zoo.Margin, Scale: 1}}.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, rec), try)
	if err == nil {
		t.Fatal("the search ended before the budget")
	}
	for i, x := range last {
		want := float64(s.X.Data()[i]) - 0.01*float64(sign(float32(v.w[0][i]-v.w[1][i])))
		if !(math.Abs(float64(x)-want) <= 1e-6) {
			t.Fatalf("pixel %d is %v, want %v after %d queries", i, x, want, budget)
		}
	}
}

// TestOptionsTravel: what a job's options are is written with its results.
func TestOptionsTravel(t *testing.T) {
	v := newLinear(1, 3, 1, 4, 4)
	res, err := (&Campaign{Job: WithScores(Square{Norm: Linf, Eps: 0.25}, v), Budget: 50}).Run(context.Background(), v.samples(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Options Square
		Records []Record
	}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.Options.Eps != 0.25 || back.Options.Norm != Linf || len(back.Records) != 2 {
		t.Errorf("read back %+v from %s", back, b)
	}
}
