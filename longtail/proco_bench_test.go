package longtail

import (
	"math/rand/v2"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// BenchmarkProCo is the loss of ProCo and its gradient for a batch of 256 with two views,
// 128 features and 100 classes.
func BenchmarkProCo(b *testing.B) {
	counts, err := Exponential{100}.Counts(100, 500)
	if err != nil {
		b.Fatal(err)
	}
	p := NewProCo(counts, 128, ProCoOptions{})
	rng := rand.New(rand.NewPCG(1, 1))
	features, logits := tensor.New(512, 128), tensor.New(256, 100)
	features.FillNormal(rng, 0, 1)
	features = unitRows(features)
	labels := make([]int, 256)
	for i := range labels {
		labels[i] = i % 100
	}
	tape := autograd.NewTape(autograd.Training, 0)
	for b.Loop() {
		tape.Reset()
		tape.Gradients(p.Loss(tape.Watch(logits), tape.Watch(features), labels))
	}
}
