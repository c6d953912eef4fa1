package zoo

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestDegrade(t *testing.T) {
	base := func(kind ScoreKind) Scorer {
		return ScorerFunc(Info{Name: "v", Shape: []int{1, 1, 1}, Classes: 4, Scores: kind}, func(_ context.Context, x *tensor.Tensor, out []float64) error {
			for i := range out {
				out[i] = []float64{0.1234, 0.4567, 0.0199, 0.4}[i%4]
				if kind == LogProbabilities {
					out[i] = math.Log(out[i])
				}
			}
			return nil
		})
	}
	ask := func(s Scorer, pixel float32) []float64 {
		x := tensor.New(1, 1, 1, 1)
		x.Data()[0] = pixel
		out := make([]float64, 4)
		if err := s.Scores(context.Background(), x, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := fmt.Sprint(ask(DegradeScores(base(Probabilities), Degrade{Digits: 2, Top: 2}), 0)); got != "[0 0.46 0 0.4]" {
		t.Errorf("probabilities: %s", got)
	}
	if got := fmt.Sprint(ask(DegradeScores(base(Logits), Degrade{Top: 1}), 0)); got != "[-0.5433 0.4567 -0.5433 -0.5433]" {
		t.Errorf("logits: %s", got)
	}
	if got := ask(DegradeScores(base(LogProbabilities), Degrade{Top: 3}), 0); got[2] != math.Log(tiny) {
		t.Errorf("log-probabilities: %v", got)
	}
	for i, v := range ask(DegradeScores(base(LogProbabilities), Degrade{Noise: 5, Seed: 2}), 0) {
		if v > 0 {
			t.Errorf("noise makes log-probability %d %v", i, v)
		}
	}
	noisy := DegradeScores(base(Probabilities), Degrade{Noise: 0.05, Seed: 1})
	a, b, c := ask(noisy, 0), ask(noisy, 0), ask(noisy, 0.5)
	if fmt.Sprint(a) != fmt.Sprint(b) || fmt.Sprint(a) == fmt.Sprint(c) {
		t.Errorf("noise: %v and %v for the same pixels, %v for others", a, b, c)
	}
	if err := CheckScores(noisy.Info(), c); err != nil {
		t.Error(err)
	}
}
