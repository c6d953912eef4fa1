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

// script is a victim of a grey image whose scores are linear, but for what the test makes
// of them: see is told of each batch, and at which iterate it is asked.
func script(a ScoreAttack, side, budget int, see func(iterate int, x *tensor.Tensor, scores []float64)) (*Try, error) {
	v := newLinear(12, 2, 1, side, side)
	v.b[0] = 50
	iterate := -1
	spy := zoo.ScorerFunc(v.info, func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		if err := v.Scores(ctx, x, out); err != nil {
			return err
		}
		if x.Dim(0) == 1 {
			iterate++
		}
		see(iterate, x, out)
		return nil
	})
	clean := tensor.New(v.info.Shape...)
	clean.Fill(0.5)
	ledger := &zoo.Ledger{Budget: budget}
	try := &Try{Clean: clean, Goal: zoo.Untargeted(0), Seed: 4, norm: L2, ledger: ledger}
	return try, a.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, spy), try)
}

// TestZOOGrows: at the iterations in Switch the modifier gets the next size, is carried
// over, and Adam forgets what it knew of the coarser one: its next step has full length
// although the slopes are a hundredth of what they were.
func TestZOOGrows(t *testing.T) {
	const side, lr = 7, 0.01
	var at [][]float64 // the modifier, enlarged, at each iterate
	a := ZOO{Coordinates: 1000, LR: lr, C: 100, Sizes: []int{3, 4, 7}, Switch: []int{3, 5}, Iterations: 8}
	coordinates := []int{9, 9, 9, 16, 16, 49, 49, 49}
	if _, err := script(a, side, 10000, func(i int, x *tensor.Tensor, scores []float64) {
		scale := math.Pow(100, -float64(coordinates[i]/16)) // 1, then 1/100, then 1/100³
		for k := range scores {
			scores[k] *= scale
		}
		if n := x.Dim(0); n > 1 {
			if n != 2*coordinates[i] {
				t.Errorf("iterate %d: %d probes, want two for each of %d coordinates", i, n, coordinates[i])
			}
			return
		}
		var w []float64
		for _, p := range x.Data() {
			w = append(w, float64(p)-0.5)
		}
		at = append(at, w)
	}); err != nil {
		t.Fatal(err)
	}
	if len(at) != 8 {
		t.Fatalf("%d iterates", len(at))
	}
	for i := 1; i < len(at); i++ {
		var largest, moved float64
		for p, w := range at[i] {
			largest, moved = max(largest, math.Abs(w)), max(moved, math.Abs(w-at[i-1][p]))
		}
		if moved > 1.01*lr || largest < 1.9*lr && i > 1 {
			t.Errorf("iterate %d: the modifier changes by %v, to at most %v", i, moved, largest)
		}
	}
	for _, c := range []struct {
		first int // iterate of a size
		grid  []int
	}{{0, []int{0, 3, 6}}, {3, []int{0, 2, 4, 6}}, {5, []int{0, 1, 2, 3, 4, 5, 6}}} {
		for _, y := range c.grid {
			for _, x := range c.grid {
				p := y*side + x
				if d := math.Abs(at[c.first+1][p] - at[c.first][p]); !(math.Abs(d/lr-1) <= 1e-3) {
					t.Errorf("the first step at a size moves the modifier by %v at %d, %d; want %v", d, y, x, lr)
				}
			}
		}
	}
}

// TestZOOResets: with Reset the step after the first success has full length, although
// the slopes are a hundredth of what they were; without, and at later successes, Adam
// remembers.
func TestZOOResets(t *testing.T) {
	const lr = 0.01
	for _, reset := range []bool{false, true} {
		var at [][]float32
		a := ZOO{Coordinates: 1000, LR: lr, C: 100, Iterations: 8, Reset: reset}
		try, err := script(a, 4, 10000, func(i int, x *tensor.Tensor, scores []float64) {
			scale := map[bool]float64{true: 0.01, false: 1}
			for k := range scores {
				scores[k] *= scale[i >= 3] * scale[i >= 5]
			}
			if x.Dim(0) == 1 {
				at = append(at, slices.Clone(x.Data()))
				if i == 3 || i == 5 {
					scores[0], scores[1] = 0, 1
				}
			}
		})
		if err != nil || !try.Success() || len(at) != 8 {
			t.Fatalf("reset %v: success %v, %d iterates, %v", reset, try.Success(), len(at), err)
		}
		for i, want := range map[int]bool{1: true, 2: true, 3: true, 4: reset, 6: false} {
			if d := Linf.Distance(at[i], at[i-1]); d > 0.99*lr != want {
				t.Errorf("reset %v: step %d has length %v", reset, i, d)
			}
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
			v.logits(r.Adversarial.Tensor().Data(), z)
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

// TestImportanceIsProportional: of two coordinates one twice as large is drawn first
// twice as often.
func TestImportanceIsProportional(t *testing.T) {
	m := newModifier(Clip, make([]float32, 2), []int{1, 1, 2})
	r := rand.New(rand.NewPCG(1, 2))
	const draws = 20000
	first := 0
	for range draws {
		if (ZOO{Importance: true}).choose([]float32{0.2, 0.1}, false, m, 1, r)[0] == 0 {
			first++
		}
	}
	if share := float64(first) / draws; !(math.Abs(share-2.0/3) < 0.015) {
		t.Errorf("the larger of two is drawn in %.3f of cases, want 0.667", share)
	}
}
