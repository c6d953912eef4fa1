package longtail

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Split divides the classes of a training set into head and tail. The rank of a class is
// its position, from 0, among all classes by number of samples, the largest first, then by
// class number. The head are the classes with a rank below Point, the disentanglement point
// k of the thesis (section 4.3, figure 4.6).
//
// Both phases use ranks as labels: a network of phase I has one logit per head class, and
// Grow adds the tail. Data sets come from [Split.Head], [Split.Ranked] and [Split.Pool].
// [Split.ByClass] brings logits back to the order of the labels, so test sets need no
// change. Classes need not be sorted by their counts.
type Split struct {
	Point int   `json:"point"` // the number of head classes, in [1, C-1]
	Class []int `json:"class"` // the class of each rank
	Rank  []int `json:"-"`     // the rank of each class
}

// SplitByRank makes the k largest classes the head. It is an error if k is not in [1, C-1].
func SplitByRank(counts []int, k int) (*Split, error) {
	extent("longtail.SplitByRank", counts)
	if k < 1 || k >= len(counts) {
		return nil, fmt.Errorf("longtail: a point of %d head classes is outside 1 to %d: head and tail need a class each", k, len(counts)-1)
	}
	s := &Split{Point: k, Class: byCount(counts), Rank: make([]int, len(counts))}
	for r, c := range s.Class {
		s.Rank[c] = r
	}
	return s, nil
}

// SplitByCount makes the classes with more than the given number of samples the head. 100
// takes the many-shot classes: 35 in CIFAR100-LT with imbalance 100. It is an error if all
// classes are head or none is.
func SplitByCount(counts []int, above int) (*Split, error) {
	extent("longtail.SplitByCount", counts)
	k := 0
	for _, n := range counts {
		if n > above {
			k++
		}
	}
	s, err := SplitByRank(counts, k)
	if err != nil {
		return nil, fmt.Errorf("longtail: classes with more than %d samples as the head: %w", above, err)
	}
	return s, nil
}

// Ranked returns d with ranks as labels. It panics if d has another number of classes.
func (s *Split) Ranked(d data.Dataset) data.Dataset {
	if d.Classes() != len(s.Rank) {
		tensor.Panic("longtail.Split.Ranked", fmt.Sprintf("a data set of %d classes for a split of %d", d.Classes(), len(s.Rank)))
	}
	return relabel(d, s.Rank, len(s.Rank))
}

// Head returns the samples of the head classes of d, for phase I: its labels are ranks, and
// it has Point classes. [CompareHead] needs it for a test set. It panics if d has another
// number of classes.
func (s *Split) Head(d data.Dataset) data.Dataset {
	ranked := s.Ranked(d)
	return relabel(data.Subset(ranked, s.members(ranked, func(rank int) bool { return rank < s.Point })), nil, s.Point)
}

// Pool returns the training set of phase II: the samples of the bank and of the tail
// classes of d, with ranks as labels. d must be the training set of the bank's features.
// With an empty bank it returns the tail alone. It panics if the bank names a sample that d
// does not have.
func (s *Split) Pool(d data.Dataset, b *Bank) data.Dataset {
	ranked := s.Ranked(d)
	indices := append(b.Indices(), s.members(ranked, func(rank int) bool { return rank >= s.Point })...)
	slices.Sort(indices)
	return data.Subset(ranked, indices)
}

func (s *Split) members(ranked data.Dataset, in func(rank int) bool) []int {
	var list []int
	for i := range ranked.Len() {
		if in(ranked.Label(i)) {
			list = append(list, i)
		}
	}
	return list
}

// ByClass returns a module that reorders logits or probabilities [N, C] from ranks to
// classes:
//
//	out, err := eval.Collect(ctx, nn.NewSequential(net, split.ByClass()), test, eval.Options{})
func (s *Split) ByClass() nn.Module {
	return nn.Func(func(z autograd.Var) autograd.Var {
		if z.Rank() != 2 || z.Dim(1) != len(s.Rank) {
			tensor.Panic("longtail.Split.ByClass", fmt.Sprintf("want logits [N, %d]", len(s.Rank)), z.Shape())
		}
		return autograd.TransposeCopy(autograd.GatherCopy(autograd.TransposeCopy(z), s.Rank))
	})
}

// HeadClasses returns the head classes by rank, as class numbers.
func (s *Split) HeadClasses() []int { return slices.Clone(s.Class[:s.Point]) }

// TailClasses returns the tail classes by rank.
func (s *Split) TailClasses() []int { return slices.Clone(s.Class[s.Point:]) }

// relabel returns d with label[c] for the label c, or its own if label is nil, and so many
// classes.
func relabel(d data.Dataset, label []int, classes int) data.Dataset {
	r := &relabelled{d, label, classes}
	if q, ok := d.(data.RandomReader); ok {
		return &randomRelabelled{r, q}
	}
	return r
}

type relabelled struct {
	data.Dataset
	label   []int
	classes int
}

func (r *relabelled) Classes() int { return r.classes }

func (r *relabelled) Label(i int) int {
	c := r.Dataset.Label(i)
	if r.label == nil {
		return c
	}
	return r.label[c]
}

// Digest implements [data.Digester].
func (r *relabelled) Digest() (string, error) {
	whole, err := data.Digest(r.Dataset)
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(fmt.Append(nil, "relabelled ", whole, r.classes, r.label))
	return hex.EncodeToString(h[:16]), nil
}

// randomRelabelled is a relabelled data set that can draw.
type randomRelabelled struct {
	*relabelled
	reader data.RandomReader
}

func (r *randomRelabelled) ReadRandom(i int, dst *tensor.Tensor, rng *rand.Rand) error {
	return r.reader.ReadRandom(i, dst, rng)
}
