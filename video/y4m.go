package video

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/tensor"
)

const y4mMagic = "YUV4MPEG2"

// maxLine bounds the header and the lines in front of frames.
const maxLine = 4096

// y4mLayouts are the values of parameter C without a number of bits.
var y4mLayouts = map[string]planar{
	"420": {xDiv: 2, yDiv: 2}, "420jpeg": {xDiv: 2, yDiv: 2}, "420mpeg2": {xDiv: 2, yDiv: 2}, "420paldv": {xDiv: 2, yDiv: 2},
	"411": {xDiv: 4, yDiv: 1}, "410": {xDiv: 4, yDiv: 4},
	"422": {xDiv: 2, yDiv: 1}, "440": {xDiv: 1, yDiv: 2},
	"444": {xDiv: 1, yDiv: 1}, "444alpha": {xDiv: 1, yDiv: 1, alpha: true},
	"mono": {mono: true, full: true},
}

// y4m reads YUV4MPEG2.
type y4m struct {
	in      *input
	layout  planar
	round   bool // to 8 bits, for which the file was made
	fps     float64
	raw     []byte
	waiting bool // raw holds the next frame
	n       int  // frames read
}

// NewY4M reads YUV4MPEG2, the format of mjpegtools and of ffmpeg's yuv4mpegpipe. It
// knows the layouts 420jpeg, 420mpeg2, 420paldv, 411, 410, 422, 440, 444, 444alpha (the
// alpha is dropped) and mono, and all of them with 9 to 16 bits (420p10, 444p12,
// mono10). Width and height may be odd.
//
// The file says nothing of the matrix: it is taken to be that of ITU-R BT.601, as in
// ffmpeg. Samples have the limited range, 16 to 235 for luma, unless the parameter
// XCOLORRANGE=FULL says otherwise; in mono they have the full range, unless
// XCOLORRANGE=LIMITED says otherwise. A sample of chroma is used for all pixels that it
// covers, wherever the layout places it, as ffmpeg's conversion to RGB does for
// frames of even size: the three layouts of 420 give the same pixels. With 8 bits
// the values of the result are multiples of 1/255; with more they are not rounded.
//
// Interlaced video is an error, since two fields in one frame are not a picture of one
// moment.
func NewY4M(r io.Reader) (Source, error) {
	in := newInput("Y4M", r)
	line, err := in.line(maxLine)
	if err != nil {
		if err == errLongLine {
			return nil, in.fail("header", fmt.Sprintf("longer than %d bytes", maxLine), nil)
		}
		return nil, in.ends("header", err)
	}
	y := &y4m{in: in}
	if err := y.header(line); err != nil {
		return nil, err
	}
	switch err := y.read(); err {
	case nil:
		y.waiting = true
	case io.EOF:
		return nil, in.fail("", "no frames", nil)
	default:
		return nil, err
	}
	p := &y.layout
	return &source{info: Info{Format: in.format, C: p.channels(), H: p.h, W: p.w, FPS: y.fps}, next: y.next}, nil
}

// header reads the parameters of the first line.
func (y *y4m) header(line string) error {
	fields := strings.Fields(line)
	if len(fields) == 0 || fields[0] != y4mMagic {
		return y.in.fail("header", fmt.Sprintf("begins with %.10q, not %s", line, y4mMagic), nil)
	}
	bad := func(f, reason string) error { return y.in.fail("header", fmt.Sprintf("%.40q: %s", f, reason), nil) }
	w, h, layout, full := 0, 0, "420jpeg", ""
	for _, f := range fields[1:] {
		value := f[1:]
		switch f[0] {
		case 'W', 'H':
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return bad(f, "not a size")
			}
			if f[0] == 'W' {
				w = n
			} else {
				h = n
			}
		case 'F':
			num, den, ok := strings.Cut(value, ":")
			a, err1 := strconv.ParseUint(num, 10, 31)
			b, err2 := strconv.ParseUint(den, 10, 31)
			if !ok || err1 != nil || err2 != nil {
				return bad(f, "not a rate such as 30000:1001")
			}
			if a > 0 && b > 0 {
				y.fps = float64(a) / float64(b)
			}
		case 'I':
			switch value {
			case "p", "?":
			case "t", "b", "m":
				return bad(f, "the video is interlaced; make whole frames of it first, for example by ffmpeg -vf yadif")
			default:
				return bad(f, "an unknown kind of frames")
			}
		case 'C':
			layout = value
		case 'X':
			if v, ok := strings.CutPrefix(value, "COLORRANGE="); ok {
				full = v
			}
			y.round = y.round || value == roundTag
		}
	}
	if w == 0 || h == 0 {
		return y.in.fail("header", "W or H is missing", nil)
	}
	if reason := checkSize(w, h); reason != "" {
		return y.in.fail("header", reason, nil)
	}
	p, ok := y4mLayout(layout)
	if !ok {
		return y.in.fail("header", fmt.Sprintf("the layout C%.20s", layout), errors.ErrUnsupported)
	}
	p.w, p.h = w, h
	switch full {
	case "FULL":
		p.full = true
	case "LIMITED":
		p.full = false
	}
	y.layout = p
	return nil
}

// y4mLayout parses the value of parameter C.
func y4mLayout(name string) (planar, bool) {
	bits := 8
	p, ok := y4mLayouts[name]
	if !ok {
		base, n, _ := strings.Cut(name, "p")
		if b, mono := strings.CutPrefix(name, "mono"); mono {
			base, n = "mono", b
		}
		bits, _ = strconv.Atoi(n)
		p = y4mLayouts[base]
		ok = bits >= 9 && bits <= 16 && (p.mono || p.xDiv > 0) && !p.alpha
	}
	p.bits = bits
	return p, ok
}

// place names the frame that comes next.
func (y *y4m) place() string { return fmt.Sprintf("frame %d", y.n) }

// start reads the line in front of a frame. It returns io.EOF if there is none.
func (y *y4m) start() error {
	line, err := y.in.line(maxLine)
	if err == io.EOF {
		return err
	}
	word, _, _ := strings.Cut(line, " ")
	switch {
	case err == errLongLine || err == nil && word != "FRAME":
		return y.in.fail(y.place(), fmt.Sprintf("begins with %.10q, not FRAME", line), nil)
	case err != nil:
		return y.in.ends(y.place(), err)
	}
	return nil
}

// read reads the next frame to y.raw.
func (y *y4m) read() error {
	if err := y.start(); err != nil {
		return err
	}
	var err error
	if y.raw, err = y.in.take(y.raw, y.layout.size()); err != nil {
		return y.in.ends(y.place(), err)
	}
	return nil
}

func (y *y4m) next(dst *tensor.Tensor) error {
	switch {
	case y.waiting:
	case dst != nil:
		if err := y.read(); err != nil {
			return err
		}
	default:
		if err := y.start(); err != nil {
			return err
		}
		if err := y.in.skip(int64(y.layout.size())); err != nil {
			return y.in.ends(y.place(), err)
		}
	}
	y.waiting = false
	y.n++
	if dst != nil {
		y.layout.convert(dst.Data(), y.raw)
		if y.round {
			dst.CopyFrom(dst.Round8())
		}
	}
	return nil
}
