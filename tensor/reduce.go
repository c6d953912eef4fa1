package tensor

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
)

// Sum returns the sum of all elements, carried in float64.
func (t *Tensor) Sum() float64 { return kernel.Sum(t.data) }

// Mean returns the mean of all elements, NaN if there are none.
func (t *Tensor) Mean() float64 { return kernel.Mean(t.data) }

// Max returns the largest element, NaN if any is. It panics if there are none.
func (t *Tensor) Max() float32 {
	t.some("tensor.Max")
	return kernel.MaxOf(t.data)
}

// Min returns the smallest element, NaN if any is. It panics if there are none.
func (t *Tensor) Min() float32 {
	t.some("tensor.Min")
	return kernel.MinOf(t.data)
}

// some panics for op if there are no elements.
func (t *Tensor) some(op string) {
	if len(t.data) == 0 {
		Panic(op, "no elements", t.shape)
	}
}

// ArgMax returns the place in the data of the largest element, the first of
// equal ones; a NaN counts as larger than any number. It panics if there are no
// elements.
func (t *Tensor) ArgMax() int {
	t.some("tensor.ArgMax")
	return kernel.ArgMax(t.data)
}

// TopK returns the places in the data of the k largest elements, in falling
// order, the lower place first among equal ones; a NaN counts as larger than any
// number. It panics unless 0 <= k <= t.Len().
func (t *Tensor) TopK(k int) []int {
	if k < 0 || k > len(t.data) {
		Panic("tensor.TopK", fmt.Sprintf("no %d largest of %d", k, len(t.data)), t.shape)
	}
	places := make([]int, len(t.data))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(i, j int) int {
		// cmp.Compare puts NaN below all numbers; here it is above.
		a, b := t.data[i], t.data[j]
		if a != a || b != b {
			a, b = -b, -a
		}
		return cmp.Or(cmp.Compare(b, a), cmp.Compare(i, j))
	})
	return slices.Clip(places[:k])
}

// Norm returns the p-norm of all elements, carried in float64: the number that
// are not zero for p = 0, the sum of magnitudes for 1, the Euclidean length for
// 2, the largest magnitude for math.Inf(1). It panics for other p.
func (t *Tensor) Norm(p float64) float64 {
	switch {
	case p == 0:
		n := 0
		for _, v := range t.data {
			if v != 0 {
				n++
			}
		}
		return float64(n)
	case p == 1:
		return kernel.SumAbs(t.data)
	case p == 2:
		return kernel.Norm2(t.data)
	case math.IsInf(p, 1):
		return float64(kernel.MaxAbs(t.data))
	}
	Panic("tensor.Norm", fmt.Sprintf("p is %v, not 0, 1, 2 or infinity", p), t.shape)
	return 0
}

// along resolves an axis and returns the dimensions around it: t seen as
// [outer, n, inner], and the shape without the axis.
func (t *Tensor) along(op string, axis int) (outer, n, inner int, rest []int) {
	a := t.axis(op, axis)
	outer, _ = elements(t.shape[:a])
	inner, _ = elements(t.shape[a+1:])
	return outer, t.shape[a], inner, slices.Concat(t.shape[:a], t.shape[a+1:])
}

// SumAxis returns the sums along an axis, which the result lacks; negative axes
// count from the end. It panics if there is no such axis.
func (t *Tensor) SumAxis(axis int) *Tensor {
	outer, n, inner, rest := t.along("tensor.SumAxis", axis)
	r := New(rest...)
	if len(t.data) > 0 {
		kernel.SumAxis(r.data, t.data, outer, n, inner)
	}
	return r
}

// MeanAxis returns the means along an axis, NaN if it has length 0. See
// [Tensor.SumAxis].
func (t *Tensor) MeanAxis(axis int) *Tensor {
	n := t.shape[t.axis("tensor.MeanAxis", axis)]
	r := t.SumAxis(axis)
	kernel.DivScalar(r.data, r.data, float32(n))
	return r
}

// MaxAxis returns the largest elements along an axis, NaN where any is. It
// panics if the axis has length 0. See [Tensor.SumAxis].
func (t *Tensor) MaxAxis(axis int) *Tensor {
	return t.fold("tensor.MaxAxis", axis, kernel.MaxOf, kernel.Maximum)
}

// MinAxis returns the smallest elements along an axis, NaN where any is. It
// panics if the axis has length 0. See [Tensor.SumAxis].
func (t *Tensor) MinAxis(axis int) *Tensor {
	return t.fold("tensor.MinAxis", axis, kernel.MinOf, kernel.Minimum)
}

// fold combines the entries along an axis: row reduces neighbours in memory,
// pair two rows.
func (t *Tensor) fold(op string, axis int, row func([]float32) float32, pair func(dst, a, b []float32)) *Tensor {
	outer, n, inner, rest := t.along(op, axis)
	if n == 0 {
		Panic(op, "the axis has length 0", t.shape)
	}
	r := New(rest...)
	for o := range outer {
		block := t.data[o*n*inner:][:n*inner]
		if inner == 1 {
			r.data[o] = row(block)
			continue
		}
		dst := r.data[o*inner:][:inner]
		copy(dst, block)
		for i := 1; i < n; i++ {
			pair(dst, dst, block[i*inner:][:inner])
		}
	}
	return r
}

// NormAxis returns the p-norms along an axis, for p as in [Tensor.Norm]. See
// [Tensor.SumAxis].
func (t *Tensor) NormAxis(p float64, axis int) *Tensor {
	outer, n, inner, rest := t.along("tensor.NormAxis", axis)
	r := New(rest...)
	line := New(n)
	for o := range outer {
		for i := range inner {
			for k := range line.data {
				line.data[k] = t.data[(o*n+k)*inner+i]
			}
			r.data[o*inner+i] = float32(line.Norm(p))
		}
	}
	return r
}

// ArgMaxAxis returns the places along an axis of the largest elements, in
// row-major order over the other axes: for logits [N, K] and axis 1, the class
// of each sample. See [Tensor.ArgMax] for ties and NaN. It panics if there is no
// such axis or it has length 0.
func (t *Tensor) ArgMaxAxis(axis int) []int {
	outer, n, inner, _ := t.along("tensor.ArgMaxAxis", axis)
	if n == 0 {
		Panic("tensor.ArgMaxAxis", "the axis has length 0", t.shape)
	}
	places := make([]int, outer*inner)
	line := make([]float32, n)
	for o := range outer {
		for i := range inner {
			for k := range line {
				line[k] = t.data[(o*n+k)*inner+i]
			}
			places[o*inner+i] = kernel.ArgMax(line)
		}
	}
	return places
}
