package data

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkLoader reports the images that the loader delivers in a second.
func BenchmarkLoader(b *testing.B) {
	bytes := func(c, h, w int) *Images {
		const n = 10000
		pixels := make([]byte, n*c*h*w)
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range pixels {
			pixels[i] = byte(rng.Uint32())
		}
		d, err := NewImages(pixels, make([]int, n), []int{c, h, w}, 10)
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
	norm := Normalize{[]float32{0.49, 0.48, 0.45}, []float32{0.25, 0.24, 0.26}}
	for _, c := range []struct {
		name string
		d    Dataset
		t    Transform
	}{
		{"mnist", bytes(1, 28, 28), nil},
		{"cifar", bytes(3, 32, 32), nil},
		{"cifar_crop_flip", bytes(3, 32, 32), Compose(RandomCrop{Padding: 4}, RandomHorizontalFlip{})},
		{"cifar_crop_flip_norm", bytes(3, 32, 32), Compose(RandomCrop{Padding: 4}, RandomHorizontalFlip{}, norm)},
		{"cifar_autoaugment", bytes(3, 32, 32), Compose(RandomCrop{Padding: 4}, RandomHorizontalFlip{}, AutoAugment{}, norm, Cutout{})},
		{"cifar_simclr", bytes(3, 32, 32), Compose(RandomResizedCrop{H: 32, W: 32}, RandomHorizontalFlip{}, RandomApply{ColorJitter{0.4, 0.4, 0.4, 0.1}, 0.8}, RandomGrayscale{0.2}, norm)},
	} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers%d", c.name, workers), func(b *testing.B) {
				l, err := NewLoader(c.d, LoaderOptions{BatchSize: 128, Shuffle: true, Transform: c.t, Workers: workers})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				n := 0
				for n < b.N {
					for batch, err := range l.Batches(b.Context()) {
						if err != nil {
							b.Fatal(err)
						}
						if n += len(batch.Y); n >= b.N {
							break
						}
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}
