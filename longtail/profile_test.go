package longtail

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestExponential: the counts that the programs of CIFAR-LT print.
func TestExponential(t *testing.T) {
	for _, c := range []struct {
		classes, largest int
		imbalance        float64
		total            int
		groups           [3]int
		first, last      []int
	}{
		{10, 5000, 10, 20431, [3]int{10, 0, 0}, []int{5000, 3871, 2997, 2320, 1796}, []int{1391, 1077, 834, 645, 500}},
		{10, 5000, 50, 13996, [3]int{9, 1, 0}, []int{5000, 3237, 2096, 1357, 878}, []int{568, 368, 238, 154, 100}},
		{10, 5000, 100, 12406, [3]int{8, 2, 0}, []int{5000, 2997, 1796, 1077, 645}, []int{387, 232, 139, 83, 50}},
		{10, 5000, 200, 11203, [3]int{7, 3, 0}, []int{5000, 2775, 1540, 854, 474}, []int{263, 146, 81, 45, 25}},
		{100, 500, 10, 19573, [3]int{69, 31, 0}, []int{500, 488, 477, 466, 455}, []int{54, 53, 52, 51, 50}},
		{100, 500, 50, 12608, [3]int{41, 41, 18}, []int{500, 480, 462, 444, 426}, []int{11, 11, 10, 10, 10}},
		{100, 500, 100, 10847, [3]int{35, 35, 30}, []int{500, 477, 455, 434, 415}, []int{6, 5, 5, 5, 5}},
		{100, 500, 200, 9502, [3]int{30, 31, 39}, []int{500, 473, 449, 425, 403}, []int{3, 2, 2, 2, 2}},
	} {
		p := Exponential{c.imbalance}
		counts, err := p.Counts(c.classes, c.largest)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, n := range counts {
			total += n
		}
		if total != c.total || !slices.Equal(counts[:5], c.first) || !slices.Equal(counts[c.classes-5:], c.last) {
			t.Errorf("%v of %d classes: %d in all, %v; want %d, %v ... %v", p, c.classes, total, counts, c.total, c.first, c.last)
		}
		g := Shots.Groups(counts)
		if got := [3]int{len(g.Many), len(g.Medium), len(g.Few)}; got != c.groups {
			t.Errorf("%v of %d classes: groups of %v, want %v", p, c.classes, got, c.groups)
		}
		if got := Imbalance(counts); math.Abs(got-float64(c.largest)/float64(c.last[4])) > 1e-12 {
			t.Errorf("imbalance %v", got)
		}
	}
}

func TestStepAndPareto(t *testing.T) {
	counts, err := Step{Imbalance: 100}.Counts(10, 5000)
	if err != nil || !slices.Equal(counts, []int{5000, 5000, 5000, 5000, 5000, 50, 50, 50, 50, 50}) {
		t.Errorf("%v, %v", counts, err)
	}
	counts, err = Step{Imbalance: 3, Head: 0.3}.Counts(10, 10)
	if err != nil || !slices.Equal(counts, []int{10, 10, 10, 3, 3, 3, 3, 3, 3, 3}) {
		t.Errorf("%v, %v", counts, err)
	}
	// In float64 49·(1/49) is below 1.
	for _, p := range []Profile{Step{Imbalance: 49}, Exponential{49}} {
		if counts, err := p.Counts(2, 49); err != nil || !slices.Equal(counts, []int{49, 1}) {
			t.Errorf("%v: %v, %v", p, counts, err)
		}
	}
	counts, err = Pareto{}.Counts(1000, 1280)
	if err != nil || counts[0] != 1280 || counts[999] != 5 || !slices.IsSortedFunc(counts, func(a, b int) int { return b - a }) {
		t.Errorf("%v, %v", counts, err)
	}
	sum := 0
	for _, n := range counts {
		sum += n
	}
	if sum != 99952 { // worked out with numpy
		t.Errorf("%d samples", sum)
	}
	if names := []string{Step{Imbalance: 50}.String(), Step{Imbalance: 50, Head: 0.3}.String(), Pareto{}.String(), Exponential{100}.String()}; !slices.Equal(names, []string{"step-50", "step-50-head-0.3", "pareto-6-min-5", "exp-100"}) {
		t.Errorf("names %v", names)
	}
}

func TestImpossibleProfiles(t *testing.T) {
	for _, c := range []struct {
		p                Profile
		classes, largest int
		want             string
	}{
		{Exponential{0.5}, 10, 100, "at least 1"},
		{Exponential{}, 10, 100, "at least 1"},
		{Exponential{math.NaN()}, 10, 100, "at least 1"},
		{Exponential{math.Inf(1)}, 10, 100, "at least 1"},
		{Exponential{200}, 10, 100, "class 8 of 10 without samples"},
		{Exponential{10}, 0, 100, "0 classes"},
		{Exponential{10}, 10, 0, "of 0 samples"},
		{Step{Imbalance: 0.9}, 10, 100, "at least 1"},
		{Step{Imbalance: 10, Head: 1}, 10, 100, "10 of 10 classes large"},
		{Step{Imbalance: 10, Head: -0.5}, 10, 100, "classes large"},
		{Step{Imbalance: 10}, 1, 100, "0 of 1 classes large"},
		{Pareto{Alpha: -1}, 10, 100, "Alpha"},
		{Pareto{Smallest: 101}, 10, 100, "Smallest"},
	} {
		if counts, err := c.p.Counts(c.classes, c.largest); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%#v of %d classes: %v, %v; want %q", c.p, c.classes, counts, err, c.want)
		}
	}
	if counts, err := (Exponential{1}).Counts(1, 3); err != nil || !slices.Equal(counts, []int{3}) {
		t.Errorf("one class: %v, %v", counts, err)
	}
}
