package zoo

import "math"

// A Loss is what an attack minimises. It is computed in float64 from the scores of one
// sample. Hinge, Margin, CrossEntropy and DLR are losses; any package may add others.
//
// # Which loss for which victim
//
// Margins are differences of log-odds. They order images the same way when the victim's
// logits are multiplied by a positive constant. Cross-entropy does not, but it
// distinguishes images up to margins of about 700 in logits. Both work with probabilities
// in float32, because they use what is left for the other classes. A victim that rounds its
// probabilities to a few decimals answers 1 and zeros for a confident image. No loss can
// distinguish such images: take an attack on labels, or one that starts far from the clean
// image. [Preflight] warns of this.
type Loss interface {
	// Name returns the loss's name. A campaign's options hold the name and the fields.
	Name() string
	// Value returns the loss of one sample's scores; smaller is nearer to the goal. Adding
	// a constant to all logits does not change it.
	Value(scores []float64, kind ScoreKind, g Goal) float64
}

// A DifferentiableLoss is a Loss that attacks on white boxes can use.
type DifferentiableLoss interface {
	Loss
	// Gradient writes to dst the derivative of the loss with respect to each logit, up
	// to a positive factor. It is 0 where the loss is flat.
	Gradient(dst, logits []float64, g Goal)
}

// Hinge is the C&W margin max(z_y - max_k z_k + κ, 0), k ≠ y, on log-probabilities z;
// targeted, max(max_k z_k - z_t + κ, 0), k ≠ t (Carlini and Wagner, 2017). The loss and its
// gradient are 0 where the goal is achieved with confidence κ.
type Hinge struct {
	Kappa float64 // κ, the confidence
	Scale float64 // factor on the loss; 0 means 1
}

// Margin is Hinge without the cut at 0 and without κ.
type Margin struct {
	Scale float64 // factor on the loss; 0 means 1
}

// CrossEntropy is log p_y untargeted and -log p_t targeted. Where p_y is near 1 it is
// computed from the other classes, so the loss of a confident victim is not flat.
type CrossEntropy struct {
	Scale float64 // factor on the loss; 0 means 1
}

// Name implements Loss.
func (Hinge) Name() string { return "hinge" }

// Name implements Loss.
func (Margin) Name() string { return "margin" }

// Name implements Loss.
func (CrossEntropy) Name() string { return "cross-entropy" }

func scale(s float64) float64 {
	if s == 0 {
		return 1
	}
	return s
}

// Value implements Loss.
func (l Hinge) Value(scores []float64, kind ScoreKind, g Goal) float64 {
	return scale(l.Scale) * max(margin(scores, kind, g)+l.Kappa, 0)
}

// Value implements Loss.
func (l Margin) Value(scores []float64, kind ScoreKind, g Goal) float64 {
	return scale(l.Scale) * margin(scores, kind, g)
}

// Value implements Loss.
func (l CrossEntropy) Value(scores []float64, kind ScoreKind, g Goal) float64 {
	if g.Targeted {
		return -scale(l.Scale) * logProb(scores, kind, g.Target)
	}
	return scale(l.Scale) * logProb(scores, kind, g.Label)
}

// Gradient implements DifferentiableLoss.
func (l Hinge) Gradient(dst, logits []float64, g Goal) {
	if l.Value(logits, Logits, g) > 0 {
		(Margin{}).Gradient(dst, logits, g)
		return
	}
	clear(dst)
}

// Gradient implements DifferentiableLoss.
func (Margin) Gradient(dst, logits []float64, g Goal) {
	clear(dst)
	down, up := rivals(logits, g)
	dst[down], dst[up] = 1, -1
}

// Gradient implements DifferentiableLoss. The entry of the true class is minus the sum of
// the others. All entries are relative to the largest, so none underflows for a confident
// victim.
func (l CrossEntropy) Gradient(dst, logits []float64, g Goal) {
	c, sign := g.Label, 1.0
	if g.Targeted {
		c, sign = g.Target, -1
	}
	top := logits[topBut(logits, c)]
	var sum float64
	for i, z := range logits {
		if i != c {
			q := math.Exp(z - top)
			dst[i] = -sign * q
			sum += q
		}
	}
	dst[c] = sign * sum
}

// margin is the difference of the log-scores of the class that the goal wants down and
// the one that it wants up.
func margin(scores []float64, kind ScoreKind, g Goal) float64 {
	down, up := rivals(scores, g)
	return logScore(scores[down], kind) - logScore(scores[up], kind)
}

// rivals returns the class whose score the margin wants down and the one it
// wants up.
func rivals(scores []float64, g Goal) (down, up int) {
	if g.Targeted {
		return topBut(scores, g.Target), g.Target
	}
	return g.Label, topBut(scores, g.Label)
}

// topBut is the class of the largest score other than class c.
func topBut(scores []float64, c int) int {
	best := -1
	for i, s := range scores {
		if i != c && (best < 0 || s > scores[best]) {
			best = i
		}
	}
	return best
}

// tiny keeps the logarithm of a probability that underflowed finite, and least that of
// one that is stated as minus infinity.
const (
	tiny  = 1e-30
	least = -745
)

// logScore maps a score to a scale on which differences are log-odds.
func logScore(s float64, kind ScoreKind) float64 {
	if kind == Probabilities {
		return math.Log(max(s, 0) + tiny)
	}
	if kind == LogProbabilities {
		return max(s, least) // that of a class left out may be -Inf
	}
	return s
}

// whole is how far from 1 the sum of probabilities may be when none is left out: the
// rounding of float32.
const whole = 1e-6

// logProb is log p_c. A probability above one half is told by what is left for the
// others, which rounding has spared, unless the victim leaves classes out.
func logProb(scores []float64, kind ScoreKind, c int) float64 {
	if kind == Logits {
		// exp(z_i - z_c) over i ≠ c, relative to the largest z.
		top := scores[topBut(scores, c)]
		if d := scores[c] - top; d <= 0 {
			var sum float64
			for _, z := range scores {
				sum += math.Exp(z - top)
			}
			return d - math.Log(sum)
		}
		var rest float64
		for i, z := range scores {
			if i != c {
				rest += math.Exp(z - scores[c])
			}
		}
		return -math.Log1p(rest)
	}
	own := logScore(scores[c], kind)
	if own < -math.Ln2 {
		return own
	}
	p, rest := scores[c], 0.0
	if kind == LogProbabilities {
		p = math.Exp(p)
	}
	for i, s := range scores {
		if i != c {
			if kind == LogProbabilities {
				s = math.Exp(s)
			}
			rest += max(s, 0)
		}
	}
	if math.Abs(p+rest-1) > whole {
		return own
	}
	return math.Log1p(-rest)
}

func logSumExp(z []float64) float64 {
	m := z[0]
	for _, v := range z {
		m = max(m, v)
	}
	var s float64
	for _, v := range z {
		s += math.Exp(v - m)
	}
	return m + math.Log(s)
}

// Cotangent writes to dst the gradient of the loss with respect to the logits of one
// sample, scaled such that its largest absolute entry is 1. A white box propagates it back
// to the pixels in float32. A flat loss gives zeros. scratch must be as long as dst.
func Cotangent(dst []float32, scratch []float64, loss DifferentiableLoss, logits []float64, g Goal) {
	loss.Gradient(scratch, logits, g)
	var top float64
	for _, d := range scratch {
		top = max(top, math.Abs(d))
	}
	for i, d := range scratch {
		if top > 0 {
			d /= top
		}
		dst[i] = float32(d)
	}
}
