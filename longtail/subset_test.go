package longtail

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// labelled returns a data set with the given labels, whose sample i is {i, label}.
func labelled(t testing.TB, labels []int, classes int) data.Dataset {
	t.Helper()
	x := tensor.New(len(labels), 2)
	for i, c := range labels {
		x.Data()[2*i], x.Data()[2*i+1] = float32(i), float32(c)
	}
	d, err := data.NewTensors(x, labels, classes)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// mixed returns n labels for each class, class after class in turn.
func mixed(counts ...int) []int {
	var labels []int
	for k := 0; ; k++ {
		before := len(labels)
		for c, n := range counts {
			if k < n {
				labels = append(labels, c)
			}
		}
		if len(labels) == before {
			return labels
		}
	}
}

func subset(t testing.TB, d data.Dataset, p Profile, o SubsetOptions) *Subset {
	t.Helper()
	s, err := NewSubset(d, p, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

//go:embed testdata/subsets.json
var subsetsJSON []byte

// TestCaoIsNumpys: see testdata/subsets.py.
func TestCaoIsNumpys(t *testing.T) {
	var g struct {
		Labels []int
		Cases  []struct {
			Seed      uint32
			Imbalance float64
			Indices   []int
		}
	}
	if err := json.Unmarshal(subsetsJSON, &g); err != nil {
		t.Fatal(err)
	}
	d := labelled(t, g.Labels, 7)
	digests := map[string]bool{}
	for _, c := range g.Cases {
		s := subset(t, d, Exponential{c.Imbalance}, SubsetOptions{Draw: Cao{c.Seed}})
		if !slices.Equal(s.Indices, c.Indices) {
			t.Errorf("%s: other samples than numpy's", s.Name)
		}
		digests[s.Digest] = true
	}
	if len(digests) != len(g.Cases) {
		t.Error("two subsets share a digest")
	}
}

func TestFirstIsNested(t *testing.T) {
	d := labelled(t, mixed(200, 200, 180, 150, 100), 5)
	var inner []int
	for _, imbalance := range []float64{100, 50, 10, 1.5} {
		s := subset(t, d, Exponential{imbalance}, SubsetOptions{Largest: 150})
		for _, i := range inner {
			if !slices.Contains(s.Indices, i) {
				t.Errorf("%s lacks sample %d of a smaller one", s.Name, i)
			}
		}
		inner = s.Indices
		if !slices.Equal(s.Counts, data.ClassCounts(s.Data)) {
			t.Errorf("%s: counts %v, in the data %v", s.Name, s.Counts, data.ClassCounts(s.Data))
		}
		x := tensor.New(2)
		for k, i := range s.Indices {
			if err := s.Data.Read(k, x); err != nil || x.Data()[0] != float32(i) {
				t.Fatalf("sample %d is %v, want %d: %v", k, x.Data(), i, err)
			}
		}
	}
	s := subset(t, d, Exponential{20}, SubsetOptions{})
	first := map[int]int{}
	for _, i := range s.Indices {
		c := d.Label(i)
		if i != slices.Index(mixed(200, 200, 180, 150, 100), c) && first[c] == 0 {
			t.Errorf("class %d begins at %d", c, i)
		}
		first[c]++
	}
	if s.Name != "exp-20/first" || s.Counts[0] != 200 || s.Counts[4] != 10 {
		t.Errorf("%s: %v", s.Name, s.Counts)
	}
	again := subset(t, d, Exponential{20}, SubsetOptions{})
	other := subset(t, d, Exponential{20}, SubsetOptions{Draw: Cao{}})
	if s.Digest != again.Digest || s.Digest == other.Digest || len(s.Digest) != 32 {
		t.Errorf("digests %q, %q, %q", s.Digest, again.Digest, other.Digest)
	}
	if other.Name != "exp-20/cao-0" || subset(t, d, Exponential{20}, SubsetOptions{Largest: 40}).Name != "exp-20/max-40/first" {
		t.Errorf("name %q", other.Name)
	}
	b, err := json.Marshal(s)
	if err != nil || strings.Contains(string(b), "Indices") || !strings.Contains(string(b), s.Digest) || !strings.Contains(string(b), "exp-20/first") {
		t.Errorf("JSON %s, %v", b, err)
	}
}

func TestHold(t *testing.T) {
	d := labelled(t, mixed(100, 40, 10, 5, 2, 1), 6)
	all := make([]int, d.Len())
	for i := range all {
		all[i] = i
	}
	s, err := SubsetOf(d, "all", all)
	if err != nil {
		t.Fatal(err)
	}
	train, val, err := s.Hold(0.1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(train.Counts, []int{90, 36, 9, 4, 1, 1}) || !slices.Equal(val.Counts, []int{10, 4, 1, 1, 1, 0}) {
		t.Errorf("counts %v and %v", train.Counts, val.Counts)
	}
	both := slices.Sorted(slices.Values(append(slices.Clone(train.Indices), val.Indices...)))
	if !slices.Equal(both, all) {
		t.Error("the parts are not a partition")
	}
	again, _, err := s.Hold(0.1, 3)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := s.Hold(0.1, 4)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != train.Digest || other.Digest == train.Digest || train.Name != "all/hold-0.1-seed-3/train" || val.Name != "all/hold-0.1-seed-3/val" {
		t.Errorf("digests %s, %s, %s, names %s, %s", train.Digest, again.Digest, other.Digest, train.Name, val.Name)
	}
	// The part of a part counts in the whole, and is the same subset by another way.
	part, _, err := train.Hold(0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := SubsetOf(d, "direct", part.Indices)
	if err != nil || direct.Digest != part.Digest {
		t.Errorf("digest %s of a part, %s of its indices, %v", part.Digest, direct.Digest, err)
	}
	// What else the data set holds does not matter, where its samples are in memory.
	x, y, err := data.Load(train.Data, nil)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := data.NewTensors(x, y, 6)
	if err != nil {
		t.Fatal(err)
	}
	for k := range all {
		all[k] = k
	}
	same, err := SubsetOf(alone, "alone", all[:alone.Len()])
	if err != nil || same.Digest != train.Digest {
		t.Errorf("digest %s of the samples alone, %s of the subset, %v", same.Digest, train.Digest, err)
	}
	wrapped, err := SubsetOf(struct{ data.Dataset }{d}, "wrapped", train.Indices)
	if err != nil || wrapped.Digest == train.Digest {
		t.Errorf("digest %s, %v", wrapped.Digest, err)
	}
	panics(t, "fraction", func() { s.Hold(1, 0) })
}

func TestBadSubsets(t *testing.T) {
	d := labelled(t, mixed(10, 3, 10), 3)
	for name, f := range map[string]func() error{
		"class 1 has 3 samples": func() error { _, err := NewSubset(d, Exponential{2}, SubsetOptions{}); return err },
		"at least 1":            func() error { _, err := NewSubset(d, Exponential{0.5}, SubsetOptions{}); return err },
		"no sample 23":          func() error { _, err := SubsetOf(d, "s", []int{1, 23}); return err },
		"occurs twice":          func() error { _, err := SubsetOf(d, "s", []int{1, 0, 1}); return err },
		"class 2 of 3 has no samples": func() error {
			_, err := SubsetOf(d, "s", []int{0, 1})
			return err
		},
		"sample 1 has label 7": func() error { _, err := Counts(wrong{d}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}

// wrong has a label that is out of range.
type wrong struct{ data.Dataset }

func (w wrong) Label(i int) int {
	if i == 1 {
		return 7
	}
	return w.Dataset.Label(i)
}

// panics checks that f panics with a typed error that contains want.
func panics(t *testing.T, want string, f func()) {
	t.Helper()
	err := tensor.Try(func() error { f(); return nil })
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("panic %v, want %q", err, want)
	}
}
