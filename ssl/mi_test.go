package ssl

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

func TestCLUBVector(t *testing.T) {
	tape := autograd.NewTape(autograd.Training, 0)
	x, y := tape.Input(matrix(1, 0, 1, 2)), tape.Input(matrix(1, 0.1, 0.9, 2.2))
	near(t, "vCLUB of N(x, 1)", CLUB(x, tape.Input(matrix(1, 0, 0, 0)), y).Scalar(), 0.7, 1e-6)
	// A variance of 2 halves it.
	l := float32(math.Log(2))
	near(t, "vCLUB of N(x, 2)", CLUB(x, tape.Input(matrix(1, l, l, l)), y).Scalar(), 0.35, 1e-6)
}

// gaussians fills u and v with n pairs of d correlated coordinates.
func gaussians(rng *rand.Rand, n, d int, rho float64) (u, v *tensor.Tensor) {
	u, v = tensor.New(n, d), tensor.New(n, d)
	for i := range u.Data() {
		a, b := rng.NormFloat64(), rng.NormFloat64()
		u.Data()[i] = float32(a)
		v.Data()[i] = float32(rho*a + math.Sqrt(1-rho*rho)*b)
	}
	return u, v
}

// TestBoundsOnGaussians trains each estimator on correlated normal vectors, of which the
// mutual information is known.
func TestBoundsOnGaussians(t *testing.T) {
	const d, n = 10, 48
	steps := 250
	for _, rho := range []float64{0, 0.6} {
		truth := -0.5 * d * math.Log(1-rho*rho)
		estimate := func(name string) float64 {
			rng := rand.New(rand.NewPCG(9, 0))
			r, err := NewRegularizer(name, name != "vclub", d, d, 3, RegularizerOptions{LR: 3e-3, Inner: 2})
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := r.Bound.(*VID); ok {
				v.Entropy = 0.5 * d * (1 + math.Log(2*math.Pi))
			}
			opt := optim.NewAdam(nn.Params(r.Bound), optim.AdamOptions{LR: 3e-3})
			tape := autograd.NewTape(autograd.Training, 0)
			sum, count := 0.0, 0.0
			for step := range steps {
				u, v := gaussians(rng, n, d, rho)
				tape.Reset()
				loss, err := r.Loss(tape.Input(u), tape.Input(v))
				if err != nil {
					t.Fatal(err)
				}
				if name != "vclub" {
					if err := opt.Step(tape.Gradients(loss)); err != nil {
						t.Fatal(err)
					}
				}
				if step >= steps-100 {
					value := loss.Scalar()
					if name != "vclub" {
						value = -value
					}
					sum, count = sum+value, count+1
				}
			}
			return sum / count
		}
		for _, name := range Bounds {
			got := estimate(name)
			t.Logf("rho %v: truth %.3f, %s %.3f", rho, truth, name, got)
			switch name {
			case "infonce":
				if got > min(truth, math.Log(n))+0.1 || got < 0.3*truth-0.1 {
					t.Errorf("InfoNCE is %v, the information %v", got, truth)
				}
			case "vid", "mine":
				if got > truth+0.25 || got < 0.5*truth-0.35 {
					t.Errorf("%s is %v, the information %v", name, got, truth)
				}
			case "jsd":
				if floor := -2 * math.Log(2); rho == 0 && got > floor+0.1 || rho > 0 && got < floor+0.2 || got > 0 {
					t.Errorf("JSD is %v with an information of %v", got, truth)
				}
			case "vclub":
				if rho == 0 && math.Abs(got) > 0.5 || rho > 0 && got < truth-0.3 {
					t.Errorf("vCLUB is %v, the information %v", got, truth)
				}
			}
		}
	}
}

// TestCLUBBoundsAbove: with the true conditional it is not below the information.
func TestCLUBBoundsAbove(t *testing.T) {
	const d, n, rho = 10, 4000, 0.8
	u, v := gaussians(rand.New(rand.NewPCG(1, 0)), n, d, rho)
	tape := autograd.NewTape(autograd.Inference, 0)
	logVar := tensor.New(n, d)
	logVar.Fill(float32(math.Log(1 - rho*rho)))
	got := CLUB(tape.Input(u.Scale(rho)), tape.Input(logVar), tape.Input(v)).Scalar()
	if truth := -0.5 * d * math.Log(1-rho*rho); got < truth {
		t.Errorf("vCLUB is %v, below the information %v", got, truth)
	}
}

func TestWrongDirection(t *testing.T) {
	for _, name := range Bounds {
		_, err := NewRegularizer(name, name == "vclub", 3, 4, 1, RegularizerOptions{})
		if err == nil || !strings.Contains(err.Error(), "say nothing") {
			t.Errorf("%s in the wrong direction: %v", name, err)
		}
	}
	if _, err := NewRegularizer("guess", true, 3, 4, 1, RegularizerOptions{}); err == nil {
		t.Error("an unknown bound is taken")
	}
}

// TestRegularizerStops: gradients flow into u, and into v only if asked for; none of the term
// flows into the model of an upper bound.
func TestRegularizerStops(t *testing.T) {
	for _, name := range Bounds {
		for _, through := range []bool{false, true} {
			r, err := NewRegularizer(name, name != "vclub", 3, 4, 1, RegularizerOptions{Through: through})
			if err != nil {
				t.Fatal(err)
			}
			tape := autograd.NewTape(autograd.Training, 0)
			u, v, v2 := tape.Watch(normal(1, 8, 3)), tape.Watch(normal(2, 8, 4)), tape.Watch(normal(3, 8, 4))
			loss, err := r.Loss(u, v, v2)
			if err != nil {
				t.Fatal(err)
			}
			g := tape.Gradients(loss)
			if g.Of(u) == nil || g.Of(u).Norm(2) == 0 {
				t.Errorf("%s: no gradient into u", name)
			}
			for _, v := range []autograd.Var{v, v2} {
				if flows := g.Of(v) != nil && g.Of(v).Norm(2) > 0; flows != through {
					t.Errorf("%s: a gradient into v is %v, want %v", name, flows, through)
				}
			}
			trained := 0
			for _, p := range nn.Params(r) {
				if g.Of(p) != nil {
					trained++
				}
			}
			if (trained > 0) != (name != "vclub") {
				t.Errorf("%s: gradients into %d parameters of the bound", name, trained)
			}
		}
	}
}

func TestBoundGradients(t *testing.T) {
	u, v := normal(4, 6, 3), normal(5, 6, 2)
	for _, name := range []string{"infonce", "vid", "jsd"} {
		r, err := NewRegularizer(name, true, 3, 2, 6, RegularizerOptions{Through: true})
		if err != nil {
			t.Fatal(err)
		}
		if b, ok := r.Bound.(*JSD); ok {
			b.Critic = NewCritic(3, 2, 3, 1) // few units, none near its kink
		}
		f := func(x ...autograd.Var) autograd.Var { return r.lower.Lower(x[0], x[1]) }
		if err := autograd.GradCheck(f, autograd.Check{Params: nn.Params(r.Bound), Seed: 2, Step: 2e-3, Tol: 3e-3}, u, v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := NewVCLUB(3, 2, 1)
	nn.SetFrozen(b, false)
	if err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return b.Upper(x[0], x[1]) }, autograd.Check{Params: nn.Params(b)}, u, v); err != nil {
		t.Errorf("vCLUB: %v", err)
	}
	if err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return b.Fit(x[0], x[1]) }, autograd.Check{Params: nn.Params(b)}, u, v); err != nil {
		t.Errorf("the fit of vCLUB: %v", err)
	}
	// MINE: with the average at the batch's own value, as after the first batch, the
	// gradient is that of the bound.
	m := NewMINE(3, 2, 1)
	tape := autograd.NewTape(autograd.Training, 0)
	x, y := tape.Watch(u), tape.Watch(v)
	got := tape.Gradients(m.Lower(x, y)).Of(x)
	s := m.Critic.Scores(x, y)
	plain := autograd.Sub(autograd.Mean(autograd.Pick(s, upTo(6))), autograd.LogSumExp(autograd.Reshape(offDiagonal(s), 1, 30)))
	want := tape.Gradients(autograd.Sum(plain)).Of(x)
	if d := got.Sub(want).Norm(2) / want.Norm(2); d > 1e-4 {
		t.Errorf("the gradient of MINE differs by %v", d)
	}
}

// TestMINEAverage: what stands for E[e^T] in the gradient is the first batch's, and then moves
// by a hundredth towards each.
func TestMINEAverage(t *testing.T) {
	m := NewMINE(3, 2, 1)
	want := 0.0
	for batch := range 3 {
		tape := autograd.NewTape(autograd.Training, 0)
		u, v := tape.Input(normal(uint64(batch), 6, 3).Scale(3)), tape.Input(normal(uint64(9+batch), 6, 2).Scale(3))
		mean := 0.0
		for _, s := range offDiagonal(m.Critic.Scores(u, v)).Data() {
			mean += math.Exp(float64(s)) / 30
		}
		m.Lower(u, v)
		if want += 0.01 * (mean - want); batch == 0 {
			want = mean
		}
		near(t, "the average", math.Exp(float64(m.Average.Data()[0])), want, 1e-5*want)
	}
	tape := autograd.NewTape(autograd.Eval, 0)
	m.Lower(tape.Input(normal(1, 6, 3)), tape.Input(normal(2, 6, 2)))
	if m.Seen != 3 {
		t.Errorf("%d batches in the average of 3: one was no training", m.Seen)
	}
}

// TestFitSteps: an upper bound's model is fitted Inner times to each pair before it is used.
func TestFitSteps(t *testing.T) {
	r := Minimize(NewVCLUB(3, 4, 1), RegularizerOptions{Inner: 3})
	tape := autograd.NewTape(autograd.Training, 0)
	if _, err := r.Loss(tape.Input(normal(1, 8, 3)), tape.Input(normal(2, 8, 4)), tape.Input(normal(3, 8, 4))); err != nil {
		t.Fatal(err)
	}
	counters := 0
	for e := range nn.State(r) {
		if e.Counter != nil {
			if counters++; *e.Counter != 6 {
				t.Errorf("%s is %d, want 6", e.Name, *e.Counter)
			}
		}
	}
	if counters == 0 {
		t.Error("no step is counted")
	}
}
