package video

import (
	"bytes"
	"errors"
	"image"
	"slices"

	"github.com/mettleml/mettle/internal/jpeg"
)

// jpegHeader is what the markers of a JPEG say.
type jpegHeader struct {
	w, h   int
	tables bool // there is a Huffman table
	field  bool // it is one field of two, by the APP0 marker that AVI files use
	scan   int  // where the first scan's marker is
}

var errJPEG = errors.New("not a JPEG image")

// readJPEGHeader walks the markers up to the first scan. It checks the size.
func readJPEGHeader(b []byte) (h jpegHeader, err error) {
	if len(b) < 2 || b[0] != 0xff || b[1] != 0xd8 {
		return h, errJPEG
	}
	for i := 2; ; {
		for i < len(b) && b[i] != 0xff { // padding between segments
			i++
		}
		for i+1 < len(b) && b[i+1] == 0xff {
			i++
		}
		if i+4 > len(b) {
			return h, errors.New("the JPEG image ends in its header")
		}
		marker, n := b[i+1], int(b[i+2])<<8|int(b[i+3])
		if marker == 0 || marker == 1 || marker >= 0xd0 && marker <= 0xd8 { // without a segment
			i += 2
			continue
		}
		if n < 2 || i+2+n > len(b) {
			return h, errors.New("the JPEG image ends in its header")
		}
		segment := b[i+4 : i+2+n]
		switch {
		case marker == 0xda:
			if h.w == 0 {
				return h, errors.New("a JPEG image without a size")
			}
			h.scan = i
			return h, nil
		case marker == 0xc4:
			h.tables = true
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc:
			if len(segment) < 5 {
				return h, errors.New("the JPEG image ends in its header")
			}
			h.h, h.w = int(segment[1])<<8|int(segment[2]), int(segment[3])<<8|int(segment[4])
			if reason := checkSize(h.w, h.h); reason != "" {
				return h, errors.New(reason)
			}
		case marker == 0xe0 && len(segment) >= 5 && string(segment[:4]) == "AVI1":
			h.field = segment[4] != 0
		}
		i += 2 + n
	}
}

// decodeMJPEG decodes a JPEG that may lack its Huffman tables, as Motion JPEG in AVI
// files does.
func decodeMJPEG(b []byte, h jpegHeader) (image.Image, error) {
	if !h.tables {
		b = slices.Concat(b[:h.scan], standardTables, b[h.scan:])
	}
	return jpeg.Decode(bytes.NewReader(b))
}

// standardTables is the DHT segment with the four tables of ITU-T T.81, annex K.3.
var standardTables = func() []byte {
	type table struct {
		class  byte // 0x00 DC, 0x10 AC, plus the number of the table
		counts [16]byte
		values string
	}
	tables := []table{
		{0x00, [16]byte{0, 1, 5, 1, 1, 1, 1, 1, 1}, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"},
		{0x01, [16]byte{0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"},
		{0x10, [16]byte{0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125}, "" +
			"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08\x23\x42\xb1\xc1\x15\x52\xd1\xf0" +
			"\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49" +
			"\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89" +
			"\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5" +
			"\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8" +
			"\xf9\xfa"},
		{0x11, [16]byte{0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119}, "" +
			"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91\xa1\xb1\xc1\x09\x23\x33\x52\xf0" +
			"\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48" +
			"\x49\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87" +
			"\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3" +
			"\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8" +
			"\xf9\xfa"},
	}
	var body []byte
	for _, t := range tables {
		body = append(body, t.class)
		body = append(body, t.counts[:]...)
		body = append(body, t.values...)
	}
	n := len(body) + 2
	return append([]byte{0xff, 0xc4, byte(n >> 8), byte(n)}, body...)
}()
