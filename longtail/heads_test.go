package longtail

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

func random(seed uint64, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	x.FillNormal(rand.New(rand.NewPCG(seed, 1)), 0, 1)
	return x
}

// forward returns what m makes of x in Inference mode.
func forward(m nn.Module, x *tensor.Tensor) []float32 {
	return slices.Clone(m.Forward(autograd.NewTape(autograd.Inference, 0).Input(x)).Data())
}

// state is a copy of what m holds, by names.
func state(m nn.Tree) map[string][]float32 {
	values := map[string][]float32{}
	for e := range nn.State(m) {
		if e.Counter != nil {
			values[e.Name] = []float32{float32(*e.Counter)}
		} else {
			values[e.Name] = slices.Clone(e.Value().Data())
		}
	}
	return values
}

// cosine is the naive formula.
func cosine(a, b []float32) float64 {
	dot, aa, bb := 0.0, 0.0, 0.0
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return dot / math.Sqrt(aa*bb)
}

func TestCosine(t *testing.T) {
	c := NewCosine(rand.New(rand.NewPCG(1, 1)), 6, 3)
	for r := range 3 {
		if n := kernel.Norm2(c.Weight.Value().Index(r).Data()); !(math.Abs(n-1) < 1e-6) {
			t.Errorf("row of length %v", n)
		}
	}
	c.Weight.Update(func(w []float32) { kernel.Scale(w, w, 3) })
	x := random(2, 4, 6)
	for _, s := range []float64{0, 1, 16} {
		c.Scale = s
		z := forward(c, x)
		for k := range 4 {
			for r := range 3 {
				want := cosine(x.Index(k).Data(), c.Weight.Value().Index(r).Data()) * max(s, 1)
				if got := float64(z[k*3+r]); !(math.Abs(got-want) < 1e-5) {
					t.Errorf("scale %v: logit %v, want %v", s, got, want)
				}
			}
		}
		// PerExample: a row has the same bits alone.
		one := forward(c, tensor.FromSlice(x.Index(2).Data(), 1, 6))
		if !slices.Equal(one, z[6:9]) {
			t.Errorf("alone %v, in a batch %v", one, z[6:9])
		}
	}
	f := func(x ...autograd.Var) autograd.Var { return c.Forward(x[0]) }
	if err := autograd.GradCheck(f, autograd.Check{Params: nn.Params(c)}, x); err != nil {
		t.Error(err)
	}
	if out := forward(NewCosine(nil, 6, 3), x); slices.Max(out) != 0 {
		t.Errorf("zero rows give %v", out)
	}
}

func TestGrow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	old := nn.NewLinear(rng, 5, 3)
	x := random(4, 7, 5)
	means := random(5, 2, 5)
	before := forward(old, x)
	for _, o := range []GrowOptions{{Seed: 1}, {Rows: ZeroRows}, {Rows: ImprintRows, Means: means}} {
		grown := Grow(old, 5, o)
		z := forward(grown, x)
		for k := range 7 {
			if !slices.Equal(z[k*5:k*5+3], before[k*3:k*3+3]) {
				t.Fatalf("%v: logits %v of the old classes, were %v", o.Rows, z[k*5:k*5+3], before[k*3:k*3+3])
			}
		}
		row := grown.Weight.Value().Index(4).Data()
		bias := grown.Bias.Value().Data()[3:]
		switch o.Rows {
		case RandomRows:
			other := Grow(old, 5, GrowOptions{Seed: 2}).Weight.Value().Index(4).Data()
			if slices.Equal(row, other) || row[0] == 0 || bias[0] == 0 {
				t.Errorf("random rows %v and %v", row, other)
			}
			if !slices.Equal(row, Grow(old, 5, o).Weight.Value().Index(4).Data()) {
				t.Error("one seed gives two heads")
			}
		case ZeroRows:
			if slices.Max(row) != 0 || slices.Min(row) != 0 || slices.Max(bias) != 0 {
				t.Errorf("zero rows %v, %v", row, bias)
			}
		case ImprintRows:
			length := 0.0
			for r := range 3 {
				length += kernel.Norm2(old.Weight.Value().Index(r).Data()) / 3
			}
			if !(math.Abs(kernel.Norm2(row)-length) < 1e-5) || !(cosine(row, means.Index(1).Data()) > 1-1e-6) || slices.Max(bias) != 0 {
				t.Errorf("imprinted %v, of length %v, want %v; mean %v, biases %v", row, kernel.Norm2(row), length, means.Index(1).Data(), bias)
			}
		}
	}
	if !slices.Equal(forward(old, x), before) {
		t.Error("growth changed the old head")
	}
	plain := &nn.Linear{Weight: old.Weight}
	if grown := Grow(plain, 4, GrowOptions{}); grown.Bias != nil || len(nn.Params(grown)) != 1 {
		t.Error("a bias came")
	}
	c := NewCosine(rng, 5, 3)
	c.Scale = 9
	before = forward(c, x)
	z := forward(c.Grow(4, GrowOptions{Seed: 1}), x)
	if !slices.Equal(z[4:7], before[3:6]) {
		t.Errorf("cosines %v, were %v", z[4:7], before[3:6])
	}
	panics(t, "from 3 classes to 3", func() { Grow(old, 3, GrowOptions{}) })
	panics(t, "means [2, 5]", func() { Grow(old, 5, GrowOptions{Rows: ImprintRows}) })
	panics(t, "means [1, 5]", func() { c.Grow(4, GrowOptions{Rows: ImprintRows, Means: means}) })
	panics(t, "Growth(3) says nothing", func() { Grow(old, 5, GrowOptions{Rows: 3}) })
	panics(t, "with that alone", func() { Grow(old, 5, GrowOptions{Means: means}) })
}

func TestTauNormalized(t *testing.T) {
	l := nn.NewLinear(rand.New(rand.NewPCG(6, 6)), 5, 3)
	x := random(7, 2, 5)
	if z := forward(TauNormalized(l, 0), x); !slices.Equal(z, forward(&nn.Linear{Weight: l.Weight}, x)) {
		t.Error("tau 0 changes rows")
	}
	for _, tau := range []float64{0.7, 1, 2} {
		n := TauNormalized(l, tau)
		for r := range 3 {
			had, has := l.Weight.Value().Index(r).Data(), n.Weight.Value().Index(r).Data()
			if want := math.Pow(kernel.Norm2(had), 1-tau); !(math.Abs(kernel.Norm2(has)-want) < 1e-5*want) || !(cosine(had, has) > 1-1e-6) {
				t.Errorf("tau %v: length %v, want %v", tau, kernel.Norm2(has), want)
			}
		}
		if n.Bias != nil {
			t.Error("the bias stays")
		}
	}
	panics(t, "tau NaN", func() { TauNormalized(l, math.NaN()) })
}

func TestLWS(t *testing.T) {
	head := nn.NewLinear(rand.New(rand.NewPCG(8, 8)), 5, 3)
	x := random(9, 4, 5)
	l := NewLWS(head, 3)
	want := forward(head, x)
	if !slices.Equal(forward(l, x), want) {
		t.Error("factors of 1 change logits")
	}
	l.Scale.Update(func(f []float32) { f[1] = 3 })
	for k, v := range forward(l, x) {
		w := want[k]
		if k%3 == 1 {
			w *= 3
		}
		if v != w {
			t.Errorf("logit %v, want %v", v, w)
		}
	}
	tape := autograd.NewTape(autograd.Training, 0)
	g := tape.Gradients(nn.CrossEntropy(l.Forward(tape.Input(x)), []int{0, 1, 2, 0}))
	if g.Len() != 1 || g.Of(l.Scale) == nil {
		t.Errorf("%d gradients, want that of the factors alone", g.Len())
	}
	var names []string
	for e := range nn.State(l) {
		names = append(names, e.Name)
	}
	if strings.Join(names, " ") != "head.weight head.bias scale" {
		t.Errorf("names %q", names)
	}
	panics(t, "0 classes", func() { NewLWS(head, 0) })
	one := NewLWS(head, 1)
	panics(t, "scales of 1 classes", func() { forward(one, x) })
}

func TestNCM(t *testing.T) {
	x := tensor.FromSlice([]float32{1, 0, 3, 0, 0, 2, 2, 5}, 4, 2)
	f := &eval.Outputs{Y: x, Labels: []int{0, 0, 1, 1}}
	means, err := ClassMeans(f, 2)
	if err != nil || !slices.Equal(means.Data(), []float32{2, 0, 1, 3.5}) {
		t.Errorf("means %v, %v", means.Data(), err)
	}
	query := tensor.FromSlice([]float32{3, 1}, 1, 2)
	unit := func(x, y float64) [2]float64 { n := math.Hypot(x, y); return [2]float64{x / n, y / n} }
	distance := func(a, b [2]float64) float64 { return -(a[0]-b[0])*(a[0]-b[0]) - (a[1]-b[1])*(a[1]-b[1]) }
	half := func(a, b [2]float64) [2]float64 { return [2]float64{(a[0] + b[0]) / 2, (a[1] + b[1]) / 2} }
	for _, c := range []struct {
		o    NCMOptions
		want []float64
	}{
		{NCMOptions{}, []float64{3 / math.Sqrt(10), (3 + 3.5) / math.Sqrt(10*13.25)}},
		{NCMOptions{Euclidean: true}, []float64{-2, -(4 + 6.25)}},
		{NCMOptions{Center: true, Euclidean: true}, []float64{-2, -(4 + 6.25)}},
		{NCMOptions{Normalize: true, Euclidean: true}, []float64{
			distance(unit(3, 1), [2]float64{1, 0}), distance(unit(3, 1), half([2]float64{0, 1}, unit(2, 5)))}},
		{NCMOptions{Center: true, Normalize: true, Euclidean: true}, []float64{ // the mean is 1.5, 1.75
			distance(unit(1.5, -.75), half(unit(-.5, -1.75), unit(1.5, -1.75))), distance(unit(1.5, -.75), half(unit(-1.5, .25), unit(.5, 3.25)))}},
	} {
		m, err := NewNCM(f, 2, c.o)
		if err != nil {
			t.Fatal(err)
		}
		closeTo(t, "nearest class mean", floats64(forward(m, query)), c.want, 2e-6)
		if len(nn.Params(m)) != 0 {
			t.Error("it has parameters")
		}
	}
	if x.Data()[0] != 1 {
		t.Error("the features changed")
	}
	if _, err := NewNCM(f, 3, NCMOptions{}); err == nil || !strings.Contains(err.Error(), "class 2 of 3 has no samples") {
		t.Errorf("%v", err)
	}
	if _, err := ClassMeans(f, 1); err == nil || !strings.Contains(err.Error(), "label 1, outside") {
		t.Errorf("%v", err)
	}
}

// TestRetrain: only the new head moves, batch statistics included unless they are to
// shift.
func TestRetrain(t *testing.T) {
	x := random(10, 8, 1, 28, 28)
	labels := []int{0, 1, 2, 3, 0, 1, 2, 3}
	for _, shift := range []bool{false, true} {
		net := models.LeNet5(1, 4)
		net.Backbone.Stages = append(net.Backbone.Stages, nn.Stage{Name: "norm", Width: net.Backbone.Stages[len(net.Backbone.Stages)-1].Width, Module: nn.NewBatchNorm(net.Backbone.Stages[len(net.Backbone.Stages)-1].Width)})
		before := state(net)
		params := Retrain(net, nn.NewLinear(rand.New(rand.NewPCG(1, 2)), net.Backbone.Width(), 4), RetrainOptions{ShiftStatistics: shift})
		if len(params) != 2 {
			t.Fatalf("%d parameters", len(params))
		}
		opt := optim.NewSGD(params, optim.SGDOptions{LR: 0.1})
		tape := autograd.NewTape(autograd.Training, 0)
		for range 3 {
			tape.Reset()
			g := tape.Gradients(nn.CrossEntropy(net.Forward(tape.Input(x)), labels))
			if g.Len() != 2 {
				t.Fatalf("%d gradients", g.Len())
			}
			if err := opt.Step(g); err != nil {
				t.Fatal(err)
			}
		}
		for name, v := range state(net) {
			moved := !slices.Equal(v, before[name])
			if want := name == net.HeadName+".weight" || name == net.HeadName+".bias" || shift && strings.HasPrefix(name, "norm.") && (strings.Contains(name, "running") || strings.Contains(name, "num_")); moved != want {
				t.Errorf("shift %v: %s moved: %v", shift, name, moved)
			}
		}
	}
	head := nn.NewLinear(nil, 84, 4)
	if params := Retrain(models.LeNet5(1, 4), NewLWS(head, 4), RetrainOptions{}); len(params) != 1 {
		t.Errorf("%d parameters of a scaled head", len(params))
	}
}
