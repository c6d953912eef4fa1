package models

import (
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

func TestVGGRefusesSizes(t *testing.T) {
	for _, size := range []int{0, 16, 48, -32} {
		if err := tensor.Try(func() error { VGG11(1, size, 10); return nil }); err == nil {
			t.Errorf("built for images of size %d", size)
		}
	}
}

func TestSpecs(t *testing.T) {
	for _, s := range All {
		t.Run(s.Name, func(t *testing.T) {
			m := s.New(1, 0)
			if n := nn.Count(m); n != s.Params {
				t.Errorf("%d parameters, the specification says %d", n, s.Params)
			}
			if testing.Short() && s.Input[1] > 64 {
				t.Skip("a forward pass on large images")
			}
			tape := autograd.NewTape(autograd.Eval, 0)
			x := tensor.New(append([]int{1}, s.Input...)...)
			y := m.Forward(tape.Input(x))
			want := []int{1, s.Classes}
			if s.Classes == 0 {
				want = append([]int{1}, s.Input...)
			}
			if len(y.Shape()) != len(want) {
				t.Fatalf("result %v, want %v", y.Shape(), want)
			}
			for i, d := range want {
				if y.Shape()[i] != d {
					t.Fatalf("result %v, want %v", y.Shape(), want)
				}
			}
			if n := tape.MultiplyAdds(); n != s.MultiplyAdds {
				t.Errorf("%d multiply-adds, the specification says %d", n, s.MultiplyAdds)
			}
		})
	}
}
