package longtail

import (
	"cmp"
	"fmt"
	"math"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Profile says how many samples each class of a long-tailed data set has.
type Profile interface {
	// Counts returns the number of samples per class, from class 0 with the largest count
	// to the smallest. It is an error if the profile is invalid or leaves a class without
	// samples.
	Counts(classes, largest int) ([]int, error)

	// String returns a name of the profile, such as "exp-100".
	String() string
}

// Exponential is the profile of CIFAR-LT: class i of C has floor(n·μ^(i/(C-1))) samples,
// where μ is 1/Imbalance and class 0 has n samples (Cui et al., "Class-balanced loss based
// on effective number of samples", 2019; Cao et al., "Learning imbalanced datasets with
// label-distribution-aware margin loss", 2019). The counts equal those of both papers'
// programs.
type Exponential struct {
	Imbalance float64 // the largest count divided by the smallest; at least 1
}

// Counts implements [Profile].
func (p Exponential) Counts(classes, largest int) ([]int, error) {
	if err := checkImbalance(p, p.Imbalance); err != nil {
		return nil, err
	}
	return profile(p, classes, largest, func(i int) float64 {
		return float64(largest) * math.Pow(1/p.Imbalance, float64(i)/float64(max(classes-1, 1)))
	})
}

func (p Exponential) String() string { return fmt.Sprintf("exp-%g", p.Imbalance) }

// Step gives the first classes n samples each, and the others floor(n/Imbalance) (Buda,
// Maki and Mazurowski, "A systematic study of the class imbalance problem in convolutional
// neural networks", 2018).
type Step struct {
	Imbalance float64 // at least 1
	Head      float64 // share of large classes, rounded down; 0 means 0.5
}

// Counts implements [Profile].
func (p Step) Counts(classes, largest int) ([]int, error) {
	if err := checkImbalance(p, p.Imbalance); err != nil {
		return nil, err
	}
	head := int(whole(cmp.Or(p.Head, 0.5) * float64(classes)))
	if !(p.Head >= 0) || head < 1 || head >= classes {
		return nil, fmt.Errorf("longtail: profile %v makes %d of %d classes large; there must be large and small ones", p, head, classes)
	}
	return profile(p, classes, largest, func(i int) float64 {
		if i < head {
			return float64(largest)
		}
		return float64(largest) * (1 / p.Imbalance)
	})
}

func (p Step) String() string {
	if p.Head == 0 || p.Head == 0.5 {
		return fmt.Sprintf("step-%g", p.Imbalance)
	}
	return fmt.Sprintf("step-%g-head-%g", p.Imbalance, p.Head)
}

// Pareto gives class i of C floor(s·(u^(-1/Alpha) - 1)) samples with u = (i+1/2)/C, the
// quantiles of a Pareto distribution of the second kind, with s such that class 0 has the
// largest count; no class has fewer than Smallest.
//
// Liu et al. ("Large-scale long-tailed recognition in an open world", 2019) drew
// ImageNet-LT from a Pareto distribution with a power of 6. The benchmark is their list of
// files, and this profile does not reproduce it: for 1,000 classes and a largest count of
// 1,280 it gives 99,952 samples where the list has 115,846.
type Pareto struct {
	Alpha    float64 // 0 means 6
	Smallest int     // 0 means 5
}

// Counts implements [Profile].
func (p Pareto) Counts(classes, largest int) ([]int, error) {
	alpha, smallest := cmp.Or(p.Alpha, 6), cmp.Or(p.Smallest, 5)
	if !(alpha > 0) || math.IsInf(alpha, 1) || smallest < 1 || smallest > largest {
		return nil, fmt.Errorf("longtail: profile %v of %d samples: Alpha must be positive and Smallest between 1 and the largest class", p, largest)
	}
	quantile := func(i int) float64 { return math.Pow((float64(i)+0.5)/float64(max(classes, 1)), -1/alpha) - 1 }
	return profile(p, classes, largest, func(i int) float64 {
		return max(float64(largest)*(quantile(i)/quantile(0)), float64(smallest))
	})
}

func (p Pareto) String() string {
	return fmt.Sprintf("pareto-%g-min-%d", cmp.Or(p.Alpha, 6), cmp.Or(p.Smallest, 5))
}

func checkImbalance(p Profile, imbalance float64) error {
	if !(imbalance >= 1) || math.IsInf(imbalance, 1) {
		return fmt.Errorf("longtail: profile %v: the imbalance, the largest count by the smallest, must be at least 1", p)
	}
	return nil
}

// profile rounds the numbers down and checks them.
func profile(p Profile, classes, largest int, f func(i int) float64) ([]int, error) {
	if classes < 1 || largest < 1 {
		return nil, fmt.Errorf("longtail: profile %v of %d classes, the largest of %d samples", p, classes, largest)
	}
	counts := make([]int, classes)
	for i := range counts {
		if counts[i] = int(whole(f(i))); counts[i] < 1 {
			return nil, fmt.Errorf("longtail: profile %v leaves class %d of %d without samples, where the largest has %d", p, i, classes, largest)
		}
	}
	return counts, nil
}

// whole is floor, except that what rounding left just below a whole number is that
// number: 500·0.01^(99/99) is 5.
func whole(x float64) float64 { return math.Floor(x + 1e-9) }

// Counts returns the number of samples of each class. It is an error if a class has none,
// because methods for long tails divide by these numbers, or if a label is out of range.
func Counts(d data.Dataset) ([]int, error) {
	members, err := filled(d)
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(members))
	for c, list := range members {
		counts[c] = len(list)
	}
	return counts, nil
}

// filled is byClass with an error if a class has no samples.
func filled(d data.Dataset) ([][]int, error) {
	members, err := byClass(d)
	if err != nil {
		return nil, err
	}
	for c, list := range members {
		if len(list) == 0 {
			return nil, fmt.Errorf("longtail: class %d of %d has no samples", c, len(members))
		}
	}
	return members, nil
}

// Imbalance returns the largest count divided by the smallest. It panics if a count is not
// positive.
func Imbalance(counts []int) float64 {
	lo, hi := extent("longtail.Imbalance", counts)
	return float64(hi) / float64(lo)
}

// extent returns the smallest and the largest of the counts. It panics for op if there are
// none or one is not positive.
func extent(op string, counts []int) (lo, hi int) {
	if len(counts) == 0 {
		tensor.Panic(op, "no classes")
	}
	lo, hi = counts[0], counts[0]
	for c, n := range counts {
		if n < 1 {
			tensor.Panic(op, fmt.Sprintf("%d samples of class %d", n, c))
		}
		lo, hi = min(lo, n), max(hi, n)
	}
	return lo, hi
}
