package longtail

import (
	"math"
	"slices"
	"testing"

	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

func TestShotRules(t *testing.T) {
	counts := []int{20, 19, 21, 100, 101, 99, 500} // not sorted
	for _, c := range []struct {
		rule              ShotRule
		many, medium, few []int
	}{
		{Shots, []int{4, 6}, []int{0, 2, 3, 5}, []int{1}},
		{ShotsOLTR, []int{3, 4, 6}, []int{2, 5}, []int{0, 1}},
		{ShotsPlaces, []int{4, 6}, []int{2, 3, 5}, []int{0, 1}},
		{ShotRule{Ranks: [2]int{2, 3}}, []int{4, 6}, []int{2, 3, 5}, []int{0, 1}},
	} {
		g := c.rule.Groups(counts)
		if !slices.Equal(g.Many, c.many) || !slices.Equal(g.Medium, c.medium) || !slices.Equal(g.Few, c.few) {
			t.Errorf("%s: %v", c.rule.Name, g)
		}
	}
	exp, err := Exponential{100}.Counts(100, 500)
	if err != nil {
		t.Fatal(err)
	}
	if g := ShotsMiSLASCIFAR.Groups(exp); len(g.Many) != 36 || len(g.Medium) != 35 || len(g.Few) != 29 {
		t.Errorf("MiSLAS: %v", g)
	}
	panics(t, "5 classes", func() { ShotsMiSLASCIFAR.Groups([]int{1, 2, 3, 4, 5}) })
	panics(t, "overlap", func() { ShotRule{ManyFrom: 5, FewTo: 5}.Groups(counts) })
}

func TestMeasure(t *testing.T) {
	// Class 0: 2 of 2 right, 1: 1 of 4, 2: 0 of 1, 3 has no samples.
	o := &eval.Outputs{
		Y: tensor.FromSlice([]float32{
			9, 0, 0, 0, 9, 0, 0, 0,
			0, 9, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0,
			9, 0, 0, 0,
		}, 7, 4),
		Labels: []int{0, 0, 1, 1, 1, 1, 2},
	}
	r := Measure(o, Groups{Rule: Shots, Many: []int{0, 1}, Medium: []int{2, 3}, Few: []int{3}})
	if !near(r.Acc, 3./7) || !near(r.Balanced, 1.25/3) || !near(*r.Many, 1.25/2) || *r.Medium != 0 || r.Few != nil || r.Rule != Shots.Name {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(r.PerClass, []float64{1, 0.25, 0, 0}) || !(math.Abs(r.ECE-4./7) < 1e-2) {
		t.Errorf("%+v", r)
	}
	panics(t, "class 4", func() { Measure(o, Groups{Few: []int{4}}) })
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(b)) }
