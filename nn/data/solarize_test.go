package data

import (
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func TestSolarize(t *testing.T) {
	x := tensor.FromSlice([]float32{0, 0.25, 0.49, 0.5, 0.75, 1}, 1, 2, 3)
	near(t, "from a half on", apply(t, Solarize{}, x, 0), tensor.FromSlice([]float32{0, 0.25, 0.49, 0.5, 0.25, 0}, 1, 2, 3), 1e-7)
	near(t, "from a quarter on", apply(t, Solarize{0.25}, x, 0), tensor.FromSlice([]float32{0, 0.75, 0.51, 0.5, 0.25, 0}, 1, 2, 3), 1e-7)
	if err := tensor.Try(func() error { Solarize{-1}.Shape(x.Shape()); return nil }); err == nil {
		t.Error("a threshold of -1 is taken")
	}
}
