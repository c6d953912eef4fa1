package longtail

import (
	_ "embed"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// closeTo checks that numbers differ by tol at most.
func closeTo(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol) {
			lo, hi := max(i-5, 0), min(i+6, len(want))
			t.Errorf("%s, from %d: %v, want %v", what, lo, got[lo:hi], want[lo:hi])
			return
		}
	}
}

func floats64(v []float32) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = float64(x)
	}
	return w
}

var cifar10 = []int{5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50}

// TestFormulas: numbers worked out from the papers' formulas.
func TestFormulas(t *testing.T) {
	closeTo(t, "margins", Margins(cifar10, 0), []float64{.158114, .179697, .204238, .232091, .263829, .299768, .340675, .387221, .440497, .5}, 1e-6)
	closeTo(t, "weights", floats64(EffectiveWeights(cifar10, 0.9999)), []float64{.050611, .0769, .121134, .195037, .318805, .52459, .868349, 1.442627, 2.409223, 3.992724}, 1e-6)
	closeTo(t, "log priors", floats64(priors("", cifar10, 1).Data()), []float64{-.908742, -1.420568, -1.932618, -2.444001, -2.956685, -3.467511, -3.979198, -4.491462, -5.007095, -5.513913}, 1e-6)
	closeTo(t, "smoothing", floats64(Smoothing(cifar10, 0.3, 0)), []float64{.3, .241412, .157844, .096049, .056308, .032021, .017317, .008472, .003142, 0}, 1e-6)
	counts := []int{100, 10, 1}
	for name, c := range map[string]struct {
		loss Loss
		want []float64
	}{
		"cross-entropy":    {CrossEntropy(nil), []float64{1.464369, .464369, 1.964369}},
		"balanced softmax": {BalancedSoftmax(counts), []float64{.245213, 1.547798, 5.350383}},
		"logit adjustment": {LogitAdjustment(counts, 1.5), []float64{.083022, 2.5369, 7.490778}},
		"focal":            {Focal(2, FocalOptions{}), []float64{.865466, .064078, 1.452022}},
	} {
		tape := autograd.NewTape(autograd.Eval, 0)
		var got []float64
		for y := range 3 {
			got = append(got, c.loss(tape.Input(tensor.FromSlice([]float32{1, 2, .5}, 1, 3)), []int{y}).Scalar())
		}
		closeTo(t, name, got, c.want, 1e-6)
	}
	if w := (DRW{}).Weights(cifar10, 159); w != nil {
		t.Errorf("weights %v before the switch", w)
	}
	if w := (DRW{}).Weights(cifar10, 160); !slices.Equal(w, EffectiveWeights(cifar10, 0.9999)) {
		t.Errorf("weights %v after the switch", w)
	}
	if w := (DRW{Start: 3, Beta: 0.9}).Weights(cifar10, 3); !slices.Equal(w, EffectiveWeights(cifar10, 0.9)) {
		t.Errorf("weights %v after the switch", w)
	}
	closeTo(t, "weights of beta 0", floats64(EffectiveWeights(cifar10, 0)), slices.Repeat([]float64{1}, 10), 0)
}

//go:embed testdata/losses.json
var lossesJSON []byte

type lossGolden struct {
	Counts  []int
	Logits  []float32
	Labels  []int
	Partner []int
	Lambda  float64
	Losses  map[string]struct {
		Value, Mixed    float64
		Grad, MixedGrad []float64
	}
	X     []float32
	Y     []int
	Start [][]float32
	Paths map[string]struct {
		Loss []float64
		End  [][]float64
	}
}

func losses(t *testing.T) (g lossGolden, list map[string]Loss) {
	if err := json.Unmarshal(lossesJSON, &g); err != nil {
		t.Fatal(err)
	}
	w := EffectiveWeights(g.Counts, 0.99)
	fifth := func(l Loss) Loss {
		return func(z autograd.Var, y []int) autograd.Var { return l(autograd.Scale(z, 0.2), y) }
	}
	return g, map[string]Loss{
		"cross-entropy":         CrossEntropy(nil),
		"class-balanced":        CrossEntropy(w),
		"focal 2":               Focal(2, FocalOptions{}),
		"focal 0.5":             Focal(0.5, FocalOptions{}),
		"focal 1, weights":      Focal(1, FocalOptions{Weights: w}),
		"focal 1, weighted p":   Focal(1, FocalOptions{Weights: w, WeightedP: true}),
		"LDAM":                  fifth(LDAM(g.Counts, LDAMOptions{})),
		"LDAM, weights":         fifth(LDAM(g.Counts, LDAMOptions{MaxMargin: 0.3, Scale: 20, Weights: w})),
		"balanced softmax":      BalancedSoftmax(g.Counts),
		"logit adjustment":      LogitAdjustment(g.Counts, 1.5),
		"label-aware smoothing": LabelAwareSmoothing(g.Counts, 0.4, 0.1),
	}
}

// TestLossesArePyTorchs: see testdata/losses.py.
func TestLossesArePyTorchs(t *testing.T) {
	g, list := losses(t)
	if len(list) != len(g.Losses) {
		t.Fatalf("%d losses, %d in the file", len(list), len(g.Losses))
	}
	for name, loss := range list {
		want, ok := g.Losses[name]
		if !ok {
			t.Fatalf("no %q in the file", name)
		}
		tape := autograd.NewTape(autograd.Training, 0)
		z := tape.Watch(tensor.FromSlice(g.Logits, len(g.Labels), len(g.Counts)))
		for _, c := range []struct {
			what  string
			loss  autograd.Var
			value float64
			grad  []float64
		}{
			{name, loss(z, g.Labels), want.Value, want.Grad},
			{name + ", mixed", Mixed(loss, z, data.Pairs{A: g.Labels, B: g.Partner, Lambda: g.Lambda}), want.Mixed, want.MixedGrad},
		} {
			if !(math.Abs(c.loss.Scalar()-c.value) <= 2e-6*math.Abs(c.value)) {
				t.Errorf("%s: %v, want %v", c.what, c.loss.Scalar(), c.value)
			}
			largest := 0.0
			for _, v := range c.grad {
				largest = max(largest, math.Abs(v))
			}
			closeTo(t, "gradient of "+c.what, floats64(tape.Gradients(c.loss).Of(z).Data()), c.grad, 3e-6*largest)
		}
	}
}

func TestLossGradients(t *testing.T) {
	g, list := losses(t)
	for name, loss := range list {
		z := tensor.FromSlice(slices.Clone(g.Logits), len(g.Labels), len(g.Counts))
		if err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return loss(x[0], g.Labels) }, autograd.Check{}, z); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Where the network is sure and right, the factor on the gradient of the cross-entropy u
	// is finite and the formula's: with p = 1-e^{-u} it is p^γ·(1 + γ·(1-p)·u/p).
	tape := autograd.NewTape(autograd.Training, 0)
	for _, u := range []float32{1e-38, 1e-9, 1e-3, 0.5, 5, 100} {
		for _, gamma := range []float64{0, 0.5, 1, 2} {
			x := tape.Watch(tensor.FromSlice([]float32{u}, 1))
			y := autograd.Apply(&focal{gamma, FocalOptions{}, []int{0}}, x)
			p := -math.Expm1(-float64(u))
			want := math.Pow(p, gamma) * (1 + gamma*math.Exp(-float64(u))*float64(u)/p)
			if d := float64(tape.Gradients(y).Of(x).Data()[0]); !(math.Abs(d-want) <= 1e-6*want+1e-37) {
				t.Errorf("cross-entropy %v, gamma %v: derivative %v, want %v", u, gamma, d, want)
			}
		}
	}
	x := tape.Watch(tensor.New(1))
	for gamma, want := range map[float64]float32{0: 1, 0.5: 0, 2: 0} {
		if d := tape.Gradients(autograd.Apply(&focal{gamma, FocalOptions{}, []int{0}}, x)).Of(x).Data()[0]; d != want {
			t.Errorf("cross-entropy 0, gamma %v: derivative %v, want %v", gamma, d, want)
		}
	}
}

// TestReductions: with equal counts the losses for long tails are cross-entropy, or that
// of smoothed labels; LDAM without margins is that of scaled cosines; and balanced softmax
// has the gradient of logit adjustment with tau 1.
func TestReductions(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	z := tensor.New(9, 4)
	z.FillNormal(rng, 0, 2)
	labels := []int{0, 1, 2, 3, 0, 1, 2, 3, 3}
	even, odd := []int{7, 7, 7, 7}, []int{90, 20, 7, 1}
	run := func(l Loss) (float64, []float64) {
		tape := autograd.NewTape(autograd.Training, 0)
		x := tape.Watch(z)
		v := l(x, labels)
		return v.Scalar(), floats64(tape.Gradients(v).Of(x).Data())
	}
	smoothed := func(z autograd.Var, y []int) autograd.Var {
		return autograd.CrossEntropy(z, y, autograd.CrossEntropyOptions{Smoothing: 0.3})
	}
	scaled := func(z autograd.Var, y []int) autograd.Var { return nn.CrossEntropy(autograd.Scale(z, 30), y) }
	for name, c := range map[string]struct {
		a, b  Loss
		value bool
	}{
		"class-balanced":        {CrossEntropy(EffectiveWeights(even, 0.999)), nn.CrossEntropy, true},
		"focal 0":               {Focal(0, FocalOptions{}), nn.CrossEntropy, true},
		"logit adjustment":      {LogitAdjustment(even, 1), nn.CrossEntropy, true},
		"no adjustment":         {LogitAdjustment(odd, 0), nn.CrossEntropy, true},
		"balanced softmax":      {BalancedSoftmax(even), nn.CrossEntropy, true},
		"label-aware smoothing": {LabelAwareSmoothing(even, 0.3, 0.3), smoothed, true},
		"no smoothing":          {LabelAwareSmoothing(odd, 0, 0), nn.CrossEntropy, true},
		"no margin":             {LDAM(odd, LDAMOptions{MaxMargin: 1e-30}), scaled, true},
		"the two adjustments":   {BalancedSoftmax(odd), LogitAdjustment(odd, 1), true},
	} {
		va, ga := run(c.a)
		vb, gb := run(c.b)
		closeTo(t, name, append(ga, va), append(gb, vb), 2e-6*max(1, math.Abs(vb)))
	}
	// Post hoc: what a loss adds in training is taken off at the test.
	tape := autograd.NewTape(autograd.Inference, 0)
	back := PostHoc(odd, 1.5).Forward(autograd.Add(tape.Input(z), tape.Input(priors("", odd, 1.5))))
	closeTo(t, "post hoc", floats64(back.Value().Data()), floats64(z.Data()), 1e-5)
}

// TestPaths: 20 steps of SGD are PyTorch's; see testdata/losses.py.
func TestPaths(t *testing.T) {
	g, _ := losses(t)
	shapes := [][]int{{8, 6}, {8}, {5, 8}, {5}}
	for name, want := range g.Paths {
		params := make([]*autograd.Param, 4)
		for i, v := range g.Start {
			params[i] = autograd.NewParam(tensor.FromSlice(slices.Clone(v), shapes[i]...))
		}
		hidden := &nn.Linear{Weight: params[0], Bias: params[1]}
		net := nn.NewSequential(hidden, nn.Tanh{}, &nn.Linear{Weight: params[2], Bias: params[3]})
		if name == "LDAM-DRW" {
			net = nn.NewSequential(hidden, nn.Tanh{}, &Cosine{Weight: params[2]})
		}
		opt := optim.NewSGD(nn.Params(net), optim.SGDOptions{LR: 0.1, Momentum: 0.9, WeightDecay: 5e-4})
		tape := autograd.NewTape(autograd.Training, 0)
		var values []float64
		for step := range 20 {
			loss := map[string]Loss{
				"cross-entropy":    CrossEntropy(nil),
				"balanced softmax": BalancedSoftmax(g.Counts),
				"LDAM-DRW":         LDAM(g.Counts, LDAMOptions{Weights: DRW{Start: 10}.Weights(g.Counts, step)}),
			}[name]
			tape.Reset()
			v := loss(net.Forward(tape.Input(tensor.FromSlice(g.X, 12, 6))), g.Y)
			values = append(values, v.Scalar())
			if err := opt.Step(tape.Gradients(v)); err != nil {
				t.Fatal(err)
			}
		}
		closeTo(t, name, values, want.Loss, 1e-4)
		for i, p := range params {
			closeTo(t, name+", weights", floats64(p.Value().Data()), want.End[i], 1e-4)
		}
	}
}

func TestBadLosses(t *testing.T) {
	tape := autograd.NewTape(autograd.Training, 0)
	z := tape.Input(tensor.New(2, 3))
	counts := []int{5, 2, 1}
	for want, f := range map[string]func(){
		"0 samples of class 1":     func() { BalancedSoftmax([]int{5, 0, 1}) },
		"no classes":               func() { LDAM(nil, LDAMOptions{}) },
		"beta 1":                   func() { EffectiveWeights(counts, 1) },
		"beta -0.1":                func() { EffectiveWeights(counts, -0.1) },
		"gamma -1":                 func() { Focal(-1, FocalOptions{}) },
		"2 weights":                func() { Focal(1, FocalOptions{Weights: []float32{1, 1}})(z, []int{0, 1}) },
		"scale -1":                 func() { LDAM(counts, LDAMOptions{Scale: -1}) },
		"margin of -1":             func() { LDAM(counts, LDAMOptions{MaxMargin: -1}) },
		"tau NaN":                  func() { LogitAdjustment(counts, math.NaN()) },
		"tau +Inf":                 func() { PostHoc(counts, math.Inf(-1)) },
		"smoothing of 0.1":         func() { LabelAwareSmoothing(counts, 0.1, 0.2) },
		"counts of 2 classes":      func() { BalancedSoftmax([]int{1, 2})(z, []int{0, 1}) },
		"label 3 of row 1":         func() { LDAM(counts, LDAMOptions{})(z, []int{0, 3}) },
		"1 labels and counts of 3": func() { LabelAwareSmoothing(counts, 0.2, 0)(z, []int{0}) },
		"logits for 2 classes":     func() { PostHoc([]int{1, 2}, 1).Forward(z) },
		"autograd.CrossEntropy":    func() { CrossEntropy([]float32{1})(z, []int{0, 1}) },
	} {
		panics(t, want, f)
	}
}
