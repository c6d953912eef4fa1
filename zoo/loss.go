package zoo

import (
	"fmt"
	"math"
)

// LossKind names the function an attack minimises.
type LossKind uint8

// The losses. All are written to be minimised, whatever the goal.
const (
	// Hinge is the C&W margin max(z_y - max_k z_k + κ, 0), k ≠ y, on
	// log-probabilities; targeted, max(max_k z_k - z_t + κ, 0), k ≠ t. It is 0
	// exactly when the goal is achieved with confidence κ, and so is its gradient.
	Hinge LossKind = iota
	// Margin is Hinge without the cut at 0 and without κ.
	Margin
	// CrossEntropy is log p_y untargeted and -log p_t targeted.
	CrossEntropy
)

var lossKinds = [...]string{"hinge", "margin", "cross-entropy"}

// String names the kind.
func (k LossKind) String() string {
	if int(k) < len(lossKinds) {
		return lossKinds[k]
	}
	return fmt.Sprintf("LossKind(%d)", k)
}

// MarshalText writes the name.
func (k LossKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *LossKind) UnmarshalText(b []byte) error {
	for i, name := range lossKinds {
		if string(b) == name {
			*k = LossKind(i)
			return nil
		}
	}
	return fmt.Errorf("zoo: unknown loss %q (have %v)", b, lossKinds)
}

// A Loss is what an attack minimises, computed in float64 from a victim's
// scores. The zero value is the loss of the Meta Attack: Hinge with κ = 0,
// scaled by 0.5.
type Loss struct {
	Kind  LossKind
	Kappa float64 // confidence demanded by Hinge (κ)
	Scale float64 // factor on the loss (c); 0 means 0.5
}

// tiny keeps the logarithm of a probability that underflowed finite.
const tiny = 1e-30

func (l Loss) scale() float64 {
	if l.Scale == 0 {
		return 0.5
	}
	return l.Scale
}

// Value returns the loss of one score vector. Logits and log-probabilities give
// the same value: the log-partition cancels in a difference, and CrossEntropy
// subtracts it.
func (l Loss) Value(scores []float64, kind ScoreKind, g Goal) float64 {
	if l.Kind == CrossEntropy {
		if g.Targeted {
			return -l.scale() * logProb(scores, kind, g.Target)
		}
		return l.scale() * logProb(scores, kind, g.Label)
	}
	plus, minus := l.rivals(scores, g)
	m := logScore(scores[plus], kind) - logScore(scores[minus], kind)
	if l.Kind == Hinge {
		m = max(m+l.Kappa, 0)
	}
	return l.scale() * m
}

// Gradient writes to dst the derivative of Value with respect to each logit (or
// log-probability taken as a logit: the two differ by a constant that the
// softmax removes).
func (l Loss) Gradient(dst, logits []float64, g Goal) {
	clear(dst)
	if l.Kind == CrossEntropy {
		c, sign := g.Label, 1.0
		if g.Targeted {
			c, sign = g.Target, -1
		}
		lse := logSumExp(logits)
		for i, z := range logits {
			dst[i] = -sign * l.scale() * math.Exp(z-lse)
		}
		dst[c] += sign * l.scale()
		return
	}
	plus, minus := l.rivals(logits, g)
	if l.Kind == Hinge && logits[plus]-logits[minus]+l.Kappa <= 0 {
		return
	}
	dst[plus] = l.scale()
	dst[minus] = -l.scale()
}

// rivals returns the class whose score the margin wants down and the one it
// wants up.
func (l Loss) rivals(scores []float64, g Goal) (down, up int) {
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

// logScore maps a score to a scale on which differences are log-odds.
func logScore(s float64, kind ScoreKind) float64 {
	if kind == Probabilities {
		return math.Log(max(s, 0) + tiny)
	}
	if kind == LogProbabilities {
		return max(s, math.Log(tiny)) // that of a class left out may be -Inf
	}
	return s
}

func logProb(scores []float64, kind ScoreKind, c int) float64 {
	if kind == Logits {
		return scores[c] - logSumExp(scores)
	}
	return logScore(scores[c], kind)
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
