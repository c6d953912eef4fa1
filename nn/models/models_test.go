package models

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

func TestVGGRefusesSizes(t *testing.T) {
	for _, size := range []int{0, 16, 48, -32} {
		if err := tensor.Try(func() error { VGG11(1, size, 10); return nil }); err == nil {
			t.Errorf("built for images of size %d", size)
		}
	}
}

var slow = flag.Bool("slow", false, "run passes of the largest networks, and carry their weights to PyTorch and back")

// large reports whether a pass takes longer than there is time for: seconds without
// -slow, less with -short.
func large(s Spec) bool {
	return !*slow && s.MultiplyAdds > 2e10 || testing.Short() && (s.MultiplyAdds > 1e9 || s.Params > 4e7)
}

// TestBackbones: every classifier shows its stages, with the widths it names.
func TestBackbones(t *testing.T) {
	for _, s := range All {
		if large(s) {
			continue
		}
		c, err := s.Classifier(1, 7)
		if s.Classes == 0 {
			if err == nil {
				t.Errorf("%s is said to be a classifier", s.Name)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		b := c.Backbone
		var stages []string
		for _, st := range b.Stages {
			stages = append(stages, st.Name)
		}
		tape := autograd.NewTape(autograd.Inference, 0)
		x := tape.Input(tensor.New(append([]int{1}, s.Input...)...))
		for i, m := range b.Maps(x, stages...) {
			channels := 1
			if m.Rank() == 5 && m.Dim(1) == s.Input[1] && strings.Contains(s.Name, "tsn") { // frames first
				channels = 2
			}
			if m.Dim(channels) != b.Stages[i].Width {
				t.Errorf("%s: %s makes %v, and says %d channels", s.Name, stages[i], m.Shape(), b.Stages[i].Width)
			}
		}
		features := b.Forward(x)
		if got := features.Shape(); len(got) != 2 || got[1] != b.Width() {
			t.Errorf("%s: features %v, and says %d", s.Name, got, b.Width())
		}
		if got := c.Head.Forward(features).Dim(1); got != 7 {
			t.Errorf("%s: %d logits, want 7", s.Name, got)
		}
		if slices.Sort(stages); len(stages) < 2 || len(slices.Compact(stages)) != len(b.Stages) {
			t.Errorf("%s: stages %v", s.Name, stages)
		}
		if s.Params > 1e6 { // a copy of the small ones tells as much
			continue
		}
		copied := nn.Clone(c)
		if nn.Digest(copied) != nn.Digest(c) || copied.Backbone == b {
			t.Errorf("%s: a copy differs, or is none", s.Name)
		}
	}
}

func TestSpecs(t *testing.T) {
	for _, s := range All {
		t.Run(s.Name, func(t *testing.T) {
			m := s.New(1, 0)
			if n := nn.Count(m); n != s.Params {
				t.Errorf("%d parameters, the specification says %d", n, s.Params)
			}
			if large(s) {
				t.Skip("a forward pass on large images: needs -slow")
			}
			tape := autograd.NewTape(autograd.Eval, 0)
			x := tensor.New(append([]int{1}, s.Input...)...)
			y := m.Forward(tape.Input(x))
			want := []int{1, s.Classes}
			if s.Classes == 0 {
				want = append([]int{1}, s.Input...)
			}
			if len(y.Shape()) != len(want) {
				t.Fatalf("result %v, want %v", y.Shape(), want)
			}
			for i, d := range want {
				if y.Shape()[i] != d {
					t.Fatalf("result %v, want %v", y.Shape(), want)
				}
			}
			if n := tape.MultiplyAdds(); n != s.MultiplyAdds {
				t.Errorf("%d multiply-adds, the specification says %d", n, s.MultiplyAdds)
			}
		})
	}
}
