package autograd

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// TestConvBatchNorm: the two in one are the two in turn: to the bit where something is
// recorded, the batch is normalised by itself or weights are many, and else to rounding,
// whatever the batch.
func TestConvBatchNorm(t *testing.T) {
	rng := newRand(t)
	for _, c := range []struct {
		x, w  []int // of one example
		o     ConvOptions
		exact bool // in Inference mode too
	}{
		{[]int{3, 20, 20}, []int{8, 3, 3, 3}, ConvOptions{Padding: []int{1}}, false},
		{[]int{16, 32, 32}, []int{16, 16, 3, 3}, ConvOptions{Padding: []int{1}}, false},
		{[]int{16, 33, 31}, []int{40, 16, 3, 3}, ConvOptions{Padding: []int{1}, Stride: []int{2}}, false},
		{[]int{8, 16, 16}, []int{24, 8, 1, 1}, ConvOptions{}, false},
		{[]int{6, 14, 14}, []int{6, 1, 5, 5}, ConvOptions{Groups: 6}, false},
		{[]int{4, 300}, []int{5, 4, 7}, ConvOptions{Dilation: []int{2}}, false},
		{[]int{3, 6, 12, 12}, []int{8, 3, 3, 3, 3}, ConvOptions{Padding: []int{1}}, false},
		{[]int{16, 12, 12}, []int{16, 16, 3, 3}, ConvOptions{}, true}, // 100 results to 144 weights
		{[]int{3, 20, 20}, []int{8, 3, 3, 3}, ConvOptions{ReLU: true}, true},
	} {
		for _, bare := range []bool{false, true} {
			channels := c.w[0]
			w, b := NewParam(randn(rng, c.w...)), NewParam(randn(rng, channels))
			gamma, beta := NewParam(randn(rng, channels)), NewParam(randn(rng, channels))
			mean, variance := randn(rng, channels), randn(rng, channels)
			for i, v := range variance.Data() {
				variance.Data()[i] = v*v + 0.01
			}
			x := randn(rng, append([]int{3}, c.x...)...)
			o := BatchNormOptions{Mean: mean, Var: variance, Momentum: 0.1, Eps: 1e-5, PostReLU: !bare}
			param := func(tape *Tape, p *Param) Var {
				if bare && p != w {
					return Var{}
				}
				return tape.Param(p)
			}
			one := func(tape *Tape, x *tensor.Tensor, o BatchNormOptions) Var {
				return ConvBatchNorm(tape.Input(x), param(tape, w), param(tape, b), c.o, param(tape, gamma), param(tape, beta), o)
			}
			two := func(tape *Tape, x *tensor.Tensor, o BatchNormOptions) Var {
				return BatchNorm(Conv(tape.Input(x), param(tape, w), param(tape, b), c.o), param(tape, gamma), param(tape, beta), o)
			}
			name := fmt.Sprintf("%v by %v, without bias and scale: %v", c.x, c.w, bare)

			for _, mode := range []Mode{Training, Eval, Inference} {
				for _, running := range []bool{false, true} {
					o := o
					o.UseRunning, o.Update = running, mode == Training && !running
					if mode == Inference && running && !c.exact {
						continue
					}
					var results [2]*tensor.Tensor
					var grads [2][]float32
					for i, f := range []func(*Tape, *tensor.Tensor, BatchNormOptions) Var{one, two} {
						o := o
						o.Mean, o.Var = mean.Clone(), variance.Clone()
						tape := NewTape(mode, 1)
						y := f(tape, x, o)
						results[i] = y.Value().Clone()
						if mode != Inference {
							grads[i] = slices.Clone(tape.Gradients(Sum(Mul(y, y)), w).Of(w).Data())
						}
						grads[i] = append(append(grads[i], o.Mean.Data()...), o.Var.Data()...)
					}
					if !slices.Equal(results[0].Data(), results[1].Data()) || !slices.Equal(grads[0], grads[1]) {
						t.Errorf("%s: %v, running estimates %v: not the bits of the two in turn", name, mode, running)
					}
				}
			}
			if c.exact {
				continue
			}
			o.UseRunning = true
			tape, eval := NewTape(Inference, 0), NewTape(Eval, 0)
			got, want := one(tape, x, o).Value().Clone(), two(eval, x, o).Value()
			most := 0.0
			for _, v := range want.Data() {
				most = max(most, math.Abs(float64(v)))
			}
			for i, v := range want.Data() {
				if d := math.Abs(float64(got.Data()[i] - v)); d > 3e-6*most {
					t.Fatalf("%s: %v at %d, want %v to a rounding of %v", name, got.Data()[i], i, v, most)
				}
			}
			tape.Reset()
			if alone := one(tape, x.Slice(1, 2), o).Value(); !slices.Equal(alone.Data(), got.Slice(1, 2).Data()) {
				t.Errorf("%s: an example has other bits by itself", name)
			}
			if n := testing.AllocsPerRun(20, func() { tape.Reset(); one(tape, x, o) }); n > 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	}
}
