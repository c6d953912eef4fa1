package zoo

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestWrongVictimsAreRefused(t *testing.T) {
	x := tensor.New(1, 1, 1, 1)
	for say, c := range map[string]struct {
		kind   ScoreKind
		scores []float64
	}{
		"NaN":                {Logits, []float64{1, math.NaN()}},
		"infinite":           {Logits, []float64{1, math.Inf(1)}},
		"no probability":     {Probabilities, []float64{1.5, 0.1}},
		"no log-probability": {LogProbabilities, []float64{0.5, -1}},
	} {
		v := ScorerFunc(Info{Name: "odd", Shape: []int{1, 1, 1}, Classes: 2, Scores: c.kind}, func(_ context.Context, _ *tensor.Tensor, out []float64) error {
			copy(out, c.scores)
			return nil
		})
		err := v.Scores(context.Background(), x, make([]float64, 2))
		if !errors.Is(err, ErrBadVictim) || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want an error that says %q", err, say)
		}
	}
	lazy := ScorerFunc(Info{Name: "lazy", Shape: []int{1, 1, 1}, Classes: 2}, func(context.Context, *tensor.Tensor, []float64) error { return nil })
	if err := lazy.Scores(context.Background(), x, make([]float64, 2)); !errors.Is(err, ErrBadVictim) {
		t.Errorf("scores that were never set: %v", err)
	}
	odd := LabelerFunc(Info{Name: "odd", Shape: []int{1, 1, 1}, Classes: 2}, func(_ context.Context, _ *tensor.Tensor, out []int) error {
		out[0] = 2
		return nil
	})
	if err := odd.Labels(context.Background(), x, make([]int, 1)); !errors.Is(err, ErrBadVictim) {
		t.Errorf("a label out of range: %v", err)
	}
	for _, shape := range [][]int{{1, 2}, {1}, {}, {1, 1, 1, 1, 1}} {
		if err := lazy.Scores(context.Background(), tensor.New(shape...), make([]float64, 2)); err == nil || errors.Is(err, ErrBadVictim) {
			t.Errorf("a batch of shape %v: %v", shape, err)
		}
	}
}
