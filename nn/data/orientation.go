package data

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/mettleml/mettle/tensor"
)

// An orientation is what Exif says about how a picture is stored: 1 to 8 (Exif 2.32,
// tag 0x0112).
type orientation int

const upright orientation = 1

// Bounds on what is looked at to find the tag.
const (
	maxSegments = 256     // of a JPEG, or chunks of a PNG
	maxExif     = 1 << 16 // bytes, what a segment of a JPEG can hold
)

// readOrientation returns the orientation of a JPEG or PNG file, upright if it does not
// say or is damaged: what is wrong with the picture itself, its decoder tells.
func readOrientation(r *bufio.Reader) orientation {
	head, _ := r.Peek(8)
	switch {
	case len(head) == 8 && string(head) == "\x89PNG\r\n\x1a\n":
		r.Discard(8)
		return tiffOrientation(pngExif(r))
	case len(head) >= 2 && string(head[:2]) == "\xff\xd8":
		r.Discard(2)
		return tiffOrientation(jpegExif(r))
	}
	return upright
}

// jpegExif returns the TIFF data of the first APP1 segment that has Exif, of a JPEG
// behind its start.
func jpegExif(r *bufio.Reader) []byte {
	for range maxSegments {
		marker, err := nextMarker(r)
		if err != nil || marker == 0xda || marker == 0xd9 { // the scan, or the end
			return nil
		}
		var b [2]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil
		}
		n := int(binary.BigEndian.Uint16(b[:])) - 2
		if n < 0 {
			return nil
		}
		if head, _ := r.Peek(6); marker != 0xe1 || n < 6 || string(head) != "Exif\x00\x00" {
			if _, err := r.Discard(n); err != nil {
				return nil
			}
			continue
		}
		segment := make([]byte, n)
		if _, err := io.ReadFull(r, segment); err != nil {
			return nil
		}
		return segment[6:]
	}
	return nil
}

// nextMarker reads the next marker, before which there may be any number of 0xff.
func nextMarker(r *bufio.Reader) (byte, error) {
	b, err := r.ReadByte()
	if err != nil || b != 0xff {
		return 0xd9, err
	}
	for b == 0xff && err == nil {
		b, err = r.ReadByte()
	}
	return b, err
}

// pngExif returns the content of the eXIf chunk of a PNG behind its signature, if it
// comes before the pixels.
func pngExif(r *bufio.Reader) []byte {
	for range maxSegments {
		var b [8]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil
		}
		n := binary.BigEndian.Uint32(b[:4])
		switch kind := string(b[4:]); {
		case kind == "IDAT" || kind == "IEND" || n > 1<<30:
			return nil
		case kind == "eXIf" && n <= maxExif:
			chunk := make([]byte, n)
			if _, err := io.ReadFull(r, chunk); err != nil {
				return nil
			}
			return chunk
		}
		if _, err := r.Discard(int(n) + 4); err != nil { // with its sum
			return nil
		}
	}
	return nil
}

// tiffOrientation looks the tag up in the first directory of TIFF data.
func tiffOrientation(b []byte) orientation {
	if len(b) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(b[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return upright
	}
	n := int(order.Uint16(b[at:]))
	for entry := b[at+2:]; n > 0 && len(entry) >= 12; n, entry = n-1, entry[12:] {
		const tag, short = 0x0112, 3
		if order.Uint16(entry) != tag {
			continue
		}
		o := orientation(order.Uint16(entry[8:]))
		if order.Uint16(entry[2:]) != short || order.Uint32(entry[4:]) != 1 || o < 1 || o > 8 {
			return upright
		}
		return o
	}
	return upright
}

// apply returns x, [C, H, W], as it is to be seen.
func (o orientation) apply(x *tensor.Tensor) *tensor.Tensor {
	mirrored, turns := o == 2 || o == 4 || o == 5 || o == 7, 0
	switch o {
	case 5, 8:
		turns = 1
	case 3, 4:
		turns = 2
	case 6, 7:
		turns = 3
	}
	step := func(t Transform) {
		out := tensor.New(t.Shape(x.Shape())...)
		t.Apply(out, x, nil)
		x = out
	}
	if mirrored {
		step(HorizontalFlip{})
	}
	if turns > 0 {
		step(QuarterTurns{turns})
	}
	return x
}
