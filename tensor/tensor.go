package tensor

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
)

// A Tensor is an array of float32: a shape and the elements in row-major order.
// [New] and [FromSlice] make one; the zero Tensor is not usable.
type Tensor struct {
	shape []int
	data  []float32
}

// New returns a tensor of zeros. New() has rank 0 and one element. It panics if
// a dimension is negative or the number of bytes overflows an int.
func New(shape ...int) *Tensor {
	n := checkShape("tensor.New", shape)
	return &Tensor{shape: slices.Clone(shape), data: kernel.BigPages(make([]float32, n))}
}

// FromSlice returns a tensor of the given shape whose elements are data, shared
// and not copied. It panics if the shape does not hold exactly len(data)
// elements.
func FromSlice(data []float32, shape ...int) *Tensor {
	if n := checkShape("tensor.FromSlice", shape); n != len(data) {
		Panic("tensor.FromSlice", fmt.Sprintf("the shape holds %d elements, the slice has %d", n, len(data)), shape)
	}
	return &Tensor{shape: slices.Clone(shape), data: data[:len(data):len(data)]}
}

// Scalar returns a tensor of rank 0 that holds v.
func Scalar(v float32) *Tensor { return &Tensor{data: []float32{v}} }

// checkShape returns the number of elements of shape, or panics for op.
func checkShape(op string, shape []int) int {
	n, ok := elements(shape)
	if !ok {
		Panic(op, "a dimension is negative or the shape is too large", shape)
	}
	return n
}

// elements returns the product of the dimensions. It is not ok if one is
// negative or if the bytes of the others would overflow an int.
func elements(shape []int) (n int, ok bool) {
	n, empty := 1, false
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(uint64(n), uint64(d))
		if hi != 0 || lo > math.MaxInt/4 {
			return 0, false
		}
		n = int(lo)
	}
	if empty {
		return 0, true
	}
	return n, true
}

// Shape returns the dimensions, outermost first. The slice is the tensor's own
// and must not be modified.
func (t *Tensor) Shape() []int { return t.shape }

// Rank returns the number of dimensions.
func (t *Tensor) Rank() int { return len(t.shape) }

// Dim returns dimension axis; a negative axis counts from the end, so Dim(-1)
// is the last. It panics if there is no such axis.
func (t *Tensor) Dim(axis int) int { return t.shape[t.axis("tensor.Dim", axis)] }

// Len returns the number of elements.
func (t *Tensor) Len() int { return len(t.data) }

// Data returns the elements in row-major order: the tensor's memory, not a copy.
func (t *Tensor) Data() []float32 { return t.data }

// axis resolves an axis that may count from the end, or panics for op.
func (t *Tensor) axis(op string, axis int) int {
	a := axis
	if a < 0 {
		a += len(t.shape)
	}
	if a < 0 || a >= len(t.shape) {
		Panic(op, fmt.Sprintf("no axis %d", axis), t.shape)
	}
	return a
}

// offset returns the position of an index in the data, or panics for op.
func (t *Tensor) offset(op string, index []int) int {
	if len(index) != len(t.shape) {
		Panic(op, fmt.Sprintf("index %v needs %d coordinates", slices.Clone(index), len(t.shape)), t.shape)
	}
	o := 0
	for a, i := range index {
		if uint(i) >= uint(t.shape[a]) {
			Panic(op, fmt.Sprintf("index %v is out of range", slices.Clone(index)), t.shape)
		}
		o = o*t.shape[a] + i
	}
	return o
}

// At returns the element at an index of one coordinate for each axis. It panics
// if the index is out of range.
func (t *Tensor) At(index ...int) float32 { return t.data[t.offset("tensor.At", index)] }

// Set stores v at an index of one coordinate for each axis. It panics if the
// index is out of range.
func (t *Tensor) Set(v float32, index ...int) { t.data[t.offset("tensor.Set", index)] = v }

// Item returns the element of a tensor that holds exactly one, of any rank. It
// panics if there are more, or none.
func (t *Tensor) Item() float32 {
	if len(t.data) != 1 {
		Panic("tensor.Item", "not exactly one element", t.shape)
	}
	return t.data[0]
}

// Fill stores v in every element.
func (t *Tensor) Fill(v float32) {
	for i := range t.data {
		t.data[i] = v
	}
}

// Clone returns a copy that shares nothing with t.
func (t *Tensor) Clone() *Tensor {
	return &Tensor{shape: slices.Clone(t.shape), data: append(make([]float32, 0, len(t.data)), t.data...)}
}

// CopyFrom copies the elements of src, which must have the shape of t, and
// panics if it has not.
func (t *Tensor) CopyFrom(src *Tensor) {
	if !slices.Equal(t.shape, src.shape) {
		Panic("tensor.CopyFrom", "the shapes differ", t.shape, src.shape)
	}
	copy(t.data, src.data)
}

// Reshape returns a tensor of another shape that shares the memory of t. One dimension may
// be -1 and is then computed from the number of elements. It panics if the number of
// elements does not fit.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	s := slices.Clone(shape)
	if i := slices.Index(s, -1); i >= 0 {
		s[i] = 1
		rest, ok := elements(s)
		if !ok || rest == 0 || len(t.data)%rest != 0 {
			Panic("tensor.Reshape", "no dimension in the place of -1 makes the shape fit", t.shape, shape)
		}
		s[i] = len(t.data) / rest
	}
	if n, ok := elements(s); !ok || n != len(t.data) {
		Panic("tensor.Reshape", "the numbers of elements differ", t.shape, shape)
	}
	return &Tensor{shape: s, data: t.data}
}

// Slice returns the entries i to j-1 along the first axis as a view: it has the
// rank of t and shares its memory. It panics if t has rank 0 or the range is
// not within it.
func (t *Tensor) Slice(i, j int) *Tensor {
	if len(t.shape) == 0 || i < 0 || j < i || j > t.shape[0] {
		Panic("tensor.Slice", fmt.Sprintf("no range [%d:%d] along the first axis", i, j), t.shape)
	}
	s := slices.Clone(t.shape)
	s[0] = j - i
	row := t.rowLen()
	return &Tensor{shape: s, data: t.data[i*row : j*row : j*row]}
}

// Index returns entry i along the first axis as a view: its rank is one lower,
// and it shares the memory of t. It panics if t has rank 0 or no entry i.
func (t *Tensor) Index(i int) *Tensor {
	if len(t.shape) == 0 || uint(i) >= uint(t.shape[0]) {
		Panic("tensor.Index", fmt.Sprintf("no entry %d along the first axis", i), t.shape)
	}
	row := t.rowLen()
	return &Tensor{shape: slices.Clone(t.shape[1:]), data: t.data[i*row : (i+1)*row : (i+1)*row]}
}

// rowLen returns the number of elements in one entry along the first axis.
func (t *Tensor) rowLen() int {
	n, _ := elements(t.shape[1:])
	return n
}
