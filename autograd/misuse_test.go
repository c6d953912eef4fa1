package autograd

import (
	"math"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// TestImpossibleShapesPanic: what cannot be is refused by name instead of wrapping
// round or leaving memory unwritten.
func TestImpossibleShapesPanic(t *testing.T) {
	tape := NewTape(Eval, 0)
	empty := tape.Watch(tensor.New(0, 3))
	wantPanic(t, "place of -1", func() { Reshape(empty, 0, -1) })
	one := tape.Watch(tensor.New(1, 1, 1, 1))
	wantPanic(t, "too large", func() { ResizeNearest(one, math.MaxInt/2, math.MaxInt/2) })
	wantPanic(t, "too large", func() { PadConstant(one, 0, 0, math.MaxInt/2) })
	wantPanic(t, "steps of -1", func() { NarrowCopy(one, 0, 0, 1, -1) })
	wantPanic(t, "lower limit", func() { Clamp(one, 1, 0) })
	infer := NewTape(Inference, 0)
	wantPanic(t, "does not treat examples alike", func() {
		PerExample(infer.Input(tensor.New(64, 40000)), func(x Var) Var { return Reshape(Sum(x), 1) })
	})
}

// TestChangedParameterIsFoundThroughViews: a weight that is reshaped or detached on
// its way into an operation is the same memory, and the pass that reads it notices
// that it changed.
func TestChangedParameterIsFoundThroughViews(t *testing.T) {
	for name, view := range map[string]func(w Var) Var{
		"itself":    func(w Var) Var { return w },
		"reshaped":  func(w Var) Var { return Reshape(w, 2, 3) },
		"detached":  Detach,
		"flattened": Flatten,
	} {
		p := NewParam(tensor.FromSlice([]float32{1, 2, 3, 4, 5, 6}, 2, 3))
		p.SetFrozen(true)
		tape := NewTape(Eval, 0)
		x := tape.Watch(tensor.FromSlice([]float32{1, 1, 1}, 1, 3))
		loss := Sum(MatMulT(x, view(tape.Param(p))))
		p.Update(func(v []float32) { v[0] = 9 })
		t.Run(name, func(t *testing.T) { wantPanic(t, "changed since", func() { tape.Gradients(loss) }) })
	}
}

// TestGradientToAValueStopsThere: nothing beyond the value that was asked for is
// computed, so nothing beyond it can be stale.
func TestGradientToAValueStopsThere(t *testing.T) {
	p := NewParam(tensor.Scalar(3))
	tape := NewTape(Eval, 0)
	h := Mul(tape.Watch(tensor.Scalar(2)), tape.Param(p))
	loss := Square(h)
	p.Update(func(v []float32) { v[0] = 4 })
	if d := tape.Gradients(loss, h).Of(h); d.Item() != 12 {
		t.Errorf("derivative %v, want 12", d.Item())
	}
}

// TestMaxRowTiesAndNaN: the first of equal ones gets the derivative, and a NaN is the
// largest of all, wherever it stands.
func TestMaxRowTiesAndNaN(t *testing.T) {
	tape := NewTape(Eval, 0)
	nan := float32(math.NaN())
	x := tape.Watch(tensor.FromSlice([]float32{1, 3, 3, 2, 5, nan, 5, nan, 9, 1, 1, 1}, 3, 4))
	y := MaxRow(x, []int{3, 2, 0})
	if got := y.Data(); got[0] != 3 || got[1] == got[1] || got[2] != 1 {
		t.Errorf("largest %v, want 3, NaN and 1", got)
	}
	for i, d := range tape.Gradients(Sum(y)).Of(x).Data() {
		want := float32(0)
		if i == 1 || i == 5 || i == 9 {
			want = 1
		}
		if d != want {
			t.Errorf("derivative %d is %v, want %v", i, d, want)
		}
	}
}

// TestLogSumExpOfInfinities: a row of nothing has the logarithm of 0, one with an
// infinity that of infinity; neither is NaN.
func TestLogSumExpOfInfinities(t *testing.T) {
	inf := float32(math.Inf(1))
	x := tensor.FromSlice([]float32{-inf, -inf, -inf, inf, 3, -inf, -inf, 0, -inf}, 3, 3)
	got := LogSumExp(NewTape(Inference, 0).Input(x)).Data()
	for i, want := range []float32{-inf, inf, 0} {
		if got[i] != want {
			t.Errorf("row %d: %v, want %v", i, got[i], want)
		}
	}
}

// TestAveragesOverPadding: zeros of the padding count, or do not if excluded.
func TestAveragesOverPadding(t *testing.T) {
	x := tensor.New(1, 1, 3, 3)
	x.Fill(1)
	tape := NewTape(Inference, 0)
	for _, exclude := range []bool{false, true} {
		y := AvgPool(tape.Input(x), PoolOptions{Kernel: []int{3}, Stride: []int{1}, Padding: []int{1}, ExcludePadding: exclude}).Data()
		corner, edge := float32(4.0/9), float32(6.0/9)
		if exclude {
			corner, edge = 1, 1
		}
		if math.Abs(float64(y[0]-corner)) > 1e-6 || math.Abs(float64(y[1]-edge)) > 1e-6 || y[4] != 1 {
			t.Errorf("exclude %v: %v, want %v in the corners and %v on the edges", exclude, y, corner, edge)
		}
	}
}

// TestRunningEstimatesOfTheForwardPass: a gradient is that of the forward pass, also if
// the running estimates have moved since.
func TestRunningEstimatesOfTheForwardPass(t *testing.T) {
	rng := newRand(t)
	mean, variance := randn(rng, 2), positive(randn(rng, 2), .5)
	gamma, x := NewParam(randn(rng, 2)), randn(rng, 3, 2, 4)
	gradients := func(between func()) (dx, dgamma *tensor.Tensor) {
		tape := NewTape(Eval, 0)
		in := tape.Watch(x)
		y := Sum(Square(BatchNorm(in, tape.Param(gamma), Var{}, BatchNormOptions{Mean: mean, Var: variance, UseRunning: true, Eps: 1e-5})))
		between()
		g := tape.Gradients(y)
		return g.Of(in).Clone(), g.Of(gamma).Clone()
	}
	wantX, wantGamma := gradients(func() {})
	gotX, gotGamma := gradients(func() { mean.Fill(7); variance.Fill(9) })
	if gotX.Sub(wantX).Norm(2) != 0 || gotGamma.Sub(wantGamma).Norm(2) != 0 {
		t.Errorf("gradients %v and %v, want %v and %v", gotX, gotGamma, wantX, wantGamma)
	}
}
