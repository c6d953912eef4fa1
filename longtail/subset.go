package longtail

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Subset is a part of a data set with a name and a digest. State both in every result:
// the seed of a long-tailed subset alone can change accuracies by more than the method. Its
// JSON identifies it.
//
// For a [data.Images] or [data.Tensors] the digest is [data.Digest] of the subset's own
// samples. For others, such as pictures in files, it covers the whole data set and the
// indices.
type Subset struct {
	Name   string `json:"name"` // "exp-100/first"
	Digest string `json:"digest"`
	Counts []int  `json:"counts"` // samples per class, none of them 0

	Indices []int        `json:"-"` // of the samples in the whole, ascending
	Data    data.Dataset `json:"-"` // the samples, in that order

	whole data.Dataset
}

// SubsetOptions are the options of NewSubset. The zero value takes the first samples of
// each class, and all of class 0.
type SubsetOptions struct {
	Draw    Draw // nil means First{}
	Largest int  // samples of class 0; 0 means all that it has
}

// NewSubset returns a part of d with a profile: class 0 is the largest, and the classes
// keep their numbers. It is an error if the profile is invalid, a class has fewer samples
// than the profile needs, or d cannot be read for its digest.
//
//	s, err := longtail.NewSubset(train, longtail.Exponential{Imbalance: 100}, longtail.SubsetOptions{})
func NewSubset(d data.Dataset, p Profile, o SubsetOptions) (*Subset, error) {
	members, err := byClass(d)
	if err != nil {
		return nil, err
	}
	counts, err := p.Counts(len(members), cmp.Or(o.Largest, len(members[0])))
	if err != nil {
		return nil, err
	}
	for c, n := range counts {
		if n > len(members[c]) {
			return nil, fmt.Errorf("longtail: class %d has %d samples, and profile %v wants %d; give a smaller number for the largest class", c, len(members[c]), p, n)
		}
	}
	draw := o.Draw
	if draw == nil {
		draw = First{}
	}
	name := fmt.Sprintf("%v/%v", p, draw)
	if o.Largest != 0 {
		name = fmt.Sprintf("%v/max-%d/%v", p, o.Largest, draw)
	}
	return SubsetOf(d, name, slices.Concat(draw.Draw(members, counts)...))
}

// SubsetOf returns the samples of d at the given indices, in any order, under a name, for
// subsets published as lists. It is an error if an index is out of range or occurs twice, a
// class has no sample, or d cannot be read for its digest.
func SubsetOf(d data.Dataset, name string, indices []int) (*Subset, error) {
	s := &Subset{Name: name, Indices: slices.Sorted(slices.Values(indices)), whole: d}
	for k, i := range s.Indices {
		if i < 0 || i >= d.Len() {
			return nil, fmt.Errorf("longtail: subset %s: no sample %d of %d", name, i, d.Len())
		}
		if k > 0 && i == s.Indices[k-1] {
			return nil, fmt.Errorf("longtail: subset %s: sample %d occurs twice", name, i)
		}
	}
	s.Data = data.Subset(d, s.Indices)
	var err error
	if s.Counts, err = Counts(s.Data); err != nil {
		return nil, fmt.Errorf("longtail: subset %s: %w", name, err)
	}
	s.Digest, err = s.digest()
	return s, err
}

func (s *Subset) digest() (string, error) {
	switch s.whole.(type) {
	case *data.Images, *data.Tensors:
		return data.Digest(struct{ data.Dataset }{s.Data}) // reads all samples
	}
	return data.Digest(s.Data)
}

// Hold splits off a part for validation, so that nothing is tuned on the test set. It holds
// back the fraction of each class, rounded, but leaves at least one sample to each part; a
// class with one sample stays in training. Both parts keep the profile. The seed and the
// class determine the held-back samples. The parts are named after s:
// "exp-100/first/hold-0.1-seed-1/train" and ".../val". It panics unless the fraction is in
// (0, 1).
//
// The smallest classes have only a sample or two in the validation part: compare balanced
// accuracies (means over classes), or groups of classes.
func (s *Subset) Hold(fraction float64, seed uint64) (train, val *Subset, err error) {
	if !(fraction > 0 && fraction < 1) {
		tensor.Panic("longtail.Subset.Hold", fmt.Sprintf("fraction %v is not in (0, 1)", fraction))
	}
	members, err := byClass(s.Data)
	if err != nil {
		return nil, nil, err
	}
	var keep, held []int
	for c, list := range members {
		rng := rand.New(rand.NewPCG(seed, uint64(c)))
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		n := int(math.Round(fraction * float64(len(list))))
		n = min(max(n, 1), len(list)-1)
		held, keep = append(held, list[:n]...), append(keep, list[n:]...)
	}
	name := fmt.Sprintf("%s/hold-%g-seed-%d", s.Name, fraction, seed)
	if train, err = s.part(name+"/train", keep); err != nil {
		return nil, nil, err
	}
	val, err = s.part(name+"/val", held)
	return train, val, err
}

// part is a subset of s, which may lack classes.
func (s *Subset) part(name string, at []int) (*Subset, error) {
	slices.Sort(at)
	p := &Subset{Name: name, whole: s.whole}
	for _, i := range at {
		p.Indices = append(p.Indices, s.Indices[i])
	}
	p.Data = data.Subset(s.whole, p.Indices)
	p.Counts = data.ClassCounts(p.Data)
	var err error
	p.Digest, err = p.digest()
	return p, err
}

// byClass returns the indices of the samples of each class. There is an error if a label
// is out of range or there are no classes.
func byClass(d data.Dataset) ([][]int, error) {
	members := make([][]int, d.Classes())
	for i := range d.Len() {
		c := d.Label(i)
		if c < 0 || c >= len(members) {
			return nil, fmt.Errorf("longtail: sample %d has label %d, outside [0, %d)", i, c, len(members))
		}
		members[c] = append(members[c], i)
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("longtail: the data set has no classes")
	}
	return members, nil
}
