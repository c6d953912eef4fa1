package attack

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/zoo"
)

// TestMetaStepLength: away from the bounds a step moves q pixels by β each, or
// along the estimate by the same L2 length.
func TestMetaStepLength(t *testing.T) {
	const q, beta = 50, 0.004
	v := newLinear(3, 2, 1, 28, 28)
	v.b[0] = 1e6 // never beaten
	x := v.samples(1, 1)[0].X
	for i := range x.Data() {
		x.Data()[i] = 0.5
	}
	for _, proportional := range []bool{false, true} {
		var seen [][]float32
		ledger := &zoo.Ledger{Budget: 10}
		try := &Try{Clean: x, Goal: zoo.Untargeted(0), norm: L2, ledger: ledger}
		rec := recorder{Scorer: zoo.ScorerFunc(v.info, v.Scores), see: func(x []float32, _ []float64) { seen = append(seen, slices.Clone(x)) }}
		a := Meta{Network: models.MetaAttackerMNIST(2), Coordinates: q, LR: beta, Interval: 100, Proportional: proportional}
		if err := a.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, rec), try); err == nil {
			t.Fatal("the attack ended before the budget")
		}
		if len(seen) != 10 {
			t.Fatalf("%d queries", len(seen))
		}
		for k := 1; k < len(seen); k++ {
			moved, even := 0, 0
			for i, v := range seen[k] {
				d := math.Abs(float64(v - seen[k-1][i]))
				if d > 0 {
					moved++
				}
				if math.Abs(d-beta) < 1e-6 {
					even++
				}
			}
			if d := L2.Distance(seen[k], seen[k-1]); moved != q || math.Abs(d-beta*math.Sqrt(q)) > 1e-5 {
				t.Errorf("proportional %v, step %d: %d pixels and L2 %v, want %d and %v", proportional, k, moved, d, q, beta*math.Sqrt(q))
			}
			if !proportional && even != q || proportional && even == q {
				t.Errorf("proportional %v, step %d: %d pixels moved by β", proportional, k, even)
			}
		}
	}
}
