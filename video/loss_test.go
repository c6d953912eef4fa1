package video

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mettleml/mettle/zoo"
)

// TestLossesGolden: values of logits 2, 1, 0, -1 that PyTorch gives.
func TestLossesGolden(t *testing.T) {
	z := []float64{2, 1, 0, -1}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 3e-6 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	g := zoo.Untargeted(0)
	near("1 - p2", 1+SecondProbability{}.Value(z, zoo.Logits, g), 0.763117)
	near("cross-entropy", -zoo.CrossEntropy{}.Value(z, zoo.Logits, g), 0.440190)
	near("logit margin", zoo.Margin{}.Value(z, zoo.Logits, g), 1)
	near("probability margin", ProbabilityMargin{}.Value(z, zoo.Logits, g), 0.407031)
	near("flicker", FlickerLoss{}.Value(z, zoo.Logits, g), 0.457031)
	near("targeted margin", ProbabilityMargin{}.Value(z, zoo.Logits, zoo.Targeted(0, 2)), 0.643914-0.087144)
	near("targeted second", SecondProbability{}.Value(z, zoo.Logits, zoo.Targeted(0, 2)), 0.643914-5*0.087144)
	near("targeted second, reached", SecondProbability{}.Value(z, zoo.Logits, zoo.Targeted(0, 1)), 0)
	// The flicker loss as a function of ℓ, by probabilities whose margin is ℓ - 0.05.
	for l, want := range map[float64]float64{-0.01: 0, 0.02: 0.008, 0.05: 0.05, 0.2: 0.2} {
		p := []float64{0.5 + (l-0.05)/2, 0.5 - (l-0.05)/2}
		near("flicker curve", FlickerLoss{}.Value(p, zoo.Probabilities, g), want)
	}
}

// TestLossesOfAllScores: the same value from logits, probabilities and their logarithms,
// and none is flat for a victim that is sure.
func TestLossesOfAllScores(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		z := make([]float64, 5)
		var sum float64
		for i := range z {
			z[i] = 3 * r.NormFloat64()
			sum += math.Exp(z[i])
		}
		p, lp := make([]float64, 5), make([]float64, 5)
		for i := range z {
			p[i], lp[i] = math.Exp(z[i])/sum, z[i]-math.Log(sum)
		}
		for _, l := range []zoo.Loss{SecondProbability{}, ProbabilityMargin{}, FlickerLoss{}} {
			for _, g := range []zoo.Goal{zoo.Untargeted(1), zoo.Targeted(1, 3)} {
				want := l.Value(z, zoo.Logits, g)
				if a, b := l.Value(p, zoo.Probabilities, g), l.Value(lp, zoo.LogProbabilities, g); math.Abs(a-want) > 1e-12 || math.Abs(b-want) > 1e-12 {
					t.Errorf("%s: %v of logits, %v of probabilities, %v of logarithms", l.Name(), want, a, b)
				}
			}
		}
	}
	sure := []float64{90, 1, 0}
	moved := []float64{90, 1.001, 0}
	if a, b := (SecondProbability{}).Value(sure, zoo.Logits, zoo.Untargeted(0)), (SecondProbability{}).Value(moved, zoo.Logits, zoo.Untargeted(0)); !(b < a) {
		t.Errorf("a victim that is sure has a flat loss: %v and %v", a, b)
	}
}

// TestLossGradients: central differences agree.
func TestLossGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 30 {
		z := make([]float64, 5)
		for i := range z {
			z[i] = r.NormFloat64()
		}
		for _, l := range []zoo.DifferentiableLoss{SecondProbability{}, ProbabilityMargin{}, FlickerLoss{M: 0.2}} {
			for _, g := range []zoo.Goal{zoo.Untargeted(1), zoo.Targeted(1, 3)} {
				got := make([]float64, 5)
				l.Gradient(got, z, g)
				for i := range z {
					const h = 1e-6
					v := z[i]
					z[i] = v + h
					up := l.Value(z, zoo.Logits, g)
					z[i] = v - h
					down := l.Value(z, zoo.Logits, g)
					z[i] = v
					if want := (up - down) / (2 * h); math.Abs(got[i]-want) > 1e-6 {
						t.Errorf("%s %v: derivative %d is %v, differences say %v", l.Name(), g, i, got[i], want)
					}
				}
			}
		}
	}
}
