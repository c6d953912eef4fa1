package autograd

import (
	"fmt"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// Pooling a line of six numbers: windows that overlap, end outside, or meet padding.
func TestPoolOptions(t *testing.T) {
	tape := NewTape(Inference, 0)
	x := tape.Input(tensor.FromSlice([]float32{1, 2, 3, 4, 5, 9}, 1, 1, 6))
	for _, c := range []struct {
		o        PoolOptions
		max, avg string
	}{
		{PoolOptions{Kernel: []int{3}}, "[3 9]", "[2 6]"},
		{PoolOptions{Kernel: []int{3}, Stride: []int{2}}, "[3 5]", "[2 4]"},
		{PoolOptions{Kernel: []int{3}, Stride: []int{2}, Ceil: true}, "[3 5 9]", "[2 4 7]"},
		{PoolOptions{Kernel: []int{2}, Padding: []int{1}}, "[1 3 5 9]", "[0.5 2.5 4.5 4.5]"},
		{PoolOptions{Kernel: []int{2}, Padding: []int{1}, ExcludePadding: true}, "[1 3 5 9]", "[1 2.5 4.5 9]"},
	} {
		if got := fmt.Sprint(MaxPool(x, c.o).Data()); got != c.max {
			t.Errorf("MaxPool with %+v: %s, want %s", c.o, got, c.max)
		}
		if got := fmt.Sprint(AvgPool(x, c.o).Data()); got != c.avg {
			t.Errorf("AvgPool with %+v: %s, want %s", c.o, got, c.avg)
		}
	}
}
