package video

import (
	"cmp"
	"math"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/zoo"
)

// The losses of attacks on clips that package zoo does not have. Its CrossEntropy and
// Margin, on logits, are the others that the thesis compares (table 3.5).

// SecondProbability is the loss of the released code of the Motion-Excited Sampler.
// Untargeted it is 1 - p₍₂₎, with p₍₂₎ the second largest probability; the constant 1 is
// left out for precision. It does not use the label. Targeted it is max(0, p₍₁₎ - 5·p_t)
// with p₍₁₎ the largest probability, as in a commented-out line of the code. This is flat
// before the target is reached: take zoo.CrossEntropy instead.
type SecondProbability struct{}

// ProbabilityMargin is p_y - max_k p_k, k ≠ y; targeted, max_k p_k - p_t, k ≠ t.
type ProbabilityMargin struct{}

// FlickerLoss is the loss of the flickering attack (Pony, Naeh and Mannor, 2021), which
// GEO-TRAP uses too: with ℓ = p_y - max_k p_k + m, k ≠ y (targeted: max_k p_k - p_t + m),
// it is max(0, min(ℓ²/m, ℓ)).
type FlickerLoss struct {
	M float64 // m; 0: 0.05
}

// Name implements zoo.Loss.
func (SecondProbability) Name() string { return "second-probability" }

// Name implements zoo.Loss.
func (ProbabilityMargin) Name() string { return "probability-margin" }

// Name implements zoo.Loss.
func (FlickerLoss) Name() string { return "flicker" }

// softmax returns the probability of a class by its score.
func softmax(scores []float64, kind zoo.ScoreKind) func(c int) float64 {
	switch kind {
	case zoo.Probabilities:
		return func(c int) float64 { return scores[c] }
	case zoo.LogProbabilities:
		return func(c int) float64 { return math.Exp(scores[c]) }
	}
	top := scores[zoo.Top(scores)]
	var sum float64
	for _, z := range scores {
		sum += math.Exp(z - top)
	}
	return func(c int) float64 { return math.Exp(scores[c]-top) / sum }
}

// best is the class of the largest score but that of class c.
func best(scores []float64, c int) int {
	b := -1
	for i, s := range scores {
		if i != c && (b < 0 || s > scores[b]) {
			b = i
		}
	}
	return b
}

// rivals are the class whose score the goal wants down and the one that it wants up.
func rivals(scores []float64, g zoo.Goal) (down, up int) {
	if g.Targeted {
		return best(scores, g.Target), g.Target
	}
	return g.Label, best(scores, g.Label)
}

// Value implements zoo.Loss.
func (SecondProbability) Value(scores []float64, kind zoo.ScoreKind, g zoo.Goal) float64 {
	p, top := softmax(scores, kind), zoo.Top(scores)
	if g.Targeted {
		return max(0, p(top)-5*p(g.Target))
	}
	return -p(best(scores, top))
}

// Value implements zoo.Loss.
func (ProbabilityMargin) Value(scores []float64, kind zoo.ScoreKind, g zoo.Goal) float64 {
	down, up := rivals(scores, g)
	p := softmax(scores, kind)
	return p(down) - p(up)
}

// Value implements zoo.Loss.
func (l FlickerLoss) Value(scores []float64, kind zoo.ScoreKind, g zoo.Goal) float64 {
	m := cmp.Or(l.M, 0.05)
	v := ProbabilityMargin{}.Value(scores, kind, g) + m
	return max(0, min(v*v/m, v))
}

// Gradient implements zoo.DifferentiableLoss.
func (SecondProbability) Gradient(dst, logits []float64, g zoo.Goal) {
	clear(dst)
	top := zoo.Top(logits)
	if !g.Targeted {
		raise(dst, logits, best(logits, top), -1)
		return
	}
	if (SecondProbability{}).Value(logits, zoo.Logits, g) > 0 {
		raise(dst, logits, top, 1)
		raise(dst, logits, g.Target, -5)
	}
}

// Gradient implements zoo.DifferentiableLoss.
func (ProbabilityMargin) Gradient(dst, logits []float64, g zoo.Goal) {
	clear(dst)
	down, up := rivals(logits, g)
	raise(dst, logits, down, 1)
	raise(dst, logits, up, -1)
}

// Gradient implements zoo.DifferentiableLoss. It is the derivative itself.
func (l FlickerLoss) Gradient(dst, logits []float64, g zoo.Goal) {
	m := cmp.Or(l.M, 0.05)
	v := ProbabilityMargin{}.Value(logits, zoo.Logits, g) + m
	clear(dst)
	if v <= 0 {
		return
	}
	ProbabilityMargin{}.Gradient(dst, logits, g)
	if v < m {
		for i := range dst {
			dst[i] *= 2 * v / m
		}
	}
}

// raise adds to dst the derivative of the probability of a class with respect to the
// logits, times a factor.
func raise(dst, logits []float64, c int, factor float64) {
	p := softmax(logits, zoo.Logits)
	pc := p(c)
	for i := range dst {
		if i == c {
			// 1 - p_c as what is left for the others: a confident victim has no flat loss.
			var rest float64
			for k := range logits {
				if k != c {
					rest += p(k)
				}
			}
			dst[i] += factor * pc * rest
		} else {
			dst[i] -= factor * pc * p(i)
		}
	}
}

func init() {
	for _, make := range []func() attack.Part{
		func() attack.Part { return SecondProbability{} },
		func() attack.Part { return ProbabilityMargin{} },
		func() attack.Part { return FlickerLoss{} },
	} {
		attack.RegisterPart(make)
	}
}
