package jpeg

import (
	"errors"
)

var errCode = errors.New("jpeg: bits that are no code")

// A bitReader reads the bits of a scan. Behind the last byte before a marker it gives
// zeros, and remembers how many.
type bitReader struct {
	src  []byte
	acc  uint64
	n    int // bits in acc
	fake int // of them, made up
}

// fill brings acc to more than 32 bits.
func (r *bitReader) fill() {
	for r.n <= 56 {
		b := uint64(0)
		switch {
		case len(r.src) > 0 && r.src[0] != 0xff:
			b = uint64(r.src[0])
			r.src = r.src[1:]
		case len(r.src) > 1 && r.src[1] == 0: // a stuffed ff
			b = 0xff
			r.src = r.src[2:]
		default:
			r.fake += 8
		}
		r.acc = r.acc<<8 | b
		r.n += 8
	}
}

// bits reads up to 16 bits.
func (r *bitReader) bits(n int) int32 {
	if r.n < n {
		r.fill()
	}
	r.n -= n
	return int32(r.acc >> r.n & (1<<n - 1))
}

// extended reads a number of n bits whose first bit says its sign, T.81, F.2.2.1.
func (r *bitReader) extended(n int) int32 {
	v := r.bits(n)
	if n > 0 && v < 1<<(n-1) {
		v += -1<<n + 1
	}
	return v
}

// symbol decodes a code.
func (r *bitReader) symbol(h *huffman) (byte, error) {
	if r.n < 16 {
		r.fill()
	}
	if e := h.look[r.acc>>(r.n-lookBits)&(1<<lookBits-1)]; e != 0 {
		r.n -= int(e >> 8)
		return byte(e), nil
	}
	for length := lookBits + 1; length <= 16; length++ {
		code := int32(r.acc >> (r.n - length) & (1<<length - 1))
		if code < h.beyond[length] {
			r.n -= length
			if code < h.first[length] {
				return 0, errCode
			}
			return h.values[h.at[length]+code-h.first[length]], nil
		}
	}
	return 0, errCode
}

// ended returns an error if bits were used that are not in the picture.
func (r *bitReader) ended() error {
	if r.fake > r.n {
		return errEnd
	}
	return nil
}

// restart drops what is left of a byte and goes over the marker of the given number.
func (r *bitReader) restart(number int) error {
	if err := r.ended(); err != nil {
		return err
	}
	if r.n-r.fake >= 8 {
		return errors.New("jpeg: data where a restart marker belongs")
	}
	s := r.src
	for len(s) > 1 && s[0] == 0xff && s[1] == 0xff {
		s = s[1:]
	}
	if len(s) < 2 {
		return errEnd
	}
	if s[0] != 0xff || s[1] != mRST0+byte(number) {
		return errors.New("jpeg: no restart marker where one belongs")
	}
	*r = bitReader{src: s[2:]}
	return nil
}
