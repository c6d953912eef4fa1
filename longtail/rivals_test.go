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
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

//go:embed testdata/rivals.json
var rivalsJSON []byte

// A rivalCase is the value of a loss and its derivatives to some inputs.
type rivalCase struct {
	Value float64
	Grads [][]float64
}

type rivalGolden struct {
	Counts     []int
	Y1, Y2     []int
	Z, Experts [][]float32
	BBN, RIDE  map[string]rivalCase
	Bessel     [][4]float64
	ProCo      []struct {
		rivalCase
		Dims                     int
		Tau, Weight              float64
		Labels                   [][]int
		Old, First, Last, Logits []float32
		Mean, Kappa              []float64
	}
	MiSLAS struct {
		X     []float32
		Start [][]float32
		Loss  []float64
		End   [][]float64
	}
}

func rivals(t *testing.T) (g rivalGolden) {
	if err := json.Unmarshal(rivalsJSON, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// check compares a loss and its derivatives to x.
func (c rivalCase) check(t *testing.T, what string, loss autograd.Var, x ...autograd.Var) {
	t.Helper()
	if !(math.Abs(loss.Scalar()-c.Value) <= 3e-6*math.Abs(c.Value)) {
		t.Errorf("%s: %v, want %v", what, loss.Scalar(), c.Value)
	}
	grads := loss.Tape().Gradients(loss)
	for i, x := range x {
		largest := 0.0
		for _, v := range c.Grads[i] {
			largest = max(largest, math.Abs(v))
		}
		closeTo(t, what+", gradient", floats64(grads.Of(x).Data()), c.Grads[i], 5e-6*largest)
	}
}

func watch(tape *autograd.Tape, lists [][]float32, rows int) (vars []autograd.Var) {
	for _, v := range lists {
		vars = append(vars, tape.Watch(tensor.FromSlice(slices.Clone(v), rows, len(v)/rows)))
	}
	return vars
}

// TestRivalsArePyTorchs: see testdata/rivals.py.
func TestRivalsArePyTorchs(t *testing.T) {
	g := rivals(t)
	tape := autograd.NewTape(autograd.Training, 0)
	for name, loss := range map[string]Loss{"cross-entropy": nn.CrossEntropy, "balanced softmax": BalancedSoftmax(g.Counts)} {
		z := watch(tape, g.Z, len(g.Y1))
		g.BBN[name].check(t, "BBN with "+name, BBN(loss, 0.36, z[0], g.Y1, z[1], g.Y2), z...)
	}
	for name, o := range map[string]RIDEOptions{
		"early": {},
		"late":  {Weights: DRW{}.Weights(g.Counts, 160)},
		"options": {
			Weights: EffectiveWeights(g.Counts, 0.99), Diversity: 0.45, Temperature: 1.5, ByClass: 0.2, MaxMargin: 0.3, Scale: 20,
		},
		"independent": {Independent: true},
	} {
		z := watch(tape, g.Experts, len(g.Y1))
		g.RIDE[name].check(t, "RIDE, "+name, RIDE(g.Counts, o)(z, g.Y1), z...)
	}
	for _, c := range g.ProCo {
		rows := func(v []float32) *tensor.Tensor { return tensor.FromSlice(v, len(v)/c.Dims, c.Dims) }
		p := NewProCo(g.Counts, c.Dims, ProCoOptions{Temperature: c.Tau, Weight: c.Weight})
		p.Update(rows(c.Old), c.Labels[0])
		p.Begin(1)
		p.Update(rows(c.First), c.Labels[1])
		in := watch(tape, [][]float32{c.Logits}, len(g.Y1))
		in = append(in, tape.Watch(rows(c.Last)))
		loss := p.Loss(in[0], in[1], g.Y1)
		closeTo(t, "mean features", floats64(p.Mean.Data()), c.Mean, 1e-6)
		for k := range g.Counts {
			length := 0.0
			for _, v := range p.Mean.Index(k).Data() {
				length += float64(v) * float64(v)
			}
			if got := Concentration(math.Sqrt(length), c.Dims); !(math.Abs(got/c.Kappa[k]-1) < 1e-4) {
				t.Errorf("%d dimensions, class %d: concentration %v, want %v", c.Dims, k, got, c.Kappa[k])
			}
		}
		c.check(t, "ProCo", loss, in...)
	}
}

// TestMiSLASPath: 20 steps of the second stage of MiSLAS are PyTorch's.
func TestMiSLASPath(t *testing.T) {
	all := rivals(t)
	g := all.MiSLAS
	linear := &nn.Linear{
		Weight: autograd.NewParam(tensor.FromSlice(slices.Clone(g.Start[0]), 5, 4)),
		Bias:   autograd.NewParam(tensor.FromSlice(slices.Clone(g.Start[1]), 5)),
	}
	net := &nn.Classifier{Backbone: &nn.Backbone{Pool: nn.Stage{Width: 4, Module: nn.NewSequential()}}, Head: linear, HeadName: "fc"}
	head := NewLWS(net.Head, 5)
	nn.SetFrozen(head.Head, false)
	if params := Retrain(net, head, RetrainOptions{ShiftStatistics: true}); len(params) != 3 {
		t.Fatalf("%d parameters", len(params))
	}
	o := optim.SGDOptions{LR: 0.1, Momentum: 0.9, WeightDecay: 2e-4}
	scale := optim.NewSGD([]*autograd.Param{head.Scale}, o)
	o.LR *= 0.2
	opt := optim.Join(scale, optim.NewSGD(nn.Params(head.Head), o))
	loss := LabelAwareSmoothing(all.Counts, 0.4, 0.1)
	schedule := optim.Cosine(0.1, 0, 20)
	tape := autograd.NewTape(autograd.Training, 0)
	var values []float64
	for step := range 20 {
		opt.SetLR(schedule(step))
		v := loss(net.Forward(tape.Input(tensor.FromSlice(g.X, 6, 4))), all.Y1)
		values = append(values, v.Scalar())
		if err := opt.Step(tape.Gradients(v)); err != nil {
			t.Fatal(err)
		}
		tape.Reset()
	}
	closeTo(t, "losses", values, g.Loss, 1e-5)
	for i, p := range []*autograd.Param{linear.Weight, linear.Bias, head.Scale} {
		closeTo(t, "weights", floats64(p.Value().Data()), g.End[i], 1e-5)
	}
}

func TestVonMises(t *testing.T) {
	for _, c := range rivals(t).Bessel {
		nu, x, g, a := c[0], c[1], c[2], c[3]
		gotG, gotA := vonMises(nu, x)
		if !(math.Abs(gotG-g) <= 3e-9*max(1, math.Abs(g))) || !(math.Abs(gotA-a) <= 3e-9*a) {
			t.Errorf("order %v at %v: %.12g and %.12g, want %.12g and %.12g", nu, x, gotG, gotA, g, a)
		}
	}
	// In three dimensions I is a hyperbolic sine.
	for _, x := range []float64{0.5, 2, 30} {
		g, a := vonMises(0.5, x)
		closeTo(t, "three dimensions", []float64{g, a}, []float64{math.Log(math.Sqrt(2/math.Pi) * math.Sinh(x) / x), 1/math.Tanh(x) - 1/x}, 1e-8)
	}
	if g, a := vonMises(63, 1e8); !(math.Abs(g-(1e8-63.5*math.Log(1e8)-math.Log(2*math.Pi)/2)) < 1e-3) || !(math.Abs(a-1) < 1e-6) {
		t.Errorf("order 63 at 1e8: %v, %v", g, a)
	}
}

func TestRivalGradients(t *testing.T) {
	g := rivals(t)
	var z, e []*tensor.Tensor
	for _, v := range g.Z {
		z = append(z, tensor.FromSlice(v, 6, 5))
	}
	err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return BBN(nn.CrossEntropy, 0.36, x[0], g.Y1, x[1], g.Y2) }, autograd.Check{}, z...)
	if err != nil {
		t.Errorf("BBN: %v", err)
	}
	// The derivative is that of the whole, though no gradient flows to the mean.
	for _, v := range g.Experts {
		e = append(e, tensor.FromSlice(v, 6, 5))
	}
	ride := RIDE(g.Counts, RIDEOptions{Weights: DRW{}.Weights(g.Counts, 160)})
	if err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return ride(x, g.Y1) }, autograd.Check{}, e...); err != nil {
		t.Errorf("RIDE: %v", err)
	}
	for _, c := range g.ProCo[:2] {
		p := NewProCo(g.Counts, c.Dims, ProCoOptions{Temperature: c.Tau})
		old := tensor.FromSlice(c.Old, 6, c.Dims)
		p.Update(old, c.Labels[0])
		// A class that was seen once is as concentrated as can be: it makes the steepest
		// logits, and differences of them are rough.
		p.Update(tensor.FromSlice(c.First, 6, c.Dims), c.Labels[1])
		p.Update(tensor.FromSlice(c.Last[:6*c.Dims], 6, c.Dims), g.Y1)
		if err := autograd.GradCheck(func(x ...autograd.Var) autograd.Var { return p.Logits(x[0]) }, autograd.Check{Step: 2e-3, Tol: 3e-3}, old.Clone()); err != nil {
			t.Errorf("ProCo, %d dimensions: %v", c.Dims, err)
		}
	}
}

// TestProCoIsTheExpectation: the logit of a class is the logarithm of the mean of
// exp(<z, v>/tau) over features v of its distribution, here in three dimensions, where
// they can be drawn.
func TestProCoIsTheExpectation(t *testing.T) {
	p := NewProCo([]int{1, 1}, 3, ProCoOptions{Temperature: 0.5})
	p.Update(tensor.FromSlice([]float32{0.6, 0.8, 0, 1, 0, 0}, 2, 3), []int{0, 0}) // length 0.894
	mean := p.Mean.Index(0).Data()
	length := math.Hypot(float64(mean[0]), float64(mean[1]))
	kappa := Concentration(length, 3)
	rng := rand.New(rand.NewPCG(3, 3))
	z := [3]float64{0, 0.6, 0.8}
	sum := 0.0
	const draws = 200_000
	for range draws {
		// The cosine w to the mean direction has density exp(kappa·w), and the rest is even.
		w := 1 + math.Log(rng.Float64()*(1-math.Exp(-2*kappa))+math.Exp(-2*kappa))/kappa
		phi := 2 * math.Pi * rng.Float64()
		side := math.Sqrt(1 - w*w)
		ux, uy := float64(mean[0])/length, float64(mean[1])/length
		v := [3]float64{w*ux - side*math.Cos(phi)*uy, w*uy + side*math.Cos(phi)*ux, side * math.Sin(phi)}
		sum += math.Exp((z[0]*v[0] + z[1]*v[1] + z[2]*v[2]) / 0.5)
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	got := float64(p.Logits(tape.Input(tensor.FromSlice([]float32{0, 0.6, 0.8}, 1, 3))).Data()[0])
	if want := math.Log(sum / draws); !(math.Abs(got-want) < 0.01) {
		t.Errorf("logit %v, the mean of samples gives %v", got, want)
	}
}

func TestRivalProperties(t *testing.T) {
	g := rivals(t)
	tape := autograd.NewTape(autograd.Training, 0)
	z := watch(tape, g.Z, 6)
	// At the ends of cumulative learning one branch is alone.
	for alpha, want := range map[float64]autograd.Var{1: nn.CrossEntropy(z[0], g.Y1), 0: nn.CrossEntropy(z[1], g.Y2)} {
		loss := BBN(nn.CrossEntropy, alpha, z[0], g.Y1, z[1], g.Y2)
		other := z[int(alpha)]
		if loss.Scalar() != want.Scalar() || slices.ContainsFunc(tape.Gradients(loss).Of(other).Data(), func(v float32) bool { return v != 0 }) {
			t.Errorf("BBN with alpha %v: %v, want %v and no gradient to the other branch", alpha, loss.Scalar(), want.Scalar())
		}
	}
	if Cumulative(0, 200) != 1 || Cumulative(200, 200) != 0 || !near(Cumulative(100, 200), 0.75) {
		t.Error("cumulative learning begins or ends elsewhere")
	}
	// Experts that agree are not rewarded, those that differ are.
	e := watch(tape, g.Experts, 6)
	same := []autograd.Var{e[0], e[0], e[0]}
	free, bound := RIDE(g.Counts, RIDEOptions{Independent: true}), RIDE(g.Counts, RIDEOptions{})
	if a, b := free(same, g.Y1).Scalar(), bound(same, g.Y1).Scalar(); !(math.Abs(a-b) < 1e-5*a) {
		t.Errorf("experts that agree: %v, %v without diversity", b, a)
	}
	if a, b := free(e, g.Y1).Scalar(), bound(e, g.Y1).Scalar(); !(b < a-0.1) {
		t.Errorf("experts that differ: %v, %v without diversity", b, a)
	}
	even := Temperatures([]int{7, 7, 7}, 2, 0)
	if !slices.Equal(even, []float32{2, 2, 2}) {
		t.Errorf("temperatures of equal counts: %v", even)
	}
	if list := Temperatures(g.Counts, 0, 0); list[0] != 1 || !slices.IsSortedFunc(list, func(a, b float32) int { return int(math.Copysign(1, float64(b-a))) }) {
		t.Errorf("temperatures %v", list)
	}
}

func TestProCoState(t *testing.T) {
	counts := []int{9, 3, 1}
	p := NewProCo(counts, 2, ProCoOptions{})
	// Before anything was seen: 0.9 long.
	if k := Concentration(float64(p.Mean.Index(1).Data()[1]), 2); !(math.Abs(k-0.9*(2-0.81)/0.19) < 1e-5) {
		t.Errorf("concentration %v", k)
	}
	for length, want := range map[float64]float64{1: 1e5, 1.0000001: 1e5, 0.9999999: 1e5, 0: 0} {
		if k := Concentration(length, 128); k != want {
			t.Errorf("length %v: concentration %v, want %v", length, k, want)
		}
	}
	x := tensor.FromSlice([]float32{1, 0, 0, 1, 0.6, 0.8}, 3, 2)
	p.Update(x, []int{0, 0, 2})
	want := []float32{0.5, 0.5, 0, 0.9, 0.6, 0.8}
	if !slices.Equal(p.Mean.Data(), want) || !slices.Equal(p.Count.Data(), []float32{2, 0, 1}) {
		t.Errorf("means %v of %v", p.Mean.Data(), p.Count.Data())
	}
	p.Begin(0)
	if !slices.Equal(p.Count.Data(), []float32{2, 0, 1}) || p.NextCount.Data()[0] != 2 {
		t.Error("an epoch that has begun begins again")
	}
	p.Begin(1)
	p.Begin(1)
	if !slices.Equal(p.Mean.Data(), want) || slices.Max(p.NextCount.Data()) != 0 || p.NextMean.Data()[0] != 0.9 {
		t.Errorf("epoch 1 begins with %v and %v", p.Mean.Data(), p.NextMean.Data())
	}
	p.Update(x, []int{1, 0, 0})
	p.Begin(2) // what epoch 0 saw is forgotten
	if !slices.Equal(p.Count.Data(), []float32{2, 1, 0}) {
		t.Errorf("counts %v", p.Count.Data())
	}
	// The state makes another one alike.
	q := NewProCo(counts, 2, ProCoOptions{})
	have := map[string]nn.Entry{}
	for e := range nn.State(p) {
		have[e.Name] = e
	}
	for e := range nn.State(q) {
		if e.Counter != nil {
			*e.Counter = *have[e.Name].Counter
		} else {
			copy(e.Value().Data(), have[e.Name].Value().Data())
		}
	}
	tape := autograd.NewTape(autograd.Inference, 0)
	if a, b := p.Logits(tape.Input(x)), q.Logits(tape.Input(x)); !slices.Equal(a.Data(), b.Data()) || len(have) != 5 {
		t.Errorf("%v and %v, %d entries", a.Data(), b.Data(), len(have))
	}
	// What is recorded stays as it was when the distributions change.
	train := autograd.NewTape(autograd.Training, 0)
	f := train.Watch(x)
	y := p.Logits(f)
	before := slices.Clone(train.Gradients(autograd.Sum(y)).Of(f).Data())
	p.Update(x, []int{2, 2, 1})
	if !slices.Equal(before, train.Gradients(autograd.Sum(y)).Of(f).Data()) {
		t.Error("an update changes a gradient of what was computed before it")
	}
	// Where a feature meets its class from the other side, nothing is left of the
	// concentration, and the derivative is finite.
	at := &contrast{kappa: []float64{10}, g: []float64{0}, inverse: 10, nu: 1}
	v := autograd.Apply(at, train.Watch(tensor.FromSlice([]float32{-1}, 1, 1)), train.Input(tensor.FromSlice([]float32{1}, 1)))
	if !(math.Abs(float64(v.Data()[0])+math.Log(2)) < 1e-6) || !near(at.slope[0], 0.125) {
		t.Errorf("log I_1(x)/x at 0: %v, slope %v", v.Data(), at.slope)
	}
}

func TestBadRivals(t *testing.T) {
	counts := []int{5, 2, 1}
	tape := autograd.NewTape(autograd.Training, 0)
	z, w := tape.Input(tensor.New(2, 3)), tape.Input(tensor.New(3, 3))
	y := []int{0, 1}
	for want, f := range map[string]func(){
		"alpha 1.5 is not in [0, 1]": func() { BBN(nn.CrossEntropy, 1.5, z, y, z, y) },
		"batches of one size":        func() { BBN(nn.CrossEntropy, 1, z, y, w, []int{0, 1, 2}) },
		"with 2 and 1 labels":        func() { BBN(nn.CrossEntropy, 1, z, y, z, []int{0}) },
		"epoch 201 of 200":           func() { Cumulative(201, 200) },
		"epoch 0 of 0":               func() { Cumulative(0, 0) },
		"diversity -1":               func() { RIDE(counts, RIDEOptions{Diversity: -1}) },
		"scale -1":                   func() { RIDE(counts, RIDEOptions{Scale: -1}) },
		"independent true":           func() { RIDE(counts, RIDEOptions{Diversity: 0.1, Independent: true}) },
		"gamma 2":                    func() { RIDE(counts, RIDEOptions{ByClass: 2}) },
		"alpha -1":                   func() { RIDE(counts, RIDEOptions{Temperature: -1}) },
		"0 samples of class 1":       func() { RIDE([]int{2, 0}, RIDEOptions{}) },
		"1 experts":                  func() { RIDE(counts, RIDEOptions{})([]autograd.Var{z}, y) },
		"label 7 of row 1":           func() { RIDE(counts, RIDEOptions{})([]autograd.Var{z, z}, []int{0, 7}) },
		"features of 1 dimensions":   func() { NewProCo(counts, 1, ProCoOptions{}) },
		"no classes":                 func() { NewProCo(nil, 8, ProCoOptions{}) },
		"temperature -1":             func() { NewProCo(counts, 8, ProCoOptions{Temperature: -1}) },
		"weight NaN":                 func() { NewProCo(counts, 8, ProCoOptions{Weight: math.NaN()}) },
		"label 3 of row 1":           func() { NewProCo(counts, 3, ProCoOptions{}).Update(tensor.New(2, 3), []int{0, 3}) },
		"1 labels and means":         func() { NewProCo(counts, 3, ProCoOptions{}).Update(tensor.New(2, 3), []int{0}) },
		"features of 4 dimensions":   func() { NewProCo(counts, 4, ProCoOptions{}).Logits(z) },
		"2 labels for views":         func() { NewProCo(counts, 3, ProCoOptions{}).Loss(z, w, y) },
		"epoch -1 after epoch 0":     func() { NewProCo(counts, 3, ProCoOptions{}).Begin(-1) },
	} {
		panics(t, want, f)
	}
}
