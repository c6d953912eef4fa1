package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/x448/float16"
)

// A DType is the type of the elements in a file, by its name in safetensors. In memory
// elements are always float32.
//
// Reading float64 rounds to the nearest float32. It is an error if float32 cannot hold an
// integer exactly, or if a finite float64 is beyond its range. Writing rounds to nearest
// even in narrower float types. It is an error to write a value that is out of range, or
// one that is not whole to an integer type.
type DType string

// The types that can be read and written. The empty DType means F32.
const (
	F32  DType = "F32"
	F64  DType = "F64"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I8   DType = "I8"
	I16  DType = "I16"
	I32  DType = "I32"
	I64  DType = "I64"
	U8   DType = "U8"
	U16  DType = "U16"
	U32  DType = "U32"
	U64  DType = "U64"
	Bool DType = "BOOL" // a byte, 0 or 1
)

// Size returns the number of bytes of an element, 0 if the type is not one of
// those above.
func (d DType) Size() int {
	switch d {
	case Bool, I8, U8:
		return 1
	case F16, BF16, I16, U16:
		return 2
	case F32, I32, U32, "":
		return 4
	case F64, I64, U64:
		return 8
	}
	return 0
}

// A valueError says which element could not be converted and why.
type valueError struct {
	index  int
	reason string
}

func (e *valueError) Error() string { return fmt.Sprintf("element %d %s", e.index, e.reason) }

// exact reports whether float32 holds an integer of magnitude u.
func exact(u uint64) bool { return bits.Len64(u)-bits.TrailingZeros64(u) <= 24 || u == 0 }

// decode converts len(dst) little-endian elements of type d to float32.
func (d DType) decode(dst []float32, src []byte) *valueError {
	le := binary.LittleEndian
	src = src[:len(dst)*d.Size()]
	switch d {
	case F32, "":
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case F64:
		for i := range dst {
			v := math.Float64frombits(le.Uint64(src[8*i:]))
			dst[i] = float32(v)
			if math.IsInf(float64(dst[i]), 0) && !math.IsInf(v, 0) {
				return &valueError{i, fmt.Sprintf("is %g, beyond the range of float32", v)}
			}
		}
	case F16:
		for i := range dst {
			dst[i] = float16.Frombits(le.Uint16(src[2*i:])).Float32()
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
		}
	case I8:
		for i := range dst {
			dst[i] = float32(int8(src[i]))
		}
	case U8:
		for i := range dst {
			dst[i] = float32(src[i])
		}
	case Bool:
		for i := range dst {
			if src[i] > 1 {
				return &valueError{i, fmt.Sprintf("is %d, not a boolean", src[i])}
			}
			dst[i] = float32(src[i])
		}
	case I16:
		for i := range dst {
			dst[i] = float32(int16(le.Uint16(src[2*i:])))
		}
	case U16:
		for i := range dst {
			dst[i] = float32(le.Uint16(src[2*i:]))
		}
	case I32:
		return decodeInt(dst, func(i int) int64 { return int64(int32(le.Uint32(src[4*i:]))) })
	case I64:
		return decodeInt(dst, func(i int) int64 { return int64(le.Uint64(src[8*i:])) })
	case U32:
		return decodeInt(dst, func(i int) int64 { return int64(le.Uint32(src[4*i:])) })
	case U64:
		for i := range dst {
			v := le.Uint64(src[8*i:])
			if !exact(v) {
				return inexact(i, v)
			}
			dst[i] = float32(v)
		}
	}
	return nil
}

func decodeInt(dst []float32, at func(i int) int64) *valueError {
	for i := range dst {
		v := at(i)
		if !exact(magnitude(v)) {
			return inexact(i, v)
		}
		dst[i] = float32(v)
	}
	return nil
}

func inexact[T int64 | uint64](i int, v T) *valueError {
	return &valueError{i, fmt.Sprintf("is %d, an integer that float32 cannot hold", v)}
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// encode converts src to little-endian elements of type d.
func (d DType) encode(dst []byte, src []float32) *valueError {
	le := binary.LittleEndian
	dst = dst[:len(src)*d.Size()]
	switch d {
	case F32, "":
		for i, v := range src {
			le.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case F64:
		for i, v := range src {
			le.PutUint64(dst[8*i:], math.Float64bits(float64(v)))
		}
	case F16:
		for i, v := range src {
			h := float16.Fromfloat32(v)
			if h.IsInf(0) && !math.IsInf(float64(v), 0) {
				return outOfRange(d, i, v)
			}
			le.PutUint16(dst[2*i:], h.Bits())
		}
	case BF16:
		for i, v := range src {
			h := toBF16(v)
			if h&0x7fff == 0x7f80 && !math.IsInf(float64(v), 0) {
				return outOfRange(d, i, v)
			}
			le.PutUint16(dst[2*i:], h)
		}
	default:
		lo, hi := d.bounds()
		for i, v := range src {
			w := float64(v)
			if !(w >= lo && w < hi) || w != math.Trunc(w) {
				return outOfRange(d, i, v)
			}
			var u uint64
			if w < 0 {
				u = uint64(int64(w))
			} else {
				u = uint64(w)
			}
			switch d.Size() {
			case 1:
				dst[i] = byte(u)
			case 2:
				le.PutUint16(dst[2*i:], uint16(u))
			case 4:
				le.PutUint32(dst[4*i:], uint32(u))
			case 8:
				le.PutUint64(dst[8*i:], u)
			}
		}
	}
	return nil
}

func outOfRange(d DType, i int, v float32) *valueError {
	return &valueError{i, fmt.Sprintf("is %g, which %s cannot hold", v, d)}
}

// bounds returns the range lo <= v < hi of an integer type.
func (d DType) bounds() (lo, hi float64) {
	size := 8 * d.Size()
	switch d {
	case Bool:
		return 0, 2
	case U8, U16, U32, U64:
		return 0, math.Ldexp(1, size)
	}
	return -math.Ldexp(1, size-1), math.Ldexp(1, size-1)
}

// toBF16 rounds to the upper half of a float32, to nearest even; a NaN stays
// one.
func toBF16(v float32) uint16 {
	u := math.Float32bits(v)
	if v != v {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}
