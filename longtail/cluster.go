package longtail

import (
	"cmp"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// KCenter begins with the sample nearest to the mean, and then selects the sample farthest
// from all selected ones (the greedy solution of k-center; Gonzalez, 1985).
type KCenter struct{}

func (KCenter) String() string { return "k-center" }

// Select implements [Rule].
func (KCenter) Select(x *tensor.Tensor, m int, seed uint64) []int {
	n := checkRule("longtail.KCenter", x, m)
	picked := Nearest{}.Select(x, 1, seed)
	rows := rowsOf(x)
	far := make([]float64, n) // from the nearest that is selected; -1 if it is itself
	for i := range far {
		far[i] = kernel.Distance2(rows[i], rows[picked[0]])
	}
	far[picked[0]] = -1
	for len(picked) < m {
		next := 0
		for i, v := range far {
			if v > far[next] {
				next = i
			}
		}
		picked = append(picked, next)
		for i := range far {
			far[i] = min(far[i], kernel.Distance2(rows[i], rows[next]))
		}
		far[next] = -1
	}
	return picked
}

// KMedoids divides the class into m clusters by k-means, with k-means++ as initialisation
// (Arthur and Vassilvitskii, 2007) and at most 50 rounds. It selects the sample nearest to
// each centre, the largest cluster first. A prefix of a selection is not the selection for
// a smaller m.
type KMedoids struct{}

func (KMedoids) String() string { return "k-medoids" }

// Select implements [Rule].
func (KMedoids) Select(x *tensor.Tensor, m int, seed uint64) []int {
	n := checkRule("longtail.KMedoids", x, m)
	rows, centres := rowsOf(x), rowsOf(plusPlus(x, m, seed))
	cluster := make([]int, n)
	for i := range cluster {
		cluster[i] = -1
	}
	sizes := make([]int, m)
	for range 50 {
		moved := false
		for i := range cluster {
			best, least := 0, 0.0
			for k := range m {
				if v := kernel.Distance2(rows[i], centres[k]); k == 0 || v < least {
					best, least = k, v
				}
			}
			moved = moved || cluster[i] != best
			cluster[i] = best
		}
		if !moved {
			break
		}
		clear(sizes)
		d := x.Dim(1)
		sums := make([]float64, m*d)
		for i, k := range cluster {
			sizes[k]++
			for j, v := range rows[i] {
				sums[k*d+j] += float64(v)
			}
		}
		for k, size := range sizes {
			for j := 0; size > 0 && j < d; j++ { // an empty cluster keeps its centre
				centres[k][j] = float32(sums[k*d+j] / float64(size))
			}
		}
	}
	order := make([]int, m)
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizes[b], sizes[a]) })
	var picked []int
	taken := make([]bool, n)
	for _, k := range order {
		best, least := -1, 0.0
		for i := range n {
			if v := kernel.Distance2(rows[i], centres[k]); !taken[i] && (best < 0 || v < least) {
				best, least = i, v
			}
		}
		taken[best] = true
		picked = append(picked, best)
	}
	return picked
}

// plusPlus draws m rows as centres, each with a probability in proportion to the squared
// distance from the nearest that is drawn.
func plusPlus(x *tensor.Tensor, m int, seed uint64) *tensor.Tensor {
	rng := stream(seed, drawBank)
	rows := rowsOf(x)
	centres := tensor.New(m, x.Dim(1))
	far := slices.Repeat([]float64{1}, len(rows))
	for k := range m {
		sum := 0.0
		for _, v := range far {
			sum += v
		}
		u := rng.Float64() * sum
		next := 0
		for i, v := range far {
			if u -= v; v > 0 {
				next = i
				if u < 0 {
					break
				}
			}
		}
		centres.Index(k).CopyFrom(x.Index(next))
		for i := range far {
			v := kernel.Distance2(rows[i], rows[next])
			if v *= v; k == 0 || v < far[i] {
				far[i] = v
			}
		}
	}
	return centres
}

// rowsOf returns the rows of x [n, d], which share its memory.
func rowsOf(x *tensor.Tensor) [][]float32 {
	rows := make([][]float32, x.Dim(0))
	for i := range rows {
		rows[i] = x.Index(i).Data()
	}
	return rows
}
