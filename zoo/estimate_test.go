package zoo

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// rowsVictim has a class for each row of w, with the logit b[c] + w[c]·x.
func rowsVictim(shape []int, w [][]float64, b []float64, calls *int) Scorer {
	info := Info{Name: "rows", Shape: shape, Classes: len(w)}
	return ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		n := info.Size()
		for i := range x.Dim(0) {
			*calls++
			for c, row := range w {
				s := b[c]
				for j, v := range x.Data()[i*n:][:n] {
					s += row[j] * float64(v)
				}
				out[i*len(w)+c] = s
			}
		}
		return nil
	})
}

// dotVictim has two classes with logits w·x and 0.
func dotVictim(w []float64, calls *int) Scorer {
	return rowsVictim([]int{1, 1, len(w)}, [][]float64{w, make([]float64, len(w))}, make([]float64, 2), calls)
}

func normals(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

func flat(n int, v float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = v
	}
	return x
}

var unitMargin = Margin{}

// TestDifferencesAreExactOnALinearLoss also covers pixels at both bounds, where
// a probe must not leave [0,1].
func TestDifferencesAreExactOnALinearLoss(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	w := normals(r, 40)
	for _, central := range []bool{false, true} {
		calls := 0
		v := inBounds(t, dotVictim(w, &calls))
		o := NewObjective(v, Untargeted(0), unitMargin)
		x := flat(40, 0.5)
		x[0], x[1], x[2] = 0, 1, 1-1e-5
		f, _, err := o.At(context.Background(), x)
		if err != nil {
			t.Fatal(err)
		}
		g := make([]float64, 40)
		if err := (Differences{Step: 1e-3, Central: central}).Estimate(context.Background(), o, Point{x, f}, g); err != nil {
			t.Fatal(err)
		}
		for i, v := range g {
			if !(math.Abs(float64(v)-w[i]) <= 1e-6*(1+math.Abs(w[i]))) {
				t.Errorf("central=%v: coordinate %d: %v, want %v", central, i, v, w[i])
			}
		}
		if want := 1 + 40; !central && calls != want || central && calls != want+40 {
			t.Errorf("central=%v: %d calls", central, calls)
		}
	}
}

// inBounds fails the test when a sample leaves [0,1].
func inBounds(t *testing.T, v Scorer) Scorer {
	return ScorerFunc(v.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		for _, p := range x.Data() {
			if !(p >= 0 && p <= 1) {
				t.Fatalf("a pixel of %v was sent", p)
			}
		}
		return v.Scores(ctx, x, out)
	})
}

// TestVanishingStepsAreErrors: 1e-9 from 0.5 is nowhere in float32.
func TestVanishingStepsAreErrors(t *testing.T) {
	calls := 0
	o := NewObjective(dotVictim([]float64{1, 2}, &calls), Untargeted(0), unitMargin)
	err := (Differences{Step: 1e-9}).Estimate(context.Background(), o, Point{flat(2, 0.5), 1}, make([]float64, 2))
	if err == nil || !strings.Contains(err.Error(), "take a larger one") || calls > 0 {
		t.Errorf("%v after %d queries", err, calls)
	}
}

// TestDifferenceErrorOrder halves the step on a cubic: forward differences err
// in proportion to it, central ones to its square. On a quadratic the second
// difference is exact.
func TestDifferenceErrorOrder(t *testing.T) {
	info := Info{Name: "cubic", Shape: []int{1, 1, 1}, Classes: 2}
	f := func(x float64) float64 { return x * x * x }
	v := ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i, p := range x.Data() {
			out[2*i], out[2*i+1] = f(float64(p)), 0
		}
		return nil
	})
	o := NewObjective(v, Untargeted(0), unitMargin)
	err := func(h float64, central bool) float64 {
		g := make([]float64, 1)
		var c []float64
		if central {
			c = make([]float64, 1)
		}
		p := Point{[]float32{0.5}, f(0.5)}
		if e := (Differences{Step: h, Central: central}).Along(context.Background(), o, p, []int{0}, g, c); e != nil {
			t.Fatal(e)
		}
		if central && math.Abs(c[0]-3) > 1e-3 {
			t.Errorf("second difference %v, want 3", c[0])
		}
		return math.Abs(g[0] - 0.75)
	}
	if r := err(1.0/64, false) / err(1.0/128, false); !(math.Abs(r-2) <= 0.1) {
		t.Errorf("forward: halving the step divides the error by %v, want 2", r)
	}
	if r := err(1.0/64, true) / err(1.0/128, true); !(math.Abs(r-4) <= 0.1) {
		t.Errorf("central: halving the step divides the error by %v, want 4", r)
	}
}

// cosine is that of an estimate and w, averaged over trials.
func cosine(t *testing.T, e Estimator, w []float64, trials int) float64 {
	t.Helper()
	calls := 0
	o := NewObjective(dotVictim(w, &calls), Untargeted(0), unitMargin)
	x := flat(len(w), 0.5)
	f, _, err := o.At(context.Background(), x)
	if err != nil {
		t.Fatal(err)
	}
	g := make([]float64, len(w))
	var sum float64
	for range trials {
		if err := e.Estimate(context.Background(), o, Point{x, f}, g); err != nil {
			t.Fatal(err)
		}
		var dot, gg, ww float64
		for i, v := range g {
			dot += float64(v) * w[i]
			gg += float64(v) * float64(v)
			ww += w[i] * w[i]
		}
		sum += dot / math.Sqrt(gg*ww)
	}
	return sum / float64(trials)
}

// TestRandomEstimatorsPointTheRightWay compares the mean cosine with
// sqrt(q/(q+d+1)).
func TestRandomEstimatorsPointTheRightWay(t *testing.T) {
	for _, c := range []struct{ d, q int }{{784, 10}, {784, 50}, {256, 128}} {
		r := rand.New(rand.NewPCG(uint64(c.d), uint64(c.q)))
		w := normals(r, c.d)
		want := math.Sqrt(float64(c.q) / float64(c.q+c.d+1))
		got := cosine(t, &RandomDirections{Directions: c.q, Rand: r}, w, 300)
		if !(math.Abs(got-want) <= 0.03*want) {
			t.Errorf("d %d, q %d: mean cosine %.4f, want %.4f", c.d, c.q, got, want)
		}
		got = cosine(t, &NES{Queries: 2 * c.q, Rand: r}, w, 300)
		if !(math.Abs(got-want) <= 0.03*want) {
			t.Errorf("NES, d %d, %d pairs: mean cosine %.4f, want %.4f", c.d, c.q, got, want)
		}
	}
}

// TestFewDirections: one random direction has a mean |cosine| of sqrt(2/(πd)), q
// random coordinates one of sqrt(q/d), the q largest of a Gaussian gradient far more.
func TestFewDirections(t *testing.T) {
	const d, q, trials = 784, 128, 1000
	r := rand.New(rand.NewPCG(8, 8))
	var one, random, top float64
	for range trials {
		w := normals(r, d)
		one += math.Abs(cosine(t, &RandomDirections{Directions: 1, Rand: r}, w, 1)) / trials
		calls := 0
		o := NewObjective(dotVictim(w, &calls), Untargeted(0), unitMargin)
		some := r.Perm(d)[:q]
		order := make([]int, d)
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return cmp.Compare(math.Abs(w[j]), math.Abs(w[i])) })
		for sum, coords := range map[*float64][]int{&random: some, &top: order[:q]} {
			g := make([]float64, q)
			x := flat(d, 0.5)
			f, _, err := o.At(context.Background(), x)
			if err != nil {
				t.Fatal(err)
			}
			if err := (Differences{Step: 1e-3}).Along(context.Background(), o, Point{x, f}, coords, g, nil); err != nil {
				t.Fatal(err)
			}
			var dot, gg, ww float64
			for j, c := range coords {
				dot += g[j] * w[c]
				gg += g[j] * g[j]
			}
			for _, v := range w {
				ww += v * v
			}
			*sum += dot / math.Sqrt(gg*ww) / trials
		}
	}
	for _, c := range []struct {
		what      string
		got, want float64
		tol       float64
	}{
		{"one direction", one, math.Sqrt(2 / (math.Pi * d)), 0.08}, // three standard errors
		{"random coordinates", random, math.Sqrt(q / float64(d)), 0.03},
		{"top coordinates", top, 0.747, 0.03},
	} {
		if !(math.Abs(c.got/c.want-1) <= c.tol) {
			t.Errorf("%s: mean cosine %.4f, want %.4f", c.what, c.got, c.want)
		}
	}
}

// TestRandomDirectionsAreUnbiased checks the scale too.
func TestRandomDirectionsAreUnbiased(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	w := normals(r, 8)
	calls := 0
	o := NewObjective(dotVictim(w, &calls), Untargeted(0), unitMargin)
	x := flat(8, 0.5)
	f, _, _ := o.At(context.Background(), x)
	for name, e := range map[string]Estimator{
		"random": &RandomDirections{Directions: 50, Rand: r, Smoothing: 1e-2}, "nes": &NES{Queries: 100, Rand: r, Sigma: 1e-2}} {
		mean := make([]float64, 8)
		g := make([]float64, 8)
		for range 1000 {
			if err := e.Estimate(context.Background(), o, Point{x, f}, g); err != nil {
				t.Fatal(err)
			}
			for i, v := range g {
				mean[i] += float64(v) / 1000
			}
		}
		for i := range w {
			if !(math.Abs(mean[i]-w[i]) <= 0.05) {
				t.Errorf("%s: mean of coordinate %d is %.3f, want %.3f", name, i, mean[i], w[i])
			}
		}
	}
}

// TestPriorLearns: the bandit prior's cosine with a constant gradient rises over
// 500 steps, and the exponentiated update keeps it inside (-1,1).
func TestPriorLearns(t *testing.T) {
	for _, exponential := range []bool{false, true} {
		r := rand.New(rand.NewPCG(6, 6))
		w := normals(r, 64)
		lr := 0.1
		if exponential {
			lr = 5
		}
		p := &Prior{LR: lr, Exponential: exponential, Rand: r, Explore: 0.1}
		last := -1.0
		for block := range 5 {
			got := cosine(t, p, w, 100)
			if got < last {
				t.Errorf("exponential=%v: mean cosine falls from %.3f to %.3f in block %d", exponential, last, got, block)
			}
			last = got
		}
		if last < 0.6 {
			t.Errorf("exponential=%v: cosine %.3f after 500 steps", exponential, last)
		}
		for _, v := range p.v {
			if exponential && !(v > -1 && v < 1) {
				t.Errorf("prior left (-1,1): %v", v)
			}
		}
	}
}

// TestCertainPriorCanBeMoved: a component that one large loss drove to a bound comes
// back when the loss says so.
func TestCertainPriorCanBeMoved(t *testing.T) {
	calls := 0
	w := []float64{1e6, -1e6, 1e6, -1e6}
	p := &Prior{LR: 100, Exponential: true, Explore: 1, Rand: rand.New(rand.NewPCG(4, 4))}
	x, g := flat(4, 0.5), make([]float64, 4)
	step := func() {
		if err := p.Estimate(context.Background(), NewObjective(dotVictim(w, &calls), Untargeted(0), unitMargin), Point{X: x}, g); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		step()
	}
	before := append([]float64(nil), g...)
	for i := range w {
		w[i] = -w[i]
	}
	for range 20 {
		step()
	}
	for i, v := range g {
		if !(v > -1 && v < 1) || before[i]*v > 0 {
			t.Errorf("component %d went from %v to %v when its gradient turned round", i, before[i], v)
		}
	}
}

// TestTiledPriorIsConstantOnTiles: nearest enlargement, also where the tile does
// not divide the side, nor the frames of the prior those of the clip.
func TestTiledPriorIsConstantOnTiles(t *testing.T) {
	b := &Prior{Tile: 3, Frames: 2}
	if err := b.fit([]int{5, 2, 5, 7}, 5*2*5*7); err != nil {
		t.Fatal(err)
	}
	for i := range b.v {
		b.v[i] = float64(i)
	}
	dst := make([]float64, 5*2*5*7)
	b.Gradient(dst)
	for f := range 5 {
		for c := range 2 {
			for y := range 5 {
				for x := range 7 {
					if got, want := dst[((f*2+c)*5+y)*7+x], float64(((f*2/5*2+c)*3+y*3/5)*3+x*3/7); got != want {
						t.Fatalf("frame %d plane %d (%d,%d): %v, want %v", f, c, y, x, got, want)
					}
				}
			}
		}
	}
}

// ones is noise of ones.
type ones struct{}

func (ones) Name() string { return "ones" }

func (ones) Draw(dst []float64, _ []int, _ *rand.Rand) error {
	for i := range dst {
		dst[i] = 1
	}
	return nil
}

// TestPriorForgets: Decay shrinks the guess at each step, and Limit keeps it as short as
// so many times what is explored.
func TestPriorForgets(t *testing.T) {
	o := &Objective{info: Info{Shape: []int{1, 2, 2}}}
	x, probes := flat(4, 0.5), make([]float32, 8)
	b := &Prior{Noise: ones{}, Explore: 0.1, Probe: 0.1, LR: 1, Decay: 0.25}
	want := 0.0
	for range 5 {
		if err := b.Probes(o, x, probes); err != nil {
			t.Fatal(err)
		}
		b.Learn(0.3, 0.1)
		want = want*0.75 + 0.2/(0.1*0.1)*0.1
		if got := b.Guess(0)[3]; math.Abs(got-want) > 1e-12 {
			t.Fatalf("guess %v, want %v", got, want)
		}
	}
	b.Limit = 3
	if err := b.Probes(o, x, probes); err != nil {
		t.Fatal(err)
	}
	b.Learn(0.3, 0.1)
	if got := b.Guess(0)[0]; math.Abs(got-3*0.1) > 1e-12 {
		t.Errorf("limited guess %v, want 0.3", got)
	}
}

// TestPriorProbesFrames: probes are Probe away in each frame or as a whole, also where
// tiles do not divide the side and frames share a guess, and never leave [0,1].
func TestPriorProbesFrames(t *testing.T) {
	shape := []int{5, 2, 5, 7}
	n := 2 * 5 * 7
	o := &Objective{info: Info{Shape: shape}}
	for _, b := range []*Prior{{}, {PerFrame: true}, {PerFrame: true, Tile: 3, Frames: 2}, {Tile: 4, Frames: 1}, {PerFrame: true, Frames: 3}} {
		b.Probe, b.Explore, b.Rand = 0.2, 0.1, rand.New(rand.NewPCG(3, 3))
		x, probes := flat(5*n, 0.5), make([]float32, 10*n)
		for range 3 {
			if err := b.Probes(o, x, probes); err != nil {
				t.Fatal(err)
			}
			b.Learn(0.2, 0.1)
		}
		for s := range 2 {
			var all float64
			for f := range 5 {
				var sum float64
				for i := f * n; i < (f+1)*n; i++ {
					d := float64(probes[s*5*n+i]) - 0.5
					sum += d * d
				}
				all += sum
				if b.PerFrame && math.Abs(math.Sqrt(sum)-0.2) > 1e-5 {
					t.Errorf("%+v: probe %d is %v away in frame %d", b.priorShape, s, math.Sqrt(sum), f)
				}
			}
			if !b.PerFrame && math.Abs(math.Sqrt(all)-0.2) > 1e-5 {
				t.Errorf("%+v: probe %d is %v away", b.priorShape, s, math.Sqrt(all))
			}
		}
		for i := range x {
			x[i] = float32(i % 2)
		}
		if err := b.Probes(o, x, probes); err != nil {
			t.Fatal(err)
		}
		for i, p := range probes {
			if p < 0 || p > 1 {
				t.Fatalf("value %d of a probe is %v", i, p)
			}
		}
	}
}
