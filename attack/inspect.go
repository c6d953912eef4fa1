package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// An Inspection is the report of [AutoAttack.Inspect].
type Inspection struct {
	Samples       int
	Queries       int     // that the inspection spent
	Random        float64 // largest difference of a score between two answers to the same batch
	Probabilities bool    // scores described as logits are nonnegative and add up to 1
	Vanishing     int     // samples whose gradient is 0 in every pixel
	Warnings      []string
}

const (
	inspectRounds = 5
	randomMargin  = 1e-4
	sumMargin     = 1e-5
)

// Inspect checks the victim before AutoAttack runs, on samples x [N, sample...] with their
// labels. It warns of what makes robust accuracy unreliable: a victim that answers at
// random, logits that are probabilities (a softmax in the victim), gradients that vanish,
// too few classes for an attack. It costs 6·N queries.
func (a AutoAttack) Inspect(ctx context.Context, v zoo.Differentiable, x *tensor.Tensor, labels []int) (*Inspection, error) {
	a = a.defaults()
	v = zoo.CheckedGradients(v)
	info := v.Info()
	n, k := len(labels), info.Classes
	if x.Rank() < 2 || x.Dim(0) != n {
		return nil, fmt.Errorf("attack: Inspect: samples of shape %v with %d labels", x.Shape(), n)
	}
	goals := make([]zoo.Goal, n)
	for i, y := range labels {
		goals[i] = zoo.Untargeted(y)
		if err := goals[i].Check(k); err != nil {
			return nil, err
		}
	}
	out := &Inspection{Samples: n}
	first, again := make([]float64, n*k), make([]float64, n*k)
	most := n
	if info.Batch > 0 {
		most = min(n, info.Batch)
	}
	scores := func(dst []float64) error {
		for lo := 0; lo < n; lo += most {
			hi := min(lo+most, n)
			if err := v.Scores(ctx, x.Slice(lo, hi), dst[lo*k:hi*k]); err != nil {
				return err
			}
			out.Queries += hi - lo
		}
		return nil
	}
	if err := scores(first); err != nil {
		return out, err
	}
	for range inspectRounds - 1 {
		if err := scores(again); err != nil {
			return out, err
		}
		for i, s := range again {
			if d := math.Abs(s - first[i]); d > out.Random { // not of infinities
				out.Random = d
			}
		}
	}
	out.Probabilities = info.Scores == zoo.Logits && n > 0 && distributions(first, k)
	grad := tensor.New(append([]int{n}, info.Shape...)...)
	for lo := 0; lo < n; lo += most {
		hi := min(lo+most, n)
		if err := v.Gradients(ctx, x.Slice(lo, hi), zoo.CrossEntropy{}, goals[lo:hi], again[lo*k:hi*k], grad.Slice(lo, hi)); err != nil {
			return out, err
		}
		out.Queries += hi - lo
	}
	for i := range n {
		flat := true
		for _, g := range grad.Index(i).Data() {
			flat = flat && g == 0
		}
		if flat {
			out.Vanishing++
		}
	}
	warn := func(format string, args ...any) { out.Warnings = append(out.Warnings, fmt.Sprintf(format, args...)) }
	if out.Random > randomMargin && a.Version != "rand" {
		warn("the victim answers the same samples differently, by up to %.3g: it seems to be random; take version rand, which averages gradients", out.Random)
	}
	if out.Probabilities {
		warn("the victim's logits look like probabilities: take the softmax out of it, or say that its scores are probabilities; else losses on them mislead")
	}
	if out.Vanishing > 0 {
		warn("the gradient of cross-entropy is exactly 0 for %d of %d samples: attacks with gradients find nothing there, and the robust accuracy may be too high", out.Vanishing, n)
	}
	switch {
	case k < 3:
		warn("with %d classes the DLR loss is not defined: the attacks on it are left out", k)
	case k < 4:
		warn("with 3 classes the targeted DLR loss is not defined: apgd-t is left out")
	case a.Version != "rand" && k-1 < 9:
		warn("the victim has %d wrong classes: attacks towards nine of them go towards these", k-1)
	}
	return out, nil
}

// distributions reports whether each row of k scores is one.
func distributions(scores []float64, k int) bool {
	for ; len(scores) > 0; scores = scores[k:] {
		var sum float64
		for _, s := range scores[:k] {
			if s < -sumMargin || s > 1+sumMargin {
				return false
			}
			sum += s
		}
		if math.Abs(sum-1) > sumMargin {
			return false
		}
	}
	return true
}
