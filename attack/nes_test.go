package attack

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// TestNESHalvesItsStep: when the loss of an iterate exceeds that of four before it, the
// step is halved, down to its floor, and the comparison begins again.
func TestNESHalvesItsStep(t *testing.T) {
	losses := []float64{5, 4, 3, 2, 1, 2, 3, 4, 4.5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	// Compared are 1 and 5 (down), 2 and 4, 3 and 3, 4 and 2 (up, after which the four next
	// are collected), 8 and 4.5, and so on.
	want := []float64{4, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1} // hundredths
	info := zoo.Info{Name: "script", Shape: []int{1, 3, 3}, Classes: 2}
	var steps []float64
	var last []float32
	i := 0
	v := zoo.ScorerFunc(info, func(_ context.Context, x *tensor.Tensor, out []float64) error {
		for k := range x.Dim(0) { // probes see a slope, so that there is a direction
			out[2*k], out[2*k+1] = 50+float64(x.Index(k).Data()[0]), 0
		}
		if x.Dim(0) == 1 {
			out[0] = losses[min(i, len(losses)-1)]
			i++
			if last != nil {
				steps = append(steps, 100*Linf.Distance(x.Data(), last))
			}
			last = slices.Clone(x.Data())
		}
		return nil
	})
	clean := tensor.New(1, 3, 3)
	clean.Fill(0.99)
	ledger := &zoo.Ledger{Budget: len(losses) * 5}
	try := &Try{Clean: clean, Goal: zoo.Untargeted(0), norm: Linf, ledger: ledger}
	a := NES{Norm: Linf, Eps: 1, LR: 0.04, MinLR: 0.01, Queries: 4, Momentum: -1, Loss: unitMarginLoss}
	if err := a.AttackScores(context.Background(), zoo.MeterScores(ledger, zoo.AttackAccount, v), try); err == nil {
		t.Fatal("the attack ended before the budget")
	}
	if !slices.EqualFunc(steps, want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-3 }) {
		t.Errorf("steps of %.2f hundredths, want %v", steps, want)
	}
}

// TestBanditsTile: both probes of a step differ from the iterate by one value a tile, and
// from each other.
func TestBanditsTile(t *testing.T) {
	const n, tile = 12, 4
	var queries [][]float32
	a := Bandits{Tile: tile, Eps: 1}
	watch(t, a, unitMarginLoss, 30, 0.5, func(_ int, x []float32, _ float64) { queries = append(queries, slices.Clone(x)) })
	for i := 0; i+2 < len(queries); i += 3 {
		if slices.Equal(queries[i+1], queries[i+2]) {
			t.Fatalf("step %d: both probes are the same", i/3)
		}
		for _, probe := range queries[i+1 : i+3] {
			values := map[int]float64{}
			for p, v := range probe {
				if p == 3 || p == 5 { // at the bounds
					continue
				}
				d := float64(v) - float64(queries[i][p])
				plane, y, x := p/(n*n), p/n%n, p%n
				block := (plane*tile+y*tile/n)*tile + x*tile/n
				if first, ok := values[block]; !ok {
					values[block] = d
				} else if !(math.Abs(d-first) <= 1e-6) {
					t.Fatalf("step %d: tile %d is displaced by %v and %v", i/3, block, first, d)
				}
			}
			different := map[float64]bool{}
			for _, d := range values {
				different[d] = true
			}
			if len(different) < len(values)/2 {
				t.Fatalf("step %d: %d tiles are displaced by %d different values", i/3, len(values), len(different))
			}
		}
	}
}
