package jpeg

import (
	"errors"
)

// zigzag is where the k-th coefficient of a scan stands in a block, T.81, figure A.6.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}

// quantTables reads tables of steps, T.81, B.2.4.1, in the order of the block.
func (d *decoder) quantTables(s []byte) error {
	for len(s) > 0 {
		wide, at := s[0]>>4, s[0]&15
		size := 64 << wide
		if wide > 1 || at > 3 {
			return errors.New("jpeg: a table of steps that cannot be")
		}
		if len(s) < 1+size {
			return errEnd
		}
		for k, to := range zigzag {
			if wide == 0 {
				d.quant[at][to] = uint16(s[1+k])
			} else {
				d.quant[at][to] = uint16(s[1+2*k])<<8 | uint16(s[2+2*k])
			}
		}
		d.quantKnown[at] = true
		s = s[1+size:]
	}
	return nil
}

// lookBits is the length of the codes that are decoded by one look into a table.
const lookBits = 9

// A huffman is a table of codes, T.81, annex C.
type huffman struct {
	look   [1 << lookBits]uint16 // length<<8 | value for the codes that begin so, 0 if longer
	first  [17]int32             // the least code of each length
	beyond [17]int32             // the greatest, plus 1
	at     [17]int32             // where the values of each length begin
	values []byte
}

// huffmanTables reads tables of codes, T.81, B.2.4.2.
func (d *decoder) huffmanTables(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 {
			return errEnd
		}
		class, at := s[0]>>4, s[0]&15
		if class > 1 || at > 3 {
			return errors.New("jpeg: a table of codes that cannot be")
		}
		h := &d.dc[at]
		if class == 1 {
			h = &d.ac[at]
		}
		*h = huffman{}
		n, code := int32(0), int32(0)
		for i := 1; i <= 16; i++ {
			h.first[i], h.at[i] = code, n
			code += int32(s[i])
			n += int32(s[i])
			h.beyond[i] = code
			if code > 1<<i {
				return errors.New("jpeg: more codes of a length than there can be")
			}
			code <<= 1
		}
		if n == 0 || n > 256 {
			return errors.New("jpeg: a table without codes, or with more than 256")
		}
		if len(s) < 17+int(n) {
			return errEnd
		}
		h.values = s[17 : 17+n]
		for length := 1; length <= lookBits; length++ {
			for c := h.first[length]; c < h.beyond[length]; c++ {
				entry := uint16(length)<<8 | uint16(h.values[h.at[length]+c-h.first[length]])
				from := c << (lookBits - length)
				for i := range int32(1) << (lookBits - length) {
					h.look[from+i] = entry
				}
			}
		}
		s = s[17+n:]
	}
	return nil
}
