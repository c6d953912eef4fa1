package nn

import (
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// small is a classifier of [N, 2, 8, 8] with two stages.
func small(t *testing.T) *Classifier {
	rng := newRand(t)
	m := &Classifier{
		Backbone: &Backbone{
			Stages: []Stage{
				{Name: "stem", Width: 4, Module: &Sequential{Layers: []Module{NewConv2D(rng, 2, 4, 3, ConvOptions{Padding: 1}), ReLU{}}, Names: []string{"conv1", "relu"}}, Inline: true},
				{Name: "layer1", Width: 6, Module: NewSequential(NewBasicBlock(rng, 4, 6, 2, Projection))},
			},
			Pool: Stage{Name: "avgpool", Width: 6, Module: GlobalAvgPool{}},
		},
		Head: NewLinear(rng, 6, 3), HeadName: "fc",
	}
	stir(rng, m)
	return m
}

func names(m Tree) []string {
	var list []string
	for e := range State(m) {
		list = append(list, e.Name)
	}
	return list
}

func TestClassifierNames(t *testing.T) {
	m := small(t)
	all := names(m)
	for _, want := range []string{"conv1.weight", "layer1.0.conv1.weight", "layer1.0.downsample.1.running_mean", "fc.weight"} {
		if !slices.Contains(all, want) {
			t.Errorf("no %s among %v", want, all)
		}
	}
	if got := names(m.Backbone); !slices.Equal(got, all[:len(all)-2]) {
		t.Errorf("the backbone's names are %v", got)
	}
	c := Clone(m)
	equalState(t, m, c)
	if c.Head.(*Linear) == m.Head.(*Linear) {
		t.Error("the copy has the same head")
	}
	bad := &Sequential{Layers: []Module{ReLU{}}, Names: []string{"a", "b"}}
	if err := tensor.Try(func() error { Params(bad); return nil }); err == nil || !strings.Contains(err.Error(), "2 names for 1") {
		t.Errorf("two names for one layer: %v", err)
	}
}

// TestBackboneViews: every view shows what is inside Forward, to the bit, in every
// mode, and memory freed on the way takes none of it.
func TestBackboneViews(t *testing.T) {
	m := small(t)
	x := randn(newRand(t), 9, 2, 8, 8)
	for _, mode := range []autograd.Mode{autograd.Training, autograd.Eval, autograd.Inference} {
		SetStatistics(m, Running)
		if mode == autograd.Training {
			SetStatistics(m, Frozen) // so that one pass does not change the next
		}
		tape := autograd.NewTape(mode, 0)
		in := tape.Input(x)
		logits := m.Forward(in)
		features := m.Backbone.Forward(in)
		last := m.Backbone.FeatureMap(in)
		maps := m.Backbone.Maps(in, "layer1", "stem", "layer1")
		if !slices.Equal(maps[1].Shape(), []int{9, 4, 8, 8}) || !slices.Equal(last.Shape(), []int{9, 6, 4, 4}) || !slices.Equal(features.Shape(), []int{9, m.Backbone.Width()}) {
			t.Fatalf("%v: shapes %v, %v, %v", mode, maps[1].Shape(), last.Shape(), features.Shape())
		}
		rest := &Backbone{Stages: m.Backbone.Stages[1:], Pool: m.Backbone.Pool}
		for what, got := range map[string]autograd.Var{
			"head of the features":     m.Head.Forward(features),
			"pool of the feature map":  m.Head.Forward(m.Backbone.Pool.Module.Forward(last)),
			"pool of the map":          m.Head.Forward(m.Backbone.Pool.Module.Forward(maps[0])),
			"the map again":            m.Head.Forward(m.Backbone.Pool.Module.Forward(maps[2])),
			"what follows the stem":    m.Head.Forward(rest.Forward(maps[1])),
			"a chain with the network": NewSequential(m, Identity{}).Forward(in),
		} {
			if !slices.Equal(got.Data(), logits.Data()) {
				t.Errorf("%v: %s gives other logits", mode, what)
			}
		}
	}
	if len(m.Backbone.Maps(autograd.NewTape(autograd.Eval, 0).Input(x))) != 0 {
		t.Error("maps of no stage")
	}
	if _, err := m.Backbone.Stage("layer9"); err == nil || !strings.Contains(err.Error(), `"layer9"`) || !strings.Contains(err.Error(), `"layer1"`) {
		t.Errorf("error %v", err)
	}
	if err := tensor.Try(func() error {
		m.Backbone.Maps(autograd.NewTape(autograd.Eval, 0).Input(x), "layer9")
		return nil
	}); err == nil {
		t.Error("a map of no stage")
	}
}

// TestClassifierPromises: a network of layers that treat examples independently does
// so too, and one with batch statistics does not.
func TestClassifierPromises(t *testing.T) {
	m := small(t)
	if promises(m)&PerExample == 0 || promises(m.Backbone)&PerExample == 0 {
		t.Error("a classifier promises nothing")
	}
	SetStatistics(m, Batch)
	if promises(m)&PerExample != 0 || promises(m)&KeepsNothing == 0 {
		t.Errorf("with batch statistics it promises %b", promises(m))
	}
}

// Another head serves other classes.
func TestHeadOfAnyModule(t *testing.T) {
	m := small(t)
	m.Head = NewSequential(NewLinear(nil, 6, 5), Tanh{}, NewLinear(nil, 5, 7))
	y := m.Forward(autograd.NewTape(autograd.Eval, 0).Input(tensor.New(1, 2, 8, 8)))
	if !slices.Equal(y.Shape(), []int{1, 7}) || !slices.Contains(names(m), "fc.2.bias") {
		t.Errorf("shape %v, names %v", y.Shape(), names(m))
	}
}

func TestSelect(t *testing.T) {
	m := small(t)
	named := func(want ...string) []*autograd.Param {
		var list []*autograd.Param
		for e := range State(m) {
			if slices.Contains(want, e.Name) {
				list = append(list, e.Param)
			}
		}
		return list
	}
	for _, c := range []struct {
		patterns, want []string
	}{
		{[]string{"fc.*"}, []string{"fc.weight", "fc.bias"}},
		{[]string{"fc.bias", "fc.*", "conv1.weight"}, []string{"conv1.weight", "fc.weight", "fc.bias"}},
		{[]string{"*.bn[12].bias"}, []string{"layer1.0.bn1.bias", "layer1.0.bn2.bias"}},
		{[]string{"layer1.*.downsample.*"}, []string{"layer1.0.downsample.0.weight", "layer1.0.downsample.1.weight", "layer1.0.downsample.1.bias"}},
	} {
		if got := Select(m, c.patterns...); !slices.Equal(got, named(c.want...)) {
			t.Errorf("%v selects %d parameters, want %v", c.patterns, len(got), c.want)
		}
	}
	if got := Except(m, Select(m, "fc.*")); !slices.Equal(got, Params(m.Backbone)) {
		t.Errorf("%d parameters but for the head, want %d", len(got), len(Params(m.Backbone)))
	}
	for _, bad := range []string{"fc.wieght", "fc.[", "layer1.0.bn1.running_mean"} {
		if err := tensor.Try(func() error { Select(m, "fc.*", bad); return nil }); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

// Derivatives with respect to the sources of a part are those of all of it and no more.
func TestSources(t *testing.T) {
	m := small(t)
	tape := autograd.NewTape(autograd.Training, 0)
	loss := CrossEntropy(m.Forward(tape.Input(randn(newRand(t), 3, 2, 8, 8))), []int{0, 1, 2})
	all, part := tape.Gradients(loss), tape.Gradients(loss, Sources(m.Backbone)...)
	if part.Len() != len(Params(m.Backbone)) {
		t.Errorf("%d derivatives, want %d", part.Len(), len(Params(m.Backbone)))
	}
	for _, p := range Params(m.Backbone) {
		if !slices.Equal(part.Of(p).Data(), all.Of(p).Data()) {
			t.Error("another derivative")
		}
	}
	if got := Sources(m.Backbone, m, m.Head); len(got) != len(Params(m)) {
		t.Errorf("%d sources of trees that overlap, want %d", len(got), len(Params(m)))
	}
}
