package nn_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func randn(rng *rand.Rand, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data() {
		x.Data()[i] = float32(rng.NormFloat64())
	}
	return x
}

// scale is a layer of another package that multiplies by a parameter. It tells how
// it was called.
type scale struct {
	By      *autograd.Param
	promise nn.Promise

	mu     sync.Mutex
	sizes  []int // of the batches it saw
	merged []string
}

func newScale(v float32, p nn.Promise) *scale {
	s := &scale{By: autograd.NewParam(tensor.FromSlice([]float32{v}, 1)), promise: p}
	return s
}

func (s *scale) forward(how string, x autograd.Var) autograd.Var {
	s.mu.Lock()
	s.sizes, s.merged = append(s.sizes, x.Dim(0)), append(s.merged, how)
	s.mu.Unlock()
	return autograd.Mul(x, x.Tape().Param(s.By))
}

func (s *scale) Forward(x autograd.Var) autograd.Var { return s.forward("alone", x) }

func (s *scale) ForwardThenReLU(x autograd.Var) autograd.Var {
	return autograd.ReLU(s.forward("next", x))
}

func (s *scale) ForwardAfterReLU(x autograd.Var) autograd.Var {
	return s.forward("prior", autograd.ReLU(x))
}

func (s *scale) Walk(w *nn.Walker) { w.Param("by", s.By) }

func (s *scale) Promises(self nn.Module) nn.Promise { return nn.Promised[*scale](self, s.promise) }

// apart applies layers one by one, so that nothing is merged.
func apart(m *nn.Sequential, x autograd.Var) autograd.Var {
	for _, l := range m.Layers {
		x = l.Forward(x)
	}
	return x
}

// TestForeignLayers: a layer from outside is fused, its memory freed and its batch cut
// if it promises what that takes, and not otherwise; the bits are the same.
func TestForeignLayers(t *testing.T) {
	rng := newRand(t)
	build := func(s *scale) map[string]*nn.Sequential {
		conv := nn.NewConv2D(rng, 3, 6, 3, nn.ConvOptions{Padding: 1})
		tail := []nn.Module{nn.Flatten{}, nn.NewLinear(rng, 6*16*16, 5)}
		with := func(layers ...nn.Module) *nn.Sequential { return nn.NewSequential(append(layers, tail...)...) }
		return map[string]*nn.Sequential{
			"alone": with(conv, s),
			"next":  with(conv, s, nn.ReLU{}),
			"prior": with(conv, nn.ReLU{}, s),
		}
	}
	x := randn(rng, 200, 3, 16, 16)
	for _, promise := range []nn.Promise{0, nn.KeepsNothing, nn.PerExample, nn.PerExample | nn.FusesNextReLU, nn.PerExample | nn.FusesPriorReLU, nn.PerExample | nn.FusesNextReLU | nn.FusesPriorReLU} {
		s := newScale(-1.5, promise)
		for how, m := range build(s) {
			tape := autograd.NewTape(autograd.Inference, 0)
			want := slices.Clone(apart(m, tape.Input(x)).Data())
			s.sizes, s.merged = nil, nil
			tape.Reset()
			whole := slices.Clone(m.Forward(tape.Input(x)).Data())
			fused := how
			if how == "next" && promise&nn.FusesNextReLU == 0 || how == "prior" && promise&nn.FusesPriorReLU == 0 {
				fused = "alone"
			}
			if s.merged[0] != fused {
				t.Errorf("%s, promise %b: the layer was computed as %q, want %q", how, promise, s.merged[0], fused)
			}
			if cut := slices.Max(s.sizes) < 200; cut != (promise&nn.PerExample != 0) {
				t.Errorf("%s, promise %b: batches of %v", how, promise, s.sizes)
			}
			if !slices.Equal(whole, want) {
				t.Errorf("%s, promise %b: other bits than layer by layer", how, promise)
			}
			for _, part := range [][2]int{{0, 1}, {199, 200}, {3, 60}} {
				tape.Reset()
				got := m.Forward(tape.Input(x.Slice(part[0], part[1]))).Data()
				if !slices.Equal(got, want[5*part[0]:5*part[1]]) {
					t.Errorf("%s, promise %b: examples %v have other bits on their own", how, promise, part)
				}
			}
			// Training, with gradients.
			ta, tb := autograd.NewTape(autograd.Training, 0), autograd.NewTape(autograd.Training, 0)
			la := nn.CrossEntropy(m.Forward(ta.Input(x.Slice(0, 4))), []int{0, 1, 2, 3})
			lb := nn.CrossEntropy(apart(m, tb.Input(x.Slice(0, 4))), []int{0, 1, 2, 3})
			ga, gb := ta.Gradients(la), tb.Gradients(lb)
			for _, p := range nn.Params(m) {
				if !slices.Equal(ga.Of(p).Data(), gb.Of(p).Data()) {
					t.Errorf("%s, promise %b: other gradients than layer by layer", how, promise)
				}
			}
		}
	}
}

// Layers that embed one of the library's and have a Forward of their own.
type (
	twiceLinear struct{ *nn.Linear }
	twiceConv   struct{ *nn.Conv }
	twiceNorm   struct{ *nn.BatchNorm }
	minusReLU   struct{ nn.ReLU }
	minusTanh   struct{ nn.Tanh }
	minusMax    struct{ nn.MaxPool }
	shuffled    struct{ nn.Identity } // an example's result depends on the batch
	nested      struct{ *nn.Sequential }
)

func (l twiceLinear) Forward(x autograd.Var) autograd.Var {
	return autograd.Scale(l.Linear.Forward(x), -2)
}
func (l twiceConv) Forward(x autograd.Var) autograd.Var {
	return autograd.Scale(l.Conv.Forward(x), -2)
}
func (l twiceNorm) Forward(x autograd.Var) autograd.Var {
	return autograd.Scale(l.BatchNorm.Forward(x), -2)
}
func (l minusReLU) Forward(x autograd.Var) autograd.Var {
	return autograd.Scale(l.ReLU.Forward(x), -1)
}
func (l minusTanh) Forward(x autograd.Var) autograd.Var {
	return autograd.Scale(l.Tanh.Forward(x), -1)
}
func (l minusMax) Forward(x autograd.Var) autograd.Var {
	return autograd.Scale(l.MaxPool.Forward(x), -1)
}
func (l shuffled) Forward(x autograd.Var) autograd.Var {
	return autograd.AddScalar(x, float32(x.Dim(0)))
}
func (l nested) Forward(x autograd.Var) autograd.Var {
	return autograd.AddScalar(l.Sequential.Forward(x), float32(x.Dim(0)))
}

// TestEmbeddingInheritsNoPromise: what was promised of the embedded layer's Forward
// does not hold for another.
func TestEmbeddingInheritsNoPromise(t *testing.T) {
	rng := newRand(t)
	pool := nn.MaxPool{Kernel: []int{2}}
	for name, m := range map[string]*nn.Sequential{
		"linear":    nn.NewSequential(nn.Flatten{}, twiceLinear{nn.NewLinear(rng, 256, 4)}, nn.ReLU{}),
		"conv":      nn.NewSequential(twiceConv{nn.NewConv2D(rng, 4, 4, 3, nn.ConvOptions{})}, nn.ReLU{}),
		"norm next": nn.NewSequential(twiceNorm{nn.NewBatchNorm(4)}, nn.ReLU{}),
		"norm":      nn.NewSequential(nn.ReLU{}, twiceNorm{nn.NewBatchNorm(4)}),
		"relu":      nn.NewSequential(nn.NewConv2D(rng, 4, 4, 3, nn.ConvOptions{}), minusReLU{}, nn.NewBatchNorm(4)),
		"relu, max": nn.NewSequential(minusReLU{}, pool),
		"tanh, max": nn.NewSequential(minusTanh{}, pool),
		"max":       nn.NewSequential(nn.Tanh{}, minusMax{pool}),
		"identity":  nn.NewSequential(shuffled{}, nn.Tanh{}),
		"nested":    nn.NewSequential(nested{nn.NewSequential(nn.Identity{})}, nn.Tanh{}),
	} {
		x := randn(rng, 64, 4, 8, 8)
		for _, mode := range []autograd.Mode{autograd.Eval, autograd.Inference} {
			tape := autograd.NewTape(mode, 0)
			want := slices.Clone(apart(m, tape.Input(x)).Data())
			tape.Reset()
			if got := m.Forward(tape.Input(x)).Data(); !slices.Equal(got, want) {
				t.Errorf("%s, %v: the embedded layer's promise was believed", name, mode)
			}
		}
	}
}

// same is its argument, which is an increasing function of it.
type same struct{ nn.Identity }

func (s same) Promises(self nn.Module) nn.Promise {
	return nn.Promised[same](self, nn.PerExample|nn.Increasing)
}

func TestIncreasingLayerMayReturnItsArgument(t *testing.T) {
	m := nn.NewSequential(nn.Tanh{}, same{}, nn.MaxPool{Kernel: []int{2}}, nn.Tanh{})
	in := autograd.NewTape(autograd.Inference, 0).Input(randn(newRand(t), 3, 2, 4, 4))
	if !slices.Equal(m.Forward(in).Data(), apart(m, in).Data()) {
		t.Error("other bits than layer by layer")
	}
}

// A spy doubles its argument, and remembers it.
type spy struct {
	promise nn.Promise
	got     autograd.Var
}

func (s *spy) Forward(x autograd.Var) autograd.Var {
	s.got = x
	return autograd.Scale(x, 2)
}

func (s *spy) ForwardAfterReLU(x autograd.Var) autograd.Var {
	s.got = x
	return autograd.Scale(autograd.ReLU(x), 2)
}

func (s *spy) Walk(*nn.Walker) {}

func (s *spy) Promises(self nn.Module) nn.Promise { return nn.Promised[*spy](self, s.promise) }

// TestMergedLayersMayKeepTheirArgument: what passes between layers that are computed in one
// pass, or in another order, is freed if all of them promise to keep nothing, and only then.
func TestMergedLayersMayKeepTheirArgument(t *testing.T) {
	x := randn(newRand(t), 3, 2, 4, 4)
	pool := nn.MaxPool{Kernel: []int{2}}
	for name, c := range map[string]struct {
		promise nn.Promise
		around  func(s *spy) []nn.Module
	}{
		"after a ReLU":     {nn.FusesPriorReLU, func(s *spy) []nn.Module { return []nn.Module{nn.Tanh{}, nn.ReLU{}, s, nn.Tanh{}} }},
		"before a maximum": {nn.Increasing, func(s *spy) []nn.Module { return []nn.Module{nn.Tanh{}, s, pool, nn.Tanh{}} }},
	} {
		for _, free := range []nn.Promise{0, nn.KeepsNothing} {
			s := &spy{promise: c.promise | free}
			m := nn.NewSequential(c.around(s)...)
			tape := autograd.NewTape(autograd.Inference, 0)
			y := m.Forward(tape.Input(x))
			gone := tensor.Try(func() error { s.got.Data(); return nil }) != nil
			if gone != (free != 0) {
				t.Errorf("%s, promise %b: freed: %v", name, s.promise, gone)
			}
			if !slices.Equal(y.Data(), apart(m, tape.Input(x)).Data()) {
				t.Errorf("%s, promise %b: other bits than layer by layer", name, s.promise)
			}
		}
	}
}

// bare promises what it has no method for.
type bare struct{ scale }

func (b *bare) Promises(self nn.Module) nn.Promise {
	return nn.Promised[*bare](self, nn.FusesNextReLU)
}
func (b *bare) ForwardThenReLU() {}

func TestPromiseWithoutItsMethod(t *testing.T) {
	m := nn.NewSequential(&bare{scale: scale{By: autograd.NewParam(tensor.New(1))}}, nn.ReLU{})
	err := tensor.Try(func() error {
		m.Forward(autograd.NewTape(autograd.Inference, 0).Input(tensor.New(1, 2)))
		return nil
	})
	var e *tensor.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "FusesNextReLU") {
		t.Errorf("error %v", err)
	}
}
