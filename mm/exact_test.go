package mm

import (
	"context"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// trajectory returns the iterates of a run, the start included.
func trajectory(t *testing.T, p Problem, x0 []float64, set Settings, m Method) [][]float64 {
	t.Helper()
	var all [][]float64
	set.Recorder = &watcher{each: func(l *Location, _ *Stats) error {
		all = append(all, append([]float64(nil), l.X...))
		return nil
	}}
	set.RecordEvery = 1
	if _, err := Minimize(context.Background(), p, x0, &set, m); err != nil {
		t.Fatalf("%v: %v", m, err)
	}
	return all
}

func sameTrajectory(t *testing.T, what string, a, b [][]float64, tol float64) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d and %d iterates", what, len(a), len(b))
	}
	for k := range a {
		if d := distance(a[k], b[k]); !(d <= tol) {
			t.Fatalf("%s: iterates %d are %g apart", what, k, d)
		}
	}
}

func solve(t *testing.T, p Problem, x0 []float64, set Settings, m Method) *Result {
	t.Helper()
	res, err := Minimize(context.Background(), p, x0, &set, m)
	if err != nil {
		t.Fatalf("%v: %v", m, err)
	}
	return res
}

func nonconvexLogistic(n, p int, seed uint64) *Linear {
	x, y := Gaussian(n, p, seed)
	return must(NewLogistic(x, y, 0.05))
}

// T1: batches of everything, or a refresh at every step, make SPI-MM MM.
func TestSPIMMIsMM(t *testing.T) {
	f := nonconvexLogistic(60, 5, 51)
	p := Problem{f, L1{Lambda: 0.01}}
	x0 := []float64{1, -1, 2, 0, 0.5}
	step := 1 / (2 * f.Lipschitz().MeanSquare)
	set := Settings{MajorIterations: 80}
	want := trajectory(t, p, x0, set, MM{Step: step})
	for _, q := range []int{1, 3, 7, 100} {
		got := trajectory(t, p, x0, set, SPIMM{Step: step, Batch: 60, Period: q, WithoutReplacement: true})
		sameTrajectory(t, "b = n", got, want, 1e-10)
	}
	got := trajectory(t, p, x0, set, SPIMM{Step: step, Batch: 3, Period: 1})
	sameTrajectory(t, "q = 1", got, want, 0)
	got = trajectory(t, p, x0, set, SPIMM{Step: step, Batch: 3, RefreshProb: 1})
	sameTrajectory(t, "p = 1", got, want, 0)
}

// T2, Proposition 1: carrying statistics equals carrying gradients, in the plain
// metric and in a diagonal one.
func TestStatisticsEqualGradients(t *testing.T) {
	f := nonconvexLogistic(100, 6, 52)
	x0 := []float64{1, -1, 2, 0, 0.5, -2}
	for _, h := range []Regularizer{nil, L1{Lambda: 0.01}, MCP{Lambda: 0.01, Gamma: 50}} {
		p := Problem{f, h}
		set := Settings{Seed: 3, MajorIterations: 120}
		for _, without := range []bool{false, true} {
			a := trajectory(t, p, x0, set, SPIMM{Batch: 4, Period: 9, WithoutReplacement: without})
			b := trajectory(t, p, x0, set, SpiderBoost{Batch: 4, Period: 9, WithoutReplacement: without})
			sameTrajectory(t, "Proposition 1", a, b, 1e-12)
		}
		a := trajectory(t, p, x0, set, SPIMM{Batch: 10, RefreshProb: 10.0 / 110})
		b := trajectory(t, p, x0, set, PAGE{})
		sameTrajectory(t, "loopless: PAGE", a, b, 1e-12)
	}

	metric := []float64{1, 1.5, 2, 0.8, 3, 1}
	h := L1{Lambda: 0.01}
	set := Settings{Seed: 4, MajorIterations: 60}
	got := trajectory(t, Problem{f, h}, x0, set, SPIMM{Surrogate: must(NewDiagonal(f, metric)), Batch: 5, Period: 8})
	x, prev, v := append([]float64(nil), x0...), make([]float64, 6), make([]float64, 6)
	draws := sampler{counter: newCounter(4, streamBatch), n: 100}
	idx := make([]int, 5)
	want := [][]float64{append([]float64(nil), x...)}
	for k := range 60 {
		if k%8 == 0 {
			FullGrad(v, f, x)
		} else {
			draws.draw(idx, true)
			for _, i := range idx {
				f.AddGrad(v, i, x, 0.2)
				f.AddGrad(v, i, prev, -0.2)
			}
		}
		copy(prev, x)
		for j := range x {
			x[j] = soft(x[j]-v[j]/metric[j], h.Lambda/metric[j])
		}
		want = append(want, append([]float64(nil), x...))
	}
	sameTrajectory(t, "diagonal metric", got, want, 1e-12)
}

// T3: identical components leave nothing to chance.
func TestIdenticalComponents(t *testing.T) {
	x := NewDense(30, 3, nil)
	y := make([]float64, 30)
	for i := range y {
		copy(x.Row(i), []float64{0.6, -0.3, 0.7})
		y[i] = 1
	}
	f := must(NewLogistic(x, y, 0.1))
	p := Problem{f, L1{Lambda: 0.01}}
	x0 := []float64{-1, 2, 0.3}
	set := Settings{MajorIterations: 50}
	want := trajectory(t, p, x0, set, MM{Step: 1})
	for _, m := range []Method{SPIMM{Step: 1}, SPIMM{Step: 1, Batch: 2, Period: 11}, SVRG{Step: 1}, PAGE{Step: 1}, SGD{Step: 1, Constant: true}} {
		sameTrajectory(t, m.String(), trajectory(t, p, x0, set, m), want, 1e-12)
	}
}

// centers is f_i(θ) = ‖θ−a_i‖²/2.
type centers [][]float64

func (c centers) Len() int { return len(c) }
func (c centers) Dim() int { return len(c[0]) }
func (c centers) Component(i int, x []float64) float64 {
	return sqDistance(x, c[i]) / 2
}
func (c centers) AddGrad(dst []float64, i int, x []float64, scale float64) {
	axpy(dst, scale, x)
	axpy(dst, -scale, c[i])
}
func (c centers) Lipschitz() Lipschitz { return Lipschitz{1, 1} }

func newCenters(n, p int, seed uint64) (centers, []float64) {
	r := newCounter(seed, streamData)
	mean := make([]float64, p)
	c := make(centers, n)
	for i := range c {
		c[i] = randomVec(&r, p, 1)
		axpy(mean, 1/float64(n), c[i])
	}
	return c, mean
}

// T4: θ_k − ā = (1−η)^k (θ_0 − ā). T5: with h, the limit is its prox at ā.
func TestCenters(t *testing.T) {
	f, mean := newCenters(25, 4, 53)
	x0 := []float64{3, -2, 1, 5}
	for k, x := range trajectory(t, Problem{f, nil}, x0, Settings{MajorIterations: 30}, SPIMM{}) {
		for j := range x {
			want := mean[j] + math.Pow(0.5, float64(k))*(x0[j]-mean[j])
			if !(math.Abs(x[j]-want) <= 1e-13) {
				t.Fatalf("iterate %d: %g, want %g", k, x[j], want)
			}
		}
	}
	for _, h := range []Regularizer{L1{Lambda: 0.1}, Box{-0.1, 0.1}, Simplex{}, Ball{Radius: 0.2}, GroupLasso{Lambda: 0.2}} {
		want := make([]float64, 4)
		h.Prox(want, mean, 1)
		for _, m := range []Method{MM{}, SPIMM{}, SVRG{}, SAGA{}, PAGE{}, MISO{}, SpiderBoost{}, ProxSARAH{}, SARAH{}, LSVRG{}, SCSG{}} {
			res := solve(t, Problem{f, h}, x0, Settings{IFO: 40000}, m)
			if d := distance(res.X, want); !(d <= 1e-12) {
				t.Errorf("%v with %s: limit is off by %g", m, name(h), d)
			}
		}
	}
}

// T6: ridge regression solves the normal equations, the lasso meets its optimality
// conditions.
func TestLeastSquares(t *testing.T) {
	x, _ := Gaussian(80, 7, 54)
	r := newCounter(55, streamData)
	f := must(NewLeastSquares(x, randomVec(&r, 80, 1)))
	const ridge = 0.05
	a := mat.NewDense(7, 7, nil)
	data := mat.NewDense(80, 7, x.Data)
	a.Mul(data.T(), data)
	a.Scale(1.0/80, a)
	for j := range 7 {
		a.Set(j, j, a.At(j, j)+ridge)
	}
	b := mat.NewVecDense(7, nil)
	b.MulVec(data.T(), mat.NewVecDense(80, f.Y))
	b.ScaleVec(1.0/80, b)
	want := mat.NewVecDense(7, nil)
	if err := want.SolveVec(a, b); err != nil {
		t.Fatal(err)
	}
	bohning := must(NewBohning(f, 0))
	for _, m := range []Method{SPIMM{}, MM{}, SAGA{}, MM{Surrogate: bohning}, SPIMM{Surrogate: bohning}, MM{LineSearch: true, Step: 1}, MM{Surrogate: must(NewJensen(f, 0))}} {
		res := solve(t, Problem{f, Ridge{ridge}}, nil, Settings{IFO: 80 * 20000}, m)
		tol := 1e-11
		if mm, ok := m.(MM); ok && mm.LineSearch {
			tol = 1e-6 // comparing values of f cannot see half of the digits of θ
		}
		if d := distance(res.X, want.RawVector().Data); !(d <= tol) {
			t.Errorf("%v: solution of the normal equations is off by %g", m, d)
		}
	}
	const lambda = 0.02
	g := make([]float64, 7)
	for _, m := range []Method{SPIMM{}, MM{}, SAGA{}, SVRG{}, PAGE{}, SPIMM{Batch: 1, Period: 80}} {
		res := solve(t, Problem{f, L1{Lambda: lambda}}, nil, Settings{IFO: 80 * 3000}, m)
		FullGrad(g, f, res.X)
		zeros := 0
		for j, v := range res.X {
			switch {
			case v == 0:
				zeros++
				if !(math.Abs(g[j]) <= lambda) {
					t.Errorf("%v: zero entry with gradient %g beyond %g", m, g[j], lambda)
				}
			case math.Abs(g[j]+lambda*sign(v)) > 1e-11:
				t.Errorf("%v: entry %g with gradient %g, want %g", m, v, g[j], -lambda*sign(v))
			}
		}
		if zeros == 0 || zeros == 7 {
			t.Errorf("%v: %d of 7 entries are zero: the test shows little", m, zeros)
		}
	}
}

// A full-batch method of gonum finds the same minimum through the bridge.
func TestBatchBridge(t *testing.T) {
	f := nonconvexLogistic(100, 5, 56)
	p := Problem{f, Ridge{0.1}}
	op, ok := Batch(p)
	if !ok {
		t.Fatal("Ridge is refused")
	}
	lbfgs, err := optimize.Minimize(op, make([]float64, 5), &optimize.Settings{GradientThreshold: 1e-10}, &optimize.LBFGS{})
	if err != nil {
		t.Fatal(err)
	}
	res := solve(t, p, nil, Settings{IFO: 100 * 2000}, SPIMM{})
	if d := distance(res.X, lbfgs.X); d > 1e-7 || !(math.Abs(res.F-lbfgs.F) <= 1e-13) {
		t.Errorf("minimisers are %g apart, minima %.15g and %.15g", d, res.F, lbfgs.F)
	}
	if _, ok := Batch(Problem{f, L1{Lambda: 1}}); ok {
		t.Error("a non-smooth regulariser crossed the bridge")
	}
}

// T7: PCA on the ball finds the leading eigenvector; the linear surrogate on the
// sphere is the power iteration, step by step.
func TestPCA(t *testing.T) {
	z, _ := Spiked(300, 8, 3, 5, 57)
	f := must(NewPCA(z))
	cov := mat.NewSymDense(8, nil)
	for i := range 300 {
		cov.SymRankOne(cov, 1.0/300, mat.NewVecDense(8, z.Row(i)))
	}
	var eig mat.EigenSym
	if !eig.Factorize(cov, true) {
		t.Fatal("no eigenvalues")
	}
	var vec mat.Dense
	eig.VectorsTo(&vec)
	top := mat.Col(nil, 7, &vec)
	x0 := []float64{0.3, -0.2, 0.5, 0.1, 0.4, 0.1, -0.3, 0.2}
	for _, c := range []struct {
		h Regularizer
		m Method
	}{
		{Ball{}, SPIMM{}}, {Ball{}, MM{}}, {Ball{}, SVRG{}}, {Ball{}, SAGA{}}, {Sphere{}, SPIMM{}}, {Ball{}, SPIMM{Surrogate: &DC{Sum: f}}},
		{Sphere{}, MM{Surrogate: &DC{Sum: f}}},
	} {
		res := solve(t, Problem{f, c.h}, x0, Settings{IFO: 300 * 400}, c.m)
		if cos := math.Abs(dot(res.X, top)); !(math.Abs(res.F+eig.Values(nil)[7]/2) <= 1e-12) || cos < 1-1e-10 {
			t.Errorf("%v on %T: F %.15g, want %.15g; cosine %.12g", c.m, c.h, res.F, -eig.Values(nil)[7]/2, cos)
		}
	}
	x := append([]float64(nil), x0...)
	for k, got := range trajectory(t, Problem{f, Sphere{}}, x0, Settings{MajorIterations: 20}, MM{Surrogate: &DC{Sum: f}}) {
		if d := distance(got, x); !(d <= 1e-13) {
			t.Fatalf("power iteration %d is off by %g", k, d)
		}
		y := mat.NewVecDense(8, nil)
		y.MulVec(cov, mat.NewVecDense(8, x))
		y.ScaleVec(1/mat.Norm(y, 2), y)
		copy(x, y.RawVector().Data)
	}
	// Components on the Stiefel manifold span the leading eigenvectors.
	w0 := randomVec(&counter{9}, 16, 1)
	res := solve(t, Problem{&Components{Z: z, K: 2}, Stiefel{8, 2}}, w0, Settings{IFO: 300 * 2000}, SPIMM{})
	v := eig.Values(nil)
	if want := -(v[7] + v[6]) / 2; !(math.Abs(res.F-want) <= 1e-9) {
		t.Errorf("two components: F %.12g, want %.12g", res.F, want)
	}
	// The factorised form with a small Mu loses what the leading space explains.
	fact := &Factorization{Z: z, K: 2, Mu: 1e-6}
	res = solve(t, Problem{fact, nil}, w0, Settings{IFO: 300 * 400}, MM{Surrogate: &FactorMM{fact}})
	if want := (v[0] + v[1] + v[2] + v[3] + v[4] + v[5]) / 2; !(math.Abs(res.F-want) <= 1e-4*want) {
		t.Errorf("factorised: F %.9g, want %.9g", res.F, want)
	}
}

// T8: with a diagonal covariance the unit vectors e_j are the stationary points,
// with F = −d_j/2 + λ; a method ends at one, the leading one from near by.
func TestSparsePCADiagonal(t *testing.T) {
	d := []float64{1, 0.8, 0.6, 0.3}
	z := NewDense(4, 4, nil)
	for j, v := range d {
		z.Row(j)[j] = math.Sqrt(4 * v)
	}
	f := must(NewPCA(z))
	const lambda = 0.05
	h := L1Ball{Lambda: lambda}
	for _, m := range []Method{SPIMM{}, MM{}, SVRG{}, PAGE{}, MM{Surrogate: &DC{Sum: f}}} {
		res := solve(t, Problem{f, h}, []float64{0.9, 0.2, -0.1, 0.2}, Settings{IFO: 40000}, m)
		if !(math.Abs(res.F-(-d[0]/2+lambda)) <= 1e-12) || !(math.Abs(res.X[0]-1) <= 1e-12) {
			t.Errorf("%v from near e₁: F %.15g at %v", m, res.F, res.X)
		}
		res = solve(t, Problem{f, h}, []float64{0.1, 0.2, -0.7, 0.2}, Settings{IFO: 40000}, m)
		at := -1
		for j, v := range res.X {
			if math.Abs(math.Abs(v)-1) < 1e-9 {
				at = j
			}
		}
		if at < 0 || !(math.Abs(res.F-(-d[at]/2+lambda)) <= 1e-9) || res.Stationarity > 1e-7 {
			t.Errorf("%v: ends at %v, F %g, not a stationary unit vector", m, res.X, res.F)
		}
		// Exactly at an eigenvector it stays.
		res = solve(t, Problem{f, h}, []float64{0, 0, 0, 1}, Settings{IFO: 4000}, m)
		if res.X[3] != 1 {
			t.Errorf("%v leaves an eigenvector: %v", m, res.X)
		}
	}
}

// A trap of sparse PCA: a λ too large for the start sends sparse PCA to zero;
// from the coordinate of largest variance, or on the sphere, it does not.
func TestSparsePCATrap(t *testing.T) {
	z, u := Spiked(2000, 30, 5, 8, 58)
	f := must(NewPCA(z))
	dense := make([]float64, 30)
	for j := range dense {
		dense[j] = 1 / math.Sqrt(30)
	}
	if res := solve(t, Problem{f, L1Ball{Lambda: 0.1}}, dense, Settings{}, SPIMM{}); norm(res.X) != 0 {
		t.Errorf("λ = 0.1 from a dense start: F %g, expected the collapse to 0", res.F)
	}
	unit := make([]float64, 30)
	unit[0] = 1
	for _, c := range []struct {
		h  Regularizer
		x0 []float64
	}{{L1Ball{Lambda: 0.02}, unit}, {L1Sphere{Lambda: 0.02}, dense}} {
		res := solve(t, Problem{f, c.h}, c.x0, Settings{}, SPIMM{})
		zeros := 0
		for j, v := range res.X {
			if j >= 5 && v == 0 {
				zeros++
			}
		}
		if res.F >= 0 || math.Abs(dot(res.X, u)) < 0.9 || zeros < 15 {
			t.Errorf("%T: F %g, cosine with the spike %g, %d of 25 other entries zero", c.h, res.F, dot(res.X, u), zeros)
		}
	}
}
