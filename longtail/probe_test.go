package longtail

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
)

// TestProbeToy: one sample of the head with the gradient (6, 0, 0) and one of the tail with
// (0, 2, 1), so that the contributions are (3, 0, 0) and (0, 1, 0.5).
func TestProbeToy(t *testing.T) {
	w := autograd.NewParam(tensor.New(3, 1))
	probe := NewProbe([]*autograd.Param{w}, func(y int) bool { return y == 0 })
	tape := autograd.NewTape(autograd.Training, 0)
	losses := func(rows ...float32) autograd.Var {
		n := len(rows) / 3
		return autograd.Reshape(autograd.MatMul(tape.Input(tensor.FromSlice(rows, n, 3)), tape.Param(w)), n)
	}
	check := func(what string) {
		t.Helper()
		d, ok := probe.Take()
		if !ok || d.HeadSamples != 1 || d.TailSamples != 1 {
			t.Fatalf("%s: %+v", what, d)
		}
		closeTo(t, what, []float64{d.CosHead, d.CosTail, d.Head, d.Tail, d.Overall, d.HeadMean, d.TailMean, d.AngleHead(), d.AngleTail()},
			[]float64{.937043, .349215, 3, 1.118034, 3.201562, 6, 2.236068, math.Acos(.937043), math.Acos(.349215)}, 2e-6)
	}
	probe.Add(losses(6, 0, 0, 0, 2, 1), []int{0, 1})
	check("one batch")
	probe.Add(losses(0, 2, 1), []int{1})
	tape.Reset()
	probe.Add(losses(6, 0, 0), []int{0})
	check("two batches")
	probe.Add(losses(6, 0, 0), []int{0})
	if d, ok := probe.Take(); ok || d.HeadSamples != 1 || d.TailSamples != 0 {
		t.Errorf("of the head alone: %+v, %v", d, ok)
	}
	probe.Add(losses(6, 0, 0, 0, 2, 1), []int{0, 1})
	check("after a step that does not count")
	probe.Add(losses(0, 0, 0, 0, 0, 0), []int{0, 1})
	if d, ok := probe.Take(); !ok || d.CosHead != 0 || d.CosTail != 0 || d.Overall != 0 {
		t.Errorf("without gradients: %+v, %v", d, ok)
	}
	panics(t, "want losses [N] for 3 labels", func() { probe.Add(losses(1, 2, 3, 4, 5, 6), []int{0, 1, 0}) })
	panics(t, "no parameters", func() { NewProbe(nil, nil) })
}

// vector is the gradient of a loss as one vector.
func vector(tape *autograd.Tape, loss autograd.Var, params []*autograd.Param) []float64 {
	var v []float64
	g := tape.Gradients(loss)
	for _, p := range params {
		v = append(v, floats64(g.Of(p).Data())...)
	}
	return v
}

// TestProbeOfANetwork: the contributions add up to the gradient of the mean loss, with
// common batch statistics, for all parameters and for those of a stage.
func TestProbeOfANetwork(t *testing.T) {
	net := models.ResNet20(3, 4)
	x := random(1, 6, 3, 32, 32)
	labels := []int{0, 3, 1, 0, 2, 0}
	tape := autograd.NewTape(autograd.Training, 0)
	ce := autograd.CrossEntropy(net.Forward(tape.Input(x)), labels, autograd.CrossEntropyOptions{Reduction: autograd.ReduceNone})
	for name, params := range map[string][]*autograd.Param{"all": nn.Params(net), "last stage": nn.Select(net, "layer3.*"), "head": nn.Params(net.Head)} {
		probe := NewProbe(params, func(y int) bool { return y < 2 })
		probe.Add(ce, labels)
		overall := vector(tape, autograd.Mean(ce), params)
		norm := func(v []float64) float64 { return math.Sqrt(inner(v, v)) }
		diff := slices.Clone(overall)
		at := 0
		for i := range params {
			for j := range probe.head.sums[i] {
				diff[at] -= (float64(probe.head.sums[i][j]) + float64(probe.tail.sums[i][j])) / 6
				at++
			}
		}
		if e := norm(diff) / norm(overall); !(e < 5e-6) {
			t.Errorf("%s: the sum of both parts differs from the gradient by %v of its length", name, e)
		}
		d, ok := probe.Take()
		if !ok || d.HeadSamples != 4 || d.TailSamples != 2 {
			t.Fatalf("%s: %+v", name, d)
		}
		head := vector(tape, autograd.Mean(autograd.GatherCopy(ce, []int{0, 2, 3, 5})), params)
		tail := vector(tape, autograd.Mean(autograd.GatherCopy(ce, []int{1, 4})), params)
		closeTo(t, name, []float64{d.CosHead, d.CosTail, d.Overall, d.HeadMean, d.TailMean, d.Head, d.Tail},
			[]float64{
				inner(head, overall) / norm(head) / norm(overall), inner(tail, overall) / norm(tail) / norm(overall), norm(overall),
				norm(head), norm(tail), norm(head) * 4 / 6, norm(tail) * 2 / 6,
			}, 1e-5*norm(tail))
	}
}

func TestProbeMeasures(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	net := nn.NewSequential(nn.NewLinear(rng, 4, 6), nn.NewBatchNorm(6), nn.ReLU{}, nn.NewLinear(rng, 6, 3))
	x := random(2, 20, 4)
	labels := mixed(12, 5, 3)
	d, err := data.NewTensors(x, labels, 3)
	if err != nil {
		t.Fatal(err)
	}
	before := state(net)
	probe := NewProbe(nn.Params(net), func(y int) bool { return y == 0 })
	got, ok, err := probe.Measure(t.Context(), net, d, ProbeOptions{})
	if err != nil || !ok || got.HeadSamples != 12 || got.TailSamples != 8 {
		t.Fatalf("%+v, %v, %v", got, ok, err)
	}
	for name, v := range state(net) {
		if !slices.Equal(v, before[name]) {
			t.Errorf("%s changed", name)
		}
	}
	// The same by hand, with the statistics of the whole batch.
	tape := autograd.NewTape(autograd.Training, 0)
	ce := autograd.CrossEntropy(nn.Clone(net).Forward(tape.Input(x)), labels, autograd.CrossEntropyOptions{})
	if n := tape.Gradients(ce).Norm(); !(math.Abs(n-got.Overall) < 1e-5*n) {
		t.Errorf("norm %v, want %v", got.Overall, n)
	}
	parts, ok, err := probe.Measure(t.Context(), net, d, ProbeOptions{BatchSize: 10})
	if err != nil || !ok || parts.HeadSamples != 12 || parts.Overall == got.Overall {
		t.Errorf("%+v, %v, %v", parts, ok, err)
	}
	twice, _, err := probe.Measure(t.Context(), net, d, ProbeOptions{Losses: func(z autograd.Var, y []int) autograd.Var {
		return autograd.Scale(autograd.CrossEntropy(z, y, autograd.CrossEntropyOptions{Reduction: autograd.ReduceNone}), 2)
	}})
	if err != nil || !(math.Abs(twice.Overall-2*got.Overall) < 1e-5*got.Overall) {
		t.Errorf("%+v, %v", twice, err)
	}
	large, _, err := probe.Measure(t.Context(), net, d, ProbeOptions{Transform: moved{}})
	if err != nil {
		t.Fatal(err)
	}
	y := x.Clone()
	for i, v := range y.Data() {
		y.Data()[i] = v*v + 1
	}
	if d, err = data.NewTensors(y, labels, 3); err != nil {
		t.Fatal(err)
	}
	if want, _, err := probe.Measure(t.Context(), net, d, ProbeOptions{}); err != nil || large != want || large.Overall == got.Overall {
		t.Errorf("transformed: %+v, want %+v, %v", large, want, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := probe.Measure(cancelled, net, d, ProbeOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// moved squares its numbers and adds 1.
type moved struct{}

func (moved) Shape(in []int) []int { return in }

func (moved) Apply(dst, src *tensor.Tensor, _ *rand.Rand) {
	for i, v := range src.Data() {
		dst.Data()[i] = v*v + 1
	}
}

func TestProbeSamples(t *testing.T) {
	d := labelled(t, mixed(500, 200, 73, 20, 5), 5)
	list, err := ProbeSamples(d, 100, 1)
	if err != nil || len(list) != 100 || !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != 100 {
		t.Fatalf("%v, %v", list, err)
	}
	// 62.66, 25.06, 9.15, 2.51, 0.63: two are left over for the largest remainders.
	if got := data.ClassCounts(data.Subset(d, list)); !slices.Equal(got, []int{63, 25, 9, 2, 1}) {
		t.Errorf("counts %v", got)
	}
	again, _ := ProbeSamples(d, 100, 1)
	other, _ := ProbeSamples(d, 100, 2)
	if !slices.Equal(list, again) || slices.Equal(list, other) {
		t.Error("the seed does not decide")
	}
	if all, err := ProbeSamples(d, 0, 1); err != nil || len(all) != 798 {
		t.Errorf("%d of 798 samples, %v", len(all), err)
	}
	if _, err := ProbeSamples(labelled(t, nil, 2), 0, 0); !errors.Is(err, data.ErrEmpty) {
		t.Errorf("%v", err)
	}
	panics(t, "-1 samples", func() { ProbeSamples(d, -1, 0) })
}

func TestDistortionStats(t *testing.T) {
	var s Distortions
	s.Add(Distortion{CosHead: 1, CosTail: 0.5, Head: 3, Tail: 1, Overall: 4, HeadMean: 5, TailMean: 2}, true)
	s.Add(Distortion{}, false)
	s.Add(Distortion{CosHead: 0, CosTail: 0.5, Head: 1, Tail: 1, Overall: 2, HeadMean: 1, TailMean: 6}, true)
	got := s.Stats()
	third := math.Acos(0.5)
	want := DistortionStats{
		2, 1, Moments{0.5, 0.5}, Moments{0.5, 0}, Moments{math.Pi / 4, math.Pi / 4}, Moments{third, 0},
		Moments{2, 1}, Moments{1, 0}, Moments{3, 1}, Moments{3, 2}, Moments{4, 2},
	}
	if got.Steps != want.Steps || got.Skipped != want.Skipped {
		t.Errorf("%+v", got)
	}
	for i, m := range []([2]Moments){
		{got.CosHead, want.CosHead}, {got.CosTail, want.CosTail}, {got.AngleHead, want.AngleHead}, {got.AngleTail, want.AngleTail}, {got.Head, want.Head},
		{got.Tail, want.Tail}, {got.Overall, want.Overall}, {got.HeadMean, want.HeadMean}, {got.TailMean, want.TailMean},
	} {
		closeTo(t, "moments", []float64{float64(i), m[0].Mean, m[0].Std}, []float64{float64(i), m[1].Mean, m[1].Std}, 1e-12)
	}
	if empty := (&Distortions{}).Stats(); empty.Steps != 0 || empty.CosHead.Mean != 0 {
		t.Errorf("%+v", empty)
	}
}
