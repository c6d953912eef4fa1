package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// An exercise is an attack with what it must achieve on the victim of TestAttacks: as
// many queries at the first success, on average, or, if it begins with a success, so
// many times the exact distance at the end of the budget.
type exercise struct {
	job    Job
	most   float64 // queries at most, untargeted
	target float64 // and targeted; 0: untargeted only
	far    float64 // times the distance at most, untargeted; 0: no matter
}

// exercises binds every attack to v, those under a ball with the given radii.
func exercises(v *linear, l2, linf float64) []exercise {
	l := zoo.LabelsOf(v)
	return []exercise{
		{WithScores(ZOO{Iterations: 300, C: 10, Coordinates: 16}, v), 500, 500, 1.8},
		{WithScores(ZOO{Iterations: 300, C: 10, Coordinates: 16, Solver: CoordinateNewton, Importance: true}, v), 60, 60, 2.1},
		{WithScores(ZOO{Iterations: 400, C: 10, Coordinates: 16, Box: Tanh, Sizes: []int{3, 6}, Switch: []int{50}, LR: 0.05}, v), 110, 110, 2.3},
		{WithScores(ZOO{Iterations: 300, Coordinates: 16, Searches: 3, C: 1}, v), 500, 500, 1.8},
		{WithScores(AutoZOOM{Iterations: 2000, Weight: 10, Decoder: Bilinear{6}, LR: 0.05, Directions: 4, Switch: 500}, v), 15, 15, 6},
		{WithScores(Bandits{Eps: l2}, v), 300, 1400, 0},
		{WithScores(Bandits{Eps: l2, Tile: 3}, v), 80, 700, 0},
		{WithScores(Bandits{Norm: Linf, Eps: linf, LR: 0.02, PriorLR: 10}, v), 250, 320, 0},
		{WithScores(NES{Eps: l2}, v), 400, 700, 0},
		{WithScores(NES{Norm: Linf, Eps: linf, LR: 0.02}, v), 450, 750, 0},
		{WithScores(Square{Eps: l2}, v), 550, 550, 0},
		{WithScores(Square{Norm: Linf, Eps: linf}, v), 150, 150, 0},
		{WithScores(SimBA{}, v), 20, 20, 5},
		{WithScores(SimBA{DCT: true}, v), 20, 20, 5},
		{WithScores(SignHunter{Eps: l2}, v), 110, 110, 0},
		{WithScores(SignHunter{Norm: Linf, Eps: linf}, v), 75, 75, 0},
		{WithLabels(Boundary{}, l), 1, 1, 1.01},
		{WithLabels(Opt{}, l), 1, 1, 1.03},
		{WithLabels(SignOpt{}, l), 1, 1, 1.01},
		{WithLabels(HopSkipJump{}, l), 1, 1, 1.03},
		{WithLabels(HopSkipJump{Norm: Linf}, l), 1, 1, 1.06},
		{WithLabels(RayS{}, l), 1, 0, 1.01},
		{WithGradients(FGSM{Eps: l2}, v), 2, 2, 0},
		{WithGradients(FGSM{Norm: Linf, Eps: linf}, v), 2, 2, 0},
		{WithGradients(PGD{Eps: l2}, v), 20, 20, 0},
		{WithGradients(PGD{Norm: Linf, Eps: linf}, v), 20, 20, 0},
		{WithGradients(CarliniWagner{Iterations: 200, Searches: 4, C: 1}, v), 10, 10, 1.01},
		{WithGradients(APGD{Eps: l2}, v), 5, 5, 0},
		{WithGradients(APGD{Norm: Linf, Eps: linf}, v), 5, 5, 0},
		{WithGradients(APGD{Norm: Linf, Eps: linf, Loss: zoo.DLR{}}, v), 5, 5, 0},
		{WithGradients(APGD{Eps: l2, Targets: 3}, v), 6, 6, 0},
		{WithGradients(FAB{}, v), 8, 4, 1.01},
		{WithGradients(FAB{Norm: Linf}, v), 8, 4, 1.01},
		{WithGradients(FAB{Targets: 3}, v), 5, 4, 1.01},
		{WithGradients(FAB{Norm: Linf, Eps: linf, Targets: 3}, v), 5, 4, 0},
		{WithGradients(AutoAttack{Norm: Linf, Eps: linf}, v), 5, 5, 0},
		{WithGradients(AutoAttack{Eps: l2, Version: "plus"}, v), 5, 5, 0},
	}
}

// TestAttacks runs every attack on a victim whose boundary is known, those under a ball
// with half as much again as the distance to it, and checks what holds for all: the
// count, the budget, the box, the record; and how many queries or how near.
func TestAttacks(t *testing.T) {
	v := newLinear(1, 4, 2, 6, 6)
	for _, w := range v.w { // alike in blocks of 2x2, as neighbours in pictures are
		for i := range w {
			w[i] = 0.3*w[i] + w[i/12*12+i%6/2*2]
		}
	}
	v.b[0], v.b[1] = 10, 5 // the samples are of class 0, the next is 1, the edge is about as far from each
	var samples []Sample
	var edges, edgesLinf []float64
	for _, s := range v.samples(5, 40) {
		e, eInf := v.edge(s.X.Data(), s.Label), v.edgeLinf(s.X.Data(), s.Label)
		if s.Label == 0 && len(samples) < 6 && (len(samples) == 0 || math.Abs(e/edges[0]-1) < 0.1) {
			samples, edges, edgesLinf = append(samples, s), append(edges, e), append(edgesLinf, eInf)
		}
	}
	far := tensor.New(v.info.Shape...) // of class 1, at some angle to the shortest way
	r := rand.New(rand.NewPCG(2, 2))
	for i := range far.Data() {
		far.Data()[i] = 0.5 + 0.25*sign(float32(v.w[1][i]-v.w[0][i])) + 0.5*(r.Float32()-0.5)
	}
	start := func(zoo.Goal) *tensor.Tensor { return far }
	for _, targeted := range []bool{false, true} {
		for i, e := range exercises(v, 1.5*median(edges), 1.5*median(edgesLinf)) {
			if targeted && e.target == 0 {
				continue
			}
			job := e.job
			name := fmt.Sprintf("%d %s %s targeted=%v", i, job.About().Name, job.About().Norm, targeted)
			t.Run(name, func(t *testing.T) {
				const budget = 4000
				v.count.Store(0)
				c := Campaign{Job: job, Targeted: targeted, Budget: budget, Seed: 3, Workers: 1, Start: start}
				res, err := c.Run(context.Background(), samples)
				if err != nil {
					t.Fatal(err)
				}
				var counted int
				var ratios []float64
				for _, r := range res.Records {
					counted += r.Queries + r.Clean + r.Verify
					if r.Queries > budget || r.Clean != 1 {
						t.Errorf("sample %d: %d queries of %d, %d for the clean check", r.Index, r.Queries, budget, r.Clean)
					}
					checkRecord(t, samples, job.About().Norm, &r)
					exact := edges[r.Index]
					if job.About().Norm == Linf {
						exact = edgesLinf[r.Index]
					}
					ratios = append(ratios, r.Best.Distance(job.About().Norm)/exact)
				}
				if counted != int(v.count.Load()) {
					t.Errorf("ledger has %d queries, the victim saw %d", counted, v.count.Load())
				}
				if n := v.bad.Swap(0); n > 0 {
					t.Errorf("%d values asked about are not in [0,1]", n)
				}
				s := res.Summary()
				t.Logf("%2d success %.2f, queries %.0f, L2 %.3f, Linf %.3f, %.3f times the distance", i, s.SuccessRate, s.QueriesMean, s.L2Mean, s.LinfMean, median(ratios))
				if s.SuccessRate < 1 || s.VerifiedRate < 1 {
					t.Errorf("success rate %v, verified %v", s.SuccessRate, s.VerifiedRate)
				}
				most := e.most
				if targeted {
					most = e.target
				}
				if s.QueriesMean > most {
					t.Errorf("%.0f queries, want at most %.0f", s.QueriesMean, most)
				}
				if !targeted && e.far > 0 && median(ratios) > e.far {
					t.Errorf("%.4f times the distance, want at most %v", median(ratios), e.far)
				}
			})
		}
	}
}

// TestConstantVictim: a victim whose answer never changes beats every attack, and is
// asked about images in [0,1] up to the budget, or until there is no more to try.
func TestConstantVictim(t *testing.T) {
	v := newLinear(1, 4, 2, 6, 6)
	for i, w := range v.w {
		clear(w)
		v.b[i] = -float64(i)
	}
	const budget = 1500
	whole := map[string]string{ // those that end of themselves, and why
		"fgsm": "a step", "pgd": "its iterations", "apgd": "its iterations", "fab": "its iterations", "simba": "its basis", "simba-dct": "its basis",
		"zoo": "no progress", "carlini-wagner": "no progress",
		"boundary": "no start", "hopskipjump": "no start", "opt": "no start", "sign-opt": "no start",
	}
	for i, e := range exercises(v, 0.2, 0.05) {
		v.count.Store(0)
		name := fmt.Sprintf("%d %s %s", i, e.job.About().Name, e.job.About().Norm)
		res, err := (&Campaign{Job: e.job, Budget: budget, Workers: 1}).Run(context.Background(), v.samples(1, 2))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, r := range res.Records {
			early := r.Queries < budget
			if r.Success || r.Adversarial != nil || (r.Stop == StopBudget) == early || early && whole[e.job.About().Name] == "" {
				t.Errorf("%s: success %v after %d queries of %d, stop %q", name, r.Success, r.Queries, budget, r.Stop)
			}
		}
		if n := v.bad.Swap(0); n > 0 {
			t.Errorf("%s: %d values asked about are not in [0,1]", name, n)
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
	adversarial := r.Adversarial.Tensor().Data()
	p := distances(adversarial, clean)
	l0, l2, linf := p.L0, p.L2, p.Linf
	if r.Best.L0 != l0 || r.Best.L2 != l2 || r.Best.Linf != linf {
		t.Errorf("sample %d: recorded %+v, image has L0 %d L2 %v Linf %v", r.Index, r.Best, l0, l2, linf)
	}
	for i, p := range adversarial {
		if !(p >= 0 && p <= 1) {
			t.Fatalf("sample %d: pixel %d is %v", r.Index, i, p)
		}
	}
	for i := 1; i < len(r.Trace); i++ {
		if r.Trace[i].Distance(n) >= r.Trace[i-1].Distance(n) || r.Trace[i].Queries < r.Trace[i-1].Queries {
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
		{WithGradients(APGD{Eps: 1.5}, v), 1.5}, {WithGradients(APGD{Norm: Linf, Eps: 0.2}, v), 0.2}, {WithGradients(APGD{Norm: L1, Eps: 4}, v), 4},
		{WithGradients(FAB{Eps: 1.5}, v), 1.5}, {WithGradients(FAB{Norm: L1, Eps: 4}, v), 4}, {WithScores(Square{Norm: L1, Eps: 8}, v), 8},
		{WithGradients(AutoAttack{Norm: L1, Eps: 4}, v), 4},
	} {
		res, err := (&Campaign{Job: c.job, Budget: 2000}).Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res.Records {
			if d := r.Best.Distance(c.job.About().Norm); !(d <= c.eps*(1+1e-6)) {
				t.Errorf("%s %s: distance %v beyond %v", c.job.About().Name, c.job.About().Norm, d, c.eps)
			}
		}
	}
}

// TestMinimumDistance: on a linear victim with two classes the attacks that
// seek the nearest success end at the exact distance to the boundary.
func TestMinimumDistance(t *testing.T) {
	for _, c := range []struct {
		a      any
		side   int // of the image
		budget int
		tol    float64
	}{
		{HopSkipJump{}, 5, 10000, 1.01},
		{HopSkipJump{Norm: Linf}, 5, 10000, 1.03},
		{Boundary{}, 5, 20000, 1.01},
		{SignOpt{}, 5, 20000, 1.01},
		{Opt{}, 5, 10000, 1.02},
		{ZOO{Searches: 9, Iterations: 400, C: 0.1, NoAbort: true}, 5, 400000, 1.01},
		{CarliniWagner{}, 5, 10000, 1.02},
		{FAB{}, 5, 10000, 1.006},
		{FAB{Norm: Linf}, 5, 10000, 1.006},
		{FAB{}, 28, 1000, 1.006},
		{HopSkipJump{}, 28, 5000, 1.18},
		{HopSkipJump{Norm: Linf}, 28, 5000, 1.45},
		{Boundary{}, 28, 5000, 1.6},
		{SignOpt{}, 28, 15000, 1.01},
		{Opt{}, 28, 15000, 1.35},
	} {
		v := newLinear(7, 2, 1, c.side, c.side)
		v.b[0] = float64(c.side) / 2
		samples := v.samples(8, 6)
		if c.side == 28 {
			samples = samples[:3]
		}
		var job Job
		switch a := c.a.(type) {
		case ScoreAttack:
			job = WithScores(a, v)
		case LabelAttack:
			job = WithLabels(a, zoo.LabelsOf(v))
		case GradientAttack:
			job = WithGradients(a, v)
		}
		res, err := (&Campaign{Job: job, Budget: c.budget}).Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		var ratios []float64
		for _, r := range res.Records {
			exact := v.edge(samples[r.Index].X.Data(), r.Label)
			if job.About().Norm == Linf {
				exact = v.edgeLinf(samples[r.Index].X.Data(), r.Label)
			}
			ratios = append(ratios, r.Best.Distance(job.About().Norm)/exact)
		}
		m := median(ratios)
		t.Logf("%s %s, %d values, %d queries: over the exact distance: %.4f", job.About().Name, job.About().Norm, c.side*c.side, c.budget, ratios)
		if !(m < c.tol) || slices.Min(ratios) < 0.999 {
			t.Errorf("%s %s, %d values: median ratio %.4f, want at most %v and none below 1", job.About().Name, job.About().Norm, c.side*c.side, m, c.tol)
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

// TestIteratesComeNearer: RayS and Boundary ask about no image farther away than the
// nearest success before it, and end at a success.
func TestIteratesComeNearer(t *testing.T) {
	v := newLinear(7, 2, 1, 8, 8)
	clean := v.samples(8, 1)[0]
	for _, a := range []LabelAttack{RayS{}, Boundary{}} {
		queries, try := followLabels(t, a, zoo.LabelsOf(v), clean.X, clean.Label, 3000)
		best, nearer := math.Inf(1), 0
		for i, q := range queries {
			if q.dist > best*(1+1e-6)+1e-6 {
				t.Fatalf("%s: query %d is %v away, the nearest success %v", a.About().Name, i, q.dist, best)
			}
			if q.hit && q.dist < best {
				best = q.dist
				nearer++
			}
		}
		z := make([]float64, 2)
		if v.logits(try.Best(), z); zoo.Top(z) == clean.Label || nearer < 30 {
			t.Errorf("%s: %d successes, each nearer than the last; scores of the best %v, its label %d", a.About().Name, nearer, z, clean.Label)
		}
	}
}

// TestSignHunterFindsTheSigns: on a linear loss one pass over single signs is enough to
// reach the best corner, and then the search begins again from there, all signs at once.
func TestSignHunterFindsTheSigns(t *testing.T) {
	for _, norm := range []Norm{Linf, L2} {
		v := newLinear(3, 2, 1, 4, 8)
		v.b[0] = 1e6 // never reached, so that the search goes on
		s := v.samples(1, 1)[0]
		d := s.X.Len()
		pass := 1 // the corner itself
		for size := d; ; size = (size + 1) / 2 {
			pass += (d + size - 1) / size
			if size == 1 {
				break
			}
		}
		ledger := &zoo.Ledger{Budget: pass + 1}
		try := &Try{Clean: s.X, Goal: zoo.Untargeted(0), norm: norm, ledger: ledger}
		var queries [][]float32
		rec := recorder{Scorer: v, see: func(x []float32, _ []float64) { queries = append(queries, slices.Clone(x)) }}
		const eps = 0.08
		a := SignHunter{Norm: norm, Eps: eps, Loss: unitMarginLoss}
		if err := a.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, rec), try); err == nil {
			t.Fatal("the search ended before the budget")
		}
		step := eps
		if norm == L2 {
			step /= math.Sqrt(float64(d))
		}
		margin := func(x []float32) float64 {
			z := make([]float64, 2)
			v.logits(x, z)
			return z[0] - z[1]
		}
		best := queries[0]
		for _, x := range queries[:pass] {
			if margin(x) < margin(best) {
				best = x
			}
		}
		for i, x := range best {
			want := float64(s.X.Data()[i]) - step*float64(sign(float32(v.w[0][i]-v.w[1][i])))
			if !(math.Abs(float64(x)-want) <= 1e-6) {
				t.Fatalf("%v: pixel %d is %v, want %v after %d queries", norm, i, x, want, pass)
			}
		}
		// The other way from the best corner lies the clean image.
		if gap := Linf.Distance(queries[pass], s.X.Data()); !(gap <= 1e-6) {
			t.Errorf("%v: the second pass begins %v from the clean image", norm, gap)
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
