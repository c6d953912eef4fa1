package nn

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mettleml/mettle/autograd"
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

// stir gives batch normalisation layers weights and estimates of their own.
func stir(rng *rand.Rand, m Tree) {
	for e := range State(m) {
		switch name := e.Name[strings.LastIndex(e.Name, ".")+1:]; {
		case name == "running_var":
			for i := range e.Buffer.Data() {
				e.Buffer.Data()[i] = 0.5 + rng.Float32()
			}
		case e.Buffer != nil:
			for i := range e.Buffer.Data() {
				e.Buffer.Data()[i] = 0.6*rng.Float32() - 0.3
			}
		case len(e.Shape()) == 1 && name == "weight":
			Normal(rng, e.Param, 1, 0.2)
		}
	}
}

// everything holds every layer; it maps [N, 3, 12, 12] to [N, 4].
func everything(rng *rand.Rand) *Sequential {
	m := NewSequential(
		NewConv2D(rng, 3, 8, 3, ConvOptions{Padding: 1}), NewBatchNorm(8), ReLU{}, MaxPool{Kernel: []int{2}},
		NewConv2D(rng, 8, 8, 3, ConvOptions{Padding: 1, Groups: 2}), Tanh{}, MaxPool{Kernel: []int{2}},
		NewConvTranspose2D(rng, 8, 6, 4, ConvOptions{Stride: 2, Padding: 1}), ReLU{}, NewBatchNorm(6),
		NewBasicBlock(rng, 6, 8, 2, ZeroPad), NewBasicBlock(rng, 8, 10, 1, Projection), NewBottleneck(rng, 10, 3, 1),
		NewConv2D(rng, 12, 5, 1, ConvOptions{}), ReLU{}, AvgPool{Kernel: []int{2}, Stride: []int{1}},
		Func(autograd.Sigmoid), Flatten{}, NewLinear(rng, 20, 7), ReLU{}, NewLayerNorm(7), GELU{}, LeakyReLU{Slope: .1},
		Dropout{P: .1}, Identity{}, Sigmoid{}, NewLinear(rng, 7, 4))
	stir(rng, m)
	return m
}

// apart applies the layers of a Sequential one by one, so that nothing is merged.
func apart(m *Sequential, x autograd.Var) autograd.Var {
	for _, l := range m.Layers {
		x = l.Forward(x)
	}
	return x
}

// Merging layers changes neither results nor gradients.
func TestFusionChangesNothing(t *testing.T) {
	rng := newRand(t)
	m := everything(rng)
	x := randn(rng, 3, 3, 12, 12)
	labels := []int{0, 3, 1}
	for _, mode := range []autograd.Mode{autograd.Training, autograd.Eval, autograd.Inference} {
		a, b := Clone(m), Clone(m)
		ta, tb := autograd.NewTape(mode, 1), autograd.NewTape(mode, 1)
		xa, xb := ta.Watch(x), tb.Watch(x)
		ya, yb := a.Forward(xa), apart(b, xb)
		close(t, mode.String()+": result", ya.Data(), yb.Data(), 1e-6)
		if mode == autograd.Inference {
			continue
		}
		ga, gb := ta.Gradients(CrossEntropy(ya, labels)), tb.Gradients(CrossEntropy(yb, labels))
		close(t, mode.String()+": gradient to the input", ga.Of(xa).Data(), gb.Of(xb).Data(), 1e-4)
		pb := Params(b)
		for i, p := range Params(a) {
			close(t, mode.String()+": gradient to a parameter", ga.Of(p).Data(), gb.Of(pb[i]).Data(), 1e-4)
		}
		equalState(t, a, b)
	}
}

// In Inference mode, where memory is freed and batches are cut, a foreign layer may
// keep what it was given, and normalisation by the batch sees all of it.
func TestInferenceSparesForeignLayersAndBatches(t *testing.T) {
	rng := newRand(t)
	var kept, made autograd.Var
	keep := Func(func(x autograd.Var) autograd.Var {
		kept, made = x, autograd.Scale(x, 2)
		return made
	})
	first := NewLinear(rng, 4, 5)
	m := NewSequential(first, keep, NewLinear(rng, 5, 3), Tanh{})
	x := randn(rng, 12, 4)
	tape := autograd.NewTape(autograd.Inference, 0)
	m.Forward(tape.Input(x))
	close(t, "what a foreign layer made", made.Data(), autograd.Scale(kept, 2).Data(), 1e-6)
	close(t, "what a foreign layer kept", kept.Data(), first.Forward(tape.Input(x)).Data(), 1e-6)

	b := NewBatchNorm(3)
	b.Statistics = Batch
	m = NewSequential(NewConv2D(rng, 2, 3, 3, ConvOptions{}), ReLU{}, b, Flatten{})
	images := tape.Input(randn(rng, 12, 2, 5, 5))
	close(t, "batch statistics", m.Forward(images).Data(), apart(m, images).Data(), 1e-5)
}

// close fails the test if a and b differ by more than tol of the largest entry.
func close(t *testing.T, what string, a, b []float32, tol float64) {
	t.Helper()
	var diff, largest float64
	for i := range b {
		diff = max(diff, math.Abs(float64(a[i])-float64(b[i])))
		largest = max(largest, math.Abs(float64(b[i])))
	}
	if !(diff <= tol*largest) {
		t.Errorf("%s: difference %g, largest entry %g", what, diff, largest)
	}
}

func TestGradCheckOfNetworks(t *testing.T) {
	// A network drawn at random is, once in a thousand, too curved for differences.
	rng := rand.New(rand.NewPCG(7, 7))
	smooth := func() *Sequential { // no kinks, so that differences are trustworthy
		m := NewSequential(
			NewConv2D(rng, 2, 4, 3, ConvOptions{Padding: 1}), NewBatchNorm(4), Tanh{}, AvgPool{Kernel: []int{2}},
			// no bias: batch statistics nearly cancel its gradient, and what is left is rounding
			NewConvTranspose2D(rng, 4, 3, 4, ConvOptions{Stride: 2, Padding: 1, NoBias: true}), Sigmoid{}, NewBatchNorm(3),
			Flatten{}, NewLinear(rng, 3*64, 6), NewLayerNorm(6), GELU{}, Dropout{P: .2}, NewLinear(rng, 6, 3))
		stir(rng, m)
		return m
	}
	for _, mode := range []autograd.Mode{autograd.Training, autograd.Eval} {
		m := smooth()
		SetStatistics(m.Layers[1], Frozen)
		m.Layers[6].(*BatchNorm).Statistics = Batch
		err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return m.Forward(x[0]) },
			autograd.Check{Mode: mode, Tol: 5e-3, Params: Params(m), Entries: 12}, randn(rng, 2, 2, 8, 8))
		if err != nil {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestLossesAgreeWithDefinitions(t *testing.T) {
	tape := autograd.NewTape(autograd.Eval, 0)
	z := tape.Watch(tensor.FromSlice([]float32{1, 4, 2, 3, 0, -1}, 2, 3))
	q := tape.Input(tensor.FromSlice([]float32{.5, .5, 0, 0, 0, 1}, 2, 3))
	for _, c := range []struct {
		name string
		got  autograd.Var
		want float64
	}{
		{"margin", Margin(z, []int{1, 2}, 0), (2 + 0) / 2.},
		{"margin with confidence", Margin(z, []int{1, 2}, 5), (2 - 4) / 2.},
		{"targeted margin", TargetedMargin(z, []int{1, 2}, 1), (-1 + 4) / 2.},
		{"hinge", Hinge(z, []int{1, 2}, 3), (1 + 7) / 2.},
		{"cosine", Cosine(z, z), 0},
		{"kl", KL(z, q), func() float64 {
			lse := func(a ...float64) float64 {
				s := 0.0
				for _, v := range a {
					s += math.Exp(v)
				}
				return math.Log(s)
			}
			return (math.Log(.5) - (.5*1 + .5*4 - lse(1, 4, 2)) + 0 - (-1 - lse(3, 0, -1))) / 2
		}()},
	} {
		if got := c.got.Scalar(); !(math.Abs(got-c.want) <= 1e-5) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if a := Accuracy(z.Value(), []int{1, 2}); a != .5 {
		t.Errorf("accuracy %v", a)
	}
}

func TestLabelsOutOfRange(t *testing.T) {
	for _, labels := range [][]int{{0, 3}, {-1, 0}, {0}, {}} {
		err := tensor.Try(func() error {
			tape := autograd.NewTape(autograd.Eval, 0)
			CrossEntropy(tape.Input(tensor.New(2, 3)), labels)
			return nil
		})
		var e *tensor.Error
		if !errors.As(err, &e) {
			t.Errorf("labels %v: error %v", labels, err)
		}
	}
}

func TestStatistics(t *testing.T) {
	rng := newRand(t)
	x := randn(rng, 4, 2, 3, 3)
	for _, c := range []struct {
		s                    Statistics
		mode                 autograd.Mode
		usesBatch, movesMean bool
	}{
		{Running, autograd.Training, true, true},
		{Running, autograd.Eval, false, false},
		{Running, autograd.Inference, false, false},
		{Frozen, autograd.Training, false, false},
		{Batch, autograd.Training, true, true},
		{Batch, autograd.Eval, true, false},
		{Batch, autograd.Inference, true, false},
	} {
		b := NewBatchNorm(2)
		b.RunningMean.Fill(5)
		m := NewSequential(b)
		SetStatistics(m, c.s)
		y := m.Forward(autograd.NewTape(c.mode, 0).Input(x))
		mean := autograd.Mean(y).Scalar()
		if used := math.Abs(mean) < 1e-3; used != c.usesBatch {
			t.Errorf("statistics %d, mode %v: mean of the result %v", c.s, c.mode, mean)
		}
		if moved := b.RunningMean.Data()[0] != 5; moved != c.movesMean || moved != (*b.Batches == 1) {
			t.Errorf("statistics %d, mode %v: running mean %v after %v batches", c.s, c.mode, b.RunningMean.Data(), *b.Batches)
		}
	}
}

// With batch statistics and one image, batch normalisation normalises over its
// positions.
func TestBatchStatisticsOfOneImage(t *testing.T) {
	rng := newRand(t)
	b := NewBatchNorm(2)
	b.Statistics = Batch
	x := randn(rng, 1, 2, 3, 3)
	y := b.Forward(autograd.NewTape(autograd.Inference, 0).Input(x)).Data()
	for c := range 2 {
		plane := x.Data()[9*c : 9*c+9]
		var mean, sq float64
		for _, v := range plane {
			mean += float64(v) / 9
		}
		for _, v := range plane {
			sq += (float64(v) - mean) * (float64(v) - mean) / 9
		}
		for i, v := range plane {
			if want := (float64(v) - mean) / math.Sqrt(sq+1e-5); !(math.Abs(want-float64(y[9*c+i])) <= 1e-5) {
				t.Fatalf("channel %d: %v, want %v", c, y[9*c+i], want)
			}
		}
	}
}

func TestInitialisers(t *testing.T) {
	rng := newRand(t)
	p := newParam(64, 32, 3, 3)                                               // fan-in 288, fan-out 576
	for _, c := range [][2]float64{{1, 1}, {2, 1}, {5, 9}, {math.NaN(), 1}} { // would never end
		if err := tensor.Try(func() error { TruncatedNormal(rng, p, 0, 1, c[0], c[1]); return nil }); err == nil {
			t.Errorf("drew from N(0, 1) within [%g, %g]", c[0], c[1])
		}
	}
	for _, c := range []struct {
		name     string
		f        func()
		std      float64
		lo, hi   float64
		mean     float64
		tolerant float64
	}{
		{"kaiming normal", func() { KaimingNormal(rng, p) }, math.Sqrt(2. / 288), -1, 1, 0, .05},
		{"kaiming normal out", func() { KaimingNormalOut(rng, p) }, math.Sqrt(2. / 576), -1, 1, 0, .05},
		{"kaiming uniform", func() { KaimingUniform(rng, p) }, math.Sqrt(2. / 288), -math.Sqrt(6. / 288), math.Sqrt(6. / 288), 0, .05},
		{"xavier normal", func() { XavierNormal(rng, p) }, math.Sqrt(2. / 864), -1, 1, 0, .05},
		{"xavier uniform", func() { XavierUniform(rng, p) }, math.Sqrt(2. / 864), -math.Sqrt(6. / 864), math.Sqrt(6. / 864), 0, .05},
		{"truncated normal", func() { TruncatedNormal(rng, p, 0, 1, -2, 2) }, .8796, -2, 2, 0, .05},
		{"normal", func() { Normal(rng, p, 3, 2) }, 2, -20, 20, 3, .05},
		{"uniform", func() { Uniform(rng, p, 1, 3) }, 2 / math.Sqrt(12), 1, 3, 2, .05},
	} {
		c.f()
		var mean, sq float64
		n := float64(p.Len())
		for _, v := range p.Value().Data() {
			if float64(v) < c.lo-1e-6 || float64(v) > c.hi+1e-6 {
				t.Fatalf("%s: %v is outside [%v, %v]", c.name, v, c.lo, c.hi)
			}
			mean += float64(v) / n
		}
		for _, v := range p.Value().Data() {
			sq += (float64(v) - mean) * (float64(v) - mean) / n
		}
		if std := math.Sqrt(sq); !(math.Abs(std/c.std-1) <= c.tolerant) || !(math.Abs(mean-c.mean) <= c.tolerant*c.std) {
			t.Errorf("%s: mean %v and deviation %v, want %v and %v", c.name, mean, std, c.mean, c.std)
		}
	}
}

// Eight goroutines share one network and get what one gets.
func TestGoroutinesShareAModel(t *testing.T) {
	rng := newRand(t)
	m := everything(rng)
	inputs := make([]*tensor.Tensor, 8)
	for i := range inputs {
		inputs[i] = randn(rng, 2, 3, 12, 12)
	}
	work := func(tape *autograd.Tape, infer *autograd.Tape, i int) (logits, gradient []float32) {
		infer.Reset()
		logits = slices.Clone(m.Forward(infer.Input(inputs[i])).Data())
		tape.Reset()
		x := tape.Watch(inputs[i])
		g := tape.Gradients(CrossEntropy(m.Forward(x), []int{0, 1}), x)
		return logits, slices.Clone(g.Of(x).Data())
	}
	alone := make([][2][]float32, 8)
	tape, infer := autograd.NewTape(autograd.Eval, 0), autograd.NewTape(autograd.Inference, 0)
	for i := range alone {
		alone[i][0], alone[i][1] = work(tape, infer, i)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			tape, infer := autograd.NewTape(autograd.Eval, 0), autograd.NewTape(autograd.Inference, 0)
			for round := range 5 {
				i := (w + round) % 8
				logits, gradient := work(tape, infer, i)
				if !reflect.DeepEqual(logits, alone[i][0]) || !reflect.DeepEqual(gradient, alone[i][1]) {
					t.Errorf("goroutine %d differs on input %d", w, i)
				}
			}
		})
	}
	wg.Wait()
}

// A network gives an image the same logits alone and in any batch.
func TestLogitsDoNotDependOnTheBatch(t *testing.T) {
	rng := newRand(t)
	m := everything(rng)
	x := randn(rng, 9, 3, 12, 12)
	tape := autograd.NewTape(autograd.Inference, 0)
	whole := slices.Clone(m.Forward(tape.Input(x)).Data())
	for _, cut := range [][2]int{{0, 1}, {8, 9}, {2, 7}} {
		tape.Reset()
		part := m.Forward(tape.Input(x.Slice(cut[0], cut[1]))).Data()
		if !slices.Equal(part, whole[4*cut[0]:4*cut[1]]) {
			t.Errorf("images %v have other logits alone", cut)
		}
	}
}

// An inference tape needs the memory of a few layers, not of all.
func TestInferenceFreesWhatPassesBetweenLayers(t *testing.T) {
	rng := newRand(t)
	m := NewSequential()
	for range 10 {
		m.Layers = append(m.Layers, NewConv2D(rng, 4, 4, 3, ConvOptions{Padding: 1}), ReLU{}, NewBasicBlock(rng, 4, 4, 1, ZeroPad))
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	x := randn(rng, 2, 4, 16, 16)
	y := m.Forward(tape.Input(x))
	if got, limit := tape.MemoryBytes(), 6*4*x.Len(); got > limit {
		t.Errorf("%d bytes for activations of %d", got, 4*x.Len())
	}
	if y.Data()[0] != y.Data()[0] {
		t.Error("the result is gone")
	}
}

func TestAccuracy(t *testing.T) {
	z := tensor.FromSlice([]float32{1, 3, 3, 2, 2, 1, 0, 0, 5}, 3, 3)
	for _, c := range []struct {
		labels []int
		want   float64
	}{{[]int{1, 0, 2}, 1}, {[]int{2, 1, 2}, 1. / 3}, {[]int{0, 2, 0}, 0}} { // of equal logits the first counts
		if got := Accuracy(z, c.labels); got != c.want {
			t.Errorf("labels %v: %v, want %v", c.labels, got, c.want)
		}
	}
	for _, labels := range [][]int{{}, {1}} {
		if err := tensor.Try(func() error { Accuracy(z, labels); return nil }); err == nil {
			t.Errorf("%d labels for three rows were accepted", len(labels))
		}
	}
}

// Pooling takes its sizes axis by axis, in the order of the shape.
func TestPools(t *testing.T) {
	x := autograd.NewTape(autograd.Inference, 0).Input(tensor.New(1, 1, 2, 6, 13))
	for _, c := range []struct {
		m    Module
		want []int
	}{
		{MaxPool{Kernel: []int{1, 2, 3}}, []int{1, 1, 2, 3, 4}},
		{MaxPool{Kernel: []int{1, 2, 3}, Ceil: true}, []int{1, 1, 2, 3, 5}},
		{MaxPool{Kernel: []int{2}, Stride: []int{1}, Padding: []int{0, 1, 1}}, []int{1, 1, 1, 7, 14}},
		{AvgPool{Kernel: []int{1, 2, 3}}, []int{1, 1, 2, 3, 4}},
		{AvgPool{Kernel: []int{1, 2, 3}, Ceil: true}, []int{1, 1, 2, 3, 5}},
		{AvgPool{Kernel: []int{2}, Stride: []int{1}, Padding: []int{0, 1, 1}}, []int{1, 1, 1, 7, 14}},
	} {
		if got := c.m.Forward(x).Shape(); !slices.Equal(got, c.want) {
			t.Errorf("%T%+v: shape %v, want %v", c.m, c.m, got, c.want)
		}
	}
	ones := autograd.NewTape(autograd.Inference, 0).Input(tensor.FromSlice([]float32{1, 1, 1, 1}, 1, 1, 2, 2))
	for exclude, want := range map[bool]float32{false: 0.25, true: 1} {
		if got := (AvgPool{Kernel: []int{2}, Padding: []int{1}, ExcludePadding: exclude}).Forward(ones).Data()[0]; got != want {
			t.Errorf("mean of a corner with its padding excluded %v: %v, want %v", exclude, got, want)
		}
	}
}

// A convolution takes its sizes axis by axis too.
func TestConvAxes(t *testing.T) {
	x := autograd.NewTape(autograd.Inference, 0).Input(tensor.New(1, 2, 4, 6, 8))
	c := NewConv(nil, 2, 6, ConvAxes{Kernel: []int{1, 3, 3}, Stride: []int{1, 2, 1}, Padding: []int{0, 1, 1}, Groups: 2, NoBias: true})
	if got, want := c.Forward(x).Shape(), []int{1, 6, 4, 3, 8}; !slices.Equal(got, want) {
		t.Errorf("shape %v, want %v", got, want)
	}
	if c.Bias != nil || !slices.Equal(c.Weight.Shape(), []int{6, 1, 1, 3, 3}) {
		t.Errorf("weight %v, bias %v", c.Weight.Shape(), c.Bias)
	}
	if d := NewConv3D(nil, 2, 6, 3, ConvOptions{Stride: 2, Padding: 1}); !slices.Equal(d.Forward(x).Shape(), []int{1, 6, 2, 3, 4}) || d.Bias == nil {
		t.Errorf("shape %v, bias %v", d.Forward(x).Shape(), d.Bias)
	}
	if err := tensor.Try(func() error { NewConv(nil, 3, 4, ConvAxes{Kernel: []int{1}, Groups: 2}); return nil }); err == nil {
		t.Error("2 groups of 3 channels")
	}
}
