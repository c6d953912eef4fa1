package video

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mettleml/mettle/tensor"
)

// A Layout is the arrangement of the pixels in a file without a header.
type Layout uint8

// The layouts.
const (
	RGB24 Layout = iota // red, green and blue of each pixel, 8 bits each
	Gray8               // 8 bits per pixel
	I420                // a plane of luma and two of chroma of half the size, BT.601, limited range
)

var layoutNames = [...]string{"RGB24", "Gray8", "I420"}

// String names the layout.
func (l Layout) String() string {
	if int(l) < len(layoutNames) {
		return layoutNames[l]
	}
	return fmt.Sprintf("Layout(%d)", l)
}

// MarshalText writes the name.
func (l Layout) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (l *Layout) UnmarshalText(b []byte) error {
	for i, name := range layoutNames {
		if string(b) == name {
			*l = Layout(i)
			return nil
		}
	}
	return fmt.Errorf("video: unknown layout %q (have %v)", b, layoutNames)
}

// Raw describes video without a header: frame after frame and nothing else.
type Raw struct {
	Layout Layout  // RGB24 if not set
	W, H   int     // the size of a frame, which the file does not tell
	FPS    float64 `json:",omitempty"` // frames per second; 0 if unknown
}

// Format makes [Open] read every regular file as r, by [Options].Formats.
func (r Raw) Format() Format {
	return Format{
		Name:  "raw",
		Match: func(path string, head []byte) bool { return head != nil },
		Open: func(ctx context.Context, path string) (Source, error) {
			return openFile(path, func(f io.Reader) (Source, error) { return NewRaw(f, r) })
		},
	}
}

// NewRaw reads video without a header. Data that ends within a frame is an error. It
// panics if the layout is unknown or the size is impossible.
func NewRaw(r io.Reader, raw Raw) (Source, error) {
	if reason := checkSize(raw.W, raw.H); reason != "" || int(raw.Layout) >= len(layoutNames) {
		tensor.Panic("video.NewRaw", fmt.Sprintf("impossible settings %+v", raw))
	}
	in := newInput("raw", r)
	layout := planar{w: raw.W, h: raw.H, xDiv: 2, yDiv: 2, bits: 8, mono: raw.Layout == Gray8, full: raw.Layout == Gray8}
	size := layout.size()
	if raw.Layout == RGB24 {
		size = 3 * raw.W * raw.H
	}
	n := 0
	var data []byte
	read := func() (err error) {
		if data, err = in.take(data, size); err != nil {
			if err == io.EOF || in.size == int64(n)*int64(size) {
				return io.EOF
			}
			return in.ends(fmt.Sprintf("frame %d", n), err)
		}
		return nil
	}
	if err := read(); err == io.EOF {
		return nil, in.fail("", "no frames", nil)
	} else if err != nil {
		return nil, err
	}
	return &source{
		info: Info{Format: in.format, C: layout.channels(), H: raw.H, W: raw.W, FPS: raw.FPS},
		next: func(dst *tensor.Tensor) error {
			switch {
			case n == 0:
			case dst != nil:
				if err := read(); err != nil {
					return err
				}
			default:
				if err := in.skip(int64(size)); err != nil {
					if errors.Is(err, io.ErrUnexpectedEOF) && in.at == int64(n)*int64(size) {
						return io.EOF
					}
					return in.ends(fmt.Sprintf("frame %d", n), err)
				}
			}
			n++
			if dst == nil {
				return nil
			}
			if raw.Layout == RGB24 {
				fromRGB24(dst.Data(), data)
			} else {
				layout.convert(dst.Data(), data)
			}
			return nil
		},
	}, nil
}

// fromRGB24 takes pixels apart into planes.
func fromRGB24(dst []float32, raw []byte) {
	n := len(dst) / 3
	r, g, b := dst[:n], dst[n:2*n], dst[2*n:3*n]
	for i := range n {
		p := raw[3*i:][:3]
		r[i], g[i], b[i] = unit[p[0]], unit[p[1]], unit[p[2]]
	}
}
