package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// LoadInts reads one tensor of whole numbers, in row-major order: counts that float32 may
// not hold, such as PyTorch's num_batches_tracked. The stored type may be any that this
// package reads. It is an error if an element is not whole or beyond int64.
func (s *Safetensors) LoadInts(name string) ([]int64, error) {
	var values []int64
	err := s.load(name, func(e Entry, n int) { values = make([]int64, 0, n) }, func(d DType, b []byte, n int) *valueError {
		for i := range n {
			v, bad := d.integer(b[i*d.Size():])
			if bad != "" {
				return &valueError{i, bad}
			}
			values = append(values, v)
		}
		return nil
	})
	return values, err
}

// integer converts the element at the start of src. bad says what is wrong with it.
func (d DType) integer(src []byte) (v int64, bad string) {
	le := binary.LittleEndian
	var f float64
	switch d {
	case I32:
		return int64(int32(le.Uint32(src))), ""
	case U32:
		return int64(le.Uint32(src)), ""
	case I64:
		return int64(le.Uint64(src)), ""
	case U64:
		if u := le.Uint64(src); u > math.MaxInt64 {
			return 0, fmt.Sprintf("is %d, beyond the range of int64", u)
		}
		return int64(le.Uint64(src)), ""
	case F64:
		f = math.Float64frombits(le.Uint64(src))
	default: // what float32 holds exactly
		var one [1]float32
		if e := d.decode(one[:], src); e != nil {
			return 0, e.reason
		}
		f = float64(one[0])
	}
	if f != math.Trunc(f) || !(f >= math.MinInt64 && f < -math.MinInt64) {
		return 0, fmt.Sprintf("is %g, not a whole number that int64 holds", f)
	}
	return int64(f), ""
}

// WriteInts writes the data of the next entry, which must have been declared as I64,
// from values in row-major order. It panics if no entry is left, or if the next was
// declared with another type or number of elements.
func (s *SafetensorsWriter) WriteInts(values []int64) error {
	const op = "tensor.SafetensorsWriter.WriteInts"
	e := s.declared(op, []int{len(values)})
	if n, _ := elements(e.Shape); e.DType != I64 || n != len(values) {
		Panic(op, fmt.Sprintf("%q was declared as %s of another size", e.Name, e.DType), e.Shape, []int{len(values)})
	}
	s.next++
	b := make([]byte, 0, 8*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	_, err := s.w.Write(b)
	return err
}
