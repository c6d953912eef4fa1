package tensor

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/x448/float16"
)

// A Half stores an array in half precision (IEEE 754 binary16), in half the memory of a
// [Tensor]. It has no arithmetic. Storing rounds to nearest, ties to even; values beyond
// 65504 become infinite. Values in [0,1] are stored to within 2.5e-4, and multiples of
// 1/255 can be recovered exactly.
type Half struct {
	shape []int
	bits  []uint16
}

// NewHalf returns an array of zeros. It panics as [New] does.
func NewHalf(shape ...int) *Half {
	n := checkShape("tensor.NewHalf", shape)
	return &Half{shape: slices.Clone(shape), bits: make([]uint16, n)}
}

// ToHalf returns t in half precision.
func (t *Tensor) ToHalf() *Half {
	h := NewHalf(t.shape...)
	kernel.ToFloat16(h.bits, t.data)
	return h
}

// Tensor returns the array in single precision.
func (h *Half) Tensor() *Tensor {
	t := New(h.shape...)
	kernel.FromFloat16(t.data, h.bits)
	return t
}

// Shape returns the dimensions, outermost first. The slice must not be modified.
func (h *Half) Shape() []int { return h.shape }

// Len returns the number of elements.
func (h *Half) Len() int { return len(h.bits) }

// At returns element i in row-major order.
func (h *Half) At(i int) float16.Float16 { return float16.Frombits(h.bits[i]) }

// Store sets entry i along the first axis to t, which must have the shape of an
// entry. It panics if it has not or there is no entry i.
func (h *Half) Store(i int, t *Tensor) {
	kernel.ToFloat16(h.entry("tensor.Half.Store", i, t), t.data)
}

// Load copies entry i along the first axis to t, which must have the shape of an
// entry. It panics if it has not or there is no entry i.
func (h *Half) Load(i int, t *Tensor) {
	kernel.FromFloat16(t.data, h.entry("tensor.Half.Load", i, t))
}

// entry returns the bits of entry i, or panics for op.
func (h *Half) entry(op string, i int, t *Tensor) []uint16 {
	if len(h.shape) == 0 || i < 0 || i >= h.shape[0] || !slices.Equal(h.shape[1:], t.shape) {
		Panic(op, fmt.Sprintf("no entry %d of that shape", i), h.shape, t.shape)
	}
	return h.bits[i*len(t.data):][:len(t.data)]
}
