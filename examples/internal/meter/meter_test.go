package meter

import (
	"context"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

func TestLine(t *testing.T) {
	v := Count(zoo.ScorerFunc(zoo.Info{Name: "v", Shape: []int{1, 1, 1}, Classes: 2}, func(_ context.Context, _ *tensor.Tensor, out []float64) error {
		clear(out)
		return nil
	}))
	ask := func(n int) {
		if err := v.Scores(context.Background(), tensor.New(n, 1, 1, 1), make([]float64, 2*n)); err != nil {
			t.Fatal(err)
		}
	}
	ask(3) // before the campaign
	m := newMeter("square", v, 10, 100)
	check := func(took time.Duration, ended bool, want string) {
		t.Helper()
		if got := m.line(took, ended); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check(time.Second, false, "square: 0 of 10 images, 0 successes, 0 queries, 0 a second, 1s")
	ask(100)
	check(10*time.Second, false, "square: 0 of 10 images, 0 successes, 100 queries, 10 a second, 10s, at most 1m30s left")
	for i := range 5 {
		m.Progress(i+1, 10, &attack.Record{Success: i > 0})
	}
	check(20*time.Second, false, "square: 5 of 10 images, 4 successes, 100 queries, 5 a second, 20s, about 20s left")
	check(20*time.Second, true, "square: 5 of 10 images, 4 successes, 100 queries, 5 a second, 20s")
}
