package mm

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/gonum/optimize"
)

func allMethods() []Method {
	return []Method{MM{}, MISO{}, SMM{}, SPIMM{}, SGD{}, SVRG{}, LSVRG{}, SAGA{}, SCSG{}, SARAH{}, SPIDER{}, SpiderBoost{}, ProxSARAH{}, PAGE{}}
}

// Every method lowers the objective by most of what there is to gain, passes its
// certificate, and returns the iterate that the output rule names.
func TestMethods(t *testing.T) {
	x, y := Gaussian(1000, 12, 91)
	f := must(NewLogistic(x, y, 0.01))
	p := Problem{f, L1{Lambda: 1e-3}}
	best := solve(t, p, nil, Settings{IFO: 1000 * 500}, SPIMM{}).F
	for _, m := range allMethods() {
		trace := &Trace{}
		res := solve(t, p, nil, Settings{IFO: 40 * 1000, Recorder: trace}, m)
		if gain := (p.Value(make([]float64, 12)) - res.F) / (p.Value(make([]float64, 12)) - best); gain < 0.5 || gain > 1+1e-9 {
			t.Errorf("%v: gained %.3f of what SPI-MM gains in 500 passes", m, gain)
		}
		if res.Status != IFOLimit || res.F != p.Value(res.X) || !(math.Abs(res.Stationarity-GradientMapping(p, res.X, theoryStep(f.Lipschitz().MeanSquare, 1, p.Reg))) <= 1e-14) {
			t.Errorf("%v: status %v, F %.15g (is %.15g), stationarity %g", m, res.Status, res.F, p.Value(res.X), res.Stationarity)
		}
		last := trace.Points[len(trace.Points)-1]
		if trace.Points[0].IFO != 0 || last.F != res.F || last.IFO != res.IFO || len(trace.Points) < 20 {
			t.Errorf("%v: trace of %d points ends at %+v", m, len(trace.Points), last)
		}
		for _, out := range []Output{OutputBest, OutputRandom} {
			set := Settings{IFO: 40 * 1000, MajorIterations: 60, Certify: true, Output: out}
			if res, err := Minimize(context.Background(), p, nil, &set, m); err != nil || res.F != p.Value(res.X) {
				t.Errorf("%v: output %d: %v", m, out, err)
			}
		}
	}
}

// OutputBest is the refresh point with the least residual; OutputRandom is uniform.
func TestOutputRules(t *testing.T) {
	f := nonconvexLogistic(16, 2, 92)
	p := Problem{f, nil}
	x0 := []float64{2, -3}
	all := trajectory(t, p, x0, Settings{MajorIterations: 20}, MM{})
	best := slices.MinFunc(all[:20], func(a, b []float64) int {
		return int(math.Copysign(1, norm(gradAt(f, a))-norm(gradAt(f, b))))
	})
	res := solve(t, p, x0, Settings{MajorIterations: 20, Output: OutputBest}, MM{})
	if !slices.Equal(res.X, best) {
		t.Errorf("best iterate %v, want %v", res.X, best)
	}
	count := make([]int, 20)
	for seed := range uint64(4000) {
		res := solve(t, p, x0, Settings{Seed: seed, MajorIterations: 20, Output: OutputRandom}, MM{})
		k := slices.IndexFunc(all, func(x []float64) bool { return slices.Equal(x, res.X) })
		if k < 0 || k == 20 {
			t.Fatalf("random output %v is not one of θ_0…θ_19", res.X)
		}
		count[k]++
	}
	for k, c := range count {
		if c < 200-60 || c > 200+60 { // standard deviation 14
			t.Errorf("θ_%d returned %d times of 4000, want about 200", k, c)
		}
	}
}

// C4: equal seeds give equal bits, for any number of workers; other seeds do not.
func TestDeterminism(t *testing.T) {
	x, y := Gaussian(5000, 10, 93)
	sparse, z := Text(5000, 300, 12, 94)
	for _, f := range []*Linear{must(NewLogistic(x, y, 0.01)), must(NewLogistic(sparse, z, 0))} {
		p := Problem{f, L1{Lambda: 1e-3}}
		for _, m := range append(allMethods(), SPIMM{Batch: 3000, Period: 3}, SPIMM{RefreshBatch: 4500}) {
			set := Settings{Seed: 5, IFO: 6 * 5000}
			if _, big := m.(MISO); big && f.Dim() > 100 {
				set.IFO = 5100
			}
			want := solve(t, p, nil, set, m)
			for _, workers := range []int{2, 3, 8} {
				set.Concurrent = workers
				got := solve(t, p, nil, set, m)
				if !slices.Equal(got.X, want.X) || got.F != want.F || got.Stationarity != want.Stationarity {
					t.Errorf("%v with %d workers: F %.17g, %.17g with one", m, workers, got.F, want.F)
				}
			}
			if _, exact := m.(MM); exact {
				continue
			}
			set.Seed = 6
			if got := solve(t, p, nil, set, m); slices.Equal(got.X, want.X) {
				t.Errorf("%v: seeds 5 and 6 agree", m)
			}
		}
	}
}

// spoiled has a component whose gradient is not finite once x moves.
type spoiled struct {
	FiniteSum
	with float64
}

func (s spoiled) AddGrad(dst []float64, i int, x []float64, scale float64) {
	s.FiniteSum.AddGrad(dst, i, x, scale)
	if i == 3 && x[0] != 0 {
		dst[0] += s.with
	}
}

func TestNonFinite(t *testing.T) {
	f := nonconvexLogistic(30, 3, 95)
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		// A regulariser must not hide NaN behind a threshold.
		for _, h := range []Regularizer{nil, L1{Lambda: 0.01}, ElasticNet{L1: 0.01}, FusedLasso{TV: 0.01}} {
			for _, m := range allMethods() {
				res, err := Minimize(context.Background(), Problem{spoiled{f, bad}, h}, nil, &Settings{Lipschitz: f.Lipschitz(), IFO: 30 * 100}, m)
				var nf *NonFiniteError
				if !errors.As(err, &nf) || nf.IFO == 0 {
					t.Errorf("%v, %T with %g: error %v", m, h, bad, err)
					continue
				}
				if !allFinite(res.X) || res.Status != optimize.Failure {
					t.Errorf("%v, %T with %g: θ = %v, status %v", m, h, bad, res.X, res.Status)
				}
			}
		}
	}
	// The fused path keeps the last finite θ as well.
	x, y := Gaussian(30, 3, 95)
	res, err := Minimize(context.Background(), Problem{must(NewLeastSquares(x, y)), nil}, nil, nil, SAGA{Step: 1e6})
	if err == nil || !allFinite(res.X) {
		t.Errorf("diverging SAGA: error %v, θ = %v", err, res.X)
	}
	if _, err := Minimize(context.Background(), Problem{f, nil}, []float64{math.NaN(), 0, 0}, nil, MM{}); err == nil {
		t.Error("a start that is not a number is accepted")
	}
}

// A line search at a stationary point, where any step will do, goes on.
func TestLineSearchAtRest(t *testing.T) {
	f, mean := newCenters(5, 2, 94)
	for i := range f {
		f[i] = mean // every gradient is zero at the start
	}
	res := solve(t, Problem{f, nil}, mean, Settings{MajorIterations: 3000}, MM{LineSearch: true, Step: 1})
	if d := distance(res.X, mean); !(d <= 1e-12) {
		t.Errorf("moved by %g", d)
	}
}

// The normalised step bounds every move by ε/(L·N0) and so the estimator's mean
// squared error by ε².
func TestNormalizedStep(t *testing.T) {
	f := nonconvexLogistic(400, 6, 90)
	const eps = 0.02
	limit := eps / f.Lipschitz().MeanSquare
	errs := make([]float64, 60)
	long := 0
	for seed := range uint64(50) {
		drive(t, Problem{f, L1{Lambda: 0.01}}, []float64{3, -2, 2, 1, 0, 4}, seed, 60, SPIDER{Eps: eps}, func(k int, x, next, v []float64, _ float64) {
			d := distance(next, x)
			if !(d <= limit*(1+1e-12)) {
				t.Fatalf("step %d moves by %g, limit %g", k, d, limit)
			}
			if d > 0.999*limit {
				long++
			}
			errs[k] += sqDistance(v, gradAt(f, x)) / 50
		})
	}
	for k, e := range errs {
		if e > eps*eps {
			t.Errorf("step %d: E‖e‖² = %g above ε² = %g", k, e, eps*eps)
		}
	}
	if long == 0 {
		t.Error("the limit never binds")
	}
}

// A step far beyond 1/L diverges on a quadratic, and Minimize says so.
func TestInstability(t *testing.T) {
	r := newCounter(96, streamData)
	x, _ := Gaussian(50, 3, 96)
	f := must(NewLeastSquares(x, randomVec(&r, 50, 1)))
	h := mat3(f)
	_, err := Minimize(context.Background(), Problem{f, nil}, nil, &Settings{IFO: 50 * 20000}, SpiderBoost{Step: 2.5 / h})
	var nf *NonFiniteError
	if !errors.As(err, &nf) {
		t.Errorf("η = 2.5/L: %v", err)
	}
}

// mat3 returns the largest eigenvalue of the Hessian of least squares by power
// iteration.
func mat3(f *Linear) float64 {
	u := []float64{1, 0.5, -0.3}
	value := 0.0
	for range 500 {
		g := gradAt(f, u)
		axpy(g, -1, gradAt(f, make([]float64, 3)))
		value = norm(g)
		for j := range u {
			u[j] = g[j] / value
		}
	}
	return value
}

func TestDegenerateProblems(t *testing.T) {
	one := must(NewLogistic(NewDense(1, 1, []float64{1}), []float64{1}, 0.1))
	zero := &Linear{X: NewDense(5, 2, nil), Y: []float64{1, -1, 1, 1, -1}, Loss: Logistic{}, Alpha: 0.1}
	hole := NewDense(4, 2, []float64{0, 0, 1, 2, 0, 0, 3, 1}) // samples without a feature
	holes := must(NewLogistic(hole, []float64{1, -1, -1, 1}, 0))
	x, _ := Gaussian(20, 3, 97)
	same := must(NewLogistic(x, slices.Repeat([]float64{1}, 20), 0))
	huge := NewDense(4, 2, []float64{1e4, 0, -1e4, 1, 0, 1e4, 5, 5})
	big := must(NewLogistic(huge, []float64{1, -1, 1, -1}, 0.1))
	for _, f := range []*Linear{one, zero, holes, same, big} {
		for _, m := range allMethods() {
			for _, h := range []Regularizer{nil, L1{Lambda: 0.01}} {
				res, err := Minimize(context.Background(), Problem{f, h}, nil, &Settings{IFO: 400}, m)
				if err != nil || !finite(res.F) {
					t.Errorf("%v on %d×%d: F %g, %v", m, f.Len(), f.Dim(), res.F, err)
				}
			}
		}
	}
}

func TestLimits(t *testing.T) {
	f := nonconvexLogistic(400, 5, 99)
	p := Problem{f, nil}
	for _, m := range []Method{SPIMM{}, SAGA{}} {
		if m == (Method)(SAGA{}) {
			f = must(NewLogistic(f.X, f.Y, 0)) // the fused path
			p = Problem{f, Ridge{0.1}}
		}
		ctx, cancel := context.WithCancel(context.Background())
		seen := 0
		set := &Settings{IFO: 400 * 1000, Recorder: &watcher{each: func(l *Location, _ *Stats) error {
			if seen++; seen == 3 {
				cancel()
			}
			return nil
		}}}
		res, err := Minimize(ctx, p, nil, set, m)
		if !errors.Is(err, context.Canceled) || res.Status != Cancelled || !(res.F < p.Value(make([]float64, 5))) || res.IFO > 400*10 {
			t.Errorf("%v cancelled: %v, status %v, F %g after %d", m, err, res.Status, res.F, res.IFO)
		}
		res = solve(t, p, nil, Settings{Runtime: 20 * time.Millisecond}, m)
		if res.Status != optimize.RuntimeLimit || res.Runtime < 20*time.Millisecond || res.Runtime > time.Second {
			t.Errorf("%v: status %v after %v", m, res.Status, res.Runtime)
		}
		res = solve(t, p, nil, Settings{MajorIterations: 17}, m)
		if res.Status != optimize.IterationLimit || res.MajorIterations != 17 {
			t.Errorf("%v: status %v after %d iterations", m, res.Status, res.MajorIterations)
		}
		for _, charge := range []bool{false, true} {
			res = solve(t, p, nil, Settings{GradientThreshold: 1e-6, IFO: 1 << 30, ChargeChecks: charge}, m)
			if res.Status != optimize.GradientThreshold || res.Stationarity > 1e-6 {
				t.Errorf("%v: status %v, stationarity %g", m, res.Status, res.Stationarity)
			}
		}
		if _, err := Minimize(context.Background(), p, nil, &Settings{Recorder: &watcher{each: func(*Location, *Stats) error { return errStop }}}, m); !errors.Is(err, errStop) {
			t.Errorf("%v: the recorder's error is lost: %v", m, err)
		}
	}
}

var errStop = errors.New("stop")

// Charged checks appear in IFO, uncharged ones do not; the path is the same.
func TestChargeChecks(t *testing.T) {
	f := nonconvexLogistic(100, 3, 100)
	p := Problem{f, nil}
	set := Settings{GradientThreshold: 1e-5}
	free := solve(t, p, nil, set, SPIMM{})
	set.ChargeChecks = true
	paid := solve(t, p, nil, set, SPIMM{})
	if paid.F != free.F && paid.IFO == free.IFO {
		t.Errorf("charging changed the path: F %g and %g", paid.F, free.F)
	}
	if extra := paid.IFO - free.IFO; extra < 100 || extra%100 != 0 {
		t.Errorf("charged run costs %d more, want a multiple of n", extra)
	}
}

// The online case: components are made on demand, n is out of reach of any loop.
func TestOnline(t *testing.T) {
	s := stream{p: 5}
	set := &Settings{Seed: 2, IFO: 60000, Evaluate: 2000, Lipschitz: Lipschitz{MeanSquare: 0.25, Max: 1}}
	x0 := make([]float64, 5)
	for _, m := range []Method{
		SPIMM{RefreshBatch: 900, Batch: 30, Period: 30},
		SPIDER{RefreshBatch: 900, Batch: 30, Period: 30, Eps: 0.05},
		SpiderBoost{RefreshBatch: 900, Batch: 30, Period: 30},
		SCSG{RefreshBatch: 900, Batch: 100, Step: 1}, SGD{Batch: 10}, SMM{Batch: 10, K0: 100},
	} {
		res, err := Minimize(context.Background(), Problem{s, nil}, x0, set, m)
		if err != nil || res.Stationarity > 0.05 || res.IFO < 60000 || res.IFO > 61000 {
			t.Errorf("%v: %v, stationarity %g after %d", m, err, res.Stationarity, res.IFO)
		}
		if gain := (Problem{truncated{s}, nil}).Value(x0) - res.F; gain < 0.05 {
			t.Errorf("%v: gained %g", m, gain)
		}
	}
}

// stream is logistic regression on an endless sequence of samples, each a function
// of its index.
type stream struct{ p int }

func (s stream) Len() int { return math.MaxInt }
func (s stream) Dim() int { return s.p }

func (s stream) sample(i int) ([]float64, float64) {
	r := newCounter(uint64(i), streamData)
	x := randomVec(&r, s.p, 1/math.Sqrt(float64(s.p)))
	y := -1.0
	if r.float() < sigmoid(6*(x[0]-x[1])) {
		y = 1
	}
	return x, y
}

func (s stream) Component(i int, w []float64) float64 {
	x, y := s.sample(i)
	return Logistic{}.Value(dot(x, w), y)
}

func (s stream) AddGrad(dst []float64, i int, w []float64, scale float64) {
	x, y := s.sample(i)
	axpy(dst, scale*Logistic{}.Deriv(dot(x, w), y), x)
}

type truncated struct{ stream }

func (truncated) Len() int { return 2000 }
