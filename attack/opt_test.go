package attack

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// rough is a victim of labels whose boundary round a grey image lies at a distance
// that depends on the direction, from 0.95 to 1.05, so finely that an estimate of its
// slope is of little use.
func rough(seed uint64) (v zoo.Labeler, clean *tensor.Tensor, boundary func(u []float64) float64) {
	clean = tensor.New(1, 6, 6)
	clean.Fill(0.5)
	r := rand.New(rand.NewPCG(seed, 7))
	wave := make([]float64, 36)
	for i := range wave {
		wave[i] = 200 * r.NormFloat64()
	}
	boundary = func(u []float64) float64 {
		var phase float64
		for i, v := range u {
			phase += wave[i] * v
		}
		return 1 + 0.05*math.Sin(phase)
	}
	info := zoo.Info{Name: "rough", Shape: []int{1, 6, 6}, Classes: 2}
	return zoo.LabelerFunc(info, func(_ context.Context, x *tensor.Tensor, out []int) error {
		for i := range out {
			u := make([]float64, 36)
			for j, p := range x.Index(i).Data() {
				u[j] = float64(p) - 0.5
			}
			out[i] = 0
			if length := normalise(u); length > boundary(u) {
				out[i] = 1
			}
		}
		return nil
	}), clean, boundary
}

// A query is what an attack on labels asked, whether it achieved the goal, and its
// distance from the clean image.
type query struct {
	x    []float32
	hit  bool
	dist float64
}

// followLabels runs an untargeted attack on one image.
func followLabels(t *testing.T, a LabelAttack, v zoo.Labeler, clean *tensor.Tensor, label, budget int) (queries []query, try *Try) {
	t.Helper()
	norm := a.About().Norm
	spy := zoo.LabelerFunc(v.Info(), func(ctx context.Context, x *tensor.Tensor, out []int) error {
		if err := v.Labels(ctx, x, out); err != nil {
			return err
		}
		for i := range x.Dim(0) {
			row := slices.Clone(x.Index(i).Data())
			queries = append(queries, query{row, out[i] != label, norm.Distance(row, clean.Data())})
		}
		return nil
	})
	ledger := &zoo.Ledger{Budget: budget}
	try = &Try{Clean: clean, Goal: zoo.Untargeted(label), Seed: 1, norm: norm, ledger: ledger}
	if err := a.AttackLabels(context.Background(), zoo.MeterLabels(ledger, zoo.AttackAccount, spy), try); err != nil && len(queries) < budget {
		t.Fatal(err)
	}
	return queries, try
}

// TestOptKeepsTheBest: an iteration of Opt or SignOpt begins where the nearest success
// so far was found, be it by the step along the estimate or, for Opt, by a probe.
func TestOptKeepsTheBest(t *testing.T) {
	const beta = 1e-3
	v, clean, _ := rough(1)
	for _, make := range []func(iterations int) LabelAttack{
		func(n int) LabelAttack { return Opt{Iterations: n, Tries: 5, Smoothing: beta} },
		func(n int) LabelAttack { return SignOpt{Iterations: n, Tries: 5, Smoothing: beta, Directions: 20} },
	} {
		name := make(1).About().Name
		full, _ := followLabels(t, make(9), v, clean, 0, 100000)
		distances := map[float64]bool{}
		for n := 1; n < 9; n++ {
			before, _ := followLabels(t, make(n), v, clean, 0, 100000)
			best := query{dist: math.Inf(1)}
			for _, q := range before {
				if q.hit && q.dist < best.dist {
					best = q
				}
			}
			// The first query of the next iteration is a probe β away, at that distance.
			next := full[len(before)]
			if gap := L2.Distance(next.x, best.x); !(math.Abs(next.dist-best.dist) <= 1e-6) || !(gap <= 1.01*beta*best.dist) {
				t.Errorf("%s: iteration %d begins at a distance of %v, %v from the best, which is at %v", name, n+1, next.dist, gap, best.dist)
			}
			distances[best.dist] = true
		}
		if len(distances) < 4 {
			t.Errorf("%s: only %d different distances", name, len(distances))
		}
	}
}

// TestRayBracket: near and below end on the boundary, however far from it they begin.
func TestRayBracket(t *testing.T) {
	v, clean, boundary := rough(2)
	theta := make([]float64, 36)
	for i := range theta { // no pixel leaves [0,1] within a distance of 3
		theta[i] = float64(1-2*(i%3%2)) / 6
	}
	exact := boundary(theta)
	ledger := &zoo.Ledger{Budget: 1e6}
	r := newRay(zoo.MeterLabels(ledger, zoo.AttackAccount, v), &Try{Clean: clean, Goal: zoo.Untargeted(0), ledger: ledger})
	const tol = 1e-5
	search := map[string]func(context.Context, []float64, float64, float64) (float64, error){"near": r.near, "below": r.below}
	for _, c := range []struct {
		name  string
		guess float64
	}{{"near", 0.4}, {"near", 0.995}, {"near", 1.004}, {"near", 1.5}, {"below", 1.015 * exact}, {"below", 1.3}, {"below", 1.8}} {
		used := ledger.Used(zoo.AttackAccount)
		d, err := search[c.name](context.Background(), theta, c.guess, tol)
		// 1 % at a time, and ten halvings of that 1 %.
		if n, most := ledger.Used(zoo.AttackAccount)-used, 13+int(math.Abs(math.Log(c.guess/exact))/math.Log(1.01)); n > most {
			t.Errorf("%s from %v takes %d queries, want at most %d", c.name, c.guess, n, most)
		}
		if err != nil || !(d > exact-tol && d < exact+2*tol) {
			t.Errorf("%s from %v: %v, %v; the boundary is at %v", c.name, c.guess, d, err, exact)
		}
	}
	if d, err := r.near(context.Background(), theta, 0.01, tol); err != nil || !math.IsInf(d, 1) {
		t.Errorf("near, beyond 20 times the guess: %v, %v", d, err)
	}
}

// TestOptStaysOnTheBoundary: however much nearer a step came, the distance that the next
// iteration begins with is that to the boundary, and not merely one less than before.
func TestOptStaysOnTheBoundary(t *testing.T) {
	v := newLinear(7, 2, 1, 28, 28)
	clean := tensor.New(1, 28, 28)
	clean.Fill(0.5)
	v.b[0] = 1
	for _, make := range []func(iterations int) LabelAttack{
		func(n int) LabelAttack { return SignOpt{Iterations: n, Tries: 1, LR: 10} },
		func(n int) LabelAttack { return Opt{Iterations: n, Tries: 1} },
	} {
		full, _ := followLabels(t, make(5), zoo.LabelsOf(v), clean, 0, 100000)
		leap := 1.0
		last := 0.0
		for n := 1; n < 5; n++ {
			before, _ := followLabels(t, make(n), zoo.LabelsOf(v), clean, 0, 100000)
			next := full[len(before)]
			var slope float64
			for i, x := range next.x {
				slope += (v.w[1][i] - v.w[0][i]) * (float64(x) - 0.5) / next.dist
			}
			if exact := v.b[0] / slope; !(math.Abs(next.dist/exact-1) <= 0.05) {
				t.Errorf("%s: iteration %d begins at a distance of %v, the boundary is at %v", make(1).About().Name, n+1, next.dist, exact)
			}
			if last > 0 {
				leap = min(leap, next.dist/last)
			}
			last = next.dist
		}
		if leap > 0.89 {
			t.Errorf("%s: the largest step came nearer by a factor of only %v", make(1).About().Name, leap)
		}
	}
}

// TestRefine: the smoothing falls when a step below 1e-4 is all that helps, and only
// then.
func TestRefine(t *testing.T) {
	for _, c := range []struct{ alpha, smoothing, wantAlpha, wantSmoothing float64 }{
		{0.2, 1e-3, 0.2, 1e-3}, {1.1e-4, 1e-3, 1.1e-4, 1e-3}, {0.9e-4, 1e-3, 1, 1e-4}, {1e-10, 1e-7, 1, 1e-8},
	} {
		if a, s := refine(c.alpha, c.smoothing); a != c.wantAlpha || !(math.Abs(s/c.wantSmoothing-1) <= 1e-12) {
			t.Errorf("step %v, smoothing %v: %v and %v, want %v and %v", c.alpha, c.smoothing, a, s, c.wantAlpha, c.wantSmoothing)
		}
	}
}

// TestLineSearch: the step doubles while each is better than the last, and shrinks by
// 4 until one is better, 15 times at most either way.
func TestLineSearch(t *testing.T) {
	for _, c := range []struct {
		better func(f float64) bool
		want   float64
		tried  int
	}{
		{func(f float64) bool { return f < 1 }, 1.6, 4}, // 0.2, 0.4, 0.8, 1.6
		{func(f float64) bool { return f < 0.02 }, 0.0125, 3},
		{func(f float64) bool { return false }, 0.2 * math.Pow(4, -15), 16},
		{func(f float64) bool { return true }, 0.2 * math.Pow(2, 15), 16},
	} {
		var tried []float64
		got, err := lineSearch(0.2, func(f float64) (bool, error) {
			tried = append(tried, f)
			return c.better(f), nil
		})
		if err != nil || !(math.Abs(got/c.want-1) <= 1e-9) || len(tried) != c.tried {
			t.Errorf("%v after %v, %v; want %v after %d", got, tried, err, c.want, c.tried)
		}
	}
}

// TestSignOptConverges: where no direction is better it makes the smoothing finer,
// a tenth at a time, and ends.
func TestSignOptConverges(t *testing.T) {
	v := newLinear(7, 2, 1, 2, 2)
	s := v.samples(8, 1)[0]
	for _, a := range []LabelAttack{SignOpt{Directions: 10}, Opt{}} {
		queries, try := followLabels(t, a, zoo.LabelsOf(v), s.X, s.Label, 200000)
		if try.stop != StopConverged {
			t.Errorf("%s stops with %q after %d queries", a.About().Name, try.stop, len(queries))
		}
	}
}
