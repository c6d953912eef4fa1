package mm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// family is a surrogate family with a problem it belongs to.
type familyCase struct {
	name   string
	s      Surrogate
	p      Problem
	single bool // each g_i majorises its f_i; otherwise only the means do
}

func families() []familyCase {
	x, y := Gaussian(40, 5, 31)
	logit := &Linear{X: x, Y: y, Loss: Logistic{}, Alpha: 0.02, Ridge: 0.05}
	convex := must(NewLogistic(x, y, 0))
	square := must(NewLeastSquares(x, y))
	lad := must(newLinear(x, y, Huber{Delta: 0.2}, 0))
	pca := must(NewPCA(x))
	poisson := must(NewPoisson(positives(40, 5, 32)))
	factor := &Factorization{Z: x, K: 2, Mu: 0.2}
	mcp := MCP{Lambda: 0.02, Gamma: 30}
	diag := make([]float64, 5)
	for j := range diag {
		diag[j] = logit.Lipschitz().Max * (1 + 0.3*float64(j))
	}
	full := mat.NewSymDense(5, nil)
	for j := range 5 {
		for k := range 5 {
			full.SetSym(j, k, 0.1)
		}
		full.SetSym(j, j, 1+0.1*float64(j))
	}
	l1 := L1{Lambda: 0.01}
	return []familyCase{
		{"ProxGrad", &ProxGrad{logit, 1 / logit.Lipschitz().Max}, Problem{logit, l1}, true},
		{"ProxGrad, sphere", &ProxGrad{pca, 1 / pca.Lipschitz().Max}, Problem{pca, L1Sphere{Lambda: 0.01}}, true},
		{"diagonal", must(NewDiagonal(logit, diag)), Problem{logit, l1}, true},
		{"diagonal, group", must(NewDiagonal(logit, diag)), Problem{logit, GroupLasso{Lambda: 0.02}}, true},
		{"full", must(NewQuadratic(logit, full)), Problem{logit, nil}, true},
		{"full, l1", must(NewQuadratic(logit, full)), Problem{logit, l1}, true},
		{"Böhning", must(NewBohning(logit, 0)), Problem{logit, Ridge{Lambda: 0.1}}, false},
		{"Jensen", must(NewJensen(square, 0)), Problem{square, l1}, false},
		{"Jaakkola–Jordan", must(NewJaakkolaJordan(logit)), Problem{logit, nil}, true},
		{"Jaakkola–Jordan, l1", must(NewJaakkolaJordan(convex)), Problem{convex, l1}, true},
		{"IRLS", must(NewIRLS(lad)), Problem{lad, nil}, true},
		{"reweighted", &Reweighted{logit, 1 / logit.Lipschitz().Max, mcp}, Problem{logit, mcp}, true},
		{"linear", &DC{Sum: pca}, Problem{pca, L1Ball{Lambda: 0.01}}, true},
		{"DC", &DC{pca, shifted{0.3}}, Problem{pca, Ball{}}, false},
		{"EM", &PoissonEM{poisson}, Problem{poisson, nil}, true},
		{"factorisation", &FactorMM{factor}, Problem{factor, nil}, true},
		{"factorisation, l1", &FactorMM{factor}, Problem{factor, L1{Lambda: 0.02}}, true},
	}
}

// shifted is a(x) = (m/2)‖x‖²: f_i = a − c_i with c_i = a − f_i convex, f_i concave.
type shifted struct{ m float64 }

func (a shifted) Value(x []float64) float64               { return a.m / 2 * sqNorm(x) }
func (a shifted) AddGrad(dst, x []float64, scale float64) { axpy(dst, scale*a.m, x) }
func (a shifted) Modulus() float64                        { return a.m }
func (a shifted) Solve(dst, s []float64, h Regularizer) error {
	scaleTo(dst, s, 1/a.m)
	h.Prox(dst, dst, 1/a.m)
	return nil
}

func start(r *counter, p Problem) []float64 {
	x := point(r, p.Sum)
	if p.Reg != nil {
		if _, ok := p.Reg.(Constraint); ok {
			p.Reg.Prox(x, x, 1e-9)
		}
	}
	return x
}

// extra is what a family majorises besides f.
func extra(c familyCase, x []float64) float64 {
	if absorbs(c.s) {
		return c.p.Reg.Value(x)
	}
	return 0
}

// Every family touches its function at the anchor and lies above it elsewhere.
func TestMajorisation(t *testing.T) {
	for _, c := range families() {
		r := newCounter(33, streamData)
		f := c.p.Sum
		n := f.Len()
		for range 30 {
			k, x := start(&r, c.p), start(&r, c.p)
			mean := 0.0
			for i := range n {
				g := SurrogateValue(c.s, f, i, x, k) + extra(c, k)
				gap := g - f.Component(i, x) - extra(c, x)
				if c.single && gap < -1e-10 {
					t.Fatalf("%s: surrogate %d is %g below its function", c.name, i, -gap)
				}
				mean += gap / float64(n)
			}
			if mean < -1e-10 {
				t.Fatalf("%s: mean surrogate is %g below the sum", c.name, -mean)
			}
		}
	}
}

// The gradient of a surrogate at its anchor is that of the function, so its
// distance from the function is of second order.
func TestTangency(t *testing.T) {
	for _, c := range families() {
		r := newCounter(34, streamData)
		f := c.p.Sum
		for range 10 {
			k, d := start(&r, c.p), randomVec(&r, f.Dim(), 1)
			i := r.intn(f.Len())
			gap := func(h float64) float64 {
				x := make([]float64, len(k))
				copy(x, k)
				axpy(x, h, d)
				return SurrogateValue(c.s, f, i, x, k) - f.Component(i, x)
			}
			const h = 1e-4
			slope := (gap(h) - gap(-h)) / (2 * h)
			if absorbs(c.s) {
				// The linearised penalty has its own slope.
				for j, v := range k {
					slope -= c.p.Reg.(ConcavePenalty).Slope(math.Abs(v)) * sign(v) * d[j]
				}
			}
			if !(math.Abs(slope) <= 1e-6) {
				t.Errorf("%s: slope of g−f at the anchor is %g", c.name, slope)
			}
		}
	}
}

// Minimize beats random points, and statistics are additive: batch and pair paths
// agree with sums of single ones.
func TestSurrogateMinimizeAndAddition(t *testing.T) {
	for _, c := range families() {
		r := newCounter(35, streamData)
		f, dim := c.p.Sum, c.s.StatDim()
		h := c.p.Reg
		if h == nil {
			h = Zero{}
		}
		value := func(stat, x []float64) float64 {
			v := c.s.Eval(stat, x)
			if !absorbs(c.s) {
				v += h.Value(x)
			}
			return v
		}
		for range 5 {
			a, b := start(&r, c.p), start(&r, c.p)
			idx := []int{0, 3, 3, f.Len() - 1}
			slow, fast := make([]float64, dim), make([]float64, dim)
			s := statistics(c.s)
			for _, i := range idx {
				c.s.AddStat(slow, i, a, 0.25)
			}
			s.batch(fast, idx, a, 0.25)
			if d := distance(slow, fast); !(d <= 1e-11*(1+norm(slow))) {
				t.Errorf("%s: batch statistic is off by %g", c.name, d)
			}
			min := make([]float64, len(a))
			if err := c.s.Minimize(min, slow, a, h); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			at := value(slow, min)
			for k := range 400 {
				x := start(&r, c.p)
				if k%2 == 1 {
					for j := range x {
						x[j] = min[j] + 0.01*(x[j]-min[j])
					}
				}
				if v := value(slow, x); v < at-1e-9*(1+math.Abs(at)) {
					t.Fatalf("%s: %.12g at a random point, %.12g at the minimiser", c.name, v, at)
				}
			}
			for _, i := range idx {
				c.s.AddStat(slow, i, b, -0.25)
			}
			clear(fast)
			s.diff(fast, idx, a, b, 0.25)
			if d := distance(slow, fast); !(d <= 1e-11*(1+norm(slow))) {
				t.Errorf("%s: difference of statistics is off by %g", c.name, d)
			}
		}
	}
}

// S6 for all families: MM never increases F, MISO never increases the mean of its
// true majorants, whose minimum bounds F; and the certificate holds for MM and
// SPIMM at every step.
func TestFamiliesDescend(t *testing.T) {
	for _, c := range families() {
		r := newCounter(36, streamData)
		x0 := start(&r, c.p)
		f := math.Inf(1)
		watch := &watcher{each: func(l *Location, s *Stats) error {
			if l.F > f+1e-10*(1+math.Abs(l.F)) {
				return fmt.Errorf("objective rose from %.15g to %.15g at iteration %d", f, l.F, s.MajorIterations)
			}
			f = l.F
			return nil
		}}
		set := &Settings{MajorIterations: 60, Recorder: watch, RecordEvery: 1, Certify: true}
		res, err := Minimize(context.Background(), c.p, x0, set, MM{Surrogate: c.s})
		if err != nil {
			t.Errorf("%s: MM: %v", c.name, err)
			continue
		}
		if res.F >= c.p.Value(x0) && !math.IsInf(c.p.Value(x0), 1) {
			t.Errorf("%s: MM made no progress from %g", c.name, c.p.Value(x0))
		}
		if _, err := Minimize(context.Background(), c.p, x0, &Settings{MajorIterations: 200, Certify: true}, SPIMM{Surrogate: c.s}); err != nil {
			t.Errorf("%s: SPI-MM: %v", c.name, err)
		}
		res, err = Minimize(context.Background(), c.p, x0, &Settings{MajorIterations: 200, Measure: MeasureResidual}, SMM{Surrogate: c.s})
		if err != nil || !finite(res.F) || !finite(res.Stationarity) {
			t.Errorf("%s: SMM: %v, F %g, residual %g", c.name, err, res.F, res.Stationarity)
		}
		if c.single {
			misoDescends(t, c, x0)
		}
	}
}

// watcher calls a function at each record.
type watcher struct{ each func(*Location, *Stats) error }

func (w *watcher) Init() error { return nil }
func (w *watcher) Record(l *Location, _ optimize.Operation, s *Stats) error {
	return w.each(l, s)
}

// misoDescends replays MISO's draws to know the anchors, and evaluates the mean of
// the true majorants from scratch.
func misoDescends(t *testing.T, c familyCase, x0 []float64) {
	t.Helper()
	f := c.p.Sum
	n := f.Len()
	draws := sampler{counter: newCounter(7, streamBatch), n: n}
	anchors := make([][]float64, n)
	for i := range anchors {
		anchors[i] = x0
	}
	bound := func(x []float64) float64 {
		v := 0.0
		for i, k := range anchors {
			v += (SurrogateValue(c.s, f, i, x, k) + extra(c, k)) / float64(n)
		}
		if c.p.Reg != nil && !absorbs(c.s) {
			v += c.p.Reg.Value(x)
		}
		return v
	}
	last := math.Inf(1)
	watch := &watcher{each: func(l *Location, s *Stats) error {
		if s.MajorIterations == 0 {
			return nil
		}
		g := bound(l.X)
		if l.F > g+1e-9*(1+math.Abs(g)) {
			return fmt.Errorf("objective %.12g above the majorant %.12g", l.F, g)
		}
		if g > last+1e-9*(1+math.Abs(g)) {
			return fmt.Errorf("majorant rose from %.12g to %.12g at iteration %d", last, g, s.MajorIterations)
		}
		last = g
		// The next iteration refreshes this index at the point reached.
		anchors[draws.intn(n)] = append([]float64(nil), l.X...)
		return nil
	}}
	set := &Settings{Seed: 7, MajorIterations: 150, Recorder: watch, RecordEvery: 1}
	if _, err := Minimize(context.Background(), c.p, x0, set, MISO{Surrogate: c.s}); err != nil {
		t.Errorf("%s: MISO: %v", c.name, err)
	}
}

// The certificate is not a formality: it finds a gradient of the wrong size, a
// smoothness constant that is too small, and a surrogate that does not majorise.
func TestCertificateFindsFaults(t *testing.T) {
	x, y := Gaussian(200, 6, 41)
	f := must(NewLogistic(x, y, 0))
	good := f.Lipschitz()
	var fail *CertificateError
	for what, run := range map[string]func() error{
		"gradient twice too large": func() error {
			_, err := Minimize(context.Background(), Problem{scaledGrad{f, 2}, nil}, nil,
				&Settings{MajorIterations: 200, Certify: true, Lipschitz: good}, SpiderBoost{})
			return err
		},
		"constant too small": func() error {
			_, err := Minimize(context.Background(), Problem{f, nil}, nil,
				&Settings{MajorIterations: 200, Certify: true, Lipschitz: Lipschitz{good.MeanSquare / 50, good.Max / 50}}, SpiderBoost{})
			return err
		},
		"surrogate below": func() error {
			_, err := Minimize(context.Background(), Problem{f, nil}, nil,
				&Settings{MajorIterations: 200, Certify: true}, MM{Surrogate: &ProxGrad{f, 40 / good.MeanSquare}})
			return err
		},
	} {
		if err := run(); !errors.As(err, &fail) {
			t.Errorf("%s: error %v, want a *CertificateError", what, err)
		}
	}
}

type scaledGrad struct {
	FiniteSum
	by float64
}

func (s scaledGrad) AddGrad(dst []float64, i int, x []float64, scale float64) {
	s.FiniteSum.AddGrad(dst, i, x, scale*s.by)
}
