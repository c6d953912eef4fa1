package mm

import (
	"fmt"
	"math"
)

// GroupLasso is h(x) = L1 ‖x‖₁ + Lambda Σ_g Weights_g ‖x_g‖₂ over groups of indices
// that do not overlap: the group lasso (Yuan and Lin 2006), and the sparse group
// lasso (Simon et al. 2013) where L1 is positive.
type GroupLasso struct {
	// Lambda ≥ 0 is the weight of the group norms (λ).
	Lambda float64
	// L1 ≥ 0 is the weight of the l1 norm of all parameters.
	L1 float64
	// Groups lists the indices of each group. An index in no group is penalised by
	// L1 alone. Nil means one group of all parameters.
	Groups [][]int
	// Weights has one factor ≥ 0 per group. Nil means ones; it needs Groups.
	Weights []float64
}

func (h GroupLasso) check() error {
	if h.Weights != nil && len(h.Weights) != len(h.Groups) {
		return fmt.Errorf("mm: GroupLasso.Weights has %d entries for %d groups", len(h.Weights), len(h.Groups))
	}
	return firstError(nonNegative("GroupLasso.Lambda", h.Lambda), nonNegative("GroupLasso.L1", h.L1))
}

// Validate checks the weights, and that each index occurs once and is below p.
func (h GroupLasso) Validate(_, p int) error {
	if err := firstError(h.check(), checkWeights("GroupLasso.Weights", h.Weights)); err != nil {
		return err
	}
	if h.Groups == nil {
		return nil
	}
	owner := make([]int, p)
	for k, g := range h.Groups {
		for _, j := range g {
			switch {
			case j < 0 || j >= p:
				return fmt.Errorf("mm: GroupLasso.Groups[%d] holds index %d of %d parameters", k, j, p)
			case owner[j] != 0:
				return fmt.Errorf("mm: GroupLasso.Groups[%d] and [%d] share index %d: groups must not overlap", owner[j]-1, k, j)
			}
			owner[j] = k + 1
		}
	}
	return nil
}

func (h GroupLasso) each(p int, f func(w float64, group []int)) {
	if h.Groups == nil {
		g := make([]int, p)
		for j := range g {
			g[j] = j
		}
		f(h.Lambda, g)
		return
	}
	for k, g := range h.Groups {
		for _, j := range g {
			if j < 0 || j >= p {
				panic(Error(fmt.Sprintf("GroupLasso.Groups[%d] holds index %d of %d parameters", k, j, p)))
			}
		}
		w := h.Lambda
		if h.Weights != nil {
			w *= h.Weights[k]
		}
		f(w, g)
	}
}

// Value returns L1 ‖x‖₁ + Lambda Σ_g Weights_g ‖x_g‖₂.
func (h GroupLasso) Value(x []float64) float64 {
	mustBe(h.check())
	v := L1{Lambda: h.L1}.Value(x)
	h.each(len(x), func(w float64, g []int) { v += w * groupNorm(x, g) })
	return v
}

// Prox soft-thresholds every entry at t·L1, then shortens each group by
// t·Lambda·Weights_g. This composition is the exact proximal operator.
func (h GroupLasso) Prox(dst, u []float64, t float64) {
	checkProx(dst, u, t, h.check())
	L1{Lambda: h.L1}.Prox(dst, u, t)
	h.each(len(u), func(w float64, g []int) {
		n := groupNorm(dst, g)
		s := 0.0
		if n > t*w {
			s = 1 - t*w/n
		}
		for _, j := range g {
			dst[j] *= s
		}
	})
}

// Convex returns true.
func (GroupLasso) Convex() bool { return true }

func groupNorm(x []float64, g []int) float64 {
	s := 0.0
	for _, j := range g {
		s += x[j] * x[j]
	}
	return math.Sqrt(s)
}
