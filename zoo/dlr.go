package zoo

// DLR is the difference-of-logits-ratio loss of Croce and Hein (2020, section 4.2), the
// margin divided by a spread of the largest logits. Shifting the logits or multiplying them
// by a positive constant does not change it.
//
// With π the classes from the largest logit to the least, it is (z_y - max_{k≠y} z_k) /
// (z_π1 - z_π3) untargeted, and (z_y - z_t) / (z_π1 - (z_π3+z_π4)/2) towards a class t,
// each with 1e-12 added to the denominator. Untargeted, it is below 0 when the answer is
// not y; targeted, when t scores above y, even if the answer is a third class. It needs
// three classes, and four if targeted; with fewer the least logit stands in for the missing
// ones.
//
// Probabilities or their logarithms are converted to log-odds first, as in [Margin].
type DLR struct {
	Scale float64 // factor on the loss; 0 means 1
}

// dlrTiny keeps the ratio defined where all logits agree.
const dlrTiny = 1e-12

// Name implements Loss.
func (DLR) Name() string { return "dlr" }

// Value implements Loss.
func (l DLR) Value(scores []float64, kind ScoreKind, g Goal) float64 {
	down, up, top := dlrClasses(scores, g)
	z := func(c int) float64 { return logScore(scores[c], kind) }
	return scale(l.Scale) * (z(down) - z(up)) / (z(top[0]) - (z(top[2])+z(top[3]))/2 + dlrTiny)
}

// Gradient implements DifferentiableLoss.
func (DLR) Gradient(dst, logits []float64, g Goal) {
	clear(dst)
	down, up, top := dlrClasses(logits, g)
	over := logits[top[0]] - (logits[top[2]]+logits[top[3]])/2 + dlrTiny
	// That of the numerator, less the ratio times that of the denominator; both over the
	// denominator, a positive factor.
	ratio := (logits[down] - logits[up]) / over
	dst[down]++
	dst[up]--
	dst[top[0]] -= ratio
	dst[top[2]] += ratio / 2
	dst[top[3]] += ratio / 2
}

// dlrClasses are the two of the numerator and the four of the largest scores; untargeted
// the fourth is the third again.
func dlrClasses(z []float64, g Goal) (down, up int, top [4]int) {
	down, up = g.Label, topBut(z, g.Label)
	if g.Targeted {
		up = g.Target
	}
	n := 0 // of top that are filled
	for c := range z {
		i := n
		for ; i > 0 && z[c] > z[top[i-1]]; i-- {
			if i < len(top) {
				top[i] = top[i-1]
			}
		}
		if i < len(top) {
			top[i] = c
		}
		n = min(n+1, len(top))
	}
	for ; n < len(top); n++ {
		top[n] = top[n-1]
	}
	if !g.Targeted {
		top[3] = top[2]
	}
	return down, up, top
}
