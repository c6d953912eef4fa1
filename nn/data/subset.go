package data

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// subset is part of a data set, in an order of its own.
type subset struct {
	Dataset
	indices []int
}

// Subset returns the samples of d at the given indices, in that order. Indices may repeat.
// It panics if an index is out of range.
func Subset(d Dataset, indices []int) Dataset {
	for _, i := range indices {
		if i < 0 || i >= d.Len() {
			tensor.Panic("data.Subset", fmt.Sprintf("no sample %d of %d", i, d.Len()))
		}
	}
	return newSubset(d, slices.Clone(indices))
}

// newSubset keeps what d can do.
func newSubset(d Dataset, indices []int) Dataset {
	s := &subset{d, indices}
	if r, ok := d.(RandomReader); ok {
		return &randomSubset{s, r}
	}
	return s
}

func (s *subset) Len() int                             { return len(s.indices) }
func (s *subset) Label(i int) int                      { return s.Dataset.Label(s.indices[i]) }
func (s *subset) Read(i int, dst *tensor.Tensor) error { return s.Dataset.Read(s.indices[i], dst) }

// ClassNames returns those of the whole.
func (s *subset) ClassNames() []string { return ClassNames(s.Dataset) }

// randomSubset is part of a data set that can draw.
type randomSubset struct {
	*subset
	reader RandomReader
}

func (s *randomSubset) ReadRandom(i int, dst *tensor.Tensor, rng *rand.Rand) error {
	return s.reader.ReadRandom(s.indices[i], dst, rng)
}

// Split divides d at random: the first part gets the fraction, rounded to whole samples,
// the second the rest. Both keep the order of d. It panics if fraction is not in [0,1].
func Split(d Dataset, fraction float64, seed uint64) (first, second Dataset) {
	all := make([]int, d.Len())
	for i := range all {
		all[i] = i
	}
	return split(d, fraction, seed, [][]int{all})
}

// SplitStratified divides every class as [Split] does, so both parts have the class
// proportions of d up to rounding.
func SplitStratified(d Dataset, fraction float64, seed uint64) (first, second Dataset) {
	byClass := map[int][]int{} // which takes memory by samples: classes may be many more
	for i := range d.Len() {
		c := d.Label(i)
		byClass[c] = append(byClass[c], i)
	}
	var groups [][]int
	for _, c := range slices.Sorted(maps.Keys(byClass)) {
		groups = append(groups, byClass[c])
	}
	return split(d, fraction, seed, groups)
}

func split(d Dataset, fraction float64, seed uint64, groups [][]int) (first, second Dataset) {
	if !(fraction >= 0 && fraction <= 1) {
		tensor.Panic("data.Split", fmt.Sprintf("fraction %v is not in [0,1]", fraction))
	}
	rng := rand.New(rand.NewPCG(seed, 0x73706c6974))
	var a, b []int
	for _, g := range groups {
		rng.Shuffle(len(g), func(i, j int) { g[i], g[j] = g[j], g[i] })
		n := int(math.Round(fraction * float64(len(g))))
		a, b = append(a, g[:n]...), append(b, g[n:]...)
	}
	slices.Sort(a)
	slices.Sort(b)
	return newSubset(d, a), newSubset(d, b)
}
