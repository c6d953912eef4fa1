package video

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/tensor"
)

const npyMagic = "\x93NUMPY"

// npy reads an array frame by frame: it gives [tensor.ReadNPY] one frame at a time,
// each with the header of the file, in which the number of frames is changed.
type npy struct {
	in       *input
	version  string // the first 8 bytes
	before   string // the header up to the number of frames
	behind   string // and after it
	n, t     int    // frames read, frames in all
	size     int    // bytes of a frame
	integers bool   // 0 to 255
	last     bool   // channels come last
	frame    *tensor.Tensor
}

var (
	npyShape = regexp.MustCompile(`'shape'\s*:\s*\(\s*(\d+)L?\s*,`)
	npyType  = regexp.MustCompile(`'descr'\s*:\s*'[<>|=]?(u1|f2|f4|f8)'`)
	npyOrder = regexp.MustCompile(`'fortran_order'\s*:\s*True`)
)

// NewNPY reads an array in numpy's npy format as a video: [T, C, H, W], [T, H, W, C] or
// [T, H, W], where C is 1 or 3; what could be both of the first two is taken for the
// first. Elements are bytes, of which 255 is 1, or floats in [0,1]. It reads frame by
// frame, so that the array may be larger than memory. The rate is unknown.
func NewNPY(r io.Reader) (Source, error) {
	a := &npy{in: newInput("npy", r)}
	c, h, w, err := a.header()
	if err != nil {
		return nil, err
	}
	if a.t == 0 {
		return nil, a.in.fail("", "no frames", nil)
	}
	if a.frame, err = a.read(); err != nil {
		return nil, err
	}
	return &source{info: Info{Format: a.in.format, C: c, H: h, W: w}, next: a.next}, nil
}

// header reads what precedes the data.
func (a *npy) header() (c, h, w int, err error) {
	fail := func(reason string, cause error) (int, int, int, error) {
		return 0, 0, 0, a.in.fail("header", reason, cause)
	}
	head := make([]byte, 10, 12)
	if err := a.in.full(head); err != nil {
		return 0, 0, 0, a.in.ends("header", err)
	}
	if string(head[:6]) != npyMagic {
		return fail(fmt.Sprintf("begins with %q, not as npy does", head[:6]), nil)
	}
	a.version = string(head[:8])
	if head[6] < 1 || head[6] > 3 {
		_, err := tensor.ReadNPY(bytes.NewReader(head))
		return 0, 0, 0, a.named(err)
	}
	n := int(head[8]) | int(head[9])<<8
	if head[6] > 1 {
		head = head[:12]
		if err := a.in.full(head[10:]); err != nil {
			return 0, 0, 0, a.in.ends("header", err)
		}
		if head[10]|head[11] != 0 {
			return fail("longer than 65535 bytes", nil)
		}
	}
	text, err := a.in.take(nil, n)
	if err != nil {
		return 0, 0, 0, a.in.ends("header", err)
	}
	// What is wrong with the header is for tensor.ReadNPY to say. It reads an array
	// of no frames, whose shape has the other dimensions.
	at := npyShape.FindSubmatchIndex(text)
	if at == nil {
		_, err := tensor.ReadNPY(bytes.NewReader(append(head, text...)))
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			return fail("the shape has no dimension of frames", nil)
		}
		return 0, 0, 0, a.named(err)
	}
	a.before, a.behind = string(text[:at[2]]), string(text[at[3]:])
	empty, err := a.array(0, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	kind := npyType.FindSubmatch(text)
	if kind == nil {
		return fail("elements are neither bytes (uint8) nor floats", errors.ErrUnsupported)
	}
	if npyOrder.Match(text) {
		return fail("Fortran order; save numpy.ascontiguousarray of it", errors.ErrUnsupported)
	}
	if a.t, err = strconv.Atoi(string(text[at[2]:at[3]])); err != nil {
		return fail(fmt.Sprintf("%s frames", text[at[2]:at[3]]), nil)
	}
	a.integers = kind[1][0] == 'u'
	width, _ := strconv.Atoi(string(kind[1][1:]))

	s := empty.Shape()
	channels := func(n int) bool { return n == 1 || n == 3 }
	switch {
	case len(s) == 3:
		c, h, w = 1, s[1], s[2]
	case len(s) == 4 && channels(s[1]):
		c, h, w = s[1], s[2], s[3]
	case len(s) == 4 && channels(s[3]):
		c, h, w, a.last = s[3], s[1], s[2], true
	default:
		s[0] = a.t
		return fail(fmt.Sprintf("the shape %v is not [T, C, H, W], [T, H, W, C] or [T, H, W] with 1 or 3 channels", s), nil)
	}
	if reason := checkSize(w, h); reason != "" {
		return fail(reason, nil)
	}
	a.size = c * h * w * width
	return c, h, w, nil
}

// array lets tensor.ReadNPY read t frames.
func (a *npy) array(t int, data []byte) (*tensor.Tensor, error) {
	text := fmt.Sprintf("%s%d%s", a.before, t, a.behind)
	head := append([]byte(a.version), byte(len(text)), byte(len(text)>>8))
	if a.version[6] > 1 {
		head = append(head, 0, 0)
	}
	r := io.MultiReader(bytes.NewReader(head), strings.NewReader(text), bytes.NewReader(data))
	x, err := tensor.ReadNPY(r)
	return x, a.named(err)
}

// named adds the path to an error of tensor.ReadNPY.
func (a *npy) named(err error) error {
	var fe *tensor.FormatError
	if errors.As(err, &fe) && fe.File == "" {
		fe.File = a.in.name
	}
	return err
}

func (a *npy) place() string { return fmt.Sprintf("frame %d of %d", a.n, a.t) }

// read reads the next frame to [C, H, W].
func (a *npy) read() (*tensor.Tensor, error) {
	data, err := a.in.take(nil, a.size)
	if err != nil {
		return nil, a.in.ends(a.place(), err)
	}
	x, err := a.array(1, data)
	if err != nil {
		return nil, err
	}
	if a.integers {
		for i, v := range x.Data() {
			x.Data()[i] = unit[byte(v)]
		}
	} else {
		for i, v := range x.Data() {
			if !(v >= 0 && v <= 1) {
				return nil, a.in.fail(a.place(), fmt.Sprintf("element %d is %v, outside [0,1]", i, v), nil)
			}
		}
	}
	s := x.Shape()
	if !a.last {
		h, w := s[len(s)-2], s[len(s)-1]
		return x.Reshape(x.Len()/(h*w), h, w), nil
	}
	h, w, c := s[1], s[2], s[3]
	out := tensor.New(c, h, w)
	for i, v := range x.Data() {
		out.Data()[i%c*h*w+i/c] = v
	}
	return out, nil
}

func (a *npy) next(dst *tensor.Tensor) error {
	if a.n == a.t {
		if _, err := a.in.r.ReadByte(); err == nil {
			return a.in.fail("end", "more data after the array", nil)
		}
		return io.EOF
	}
	switch {
	case a.n == 0:
		if dst != nil {
			dst.CopyFrom(a.frame)
		}
		a.frame = nil
	case dst == nil:
		if err := a.in.skip(int64(a.size)); err != nil {
			return a.in.ends(a.place(), err)
		}
	default:
		x, err := a.read()
		if err != nil {
			return err
		}
		dst.CopyFrom(x)
	}
	a.n++
	return nil
}
