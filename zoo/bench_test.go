package zoo

import (
	"context"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
)

// BenchmarkMetaTune is a fine-tuning of the meta attacker on one image, 20 steps,
// without the victim's queries.
func BenchmarkMetaTune(b *testing.B) {
	est := NewMeta(models.MetaAttackerMNIST(1))
	x := randomImages(1, 784).Data()
	g := make([]float32, 784)
	if err := est.Predict([]int{1, 28, 28}, x, g); err != nil {
		b.Fatal(err)
	}
	est.choose(x, g, 128)
	est.target, est.mask = randomImages(2, 784), randomImages(3, 784)
	for b.Loop() {
		if err := est.tune([]int{1, 28, 28}, x); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNet4Queries is a batch of 128 queries to the MNIST victim.
func BenchmarkNet4Queries(b *testing.B) {
	v, err := NewModel(models.Net4(1, 10), Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	if err != nil {
		b.Fatal(err)
	}
	x := randomImages(1, 128, 1, 28, 28)
	out := make([]float64, 1280)
	for b.Loop() {
		if err := v.Scores(context.Background(), x, out); err != nil {
			b.Fatal(err)
		}
	}
}
