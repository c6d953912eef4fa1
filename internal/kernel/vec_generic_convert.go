package kernel

import (
	"math"
	"unsafe"
)

func genericToFloat16(n int, dst *uint16, a *float32) {
	d, x := unsafe.Slice(dst, n), unsafe.Slice(a, n)
	for i := range d {
		d[i] = float16Bits(math.Float32bits(x[i]))
	}
}

// float16Bits rounds the number with bits b to half precision.
func float16Bits(b uint32) uint16 {
	sign := uint16(b >> 16 & 0x8000)
	b &^= 1 << 31
	switch {
	case b > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x47800000: // 2^16 and more; what rounds up to it carries into the exponent below
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: adding 1/2 leaves the subnormal's bits, rounded, in the low end
		m := math.Float32bits(math.Float32frombits(b) + 0.5)
		return sign | uint16(m-0x3f000000)
	}
	b += 0xfff + b>>13&1
	return sign | uint16(b>>13-(127-15)<<10)
}

func genericFromFloat16(n int, dst *float32, a *uint16) {
	d, x := unsafe.Slice(dst, n), unsafe.Slice(a, n)
	for i := range d {
		d[i] = math.Float32frombits(float32Bits(x[i]))
	}
}

// float32Bits widens the half-precision number h.
func float32Bits(h uint16) uint32 {
	sign := uint32(h&0x8000) << 16
	b := uint32(h&0x7fff) << 13
	switch {
	case b > 0x7c00<<13: // NaN
		return sign | b | 0x7fc00000
	case b == 0x7c00<<13:
		return sign | 0x7f800000
	case b < 0x400<<13: // subnormal: an integer times 2^-24
		return sign | math.Float32bits(float32(h&0x3ff)*0x1p-24)
	}
	return sign | b + (127-15)<<23
}
