package eval

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

//go:embed testdata/metrics.json
var metricsJSON []byte

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestMetricsAreScikitLearns: see testdata/metrics.py.
func TestMetricsAreScikitLearns(t *testing.T) {
	var g struct {
		K                              int
		Labels                         []int
		Logits                         []float32
		Accuracy, Balanced, NLL, Brier float64
		Top                            []float64
		Confusion                      [][]int
		Calibration                    []struct {
			N        int
			ECE, MCE float64
			Bins     []Bin
		}
	}
	if err := json.Unmarshal(metricsJSON, &g); err != nil {
		t.Fatal(err)
	}
	o := &Outputs{Y: tensor.FromSlice(g.Logits, len(g.Labels), g.K), Labels: g.Labels}
	near(t, "accuracy", o.Accuracy(), g.Accuracy)
	near(t, "balanced accuracy", o.BalancedAccuracy(), g.Balanced)
	for i, want := range g.Top {
		near(t, "top k", o.TopK(i+1), want)
	}
	if !slices.EqualFunc(o.Confusion(), g.Confusion, slices.Equal[[]int]) {
		t.Errorf("confusion %v, want %v", o.Confusion(), g.Confusion)
	}
	for c, a := range o.PerClass() {
		sum := 0
		for _, n := range g.Confusion[c] {
			sum += n
		}
		if a.Count != sum || a.Right != g.Confusion[c][c] {
			t.Errorf("class %d: %+v", c, a)
		}
	}
	right := 0
	for k, p := range o.Predictions() {
		if p == g.Labels[k] {
			right++
		}
	}
	near(t, "right predictions", float64(right)/float64(len(g.Labels)), g.Accuracy)
	for _, want := range g.Calibration {
		c := o.Calibration(want.N)
		near(t, "ECE", c.ECE, want.ECE)
		near(t, "MCE", c.MCE, want.MCE)
		near(t, "NLL", c.NLL, g.NLL)
		near(t, "Brier", c.Brier, g.Brier)
		if len(c.Bins) != want.N {
			t.Fatalf("%d bins, want %d", len(c.Bins), want.N)
		}
		for i, b := range c.Bins {
			if b.Count != want.Bins[i].Count || b.Lo != float64(i)/float64(want.N) || b.Hi != float64(i+1)/float64(want.N) {
				t.Errorf("%d bins, bin %d: %+v, want %+v", want.N, i, b, want.Bins[i])
			}
			near(t, "accuracy of a bin", b.Accuracy, want.Bins[i].Accuracy)
			near(t, "confidence of a bin", b.Confidence, want.Bins[i].Confidence)
		}
	}
	if d, c := o.Calibration(0), o.Calibration(15); d.ECE != c.ECE {
		t.Errorf("0 bins give an ECE of %v, 15 of %v", d.ECE, c.ECE)
	}
}

// TestReliability: a confidence on an edge belongs below it. The values were worked out
// by hand.
func TestReliability(t *testing.T) {
	conf := []float64{.95, .9, .85, .6, .55, .3}
	right := []bool{true, true, false, true, false, false}
	for bins, want := range map[int]float64{15: .241667, 5: .191667} {
		if ece, _, _ := Reliability(conf, right, bins); !(math.Abs(ece-want) < 1e-6) {
			t.Errorf("%d bins: ECE %v, want %v", bins, ece, want)
		}
	}
	_, mce, bins := Reliability([]float64{0, .5, .5, 1}, []bool{true, true, false, true}, 2)
	if bins[0].Count != 3 || bins[1].Count != 1 || !(math.Abs(mce-1.0/3) < 1e-12) || !(math.Abs(bins[0].Gap()-1.0/3) < 1e-12) {
		t.Errorf("bins %+v, MCE %v", bins, mce)
	}
	// One that is right as often as it says has no error; one that is always wrong at
	// confidence 1 has all of it.
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 100000
	c, ok := make([]float64, n), make([]bool, n)
	for i := range c {
		c[i] = rng.Float64()
		ok[i] = rng.Float64() < c[i]
	}
	if ece, _, _ := Reliability(c, ok, 15); !(ece < .01) {
		t.Errorf("ECE %v of a calibrated classifier", ece)
	}
	if ece, mce, _ := Reliability([]float64{1, 1}, []bool{false, false}, 15); ece != 1 || mce != 1 {
		t.Errorf("ECE %v and MCE %v of one that is always wrong", ece, mce)
	}
}

// Logits of 1e4 have a softmax too.
func TestCalibrationOfLargeLogits(t *testing.T) {
	o := &Outputs{Y: tensor.FromSlice([]float32{1e4, 0, -1e4, 0}, 2, 2), Labels: []int{0, 0}}
	if c := o.Calibration(10); c.NLL != 5000 || c.Brier != 1 || c.ECE != 0.5 {
		t.Errorf("%+v", c)
	}
}

func TestTies(t *testing.T) {
	nan := float32(math.NaN())
	o := &Outputs{Y: tensor.FromSlice([]float32{1, 1, 1, 1, 1, 1, 0, nan, 2}, 3, 3), Labels: []int{0, 2, 1}}
	for k, want := range []float64{1. / 3, 1. / 3, 2. / 3} {
		near(t, "top k of equal logits", o.TopK(k+1), want)
	}
}

// samples is a data set of n samples with three values, which would be drawn otherwise
// if asked to.
type samples struct{ *data.Tensors }

func (samples) ReadRandom(i int, dst *tensor.Tensor, rng *rand.Rand) error {
	return errors.New("drawn")
}

func newSamples(t *testing.T, n int) samples {
	rng := rand.New(rand.NewPCG(7, 7))
	x, y := tensor.New(n, 3), make([]int, n)
	for i := range x.Data() {
		x.Data()[i] = float32(rng.NormFloat64())
	}
	for i := range y {
		y[i] = i % 4
	}
	d, err := data.NewTensors(x, y, 4)
	if err != nil {
		t.Fatal(err)
	}
	return samples{d}
}

// TestCollect: outputs are the network's, sample by sample, in batches of any size, and
// in the order of the loader.
func TestCollect(t *testing.T) {
	d := newSamples(t, 23)
	rng := rand.New(rand.NewPCG(1, 2))
	net := &nn.Classifier{
		Backbone: &nn.Backbone{Pool: nn.Stage{Name: "fc1", Width: 6, Module: nn.NewSequential(nn.NewLinear(rng, 3, 6), nn.Dropout{P: 0.5}, nn.Tanh{})}},
		Head:     nn.NewLinear(rng, 6, 4), HeadName: "fc2",
	}
	x, labels, err := data.Load(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := net.Forward(autograd.NewTape(autograd.Inference, 0).Input(x)).Value()
	for _, size := range []int{0, 1, 5, 23} {
		o, err := Collect(t.Context(), net, d, Options{BatchSize: size})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(o.Y.Data(), want.Data()) || !slices.Equal(o.Labels, labels) || o.Indices[22] != 22 {
			t.Errorf("batches of %d: other outputs", size)
		}
	}
	features, err := Collect(t.Context(), net.Backbone, d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	logits := features.Through(net.Head)
	if features.Y.Dim(1) != 6 || !slices.Equal(logits.Y.Data(), want.Data()) || !slices.Equal(logits.Labels, labels) {
		t.Error("the head makes other logits of the features")
	}
	l, err := data.NewLoader(d.Tensors, data.LoaderOptions{BatchSize: 4, Shuffle: true, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	o, err := CollectFrom(t.Context(), net, l)
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range o.Indices {
		if !slices.Equal(o.Y.Index(k).Data(), want.Index(i).Data()) || o.Labels[k] != labels[i] {
			t.Errorf("entry %d is not sample %d", k, i)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Collect(cancelled, net, d, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAmong(t *testing.T) {
	o := &Outputs{Y: tensor.FromSlice([]float32{9, 1, 2, 3, 9, 5, 4, 3, 2, 1, 1, 9}, 4, 3), Labels: []int{2, 0, 0, 2}, Indices: []int{5, 6, 7, 8}}
	o.Labels[1] = 1
	part := o.Among([]int{2, 0})
	if !slices.Equal(part.Y.Data(), []float32{2, 9, 2, 4, 9, 1}) || !slices.Equal(part.Labels, []int{0, 1, 0}) || !slices.Equal(part.Indices, []int{5, 7, 8}) {
		t.Errorf("%+v, %v", part, part.Y.Data())
	}
	near(t, "accuracy among two", part.Accuracy(), 2./3)
	near(t, "balanced accuracy of two", o.BalancedAccuracy(1, 2), (1+.5)/2)
}

func TestPanics(t *testing.T) {
	o := func(labels ...int) *Outputs { return &Outputs{Y: tensor.New(1, 3), Labels: labels} }
	views, err := data.NewLoader(newSamples(t, 2).Tensors, data.LoaderOptions{Views: []data.Transform{nil, nil}})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"label":       func() { o(3).Accuracy() },
		"no samples":  func() { o().Accuracy() },
		"lengths":     func() { o(1, 2).Confusion() },
		"k":           func() { o(1).TopK(0) },
		"among":       func() { o(1).Among([]int{1, 1}) },
		"none of":     func() { o(1).Among([]int{3}) },
		"empty class": func() { o(1).BalancedAccuracy(2) },
		"bins":        func() { Reliability([]float64{1}, []bool{true}, -1) },
		"confidence":  func() { Reliability([]float64{1.5}, []bool{true}, 2) },
		"views":       func() { CollectFrom(t.Context(), nn.Identity{}, views) },
		"images": func() {
			Collect(t.Context(), nn.Func(func(x autograd.Var) autograd.Var { return autograd.Sum(x) }), newSamples(t, 2), Options{})
		},
	} {
		if err := tensor.Try(func() error { f(); return nil }); err == nil {
			t.Errorf("%s: no panic", name)
		}
	}
}
