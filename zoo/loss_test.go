package zoo

import (
	"math"
	"math/rand/v2"
	"testing"
)

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
		for _, l := range []DifferentiableLoss{Hinge{}, Hinge{Kappa: 3, Scale: .5}, Margin{}, CrossEntropy{Scale: 2}} {
			for _, g := range []Goal{Untargeted(2), Targeted(1, 4)} {
				a, b, c := l.Value(z, Logits, g), l.Value(logp, LogProbabilities, g), l.Value(p, Probabilities, g)
				if !(math.Abs(a-b) <= 1e-12) || !(math.Abs(a-c) <= 1e-9) {
					t.Fatalf("%+v %v: %v from logits, %v from log-probabilities, %v from probabilities", l, g, a, b, c)
				}
				if l == (Hinge{}) && (a == 0) != g.Achieved(Top(z)) {
					t.Fatalf("hinge %v while achieved is %v", a, g.Achieved(Top(z)))
				}
				checkLossGradient(t, l, z, g)
			}
		}
	}
}

// checkLossGradient compares directions: a gradient is told up to a positive factor.
func checkLossGradient(t *testing.T, l DifferentiableLoss, z []float64, g Goal) {
	t.Helper()
	const h = 1e-6
	grad, diff := make([]float64, len(z)), make([]float64, len(z))
	l.Gradient(grad, z, g)
	for i := range z {
		old := z[i]
		z[i] = old + h
		up := l.Value(z, Logits, g)
		z[i] = old - h
		diff[i] = (up - l.Value(z, Logits, g)) / (2 * h)
		z[i] = old
	}
	normalizeMax(grad)
	normalizeMax(diff)
	for i := range grad {
		if !(math.Abs(diff[i]-grad[i]) <= 1e-5) {
			t.Fatalf("%+v %v: gradient %v, differences %v", l, g, grad, diff)
		}
	}
}

func normalizeMax(v []float64) {
	var top float64
	for _, x := range v {
		top = max(top, math.Abs(x))
	}
	for i := range v {
		v[i] /= max(top, 1e-300)
	}
}

// Closed forms: log p of margins m against two classes at m and m+1.
func TestConfidentCrossEntropy(t *testing.T) {
	for _, m := range []float64{1, 20, 35, 40, 60, 300, 700} {
		z := []float64{m, 0, -1}
		rest := math.Exp(-m) + math.Exp(-m-1)
		if got, want := (CrossEntropy{}).Value(z, Logits, Untargeted(0)), -math.Log1p(rest); !(math.Abs(got-want) <= 1e-14*math.Abs(want)) || got == 0 {
			t.Errorf("margin %v: loss %g, want %g", m, got, want)
		}
		if got, want := (CrossEntropy{}).Value(z, Logits, Targeted(1, 0)), math.Log1p(rest); !(math.Abs(got-want) <= 1e-14*want) || got == 0 {
			t.Errorf("margin %v: loss towards the class %g, want %g", m, got, want)
		}
		// Probabilities as float32 has them: that of the true class is 1.
		p := []float64{float64(float32(1 / (1 + rest))), float64(float32(math.Exp(-m) / (1 + rest))), float64(float32(math.Exp(-m-1) / (1 + rest)))}
		if got, want := (CrossEntropy{}).Value(p, Probabilities, Untargeted(0)), -math.Log1p(rest); m <= 60 && !(math.Abs(got-want) <= 1e-6*math.Abs(want)) {
			t.Errorf("margin %v: loss %g of float32 probabilities, want %g", m, got, want)
		}
		logs := []float64{-math.Log1p(rest), -m - math.Log1p(rest), -m - 1 - math.Log1p(rest)}
		if got, want := (CrossEntropy{}).Value(logs, LogProbabilities, Untargeted(0)), -math.Log1p(rest); !(math.Abs(got-want) <= 1e-12*math.Abs(want)) {
			t.Errorf("margin %v: loss %g of log-probabilities, want %g", m, got, want)
		}
		// The gradient: 1, and -p of the others relative to each other.
		g, scratch := make([]float32, 3), make([]float64, 3)
		Cotangent(g, scratch, CrossEntropy{}, z, Untargeted(0))
		e := math.Exp(-1)
		for i, want := range []float64{1, -1 / (1 + e), -e / (1 + e)} {
			if !(math.Abs(float64(g[i])-want) <= 1e-6) {
				t.Errorf("margin %v: cotangent %v, entry %d should be %v", m, g, i, want)
			}
		}
	}
	// A victim that tells only the leading class: nothing is known of the rest but 1 - p.
	if got, want := (CrossEntropy{}).Value([]float64{.9, 0, 0}, Probabilities, Untargeted(0)), math.Log(.9); !(math.Abs(got-want) <= 1e-9) {
		t.Errorf("loss %v of a leading probability of .9, want %v", got, want)
	}
}

func TestLossOfUnderflowedProbabilityIsFinite(t *testing.T) {
	if v := (Hinge{}).Value([]float64{1, 0}, Probabilities, Untargeted(0)); math.IsInf(v, 0) || v < 30 {
		t.Errorf("hinge %v", v)
	}
	if v := (Hinge{}).Value([]float64{0, math.Inf(-1)}, LogProbabilities, Untargeted(0)); math.IsInf(v, 0) || v < 30 {
		t.Errorf("hinge %v", v)
	}
}

// TestTiedRivals: of classes with equal scores the lowest counts, in the value's
// gradient as in the victim's answer.
func TestTiedRivals(t *testing.T) {
	z := []float64{1, 3, 3, 3}
	g := make([]float64, 4)
	(Margin{}).Gradient(g, z, Untargeted(0))
	if g[0] != 1 || g[1] != -1 || g[2] != 0 || g[3] != 0 {
		t.Errorf("untargeted: %v", g)
	}
	(Margin{}).Gradient(g, z, Targeted(0, 2))
	if g[1] != 1 || g[2] != -1 || g[3] != 0 {
		t.Errorf("targeted: %v", g)
	}
	if Top(z) != 1 {
		t.Errorf("the answer is %d", Top(z))
	}
}
