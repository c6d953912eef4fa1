package longtail

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// bankFeatures are random features of classes with the given counts, in a mixed order, as
// of a part of a larger data set.
func bankFeatures(counts ...int) *eval.Outputs {
	labels := mixed(counts...)
	rng := rand.New(rand.NewPCG(5, 5))
	rng.Shuffle(len(labels), func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
	o := &eval.Outputs{Y: random(3, len(labels), 6), Labels: labels}
	for k := range labels {
		o.Indices = append(o.Indices, 1000+2*k)
	}
	return o
}

// mine is a rule of somebody else's.
type mine []int

func (m mine) Select(*tensor.Tensor, int, uint64) []int { return m }
func (mine) String() string                             { return "mine" }

func TestBank(t *testing.T) {
	counts := []int{40, 30, 20, 7, 3}
	f := bankFeatures(counts...)
	s := split(t, counts, 3)
	b, err := NewBank(f, s, BankOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for rank, list := range b.Classes {
		if len(list) != 7 { // the largest tail class
			t.Errorf("%d samples of rank %d", len(list), rank)
		}
		var rows []int
		for k, r := range f.Labels {
			if r == rank {
				rows = append(rows, k)
			}
		}
		x := tensor.New(len(rows), 6)
		for i, k := range rows {
			x.Index(i).CopyFrom(f.Y.Index(k))
		}
		want := icarl(unitRows(x), 7)
		for i := range want {
			want[i] = 1000 + 2*rows[want[i]]
		}
		if !slices.Equal(list, want) {
			t.Errorf("rank %d: %v, want %v", rank, list, want)
		}
		if raw, err := NewBank(f, s, BankOptions{Raw: true}); err != nil || slices.Equal(raw.Classes[rank], list) {
			t.Errorf("rank %d: raw features give %v, %v", rank, raw, err)
		}
	}
	if b.Len() != 21 || len(b.Indices()) != 21 || b.Rule != "herd" {
		t.Errorf("%+v", b)
	}
	small, err := NewBank(f, s, BankOptions{PerClass: 4})
	if err != nil || !slices.EqualFunc(small.Classes, b.Prefix(4).Classes, slices.Equal[[]int]) {
		t.Errorf("%v, want %v, %v", small, b.Prefix(4), err)
	}
	if total, err := NewBank(f, s, BankOptions{Total: 13}); err != nil || total.Len() != 12 {
		t.Errorf("%d samples of at most 13, %v", total.Len(), err)
	}
	whole, err := NewBank(f, s, BankOptions{PerClass: 35, Whole: true})
	if err != nil || len(whole.Classes[0]) != 35 || len(whole.Classes[1]) != 30 || len(whole.Classes[2]) != 20 {
		t.Errorf("%v, %v", whole, err)
	}
	if long := whole.Prefix(33); len(long.Classes[0]) != 33 || len(long.Classes[2]) != 20 {
		t.Errorf("%v", long)
	}
	one, err := NewBank(f, s, BankOptions{Rule: Random{}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewBank(f, s, BankOptions{Rule: Random{}, Seed: 2})
	if err != nil || slices.Equal(one.Indices(), two.Indices()) {
		t.Errorf("two seeds draw %v, %v", two, err)
	}
	// Classes of one size are drawn apart.
	even := bankFeatures(9, 9, 9, 2, 1)
	even.Labels, even.Indices = slices.Sorted(slices.Values(even.Labels)), nil
	drawn, err := NewBank(even, s, BankOptions{Rule: Random{}, PerClass: 5})
	if err != nil {
		t.Fatal(err)
	}
	for k := range drawn.Classes[1] {
		drawn.Classes[1][k] -= 9
	}
	if slices.Equal(drawn.Classes[0], drawn.Classes[1]) {
		t.Errorf("two classes draw the same places, %v", drawn.Classes[0])
	}
	js, err := json.Marshal(b)
	var back Bank
	if err == nil {
		err = json.Unmarshal(js, &back)
	}
	if err != nil || !slices.Equal(back.Indices(), b.Indices()) || back.Rule != "herd" {
		t.Errorf("%s, %v", js, err)
	}
	f.Indices = nil
	if plain, err := NewBank(f, s, BankOptions{}); err != nil || plain.Classes[1][3] != (b.Classes[1][3]-1000)/2 {
		t.Errorf("%v, %v", plain, err)
	}
	for want, o := range map[string]BankOptions{
		"larger than class 2, which has 20": {PerClass: 21},
		"without samples":                   {Total: 2},
	} {
		if _, err := NewBank(f, s, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	panics(t, "-1 samples", func() { NewBank(f, s, BankOptions{PerClass: -1}) })
	panics(t, "-1 samples", func() { b.Prefix(-1) })
	for want, rows := range map[string][]int{
		"rule mine selects row 1, which": {1, 1},
		"selects row 20, which is none":  {20, 3},
		"selects row -1":                 {-1, 3},
		"selects 1 rows of 40, want 2":   {3},
	} {
		panics(t, want, func() { NewBank(f, s, BankOptions{PerClass: 2, Rule: mine(rows)}) })
	}
	panics(t, "label 4 is not one of 4 ranks", func() { NewBank(f, split(t, []int{4, 3, 2, 1}, 2), BankOptions{}) })
	head := bankFeatures(5, 5)
	if _, err := NewBank(head, s, BankOptions{}); err == nil || !strings.Contains(err.Error(), "0 samples of the tail") {
		t.Errorf("features of the head alone: %v", err)
	}
	if _, err := NewBank(head, s, BankOptions{PerClass: 2, Whole: true}); err == nil || !strings.Contains(err.Error(), "class 2, which has 0") {
		t.Errorf("a class without features: %v", err)
	}
}

func TestHalfSet(t *testing.T) {
	pixels := make([]byte, 256*3)
	labels := make([]int, 256)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	for i := range labels {
		labels[i] = i % 3
	}
	d, err := data.NewImages(pixels, labels, []int{3, 1, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHalfSet(d)
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.New(3, 1, 1)
	for i := range labels {
		if err := h.Read(i, x); err != nil {
			t.Fatal(err)
		}
		for j, v := range x.Data() {
			if got := byte(v*255 + 0.5); got != pixels[3*i+j] {
				t.Fatalf("pixel %d of %d comes back as %d", pixels[3*i+j], i, got)
			}
		}
		if h.Label(i) != labels[i] {
			t.Errorf("label %d", h.Label(i))
		}
	}
	if h.Len() != 256 || h.Classes() != 3 || !slices.Equal(h.Shape(), d.Shape()) {
		t.Errorf("%+v", h)
	}
	if _, err := NewHalfSet(unreadable{d}); err == nil || !strings.Contains(err.Error(), "unreadable") {
		t.Errorf("%v", err)
	}
}

// unreadable fails to read.
type unreadable struct{ data.Dataset }

func (unreadable) Read(int, *tensor.Tensor) error { return errors.New("unreadable") }

func TestCompareHead(t *testing.T) {
	s := split(t, []int{1, 9, 5}, 2) // ranks: 1, 2, 0
	all := &eval.Outputs{
		// Right among all; right among the head alone; wrong; of the tail.
		Y:      tensor.FromSlice([]float32{0, 9, 0, 9, 0, 5, 0, 9, 5, 9, 0, 0}, 4, 3),
		Labels: []int{1, 2, 2, 0},
	}
	head := &eval.Outputs{Y: tensor.FromSlice([]float32{1, 0, 0, 1, 0, 1}, 3, 2), Labels: []int{0, 1, 1}}
	if got, want := CompareHead(head, all, s), (HeadAccuracies{1, 1. / 3, 2. / 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	panics(t, "logits for 2 and 3 classes", func() { CompareHead(all, all, s) })
	head.Labels, head.Y = head.Labels[:2], tensor.New(2, 2)
	panics(t, "2 samples of the head", func() { CompareHead(head, all, s) })
}
