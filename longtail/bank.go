package longtail

import (
	"cmp"
	"fmt"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// A Bank is the exemplar bank: the samples of the head classes that phase II keeps (thesis,
// section 4.3 and figure 4.4). Its JSON holds the samples' indices.
type Bank struct {
	Rule string `json:"rule"`

	// Classes are the indices of the samples of each head class, by rank, in the order of
	// their selection. The first few of each class are a smaller bank, except under
	// [KMedoids].
	Classes [][]int `json:"classes"`
}

// BankOptions say how to fill a bank. The zero value herds as many samples per head class
// as the largest tail class has, so that phase II has classes of similar size. This number
// is our choice; the thesis's is not known.
type BankOptions struct {
	Rule     Rule // nil means Herd{}
	PerClass int  // samples per class; 0 means as many as the largest tail class has
	Total    int  // if not 0, the largest number of samples in all, with the same number per class

	// Whole takes all samples of a class that has fewer than PerClass. Without it such a
	// class is an error.
	Whole bool

	// Raw passes features to the rule unchanged. By default each is divided by its length.
	Raw bool

	Seed uint64 // of rules that draw
}

// NewBank fills a bank from the features of the training set, [N, d], from the backbone of
// phase I in eval mode without random transforms:
//
//	features, err := eval.Collect(ctx, net.Backbone, split.Ranked(train), eval.Options{})
//	bank, err := longtail.NewBank(features, split, longtail.BankOptions{})
//
// Labels are ranks; samples of the tail do not count. It is an error if a class has no
// samples, or fewer than the options ask for. It panics if an option is negative, a label
// is not a rank of the split, or the rule does not select the requested number of rows.
func NewBank(features *eval.Outputs, s *Split, o BankOptions) (*Bank, error) {
	const op = "longtail.NewBank"
	if o.PerClass < 0 || o.Total < 0 {
		tensor.Panic(op, fmt.Sprintf("%d samples of a class, %d in all", o.PerClass, o.Total))
	}
	rows := make([][]int, s.Point)
	tail := make([]int, len(s.Class)-s.Point)
	for k, rank := range features.Labels {
		switch {
		case rank < 0 || rank >= len(s.Class):
			tensor.Panic(op, fmt.Sprintf("label %d is not one of %d ranks", rank, len(s.Class)))
		case rank < s.Point:
			rows[rank] = append(rows[rank], k)
		default:
			tail[rank-s.Point]++
		}
	}
	quota := o.PerClass
	for _, n := range tail {
		if o.PerClass == 0 {
			quota = max(quota, n)
		}
	}
	if o.Total > 0 {
		quota = min(quota, o.Total/s.Point)
	}
	if quota == 0 {
		return nil, fmt.Errorf("longtail: a bank without samples: PerClass is %d, Total %d for %d classes, and the features have %d samples of the tail; for no bank at all use &Bank{}", o.PerClass, o.Total, s.Point, len(features.Labels)-count(rows))
	}
	rule := o.Rule
	if rule == nil {
		rule = Herd{}
	}
	b := &Bank{Rule: rule.String(), Classes: make([][]int, s.Point)}
	for rank, list := range rows {
		m := quota
		if len(list) < m {
			if len(list) == 0 || !o.Whole {
				return nil, fmt.Errorf("longtail: a bank of %d samples for each class is larger than class %d, which has %d; set Whole to take all of such classes", m, s.Class[rank], len(list))
			}
			m = len(list)
		}
		x := tensor.New(len(list), features.Y.Dim(1))
		for i, k := range list {
			x.Index(i).CopyFrom(features.Y.Index(k))
		}
		if !o.Raw {
			x = unitRows(x)
		}
		selected := rule.Select(x, m, o.Seed+uint64(rank)<<32)
		checkSelected(op, rule, selected, m, len(list))
		for _, i := range selected {
			at := list[i]
			if features.Indices != nil {
				at = features.Indices[at]
			}
			b.Classes[rank] = append(b.Classes[rank], at)
		}
	}
	return b, nil
}

// checkSelected panics unless a rule selected m of n rows, none twice.
func checkSelected(op string, rule Rule, selected []int, m, n int) {
	seen := make([]bool, n)
	for _, i := range selected {
		if i < 0 || i >= n || seen[i] {
			tensor.Panic(op, fmt.Sprintf("rule %v selects row %d, which is none of %d or was selected before", rule, i, n))
		}
		seen[i] = true
	}
	if len(selected) != m {
		tensor.Panic(op, fmt.Sprintf("rule %v selects %d rows of %d, want %d", rule, len(selected), n, m))
	}
}

func count(lists [][]int) int {
	n := 0
	for _, l := range lists {
		n += len(l)
	}
	return n
}

// Len returns the number of samples.
func (b *Bank) Len() int { return count(b.Classes) }

// Indices returns the samples of all classes, class after class.
func (b *Bank) Indices() []int {
	list := make([]int, 0, b.Len())
	for _, c := range b.Classes {
		list = append(list, c...)
	}
	return list
}

// Prefix returns the bank of the first m samples of each class, or of all if it has fewer.
// It panics if m is negative.
func (b *Bank) Prefix(m int) *Bank {
	if m < 0 {
		tensor.Panic("longtail.Bank.Prefix", fmt.Sprintf("%d samples", m))
	}
	p := &Bank{Rule: b.Rule, Classes: make([][]int, len(b.Classes))}
	for c, list := range b.Classes {
		p.Classes[c] = list[:min(m, len(list)):min(m, len(list))]
	}
	return p
}

// A HalfSet is a data set that keeps its samples in half precision, such as a bank without
// the rest of its data set. Pixels of 8 bits are kept exactly.
type HalfSet struct {
	samples *tensor.Half
	labels  []int
	shape   []int
	classes int
}

// NewHalfSet reads all samples of d. It is an error if one cannot be read.
func NewHalfSet(d data.Dataset) (*HalfSet, error) {
	h := &HalfSet{samples: tensor.NewHalf(append([]int{d.Len()}, d.Shape()...)...), shape: d.Shape(), classes: d.Classes()}
	x := tensor.New(d.Shape()...)
	for i := range d.Len() {
		if err := d.Read(i, x); err != nil {
			return nil, err
		}
		h.samples.Store(i, x)
		h.labels = append(h.labels, d.Label(i))
	}
	return h, nil
}

func (h *HalfSet) Len() int        { return len(h.labels) }
func (h *HalfSet) Shape() []int    { return h.shape }
func (h *HalfSet) Classes() int    { return h.classes }
func (h *HalfSet) Label(i int) int { return h.labels[i] }

// Read converts sample i to single precision.
func (h *HalfSet) Read(i int, dst *tensor.Tensor) error {
	h.samples.Load(i, dst)
	return nil
}

// HeadAccuracies compare two networks on the head classes of a test set: one trained on
// these alone (Model-head) and one trained on all (Model-all; thesis, table 4.1). A choice
// among fewer classes is easier, so Model-all is measured in both ways. The fair comparison
// is between ModelHead and ModelAllMasked.
type HeadAccuracies struct {
	ModelHead      float64 `json:"model_head"`
	ModelAll       float64 `json:"model_all"`        // predicts among all classes
	ModelAllMasked float64 `json:"model_all_masked"` // predicts among the head classes
}

// CompareHead measures outputs of both networks: of Model-head on [Split.Head] of the test
// set, with logits by rank, and of Model-all on the whole test set, with logits by class.
// It panics if either does not fit the split.
func CompareHead(head, all *eval.Outputs, s *Split) HeadAccuracies {
	const op = "longtail.CompareHead"
	if head.Y.Dim(1) != s.Point || all.Y.Dim(1) != len(s.Class) {
		tensor.Panic(op, fmt.Sprintf("want logits for %d and %d classes", s.Point, len(s.Class)), head.Y.Shape(), all.Y.Shape())
	}
	masked := all.Among(s.HeadClasses())
	if len(masked.Labels) != len(head.Labels) {
		tensor.Panic(op, fmt.Sprintf("%d samples of the head for Model-head, %d for Model-all", len(head.Labels), len(masked.Labels)))
	}
	r := HeadAccuracies{ModelHead: head.Accuracy(), ModelAllMasked: masked.Accuracy()}
	right := 0
	for k, p := range all.Predictions() {
		if c := all.Labels[k]; s.Rank[c] < s.Point && p == c {
			right++
		}
	}
	r.ModelAll = float64(right) / float64(cmp.Or(len(masked.Labels), 1))
	return r
}
