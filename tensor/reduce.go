package tensor

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
)

// Sum returns the sum of all elements, accumulated in float64: 0 if there are none.
func (t *Tensor) Sum() float64 { return kernel.Sum(t.data) }

// Mean returns the mean of all elements, accumulated in float64: NaN if there are
// none.
func (t *Tensor) Mean() float64 { return kernel.Mean(t.data) }

// Max returns the largest element, and NaN if any element is NaN. It panics if there
// are no elements.
func (t *Tensor) Max() float32 {
	t.some("tensor.Max")
	return kernel.MaxOf(t.data)
}

// Min returns the smallest element, and NaN if any element is NaN. It panics if there
// are no elements.
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

// ArgMax returns the row-major index of the largest element, the first of equal ones.
// A NaN counts as larger than any number. ArgMax panics if there are no elements.
func (t *Tensor) ArgMax() int {
	t.some("tensor.ArgMax")
	return kernel.ArgMax(t.data)
}

// TopK returns the row-major indices of the k largest elements in falling order, the
// lower index first among equal ones. A NaN counts as larger than any number. TopK
// panics unless 0 <= k <= t.Len().
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

// Norm returns the p-norm of all elements, accumulated in float64. For p = 0 it is the
// number of elements other than zero, for 1 the sum of magnitudes, for 2 the Euclidean
// norm, and for math.Inf(1) the largest magnitude. Norm panics for any other p.
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

// SumAxis returns the sums along an axis, accumulated in float64. The result lacks the
// axis: the sum of [N, K] along axis 1 is [N]. A negative axis counts from the end.
// SumAxis panics if there is no such axis.
func (t *Tensor) SumAxis(axis int) *Tensor {
	outer, n, inner, rest := t.along("tensor.SumAxis", axis)
	r := New(rest...)
	if len(t.data) > 0 {
		kernel.SumAxis(r.data, t.data, outer, n, inner)
	}
	return r
}

// MeanAxis returns the means along an axis, NaN if the axis has length 0. Its shape
// and panics are those of [Tensor.SumAxis].
func (t *Tensor) MeanAxis(axis int) *Tensor {
	n := t.shape[t.axis("tensor.MeanAxis", axis)]
	r := t.SumAxis(axis)
	kernel.DivScalar(r.data, r.data, float32(n))
	return r
}

// MaxAxis returns the largest elements along an axis, NaN where any element is NaN.
// Its shape is that of [Tensor.SumAxis]. It panics if there is no such axis or the
// axis has length 0.
func (t *Tensor) MaxAxis(axis int) *Tensor {
	return t.fold("tensor.MaxAxis", axis, kernel.MaxOf, kernel.Maximum)
}

// MinAxis returns the smallest elements along an axis, NaN where any element is NaN.
// Its shape is that of [Tensor.SumAxis]. It panics if there is no such axis or the
// axis has length 0.
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

// NormAxis returns the p-norms along an axis, for p as in [Tensor.Norm]. Its shape is
// that of [Tensor.SumAxis]. It panics if there is no such axis, and for any other p.
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

// ArgMaxAxis returns the indices along an axis of the largest elements, in row-major
// order over the other axes: for logits [N, K] and axis 1, the class of each of N
// samples. Ties and NaN count as in [Tensor.ArgMax]. ArgMaxAxis panics if there is no
// such axis or the axis has length 0.
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
