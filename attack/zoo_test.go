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

// TestNewtonLandsOnTheMinimum: on a separable quadratic a Newton step of rate 1
// takes every coordinate to its minimum at once.
func TestNewtonLandsOnTheMinimum(t *testing.T) {
	a, at := []float64{1, 2, 0.5, 3}, []float64{0.2, 0.7, 0.4, 0.6}
	info := zoo.Info{Name: "quadratic", Shape: []int{1, 2, 2}, Classes: 2}
	v := zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			out[2*i], out[2*i+1] = 1, 0
			for j, p := range x.Data()[4*i : 4*i+4] {
				d := float64(p) - at[j]
				out[2*i] += a[j] * d * d
			}
		}
		return nil
	})
	clean := tensor.FromSlice([]float32{0.5, 0.5, 0.5, 0.5}, 1, 2, 2)
	ledger := &zoo.Ledger{Budget: 1000}
	var last []float32
	seen := 0
	rec := recorder{Scorer: v, see: func(x []float32, _ []float64) {
		if seen++; seen == 1+8+1 { // the second iteration asks about what the first made
			last = slices.Clone(x)
		}
	}}
	try := &Try{Clean: clean, Goal: zoo.Untargeted(0), ledger: ledger}
	const c = 2.0
	z := ZOO{Solver: CoordinateNewton, LR: 1, C: c, H: 1e-2, Iterations: 2, Coordinates: 4}
	if err := z.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, rec), try); err != nil {
		t.Fatal(err)
	}
	for j, x := range last {
		if want := (0.5 + c*a[j]*at[j]) / (1 + c*a[j]); !(math.Abs(float64(x)-want) <= 1e-3) {
			t.Errorf("coordinate %d at %v, its minimum is %v", j, x, want)
		}
	}
}

// TestAdamCountsByCoordinate: only what is touched advances, and the first step of
// a coordinate is a sign step, whenever it comes.
func TestAdamCountsByCoordinate(t *testing.T) {
	a := newAdam(3, 0.01)
	for _, g := range []float64{0.3, 5} {
		a.step(0, g)
	}
	for _, g := range []float64{-0.02, 3} {
		i := 1
		if g > 0 {
			i = 2
		}
		if got, want := a.step(i, g), math.Copysign(0.01, g); !(math.Abs(got-want) <= 1e-6) {
			t.Errorf("first step for a gradient of %v: %v, want %v", g, got, want)
		}
	}
	if !slices.Equal(a.t, []int{2, 1, 1}) {
		t.Errorf("counters %v, want [2 1 1]", a.t)
	}
	a.reset()
	if !slices.Equal(a.t, []int{0, 0, 0}) || a.m[0] != 0 || a.v[0] != 0 {
		t.Errorf("after reset: %v %v %v", a.t, a.m, a.v)
	}
}

// TestWeightSearch: times 10 until a success, then by halves within the bracket.
func TestWeightSearch(t *testing.T) {
	s := newWeightSearch(1)
	for i, c := range []struct {
		success bool
		want    float64
	}{{false, 10}, {false, 100}, {true, 55}, {false, 77.5}, {true, 66.25}} {
		if s.next(c.success); s.value != c.want {
			t.Errorf("after step %d: %v, want %v", i+1, s.value, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		need := math.Exp(6 * r.NormFloat64())
		s := newWeightSearch(0.01)
		for range 60 {
			s.next(s.value >= need)
			if s.value < s.lo || s.value > s.hi {
				t.Fatalf("%v left the bracket [%v, %v]", s.value, s.lo, s.hi)
			}
		}
		if !(math.Abs(s.value/need-1) <= 1e-6) {
			t.Errorf("ended at %v, the least weight is %v", s.value, need)
		}
	}
}

// TestKappaIsKept: with a confidence only images with that margin are successes, and
// the nearest lies about where the margin is reached.
func TestKappaIsKept(t *testing.T) {
	const kappa = 2.0
	v := newLinear(7, 2, 1, 5, 5)
	samples := v.samples(8, 3)
	for _, job := range []Job{
		WithScores(ZOO{Kappa: kappa, Iterations: 300, C: 10}, v),
		WithScores(ZOO{Kappa: kappa, First: true, C: 10}, v),
		WithScores(AutoZOOM{Kappa: kappa, Weight: 10, Decoder: Bilinear{5}, LR: 0.02, Switch: 300}, v),
		WithGradients(CarliniWagner{Kappa: kappa, Iterations: 200, Searches: 6, C: 1}, v),
	} {
		res, err := (&Campaign{Job: job, Seed: 1}).Run(context.Background(), samples)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res.Records {
			if !r.Success {
				t.Errorf("%s: sample %d is a failure", job.About().Name, r.Index)
				continue
			}
			z := make([]float64, 2)
			v.logits(r.Adversarial, z)
			if margin := z[1-r.Label] - z[r.Label]; !(margin >= kappa) || margin > kappa+1 {
				t.Errorf("%s %s: sample %d has a margin of %v, want at least %v", job.About().Name, res.Options, r.Index, margin, kappa)
			}
		}
	}
}

// TestImportance: coordinates are drawn in proportion to the largest modifier in their
// block of an eighth of the side, and those where there is none a tenth as often as the
// mean; q of them are different.
func TestImportance(t *testing.T) {
	const n, draws = 16, 6000
	clean := make([]float32, n*n)
	for i := range clean {
		clean[i] = float32(i%7) / 7
	}
	m := newModifier(Clip, clean, []int{1, n, n})
	w := make([]float32, n*n)
	w[0], w[1*n+1] = -0.3, 0.1  // the first block
	w[3*n+4], w[2*n+5] = 0.2, 0 // another
	image := slices.Clone(clean)
	for i, v := range w {
		image[i] += v
	}
	group := func(i int) int {
		switch y, x := i/n, i%n; {
		case y < 2 && x < 2:
			return 0
		case y >= 2 && y < 4 && x >= 4 && x < 6:
			return 1
		}
		return 2
	}
	const mean = (4*0.3 + 4*0.2) / (n * n)
	share := []float64{4 * 0.3, 4 * 0.2, (n*n - 8) * mean / 10}
	sum := share[0] + share[1] + share[2]
	for name, pixels := range map[string]bool{"modifier": false, "pixels": true} {
		x := w
		if pixels {
			x = image
		}
		r := rand.New(rand.NewPCG(4, 4))
		count := make([]float64, 3)
		for range draws {
			count[group(ZOO{Importance: true}.choose(x, pixels, m, 1, r)[0])]++
		}
		for i, c := range count {
			want := draws * share[i] / sum
			if !(math.Abs(c-want) <= 5*math.Sqrt(want)) {
				t.Errorf("%s: group %d drawn %v times, want %.0f", name, i, c, want)
			}
		}
		got := ZOO{Importance: true}.choose(x, pixels, m, n*n, r)
		slices.Sort(got)
		if len(slices.Compact(got)) != n*n {
			t.Errorf("%s: %d different coordinates of %d", name, len(slices.Compact(got)), n*n)
		}
	}
	for i, v := range m.importance(make([]float32, n*n)) {
		if v != 1 {
			t.Fatalf("without a modifier coordinate %d has weight %v", i, v)
		}
	}
}

// TestBilinearDecoder: the identity at the image's own size; corners on corners
// below it.
func TestBilinearDecoder(t *testing.T) {
	shape := []int{2, 6, 6}
	code, dst := make([]float32, 72), make([]float32, 72)
	for i := range code {
		code[i] = float32(i*i%17) - 8
	}
	b := Bilinear{Side: 6}
	if b.Decode(dst, code, shape); b.Dim(shape) != 72 || !slices.Equal(dst, code) {
		t.Errorf("at full size codes of %d values are changed", b.Dim(shape))
	}
	b = Bilinear{Side: 3}
	if b.Dim(shape) != 18 {
		t.Fatalf("codes of %d values", b.Dim(shape))
	}
	b.Decode(dst, code[:18], shape)
	for plane := range 2 {
		for _, c := range [][2]int{{0, 0}, {2, 5}, {6, 30}, {8, 35}} {
			if got, want := dst[36*plane+c[1]], code[9*plane+c[0]]; !(math.Abs(float64(got-want)) <= 1e-5) {
				t.Errorf("plane %d: corner %d is %v, the code's is %v", plane, c[1], got, want)
			}
		}
	}
}
