package mm

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// The zero value of a method is what its comments say: it makes the same steps, to
// the bit, as the method with those numbers filled in.
func TestDefaults(t *testing.T) {
	const n = 100 // √n = 10, n^⅓ = 4.6, n^⅔ = 21.5
	x, y := Gaussian(n, 4, 201)
	for i := range n {
		for j := range 4 {
			x.Row(i)[j] *= 1 + float64(i%7) // so that max L_i is not L
		}
	}
	f := must(NewLogistic(x, y, 0.05))
	l, top := f.Lipschitz().MeanSquare, f.Lipschitz().Max
	if top < 1.5*l {
		t.Fatalf("max L_i = %g and L = %g do not differ enough", top, l)
	}
	root := func(q, b float64) float64 { return 1 / (l * (1 + math.Sqrt(q/b))) }
	coin := func(p, b float64) float64 { return root((1-p)/p, b) }
	type pair struct{ zero, full Method }
	// The steps are times s: 1 for a convex h, 1/2 for any other.
	pairs := func(s float64) []pair {
		p := []pair{
			{MM{}, MM{Step: 1 / l}},
			{MISO{}, MISO{Step: 1 / top, Batch: 1}},
			{SMM{}, SMM{Step: 1 / top, Batch: 1, K0: n}},
			{SMM{Batch: 4}, SMM{Step: 1 / top, Batch: 4, K0: n / 4}},
			{SPIMM{}, SPIMM{Step: s / (2 * l), Batch: 10, Period: 10, RefreshBatch: n}},
			{SPIMM{Batch: 5, Period: 20}, SPIMM{Step: s * root(20, 5), Batch: 5, Period: 20}},
			{SPIMM{RefreshProb: 0.2}, SPIMM{Step: s * coin(0.2, 10), Batch: 10, RefreshProb: 0.2}},
			{SGD{}, SGD{Step: s / top, Batch: 1}},
			{SVRG{}, SVRG{Step: s / (3 * l), Batch: 22, Period: 5}},
			{LSVRG{}, LSVRG{Step: s / (3 * l), Batch: 22, RefreshProb: 22.0 / n}},
			{LSVRG{Batch: 30}, LSVRG{Step: s / (3 * l), Batch: 30, RefreshProb: 30.0 / n}},
			{SCSG{}, SCSG{Step: s * math.Pow(0.1, 2.0/3) / (6 * l), Batch: 10, RefreshBatch: n}},
			{SAGA{}, SAGA{Step: s / (3 * top), Batch: 1}},
			{SAGA{Batch: 5}, SAGA{Step: s / (3 * l), Batch: 5}},
			{SARAH{}, SARAH{Step: s * root(n, 1), Batch: 1, Period: n}},
			{SpiderBoost{}, SpiderBoost{Step: s / (2 * l), Batch: 10, Period: 10, RefreshBatch: n}},
			{PAGE{}, PAGE{Step: s * coin(10.0/110, 10), Batch: 10, RefreshProb: 10.0 / 110}},
		}
		if s == 1 {
			p = append(p,
				pair{SPIDER{}, SPIDER{Eps: 1e-2, N0: 1, Step: 1 / (2 * l), Batch: 10, Period: 10, RefreshBatch: n}},
				pair{SPIDER{N0: 4}, SPIDER{Eps: 1e-2, N0: 4, Step: 1 / (8 * l), Batch: 3, Period: 40}},
				pair{ProxSARAH{}, ProxSARAH{Gamma: 0.95, Step: 1 / (2 * l) / 0.95, Batch: 10, Period: 10}})
		}
		return p
	}
	for _, h := range []Regularizer{Ridge{0.1}, MCP{Lambda: 0.01, Gamma: 100}} {
		s := 1.0
		if !h.Convex() {
			s = 0.5
		}
		// The gradient mapping of these regularisers depends on its step.
		mapping := s / (2 * l)
		for _, c := range pairs(s) {
			set := Settings{Seed: 3, MajorIterations: 150}
			x0 := []float64{3, -2, 1, 0.5}
			a := solve(t, Problem{f, h}, x0, set, c.zero)
			set.MappingStep = mapping
			b := solve(t, Problem{f, h}, x0, set, c.full)
			if !(distance(a.X, b.X) <= 1e-12*norm(b.X)) || a.IFO != b.IFO || !(math.Abs(a.Stationarity-b.Stationarity) <= 1e-10) {
				t.Errorf("%v%+v with %T: %v at ‖G‖ %g after %d, with the numbers of %+v %v at %g after %d",
					c.zero, c.zero, h, a.X, a.Stationarity, a.IFO, c.full, b.X, b.Stationarity, b.IFO)
			}
		}
	}
	// One constant serves for the other where that is safe.
	a := solve(t, Problem{plainSum{f}, nil}, nil, Settings{Lipschitz: Lipschitz{Max: 2}, IFO: 500}, SPIMM{})
	b := solve(t, Problem{plainSum{f}, nil}, nil, Settings{Lipschitz: Lipschitz{MeanSquare: 2}, IFO: 500}, SPIMM{})
	if !slices.Equal(a.X, b.X) {
		t.Errorf("Max alone: %v, MeanSquare alone: %v", a.X, b.X)
	}
}

func TestCeilPow(t *testing.T) {
	for _, c := range []struct {
		n    int
		e    float64
		want int
	}{
		{1, 0.5, 1}, {2, 0.5, 2}, {4096, 0.5, 64}, {4097, 0.5, 65}, {27, 1.0 / 3, 3}, {125, 1.0 / 3, 5}, {126, 1.0 / 3, 6},
		{1000, 1.0 / 3, 10}, {1000, 2.0 / 3, 100}, {3375, 2.0 / 3, 225}, {3376, 2.0 / 3, 226}, {100, 2.0 / 3, 22},
	} {
		if got := ceilPow(c.n, c.e); got != c.want {
			t.Errorf("⌈%d^%.3g⌉ = %d, want %d", c.n, c.e, got, c.want)
		}
	}
}

// The falling weights of SMM and steps of SGD against their formulas, written out.
func TestFallingWeights(t *testing.T) {
	f, _ := newCenters(30, 2, 202)
	x0 := []float64{4, -3}
	const steps = 90
	draws := func() func() int {
		s := sampler{counter: newCounter(5, streamBatch), n: len(f)}
		idx := make([]int, 1)
		return func() int { s.draw(idx, true); return idx[0] }
	}
	// With step 1 the surrogate of component i is ‖θ−a_i‖²/2 wherever it is anchored.
	next, mean := draws(), []float64{0, 0}
	for k := 1; k <= steps; k++ {
		w := math.Sqrt(7+1) / math.Sqrt(7+float64(k))
		a := f[next()]
		for j := range mean {
			mean[j] = (1-w)*mean[j] + w*a[j]
		}
	}
	got := solve(t, Problem{f, nil}, x0, Settings{Seed: 5, MajorIterations: steps}, SMM{K0: 7, Step: 1})
	if d := distance(got.X, mean); !(d <= 1e-13) {
		t.Errorf("SMM is at %v, its formula at %v", got.X, mean)
	}
	next, x := draws(), slices.Clone(x0)
	for k := range steps {
		a := f[next()]
		step := 0.5 / math.Sqrt(1+float64(k)/30)
		for j := range x {
			x[j] -= step * (x[j] - a[j])
		}
	}
	got = solve(t, Problem{f, nil}, x0, Settings{Seed: 5, MajorIterations: steps}, SGD{Step: 0.5})
	if d := distance(got.X, x); !(d <= 1e-13) {
		t.Errorf("SGD is at %v, its formula at %v", got.X, x)
	}
}

// MeanSquare is the exact constant of its comment, found from above.
func TestMeanSquareConstant(t *testing.T) {
	for what, x := range map[string]Rows{
		"dense": first(Gaussian(200, 12, 203)), "spiked": first(Spiked(300, 20, 4, 5, 204)), "one-hot": first(OneHot(500, 205)),
		"sparse": first(SparseBinary(300, 60, 0.1, 206)), "square": first(Gaussian(40, 40, 207)), "wide": first(Gaussian(60, 90, 214)), "isotropic": first(Gaussian(4096, 30, 5)),
		"isotropic, wider": first(Gaussian(600, 120, 4)), "one row": NewDense(1, 3, []float64{1, 2, 2}),
	} {
		n, p := x.Dims()
		gram := mat.NewSymDense(p, nil)
		row := make([]float64, p)
		for i := range n {
			clear(row)
			x.AddRow(row, i, 1)
			gram.SymRankOne(gram, sqRow(x, i)/float64(n), mat.NewVecDense(p, row))
		}
		var eig mat.EigenSym
		if !eig.Factorize(gram, false) {
			t.Fatal("no eigenvalues")
		}
		want := math.Sqrt(eig.Values(nil)[p-1])
		l := must(NewPCA(x)).Lipschitz()
		if got := l.MeanSquare; !(got >= want*(1-1e-10) && got <= 1.01*want) {
			t.Errorf("%s: MeanSquare %.9g, exact %.9g", what, got, want)
		}
	}
}

func first[T, U any](v T, _ U) T { return v }

// Where every quotient is 1 the estimate is the safety factor.
func TestEstimateFactor(t *testing.T) {
	f, _ := newCenters(10, 3, 208)
	l := EstimateLipschitz(f, make([]float64, 3), 2, 5, 1)
	if !(math.Abs(l.Max-1.5) <= 1e-9) || !(math.Abs(l.MeanSquare-1.5) <= 1e-9) {
		t.Errorf("estimate %+v, want 1.5 and 1.5", l)
	}
}

// The weight of the Jaakkola–Jordan bound where its formula cancels, against its
// series to another order.
func TestJaakkolaJordanSeries(t *testing.T) {
	s := must(NewJaakkolaJordan(must(NewLogistic(NewDense(1, 1, []float64{1}), []float64{1}, 0))))
	for _, m := range []float64{0, 1e-6, 9e-5, 1.1e-4, 1e-3, 0.03} {
		want := 0.25 - m*m/48 + m*m*m*m/480 - 17*math.Pow(m, 6)/80640
		for _, m := range []float64{m, -m} {
			if w, _ := s.weigh(0, m); !(math.Abs(w-want) <= 1e-12) {
				t.Errorf("weight at %g is %.15g, want %.15g", m, w, want)
			}
		}
	}
}

// The certificate sees a violation of a millionth: step 1/(2L) with an L that is a
// third of the curvature, a thousandth away from the minimum.
func TestCertificateIsSharp(t *testing.T) {
	f, mean := newCenters(6, 1, 209)
	x0 := []float64{mean[0] + 1e-3}
	set := Settings{Certify: true, MajorIterations: 1, Lipschitz: Lipschitz{MeanSquare: 1.0 / 3, Max: 1}}
	_, err := Minimize(context.Background(), Problem{f, nil}, x0, &set, SpiderBoost{})
	var wrong *CertificateError
	if !errors.As(err, &wrong) || wrong.F-wrong.Bound > 1e-5 {
		t.Errorf("error %v", err)
	}
	set.Lipschitz.MeanSquare = 1
	solve(t, Problem{f, nil}, x0, set, SpiderBoost{})
	// The line search has a certificate, too.
	set = Settings{Certify: true, MajorIterations: 20}
	if res := solve(t, Problem{f, nil}, []float64{mean[0] + 1}, set, MM{LineSearch: true, Step: 8}); res.DiagnosticIFO == 0 {
		t.Error("nothing was checked in the line search")
	}
	if _, err := Minimize(context.Background(), Problem{twisted{f}, nil}, []float64{mean[0] + 1}, &set, MM{Surrogate: &ProxGrad{twisted{f}, 4}}); !errors.As(err, &wrong) {
		t.Errorf("a surrogate that does not majorise: %v", err)
	}
}

type twisted struct{ FiniteSum }

// lonely has one component with a gradient, of norm 1 in the mean: most stochastic
// residuals are zero where the sum is not stationary.
type lonely struct{ n int }

func (f lonely) Len() int { return f.n }
func (f lonely) Dim() int { return 1 }
func (f lonely) Component(i int, x []float64) float64 {
	if i > 0 {
		return 0
	}
	return float64(f.n) * x[0]
}
func (f lonely) AddGrad(dst []float64, i int, _ []float64, scale float64) {
	if i == 0 {
		dst[0] += scale * float64(f.n)
	}
}

// An exact check takes place at most once a pass.
func TestChecksPerPass(t *testing.T) {
	set := Settings{GradientThreshold: 0.5, IFO: 20 * 100, MappingStep: 1}
	res := solve(t, Problem{lonely{100}, nil}, nil, set, SGD{Step: 1e-3})
	// Twenty passes, and the evaluation of the result.
	if res.DiagnosticIFO < 10*100 || res.DiagnosticIFO > 22*100 {
		t.Errorf("%d component gradients for checks in 20 passes of 100", res.DiagnosticIFO)
	}
}

// The inner solver meets the optimality conditions of the lasso on an ill-conditioned
// matrix, in a number of products that only a restarted momentum allows.
func TestInnerSolver(t *testing.T) {
	const p, lambda = 30, 0.5
	r := newCounter(210, streamData)
	a := mat.NewSymDense(p, nil)
	for range 60 {
		a.SymRankOne(a, 1.0/60, mat.NewVecDense(p, randomVec(&r, p, 1)))
	}
	scale := func(j int) float64 { return math.Pow(10, -2*float64(j)/p) }
	for j := range p {
		for k := j; k < p; k++ {
			a.SetSym(j, k, a.At(j, k)*scale(j)*scale(k))
		}
	}
	var eig mat.EigenSym
	eig.Factorize(a, false)
	v := eig.Values(nil)
	s, x, g := randomVec(&r, p, 1), make([]float64, p), make([]float64, p)
	calls := 0
	mul := func(y, x []float64) { calls++; clear(y); symMul(y, a, x, 1) }
	if err := solveComposite(x, s, make([]float64, p), L1{Lambda: lambda}, v[p-1], v[0], mul); err != nil {
		t.Fatalf("condition %.2g: %v", v[p-1]/v[0], err)
	}
	mul(g, x)
	zeros := 0
	for j := range x {
		g[j] -= s[j]
		if x[j] == 0 {
			zeros++
			g[j] = max(0, math.Abs(g[j])-lambda)
		} else {
			g[j] += lambda * sign(x[j])
		}
	}
	t.Logf("subgradient %.2g, %d zeros, ‖x‖ %.2g, %d products at condition %.2g", norm(g), zeros, norm(x), calls, v[p-1]/v[0])
	if e := norm(g) / (1 + norm(x)); e > 1e-12*v[p-1] || zeros == 0 || zeros == p {
		t.Errorf("relative subgradient %g with %d of %d zeros", e, zeros, p)
	}
	if limit := int(60 * math.Sqrt(v[p-1]/v[0])); calls > limit {
		t.Errorf("%d products at condition %.2g, want at most %d", calls, v[p-1]/v[0], limit)
	}
}

// A column of W that no code uses stays where it is, and the others do not feel it.
func TestFactorMMUnusedColumn(t *testing.T) {
	s := &FactorMM{&Factorization{Z: first(Gaussian(5, 2, 211)), K: 2, Mu: 1}}
	stat := []float64{4, 0, 0, 0, 2, 0, 6, 0} // A = diag(4, 0), B = ((2, 0), (6, 0))
	w := make([]float64, 4)
	if err := s.Minimize(w, stat, []float64{9, 0.3, 9, -0.7}, Zero{}); err != nil {
		t.Fatal(err)
	}
	if want := []float64{0.5, 0.3, 1.5, -0.7}; !(distance(w, want) <= 1e-8) {
		t.Errorf("W = %v, want %v", w, want)
	}
}

// The line search finds its way up from a step that is far too small.
func TestLineSearchGrows(t *testing.T) {
	f, mean := newCenters(10, 2, 212)
	res := solve(t, Problem{f, nil}, []float64{5, 5}, Settings{MajorIterations: 60}, MM{LineSearch: true, Step: 1e-9})
	if d := distance(res.X, mean); !(d <= 1e-6) {
		t.Errorf("%g from the minimum after 60 iterations", d)
	}
}

// A ridge so strong that the powers of its factor would overflow within a pass.
func TestLazySAGAStrongRidge(t *testing.T) {
	x, y := SparseBinary(1000, 50, 0.1, 213)
	p := Problem{must(NewLogistic(x, y, 0)), Ridge{Lambda: 3}}
	x0 := slices.Repeat([]float64{1}, 50)
	set := Settings{Seed: 1, IFO: 3500}
	want := solve(t, p, x0, set, SAGA{Eager: true})
	if got := solve(t, p, x0, set, SAGA{}); !(distance(got.X, want.X) <= 1e-12) {
		t.Errorf("lazy %g from the dense path", distance(got.X, want.X))
	}
}

// A run that can be stopped from outside looks up at least every 2¹⁴ steps.
func TestJumpsAreBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		set  Settings
		want int
	}{
		{context.Background(), Settings{}, 1 << 20},
		{ctx, Settings{}, 1 << 14},
		{context.Background(), Settings{Runtime: 1e9}, 1 << 14},
	} {
		r := newRun(c.ctx, Problem{lonely{1 << 20}, nil}, nil, &c.set)
		r.k = 1
		if got := r.room(0); got != c.want {
			t.Errorf("%d steps at a time, want %d", got, c.want)
		}
	}
}
