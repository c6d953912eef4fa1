package mm

import (
	"sync"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// The closed forms agree with the dense path to 1e-12, for every regulariser that
// has one, and so do the table of gradients and the table of slopes.
func TestLazySAGA(t *testing.T) {
	sparse, y := SparseBinary(300, 80, 0.05, 81)
	for j := range sparse.Val {
		if j%3 == 0 {
			sparse.Val[j] *= -1.5
		}
	}
	text, yt := Text(300, 500, 20, 82)
	for _, data := range []struct {
		x *CSR
		y []float64
	}{{sparse, y}, {text, yt}} {
		for _, loss := range []Loss{Logistic{}, SquaredSigmoid{}, Squared{}} {
			f := must(NewClassifier(data.x, data.y, loss, 0))
			dense := must(NewClassifier(data.x.Dense(), data.y, loss, 0))
			_, p := data.x.Dims()
			r := newCounter(83, streamData)
			x0 := randomVec(&r, p, 0.5)
			for _, h := range []Regularizer{nil, L1{Lambda: 1e-3}, L1{Lambda: 3e-2}, Ridge{Lambda: 1e-2}, Ridge{Lambda: 0.5}, ElasticNet{L1: 1e-3, L2: 1e-2}, ElasticNet{L1: 2e-2, L2: 0.3}} {
				want := solve(t, Problem{dense, h}, x0, Settings{Seed: 3, IFO: 1950, MappingStep: 1}, SAGA{Eager: true})
				same := func(what string, res *Result) {
					t.Helper()
					if d := distance(res.X, want.X); !(d <= 1e-12*(1+norm(want.X))) {
						t.Errorf("%T, %s: %s is off by %g", loss, name(h), what, d)
					}
					if res.IFO != want.IFO || res.Prox != want.Prox || res.MajorIterations != want.MajorIterations {
						t.Errorf("%T, %s: %s counts %+v, want %+v", loss, name(h), what, res.Stats, want.Stats)
					}
				}
				set := Settings{Seed: 3, IFO: 1950, MappingStep: 1}
				same("lazy", solve(t, Problem{f, h}, x0, set, SAGA{}))
				same("fused dense", solve(t, Problem{dense, h}, x0, set, SAGA{}))
				same("eager sparse", solve(t, Problem{f, h}, x0, set, SAGA{Eager: true}))
				set.Lipschitz = f.Lipschitz()
				same("table", solve(t, Problem{plainSum{f}, h}, x0, set, SAGA{}))
				// Stopping to record brings all coordinates up to date in between.
				set.Recorder, set.RecordEvery = &Trace{}, 37
				same("lazy with records", solve(t, Problem{f, h}, x0, set, SAGA{}))
			}
		}
	}
}

// A ridge inside f is handled by the fused dense path.
func TestFusedRidge(t *testing.T) {
	x, y := Gaussian(100, 10, 84)
	f := &Linear{X: x, Y: y, Loss: Logistic{}, Ridge: 0.1}
	for _, h := range []Regularizer{nil, ElasticNet{L1: 1e-2, L2: 1e-2}} {
		a := solve(t, Problem{f, h}, nil, Settings{IFO: 1000}, SAGA{})
		b := solve(t, Problem{f, h}, nil, Settings{IFO: 1000}, SAGA{Eager: true})
		if d := distance(a.X, b.X); !(d <= 1e-13) {
			t.Errorf("%s: fused path is off by %g", name(h), d)
		}
	}
}

// The repeated shrinking step in closed form against the step repeated, across sign
// changes and rests at zero.
func TestShrinker(t *testing.T) {
	r := newCounter(85, streamData)
	for range 4000 {
		l1, l2 := 0.0, 0.0
		if r.next()%4 != 0 {
			l1 = 0.02 * r.float()
		}
		if r.next()%4 != 0 {
			l2 = 0.02 * r.float() * r.float()
		}
		w, a := 0.3*r.normal(), 0.02*r.normal()
		if r.next()%5 == 0 {
			w = 0
		}
		m := 1 + r.intn(200)
		s := newShrinker(l1, l2, 100)
		want := w
		for range m {
			want = s.c * soft(want-a, l1)
		}
		if got := s.run(w, a, m); got-want > 1e-13 || want-got > 1e-13 {
			t.Fatalf("w %g a %g l1 %g l2 %g, %d steps: %.17g, repeated %.17g", w, a, l1, l2, m, got, want)
		}
	}
}

// Non-convex SAGA with batches counts an index drawn twice once in the mean: the
// mean stays that of the table.
func TestSAGATableMean(t *testing.T) {
	f := nonconvexLogistic(9, 3, 86)
	for _, sum := range []FiniteSum{f, plainSum{f}} {
		r := newRun(t.Context(), Problem{sum, nil}, []float64{1, 2, -1}, &Settings{Lipschitz: f.Lipschitz()})
		st, err := SAGA{Batch: 6}.start(r)
		if err != nil {
			t.Fatal(err)
		}
		next := make([]float64, 3)
		want := make([]float64, 3)
		for range 50 {
			if err := st.(proposer).propose(next); err != nil {
				t.Fatal(err)
			}
			clear(want)
			var got []float64
			switch e := st.(*gradStepper).est.(type) {
			case *table:
				got = e.mean
				for i := range 9 {
					axpy(want, 1.0/9, e.old[i*3:i*3+3])
				}
			case *scalars:
				got = e.mean
				for i := range 9 {
					f.X.AddRow(want, i, e.slope[i]/9)
				}
			}
			if d := distance(got, want); !(d <= 1e-13) {
				t.Fatalf("%T: mean is off by %g", st.(*gradStepper).est, d)
			}
			copy(r.x, next)
		}
	}
}

// The first iteration costs a pass, whichever path makes it, and a budget of one pass
// is spent by it.
func TestSAGABudgetOfOnePass(t *testing.T) {
	x, y := SparseBinary(300, 80, 0.05, 81)
	f, dense := must(NewLogistic(x, y, 0)), must(NewLogistic(x.Dense(), y, 0))
	for _, sum := range []FiniteSum{f, dense} {
		for _, m := range []SAGA{{}, {Eager: true}} {
			res := solve(t, Problem{sum, nil}, nil, Settings{IFO: 300}, m)
			if res.IFO != 300 || res.MajorIterations != 1 {
				t.Errorf("%T, eager %v: %d IFO in %d iterations, want 300 in one", sum.(*Linear).X, m.Eager, res.IFO, res.MajorIterations)
			}
		}
	}
}

// Runs at the same time may share a family.
func TestFamiliesAreShared(t *testing.T) {
	x, y := Gaussian(60, 4, 84)
	f := must(NewLogistic(x, y, 0))
	b := mat.NewSymDense(4, nil)
	for j := range 4 {
		b.SetSym(j, j, 1)
	}
	q := must(NewQuadratic(f, b))
	want := map[float64][]float64{}
	for _, l := range []float64{0.1, 1} {
		want[l] = solve(t, Problem{f, Ridge{l}}, nil, Settings{MajorIterations: 20}, MM{Surrogate: q}).X
	}
	var wg sync.WaitGroup
	for range 2 {
		for l, x := range want {
			wg.Go(func() {
				res, err := Minimize(t.Context(), Problem{f, Ridge{l}}, nil, &Settings{MajorIterations: 20}, MM{Surrogate: q})
				if err != nil || distance(res.X, x) != 0 {
					t.Errorf("ridge %g: %v beside other runs (%v), %v alone", l, res.X, err, x)
				}
			})
		}
	}
	wg.Wait()
}
