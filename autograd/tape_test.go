package autograd

import (
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// randn returns a tensor of standard normal numbers.
func randn(rng *rand.Rand, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data() {
		x.Data()[i] = float32(rng.NormFloat64())
	}
	return x
}

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// wantPanic fails the test unless f panics with a *tensor.Error that mentions what.
func wantPanic(t *testing.T, what string, f func()) {
	t.Helper()
	err := tensor.Try(func() error { f(); return nil })
	if err == nil {
		t.Errorf("no panic; want one about %q", what)
	} else if !strings.Contains(err.Error(), what) {
		t.Errorf("panic %q; want one about %q", err, what)
	}
}

func TestMisuse(t *testing.T) {
	a, b := NewTape(Training, 1), NewTape(Training, 1)
	x := tensor.FromSlice([]float32{1, 2, 3}, 3)
	p := NewParam(tensor.FromSlice([]float32{4, 5, 6}, 3))

	v := a.Watch(x)
	g := a.Gradients(Sum(v))
	a.Reset()
	wantPanic(t, "after Reset", func() { v.Data() })
	wantPanic(t, "after Reset", func() { ReLU(v) })
	wantPanic(t, "after Reset", func() { a.Gradients(v) })
	wantPanic(t, "after Reset", func() { g.Of(v) })
	w := a.Watch(x)
	a.Gradients(Sum(w)) // in the memory of g
	wantPanic(t, "after Reset", func() { g.Of(w) })
	wantPanic(t, "after Reset", func() { g.Len() })
	wantPanic(t, "different tapes", func() { Add(a.Input(x), b.Input(x)) })
	wantPanic(t, "zero Var", func() { ReLU(Var{}) })
	wantPanic(t, "exactly one element", func() { a.Gradients(a.Watch(x)) })
	wantPanic(t, "different tapes", func() { a.Gradients(Sum(b.Watch(x))) })
	wantPanic(t, "do not broadcast", func() { Add(a.Input(x), a.Input(tensor.New(2))) })
	wantPanic(t, "no such axis", func() { SumAxes(a.Input(x), 1) })
	wantPanic(t, "no such mode", func() { NewTape(7, 0) })
	wantPanic(t, "rank above", func() { a.Input(tensor.New(1, 1, 1, 1, 1, 1, 1)) })

	a.Reset()
	loss := Sum(Mul(a.Param(p), a.Input(x)))
	p.Update(func(v []float32) { v[0] = 7 })
	wantPanic(t, "changed since", func() { a.Gradients(loss) })

	i := NewTape(Inference, 0)
	y := i.Watch(x)
	wantPanic(t, "records nothing", func() { i.Gradients(Sum(y)) })
	z := Square(y)
	z.Free()
	wantPanic(t, "after Free", func() { z.Data() })
}

func TestGradientsAreKeyed(t *testing.T) {
	tape := NewTape(Eval, 0)
	p, q, frozen := NewParam(tensor.Scalar(3)), NewParam(tensor.Scalar(5)), NewParam(tensor.Scalar(7))
	frozen.SetFrozen(true)
	x := tape.Watch(tensor.Scalar(2))
	square := Square(Mul(x, tape.Param(p))) // (xp)²
	loss := Mul(square, tape.Param(frozen))
	other := Mul(square, tape.Param(q))

	check := func(name string, got *tensor.Tensor, want float32) {
		t.Helper()
		if got == nil || got.Item() != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	g := tape.Gradients(loss)
	check("dx", g.Of(x), 2*2*9*7)
	check("dp", g.Of(p), 2*4*3*7)
	if g.Of(frozen) != nil || g.Of(q) != nil || g.Len() != 2 {
		t.Error("gradients to a frozen parameter, or one the loss does not depend on")
	}
	h := tape.Gradients(other, p, square) // of the same forward pass
	check("dp of the other", h.Of(p), 2*4*3*5)
	check("dsquare", h.Of(square), 5)
	if h.Of(x) != nil || h.Of(q) != nil {
		t.Error("gradients that nobody asked for")
	}
	check("dx, still there", g.Of(x), 2*2*9*7)
	if got, want := g.Dot(h), float64(168*120); got != want {
		t.Errorf("Dot = %v, want %v over the shared parameter", got, want)
	}
	kept := g.Clone()
	tape.Reset()
	check("clone", kept.Of(p), 168)
}

// A Var that reaches several operations gets the sum of their gradients, also when
// gradients are handed on without a copy.
func TestSharedGradients(t *testing.T) {
	tape := NewTape(Eval, 0)
	x := tape.Watch(tensor.FromSlice([]float32{1, -2}, 2))
	y := Scale(x, 3)
	// y enters a sum twice, a ReLU, and is a target itself.
	loss := Sum(Add(Add(y, y), Add(ReLU(y), Detach(y))))
	g := tape.Gradients(loss, x, y)
	for i, want := range []float32{3, 2} {
		if got := g.Of(y).Data()[i]; got != want {
			t.Errorf("dy[%d] = %v, want %v", i, got, want)
		}
		if got := g.Of(x).Data()[i]; got != 3*want {
			t.Errorf("dx[%d] = %v, want %v", i, got, 3*want)
		}
	}
	// Two leaves whose gradients are the same memory on the way are apart in the end.
	tape.Reset()
	a, b := tape.Watch(tensor.Scalar(1)), tape.Watch(tensor.Scalar(2))
	g = tape.Gradients(Add(a, b))
	g.Of(a).Data()[0] = 9
	if g.Of(b).Item() != 1 {
		t.Error("two gradients share their memory")
	}
}

func TestMemoryIsPoisonedAndReused(t *testing.T) {
	tape := NewTape(Training, 0)
	x := tensor.New(1000)
	kept := Exp(tape.Input(x)).Data()
	if kept[0] != 1 {
		t.Fatal(kept[0])
	}
	tape.Reset()
	if !math.IsNaN(float64(kept[0])) || !math.IsNaN(float64(kept[999])) {
		t.Error("memory of an earlier generation is not poisoned")
	}
	again := Exp(tape.Input(x)).Data()
	if &again[0] != &kept[0] {
		t.Error("memory is not reused")
	}
}

func TestSizeClasses(t *testing.T) {
	last, _ := sizeClass(0)
	for n := 0; n < 1<<16; n++ {
		class, size := sizeClass(n)
		if size < n || n > 16 && size > n+n/8 {
			t.Fatalf("class of %d holds %d", n, size)
		}
		if class != last && class != last+1 {
			t.Fatalf("class %d after %d at %d", class, last, n)
		}
		if c, s := sizeClass(size); c != class || s != size {
			t.Fatalf("the class of %d holds %d, whose class is another", n, size)
		}
		last = class
	}
	var a arena
	if class, _ := sizeClass(math.MaxInt / 16); class >= len(a.free) {
		t.Errorf("class %d of %d", class, len(a.free))
	}
}

// step is a small network's forward and backward pass with every kind of memory.
func step(tape *Tape, x *tensor.Tensor, w, v, gamma *Param, labels []int) float64 {
	tape.Reset()
	h := Conv(tape.Input(x), tape.Param(w), Var{}, ConvOptions{Padding: padOne})
	h = BatchNorm(h, tape.Param(gamma), Var{}, BatchNormOptions{Eps: 1e-5, PostReLU: true})
	h = Dropout(MaxPool(h, PoolOptions{Kernel: two}), 0.3)
	logits := Linear(Flatten(h), tape.Param(v), Var{}, false)
	loss := CrossEntropy(logits, labels, CrossEntropyOptions{})
	g := tape.Gradients(loss)
	if g.Len() != 3 {
		panic("gradients are missing")
	}
	for _, d := range g.All() {
		_ = d
	}
	return loss.Scalar()
}

var padOne, two = []int{1}, []int{2}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	rng := newRand(t)
	tape := NewTape(Training, 3)
	x := randn(rng, 8, 3, 8, 8)
	w, gamma, v := NewParam(randn(rng, 6, 3, 3, 3)), NewParam(randn(rng, 6)), NewParam(randn(rng, 4, 6*4*4))
	labels := []int{0, 1, 2, 3, 0, 1, 2, 3}
	for range 10 {
		step(tape, x, w, v, gamma, labels)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const steps = 50
	for range steps {
		step(tape, x, w, v, gamma, labels)
	}
	runtime.ReadMemStats(&after)
	if perStep := (after.TotalAlloc - before.TotalAlloc) / steps; perStep > 4096 {
		t.Errorf("%d bytes allocated a step", perStep)
	}
}

func TestRandomnessIsCounted(t *testing.T) {
	x := tensor.New(1000)
	x.Fill(1)
	draw := func(tape *Tape) []float32 {
		return append([]float32(nil), Dropout(tape.Input(x), 0.5).Data()...)
	}
	same := func(a, b []float32) bool {
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return true
	}
	a := NewTape(Training, 5)
	first, second := draw(a), draw(a)
	a.Reset()
	third := draw(a)
	if same(first, second) || same(first, third) || same(second, third) {
		t.Error("draws repeat")
	}
	b := NewTape(Training, 5)
	b.ResetTo(1)
	if !same(third, draw(b)) {
		t.Error("a resumed tape draws other numbers")
	}
	c := NewTape(Training, 6)
	if same(first, draw(c)) {
		t.Error("the seed does not matter")
	}
	kept := 0
	for _, v := range first {
		switch v {
		case 2:
			kept++
		case 0:
		default:
			t.Fatalf("dropout gives %v", v)
		}
	}
	if kept < 400 || kept > 600 {
		t.Errorf("kept %d of 1000", kept)
	}
	for _, m := range []Mode{Eval, Inference} {
		tape := NewTape(m, 5)
		if in := tape.Input(x); Dropout(in, 0.5) != in {
			t.Errorf("dropout acts in mode %v", m)
		}
	}
}
