package tensor

import (
	"math"
	"slices"
	"testing"

	"github.com/x448/float16"
)

func TestHalf(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		x := random(t, 4, 5, 7)
		copy(x.data, []float32{0, 65504, 65519.9, 65520, 1e-8, 1.0 / (1 << 24), float32(math.Inf(-1)), 2049, 2051})
		h := x.ToHalf()
		y := h.Tensor()
		if !slices.Equal(h.Shape(), x.shape) || h.Len() != x.Len() || !slices.Equal(y.shape, x.shape) {
			t.Fatalf("shape %v, want %v", h.Shape(), x.shape)
		}
		for i, v := range x.data {
			want := float16.Fromfloat32(v)
			if h.At(i) != want || y.data[i] != want.Float32() {
				t.Errorf("%v is stored as %v and read as %v, want %v", v, h.At(i), y.data[i], want)
			}
		}
		bank := NewHalf(3, 5, 7)
		got := New(5, 7)
		bank.Store(2, x.Index(1))
		bank.Load(2, got)
		if !slices.Equal(got.data, y.Index(1).data) {
			t.Error("an entry does not come back")
		}
		bank.Load(1, got)
		if got.Norm(0) != 0 {
			t.Error("storing one entry wrote another")
		}
	})
}

func TestHalfKeepsBytes(t *testing.T) {
	x := New(256)
	for b := range x.data {
		x.data[b] = float32(b) / 255
	}
	if got := x.ToHalf().Tensor().Round8(); !slices.Equal(got.data, x.data) {
		t.Error("multiples of 1/255 do not survive half precision")
	}
}
