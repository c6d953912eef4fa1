package zoo

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
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
		for _, l := range []Loss{{}, {Kappa: 3}, unitMargin, {Kind: CrossEntropy, Scale: 2}} {
			for _, g := range []Goal{Untargeted(2), Targeted(1, 4)} {
				a, b, c := l.Value(z, Logits, g), l.Value(logp, LogProbabilities, g), l.Value(p, Probabilities, g)
				if !(math.Abs(a-b) <= 1e-12) || !(math.Abs(a-c) <= 1e-9) {
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
		if d := (up - down) / (2 * h); !(math.Abs(d-grad[i]) <= 1e-5) {
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

// TestTiedRivals: of classes with equal scores the lowest counts, in the value's
// gradient as in the victim's answer.
func TestTiedRivals(t *testing.T) {
	z := []float64{1, 3, 3, 3}
	g := make([]float64, 4)
	unitMargin.Gradient(g, z, Untargeted(0))
	if g[0] != 1 || g[1] != -1 || g[2] != 0 || g[3] != 0 {
		t.Errorf("untargeted: %v", g)
	}
	unitMargin.Gradient(g, z, Targeted(0, 2))
	if g[1] != 1 || g[2] != -1 || g[3] != 0 {
		t.Errorf("targeted: %v", g)
	}
	if Top(z) != 1 {
		t.Errorf("the answer is %d", Top(z))
	}
}
