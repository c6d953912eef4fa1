package video

import (
	"fmt"
	"io"
	"strconv"

	"github.com/mettleml/mettle/tensor"
)

// readPNM reads a PPM or PGM picture, P2, P3, P5 or P6, of up to 16 bits per sample, to
// [C, H, W]. A comment may stand wherever white space may.
func readPNM(in *input) (*tensor.Tensor, error) {
	var magic [2]byte
	if err := in.full(magic[:]); err != nil {
		return nil, in.ends("header", err)
	}
	channels, plain := 1, false
	switch string(magic[:]) {
	case "P5":
	case "P6":
		channels = 3
	case "P2":
		plain = true
	case "P3":
		channels, plain = 3, true
	default:
		return nil, in.fail("header", fmt.Sprintf("%q; P2, P3, P5 and P6 are read", magic), nil)
	}
	var size [3]int // width, height, largest value
	for i, name := range []string{"width", "height", "largest value"} {
		v, err := pnmNumber(in)
		if err != nil {
			return nil, in.ends("header, "+name, err)
		}
		size[i] = v
	}
	w, h, top := size[0], size[1], size[2]
	if reason := checkSize(w, h); reason != "" {
		return nil, in.fail("header", reason, nil)
	}
	if top < 1 || top > 65535 {
		return nil, in.fail("header", fmt.Sprintf("the largest value is %d", top), nil)
	}
	n := w * h
	// Values are stored pixel by pixel, the channels of one side by side.
	place := func(i int) string { return fmt.Sprintf("row %d, column %d", i/channels/w, i/channels%w) }
	if plain {
		// A value takes two bytes at least, so that the file bounds the picture.
		if in.size >= 0 && in.size-in.at < 2*int64(n*channels) {
			return nil, in.fail("data", fmt.Sprintf("%d bytes for %d values", in.size-in.at, n*channels), io.ErrUnexpectedEOF)
		}
		x := tensor.New(channels, h, w)
		for i := range n * channels {
			v, err := pnmNumber(in)
			if err != nil {
				return nil, in.ends(place(i), err)
			}
			if v > top {
				return nil, in.fail(place(i), fmt.Sprintf("%d is above the largest value %d", v, top), nil)
			}
			x.Data()[i%channels*n+i/channels] = float32(v) / float32(top)
		}
		return x, nil
	}
	bytes := 1
	if top > 255 {
		bytes = 2
	}
	raw, err := in.take(nil, n*channels*bytes)
	if err != nil {
		return nil, in.ends("data", err)
	}
	x := tensor.New(channels, h, w)
	for i := range n * channels {
		v := int(raw[i*bytes])
		if bytes == 2 {
			v = v<<8 | int(raw[2*i+1])
		}
		if v > top {
			return nil, in.fail(place(i), fmt.Sprintf("%d is above the largest value %d", v, top), nil)
		}
		x.Data()[i%channels*n+i/channels] = float32(v) / float32(top)
	}
	if _, err := in.r.ReadByte(); err == nil {
		return nil, in.fail("end", "more data after the picture", nil)
	}
	return x, nil
}

// pnmNumber reads white space and comments, a number, and the one byte of white space
// after it.
func pnmNumber(in *input) (int, error) {
	var digits []byte
	for {
		c, err := in.r.ReadByte()
		if err != nil {
			return 0, err // behind digits too: there may have been more of them
		}
		in.at++
		switch {
		case c >= '0' && c <= '9':
			if len(digits) == 9 {
				return 0, in.fail("header", fmt.Sprintf("a number of more than 9 digits at byte %d", in.at), nil)
			}
			digits = append(digits, c)
		case c == '#':
			for c != '\n' {
				if c, err = in.r.ReadByte(); err != nil {
					return 0, err
				}
				in.at++
			}
			if len(digits) > 0 {
				return strconv.Atoi(string(digits))
			}
		case c == ' ' || c >= '\t' && c <= '\r':
			if len(digits) > 0 {
				return strconv.Atoi(string(digits))
			}
		default:
			return 0, in.fail("header", fmt.Sprintf("%q at byte %d, not a number", c, in.at-1), nil)
		}
	}
}
