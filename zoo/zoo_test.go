package zoo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// dotVictim has two classes with logits w·x and 0.
func dotVictim(w []float64, calls *int) Scorer {
	info := Info{Name: "dot", Shape: []int{1, 1, len(w)}, Classes: 2}
	return ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for i := range x.Dim(0) {
			*calls++
			var s float64
			for j, v := range x.Data()[i*len(w) : (i+1)*len(w)] {
				s += w[j] * float64(v)
			}
			out[2*i], out[2*i+1] = s, 0
		}
		return nil
	})
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

var unitMargin = Loss{Kind: Margin, Scale: 1}

func TestLedger(t *testing.T) {
	calls := 0
	v := dotVictim(make([]float64, 3), &calls)
	l := &Ledger{Budget: 10}
	m := MeterScores(l, AttackAccount, v)
	out := make([]float64, 8)
	x := tensor.New(4, 1, 1, 3)
	for range 2 {
		if err := m.Scores(context.Background(), x, out); err != nil {
			t.Fatal(err)
		}
	}
	err := m.Scores(context.Background(), x, out)
	var b *BudgetError
	if !errors.Is(err, ErrBudget) || !errors.As(err, &b) || b.Answered != 2 || b.Asked != 4 {
		t.Errorf("third call: %v", err)
	}
	if err := m.Scores(context.Background(), x, out); !errors.Is(err, ErrBudget) {
		t.Errorf("fourth call: %v", err)
	}
	if calls != 10 || l.Used(AttackAccount) != 10 || l.Left() != 0 {
		t.Errorf("victim saw %d, ledger has %d, %d left; want 10, 10, 0", calls, l.Used(AttackAccount), l.Left())
	}
	// The other accounts have no budget and leave the attack's alone.
	if err := MeterScores(l, VerifyAccount, v).Scores(context.Background(), x, out); err != nil {
		t.Fatal(err)
	}
	labels := make([]int, 4)
	if err := MeterLabels(l, CleanAccount, LabelsOf(v)).Labels(context.Background(), x, labels); err != nil {
		t.Fatal(err)
	}
	if l.Used(VerifyAccount) != 4 || l.Used(CleanAccount) != 4 || l.Used(AttackAccount) != 10 || calls != 18 {
		t.Errorf("accounts %d %d %d, victim saw %d", l.Used(AttackAccount), l.Used(CleanAccount), l.Used(VerifyAccount), calls)
	}
}

func TestLedgerChargesFailedCalls(t *testing.T) {
	boom := errors.New("boom")
	v := ScorerFunc(Info{Name: "v", Shape: []int{1, 1, 1}, Classes: 2}, func(context.Context, *tensor.Tensor, []float64) error { return boom })
	l := &Ledger{Budget: 5}
	if err := MeterScores(l, AttackAccount, v).Scores(context.Background(), tensor.New(3, 1, 1, 1), make([]float64, 6)); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if l.Used(AttackAccount) != 3 {
		t.Errorf("charged %d, want 3", l.Used(AttackAccount))
	}
}

func TestLedgerUnderRaces(t *testing.T) {
	l := &Ledger{Budget: 1000}
	var wg sync.WaitGroup
	granted := make([]int, 8)
	for g := range granted {
		wg.Go(func() {
			for i := range 100 {
				granted[g] += l.charge(AttackAccount, i%7)
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range granted {
		sum += n
	}
	if sum != 1000 || l.Used(AttackAccount) != 1000 {
		t.Errorf("granted %d, used %d, budget 1000", sum, l.Used(AttackAccount))
	}
}

func TestLossesAgreeAcrossKinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		z := normals(r, 5)
		lse := logSumExp(z)
		logp, p := make([]float64, 5), make([]float64, 5)
		for i, v := range z {
			logp[i] = v - lse
			p[i] = math.Exp(logp[i])
		}
		for _, l := range []Loss{{}, {Kappa: 3}, unitMargin, {Kind: CrossEntropy, Scale: 2}} {
			for _, g := range []Goal{Untargeted(2), Targeted(1, 4)} {
				a, b, c := l.Value(z, Logits, g), l.Value(logp, LogProbabilities, g), l.Value(p, Probabilities, g)
				if math.Abs(a-b) > 1e-12 || math.Abs(a-c) > 1e-9 {
					t.Fatalf("%+v %v: %v from logits, %v from log-probabilities, %v from probabilities", l, g, a, b, c)
				}
				if hinge := l.Kind == Hinge && l.Kappa == 0; hinge && (a == 0) != g.Achieved(Top(z)) {
					t.Fatalf("hinge %v while achieved is %v", a, g.Achieved(Top(z)))
				}
				checkLossGradient(t, l, z, g)
			}
		}
	}
}

func checkLossGradient(t *testing.T, l Loss, z []float64, g Goal) {
	t.Helper()
	const h = 1e-6
	grad := make([]float64, len(z))
	l.Gradient(grad, z, g)
	for i := range z {
		old := z[i]
		z[i] = old + h
		up := l.Value(z, Logits, g)
		z[i] = old - h
		down := l.Value(z, Logits, g)
		z[i] = old
		if d := (up - down) / (2 * h); math.Abs(d-grad[i]) > 1e-5 {
			t.Fatalf("%+v %v: gradient %d is %v, difference %v", l, g, i, grad[i], d)
		}
	}
}

func TestLossOfUnderflowedProbabilityIsFinite(t *testing.T) {
	if v := (Loss{}).Value([]float64{1, 0}, Probabilities, Untargeted(0)); math.IsInf(v, 0) || v < 30 {
		t.Errorf("hinge %v", v)
	}
	if v := (Loss{}).Value([]float64{0, math.Inf(-1)}, LogProbabilities, Untargeted(0)); math.IsInf(v, 0) || v < 30 {
		t.Errorf("hinge %v", v)
	}
}

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
		g := make([]float32, 40)
		if err := (Differences{Step: 1e-3, Central: central}).Estimate(context.Background(), o, Point{x, f}, g); err != nil {
			t.Fatal(err)
		}
		for i, v := range g {
			if math.Abs(float64(v)-w[i]) > 1e-6*(1+math.Abs(w[i])) {
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
	if r := err(1.0/64, false) / err(1.0/128, false); math.Abs(r-2) > 0.1 {
		t.Errorf("forward: halving the step divides the error by %v, want 2", r)
	}
	if r := err(1.0/64, true) / err(1.0/128, true); math.Abs(r-4) > 0.1 {
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
	g := make([]float32, len(w))
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
		got := cosine(t, &RandomDirections{Directions: c.q, Rand: r}, w, 150)
		if math.Abs(got-want) > 0.04*want {
			t.Errorf("d %d, q %d: mean cosine %.4f, want %.4f", c.d, c.q, got, want)
		}
		got = cosine(t, &NES{Queries: 2 * c.q, Rand: r}, w, 150)
		if math.Abs(got-want) > 0.04*want {
			t.Errorf("NES, d %d, %d pairs: mean cosine %.4f, want %.4f", c.d, c.q, got, want)
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
		g := make([]float32, 8)
		for range 1000 {
			if err := e.Estimate(context.Background(), o, Point{x, f}, g); err != nil {
				t.Fatal(err)
			}
			for i, v := range g {
				mean[i] += float64(v) / 1000
			}
		}
		for i := range w {
			if math.Abs(mean[i]-w[i]) > 0.05 {
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

// TestTiledPriorIsConstantOnTiles: nearest enlargement, also where the tile does
// not divide the side.
func TestTiledPriorIsConstantOnTiles(t *testing.T) {
	dst := make([]float64, 2*5*7)
	enlarge(dst, 5, 7, 2, 3, func(i int) float64 { return float64(i) })
	for c := range 2 {
		for y := range 5 {
			for x := range 7 {
				if got, want := dst[(c*5+y)*7+x], float64((c*2+y*2/5)*3+x*3/7); got != want {
					t.Fatalf("plane %d (%d,%d): %v, want %v", c, y, x, got, want)
				}
			}
		}
	}
}

func TestDegrade(t *testing.T) {
	base := func(kind ScoreKind) Scorer {
		return ScorerFunc(Info{Name: "v", Shape: []int{1, 1, 1}, Classes: 4, Scores: kind}, func(_ context.Context, x *tensor.Tensor, out []float64) error {
			for i := range out {
				out[i] = []float64{0.1234, 0.4567, 0.0199, 0.4}[i%4]
				if kind == LogProbabilities {
					out[i] = math.Log(out[i])
				}
			}
			return nil
		})
	}
	ask := func(s Scorer, pixel float32) []float64 {
		x := tensor.New(1, 1, 1, 1)
		x.Data()[0] = pixel
		out := make([]float64, 4)
		if err := s.Scores(context.Background(), x, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := fmt.Sprint(ask(DegradeScores(base(Probabilities), Degrade{Digits: 2, Top: 2}), 0)); got != "[0 0.46 0 0.4]" {
		t.Errorf("probabilities: %s", got)
	}
	if got := fmt.Sprint(ask(DegradeScores(base(Logits), Degrade{Top: 1}), 0)); got != "[-0.5433 0.4567 -0.5433 -0.5433]" {
		t.Errorf("logits: %s", got)
	}
	if got := ask(DegradeScores(base(LogProbabilities), Degrade{Top: 3}), 0); got[2] != math.Log(tiny) {
		t.Errorf("log-probabilities: %v", got)
	}
	noisy := DegradeScores(base(Probabilities), Degrade{Noise: 0.05, Seed: 1})
	a, b, c := ask(noisy, 0), ask(noisy, 0), ask(noisy, 0.5)
	if fmt.Sprint(a) != fmt.Sprint(b) || fmt.Sprint(a) == fmt.Sprint(c) {
		t.Errorf("noise: %v and %v for the same pixels, %v for others", a, b, c)
	}
	if err := CheckScores(noisy.Info(), c); err != nil {
		t.Error(err)
	}
}

func TestPreprocess(t *testing.T) {
	for _, shape := range [][]int{{3, 2, 2}, {2, 3, 2, 2}} {
		p := Preprocess{BGR: true, Scale: 255, Mean: []float32{103, 116, 123}, Std: []float32{1, 2, 4}, NHWC: true}
		wire, err := p.VictimShape(shape)
		if err != nil {
			t.Fatal(err)
		}
		back, err := p.SampleShape(wire)
		if err != nil || fmt.Sprint(back) != fmt.Sprint(shape) {
			t.Errorf("%v reaches the victim as %v, and back as %v (%v)", shape, wire, back, err)
		}
		n := 1
		for _, d := range shape {
			n *= d
		}
		x, y := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = float32(i) / float32(n)
		}
		p.Apply(y, x, shape)
		// Channel 0 of the victim is the sample's last: blue first.
		if want := (x[8]*255 - 103) / 1; math.Abs(float64(y[0]-want)) > 1e-4 {
			t.Errorf("%v: first value %v, want %v", shape, y[0], want)
		}
		if want := (x[1]*255 - 123) / 4; math.Abs(float64(y[5]-want)) > 1e-4 {
			t.Errorf("%v: sixth value %v, want %v", shape, y[5], want)
		}
		// <A x, g> - <A 0, g> = <x, A' g>.
		r := rand.New(rand.NewPCG(1, 1))
		g, gx, zero, y0 := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range g {
			g[i] = float32(r.NormFloat64())
		}
		p.Apply(y0, zero, shape)
		p.Adjoint(gx, g, shape)
		var left, right float64
		for i := range g {
			left += float64(y[i]-y0[i]) * float64(g[i])
			right += float64(x[i]) * float64(gx[i])
		}
		if math.Abs(left-right) > 1e-3*math.Abs(left) {
			t.Errorf("%v: adjoint gives %v, want %v", shape, right, left)
		}
	}
	for _, p := range []Preprocess{{Repeat: 3, Scale: 2}, {Resize: [2]int{5, 3}}, {Resize: [2]int{2, 7}, Repeat: 2, Mean: []float32{1, 2}, NHWC: true}} {
		shape := []int{1, 4, 4}
		wire, err := p.VictimShape(shape)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(2, 2))
		draw := func(n int) []float32 {
			v := make([]float32, n)
			for i := range v {
				v[i] = r.Float32()
			}
			return v
		}
		x, g := draw(16), draw(wire[0]*wire[1]*wire[2])
		y, y0, gx := make([]float32, len(g)), make([]float32, len(g)), make([]float32, 16)
		p.Apply(y, x, shape)
		p.Apply(y0, make([]float32, 16), shape)
		p.Adjoint(gx, g, shape)
		var left, right float64
		for i := range g {
			left += float64(y[i]-y0[i]) * float64(g[i])
		}
		for i := range x {
			right += float64(x[i]) * float64(gx[i])
		}
		if math.Abs(left-right) > 1e-4*math.Abs(left) {
			t.Errorf("%+v: adjoint gives %v, want %v", p, right, left)
		}
	}
	for _, bad := range []Preprocess{{Mean: []float32{1, 2}}, {Std: []float32{1, 0, 1}}} {
		if _, err := bad.VictimShape([]int{3, 4, 4}); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func TestWrongVictimsAreRefused(t *testing.T) {
	x := tensor.New(1, 1, 1, 1)
	for say, c := range map[string]struct {
		kind   ScoreKind
		scores []float64
	}{
		"NaN":                {Logits, []float64{1, math.NaN()}},
		"infinite":           {Logits, []float64{1, math.Inf(1)}},
		"no probability":     {Probabilities, []float64{1.5, 0.1}},
		"no log-probability": {LogProbabilities, []float64{0.5, -1}},
	} {
		v := ScorerFunc(Info{Name: "odd", Shape: []int{1, 1, 1}, Classes: 2, Scores: c.kind}, func(_ context.Context, _ *tensor.Tensor, out []float64) error {
			copy(out, c.scores)
			return nil
		})
		err := v.Scores(context.Background(), x, make([]float64, 2))
		if !errors.Is(err, ErrBadVictim) || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
	lazy := ScorerFunc(Info{Name: "lazy", Shape: []int{1, 1, 1}, Classes: 2}, func(context.Context, *tensor.Tensor, []float64) error { return nil })
	if err := lazy.Scores(context.Background(), x, make([]float64, 2)); !errors.Is(err, ErrBadVictim) {
		t.Errorf("scores that were never set: %v", err)
	}
	odd := LabelerFunc(Info{Name: "odd", Shape: []int{1, 1, 1}, Classes: 2}, func(_ context.Context, _ *tensor.Tensor, out []int) error {
		out[0] = 2
		return nil
	})
	if err := odd.Labels(context.Background(), x, make([]int, 1)); !errors.Is(err, ErrBadVictim) {
		t.Errorf("a label out of range: %v", err)
	}
	if err := lazy.Scores(context.Background(), tensor.New(1, 2), make([]float64, 2)); err == nil {
		t.Error("a batch of the wrong shape was accepted")
	}
}

func TestOptionsMarshal(t *testing.T) {
	b, err := json.Marshal(struct {
		Loss Loss
		Info Info
	}{Loss{Kind: CrossEntropy, Kappa: 2}, Info{Scores: Probabilities}})
	if err != nil || !strings.Contains(string(b), `"cross-entropy"`) || !strings.Contains(string(b), `"probabilities"`) {
		t.Fatalf("%s, %v", b, err)
	}
	var back struct {
		Loss Loss
		Info Info
	}
	if err := json.Unmarshal(b, &back); err != nil || back.Loss.Kind != CrossEntropy || back.Info.Scores != Probabilities {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestPreflight(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	w := normals(r, 64)
	calls := 0
	good := dotVictim(w, &calls)
	x := tensor.New(20, 1, 1, 64)
	labels := make([]int, 20)
	for i := range x.Data() {
		x.Data()[i] = r.Float32()
	}
	if err := LabelsOf(good).Labels(context.Background(), x, labels); err != nil {
		t.Fatal(err)
	}
	company := ScorerFunc(good.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		err := good.Scores(ctx, x, out)
		out[0] += 0.1 * float64(x.Dim(0))
		return err
	})
	turn := 0
	moody := ScorerFunc(good.Info(), func(ctx context.Context, x *tensor.Tensor, out []float64) error {
		err := good.Scores(ctx, x, out)
		turn++
		out[0] += 1e-3 * float64(turn)
		return err
	})
	off := make([]int, 20)
	for i, y := range labels {
		off[i] = 1 - y
	}
	for name, c := range map[string]struct {
		v      Scorer
		labels []int
		say    string
	}{
		"good":    {good, labels, ""},
		"wrong":   {good, off, "none of the 20"},
		"rounded": {DegradeScores(good, Degrade{Digits: 1}), labels, "changed any score"},
		"batch":   {company, labels, "training mode"},
		"moody":   {moody, labels, "asked twice"},
	} {
		calls = 0
		rep, err := Preflight{}.Run(context.Background(), c.v, x, c.labels)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(rep.Warnings, "; "); c.say == "" && got != "" || !strings.Contains(got, c.say) {
			t.Errorf("%s: warnings %q, want %q", name, got, c.say)
		}
		if rep.Queries != calls || calls > 20+24+32 {
			t.Errorf("%s: report has %d queries, the victim saw %d", name, rep.Queries, calls)
		}
	}
	if _, err := (Preflight{}).Run(context.Background(), good, tensor.New(0, 1, 1, 64), nil); err == nil {
		t.Error("no samples were accepted")
	}
}
