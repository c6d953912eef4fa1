package video

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mettleml/mettle/tensor"
)

// maxChunk bounds what is read of one chunk of an AVI file: a frame of maxPixels
// uncompressed.
func maxChunk() int64 { return 4*int64(maxPixels) + 4096 }

// avi reads the first video stream of an AVI file.
type avi struct {
	in     *input
	stream int // of the stream header that came last
	video  int // the stream that is read, -1 before its header
	fps    float64
	codec  string // "MJPG" or "RGB"
	w, h   int    // of the stream's format; h is negative if rows go from top to bottom
	depth  int    // bits per pixel
	movi   int64  // where the list of frames ends, -1 if its header does not say
	riff   int64  // the same for all of the file's first part

	data    []byte // the frame that came last
	waiting bool   // data is the next frame
	frame   *tensor.Tensor
	n       int // frames read
}

// NewAVI reads the first video stream of an AVI file: Motion JPEG, with or without its
// own Huffman tables, or uncompressed pixels of 24 or 32 bits. Another codec gives an
// error with the cause [errors.ErrUnsupported]. Frames are taken in the order in which
// they lie in the file, in every part of an OpenDML file (AVI 2.0); indexes are not
// needed and not read. A frame of no bytes repeats the one before it. The rate is that
// of the stream's header. A Motion JPEG frame that holds one of two fields is an error.
func NewAVI(r io.Reader) (Source, error) {
	a := &avi{in: newInput("AVI", r), stream: -1, video: -1, movi: -1, riff: -1}
	var head [12]byte
	if err := a.in.full(head[:]); err != nil {
		return nil, a.in.ends("header", err)
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "AVI " {
		return nil, a.in.fail("header", fmt.Sprintf("begins with %.12q, not as AVI does", head), nil)
	}
	a.riff = a.end(binary.LittleEndian.Uint32(head[4:]), 4)
	switch err := a.read(); {
	case err == io.EOF && a.video < 0:
		return nil, a.in.fail("", "no video stream", nil)
	case err == io.EOF:
		return nil, a.in.fail("", "no frames", nil)
	case err != nil:
		return nil, err
	}
	if err := a.decode(); err != nil {
		return nil, err
	}
	a.waiting = true
	s := a.frame.Shape()
	return &source{info: Info{Format: a.in.format, C: s[0], H: s[1], W: s[2], FPS: a.fps}, next: a.next}, nil
}

// end is the place where a chunk of the given size ends, of which done bytes have been
// read, or -1 if the size was never filled in.
func (a *avi) end(size uint32, done int64) int64 {
	if size == 0 || size == 1<<32-1 {
		return -1
	}
	return a.in.at - done + int64(size)
}

// place names the frame that comes next.
func (a *avi) place() string { return fmt.Sprintf("frame %d", a.n) }

// read reads to a.data the next frame of the video stream. It returns io.EOF after the
// last one.
func (a *avi) read() error {
	for {
		at := a.in.at
		where := fmt.Sprintf("byte %d", at)
		var head [8]byte
		err := a.in.full(head[:])
		if a.movi >= 0 && at >= a.movi {
			// Behind the frames; there may be indexes and other parts. What is cut off
			// or wrong there does not matter, and what follows the file's RIFF chunks
			// is none of it.
			if err != nil || a.riff >= 0 && at >= a.riff && string(head[:4]) != "RIFF" {
				return io.EOF
			}
		}
		if err == io.EOF && a.movi < 0 && a.video >= 0 {
			return io.EOF
		}
		if err != nil {
			return a.in.ends(a.place(), err)
		}
		id, size := string(head[:4]), binary.LittleEndian.Uint32(head[4:])
		switch id {
		case "RIFF", "LIST":
			var kind [4]byte
			end := a.end(size, 0)
			if err := a.in.full(kind[:]); err != nil {
				return a.in.ends(where, err)
			}
			switch string(kind[:]) {
			case "AVI ", "AVIX":
				a.riff = end
				continue
			case "movi":
				a.movi = end
				continue
			case "hdrl", "strl", "rec ":
				continue
			}
			if size < 4 {
				return a.in.fail(where, fmt.Sprintf("a list of %d bytes", size), nil)
			}
			size -= 4
		case "strh":
			if err := a.streamHeader(where, size); err != nil {
				return err
			}
			continue
		case "strf":
			if a.stream == a.video && a.codec == "" {
				if err := a.streamFormat(where, size); err != nil {
					return err
				}
				continue
			}
		default:
			if a.video >= 0 && id[:2] == fmt.Sprintf("%02d", a.video) && (id[2:] == "dc" || id[2:] == "db") {
				if a.codec == "" {
					return a.in.fail(where, "a frame before the format of its stream", nil)
				}
				if size == 0 && a.data == nil {
					continue
				}
				if size == 0 {
					return nil
				}
				return a.payload(where, &a.data, size)
			}
			for _, c := range head[:4] {
				if (c < ' ' || c > '~') && a.movi >= 0 && at >= a.movi {
					return io.EOF
				}
				if c < ' ' || c > '~' {
					return a.in.fail(where, fmt.Sprintf("%q is not the name of a chunk", id), nil)
				}
			}
		}
		if err := a.in.skip(int64(size) + int64(size&1)); err != nil {
			if a.movi >= 0 && at >= a.movi && err == io.ErrUnexpectedEOF {
				return io.EOF
			}
			return a.in.ends(where, err)
		}
	}
}

// payload reads the content of a chunk and the byte that makes it even, which the last
// one may lack.
func (a *avi) payload(where string, dst *[]byte, size uint32) error {
	if int64(size) > maxChunk() {
		return a.in.fail(where, fmt.Sprintf("a chunk of %d bytes, the limit is %d", size, maxChunk()), nil)
	}
	var err error
	if *dst, err = a.in.take(*dst, int(size)); err != nil {
		return a.in.ends(where, err)
	}
	if size&1 == 1 {
		if err := a.in.skip(1); err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
	}
	return nil
}

// streamHeader reads a strh chunk.
func (a *avi) streamHeader(where string, size uint32) error {
	var b []byte
	if size < 28 || size > 1<<16 {
		return a.in.fail(where, fmt.Sprintf("a stream header of %d bytes", size), nil)
	}
	if err := a.payload(where, &b, size); err != nil {
		return err
	}
	a.stream++
	if a.video < 0 && string(b[:4]) == "vids" {
		a.video = a.stream
		if scale, rate := binary.LittleEndian.Uint32(b[20:]), binary.LittleEndian.Uint32(b[24:]); scale > 0 {
			a.fps = float64(rate) / float64(scale)
		}
	}
	return nil
}

// streamFormat reads the strf chunk of the video stream, a BITMAPINFOHEADER.
func (a *avi) streamFormat(where string, size uint32) error {
	var b []byte
	if size < 40 || size > 1<<16 {
		return a.in.fail(where, fmt.Sprintf("a video format of %d bytes", size), nil)
	}
	if err := a.payload(where, &b, size); err != nil {
		return err
	}
	a.w, a.h = int(int32(binary.LittleEndian.Uint32(b[4:]))), int(int32(binary.LittleEndian.Uint32(b[8:])))
	a.depth = int(binary.LittleEndian.Uint16(b[14:]))
	switch codec := string(b[16:20]); {
	case strings.EqualFold(codec, "MJPG"):
		a.codec = "MJPG"
	case codec == "\x00\x00\x00\x00" && (a.depth == 24 || a.depth == 32):
		a.codec = "RGB"
	case codec == "\x00\x00\x00\x00":
		return a.in.fail(where, fmt.Sprintf("uncompressed pixels of %d bits", a.depth), errors.ErrUnsupported)
	default:
		return a.in.fail(where, fmt.Sprintf("the codec %q; only Motion JPEG and uncompressed pixels are read here", codec), errors.ErrUnsupported)
	}
	if reason := checkSize(a.w, max(a.h, -a.h)); reason != "" {
		return a.in.fail(where, reason, nil)
	}
	return nil
}

// decode makes a.frame of a.data.
func (a *avi) decode() error {
	if a.codec == "MJPG" {
		h, err := readJPEGHeader(a.data)
		if err != nil {
			return a.in.fail(a.place(), err.Error(), err)
		}
		if h.field && 2*h.h == max(a.h, -a.h) {
			return a.in.fail(a.place(), "the video is interlaced; make whole frames of it first, for example by ffmpeg -vf yadif", nil)
		}
		img, err := decodeMJPEG(a.data, h)
		if err != nil {
			return a.in.fail(a.place(), err.Error(), err)
		}
		x := tensor.FromImage(img)
		a.frame, err = sameShape(a.frame, x)
		if err != nil {
			return a.in.fail(a.place(), err.Error(), nil)
		}
		return nil
	}
	h := max(a.h, -a.h)
	bytes := a.depth / 8
	stride := (a.w*bytes + 3) &^ 3
	if len(a.data) != stride*h {
		return a.in.fail(a.place(), fmt.Sprintf("%d bytes for %d by %d pixels of %d bits", len(a.data), a.w, h, a.depth), nil)
	}
	if a.frame == nil {
		a.frame = tensor.New(3, h, a.w)
	}
	n := a.w * h
	out := a.frame.Data()
	for y := range h {
		line := a.data[y*stride:]
		at := y * a.w
		if a.h > 0 { // rows from bottom to top
			at = (h - 1 - y) * a.w
		}
		for x := range a.w {
			p := line[x*bytes:]
			out[at+x], out[n+at+x], out[2*n+at+x] = unit[p[2]], unit[p[1]], unit[p[0]]
		}
	}
	return nil
}

func (a *avi) next(dst *tensor.Tensor) error {
	fresh := a.waiting // decoded already
	if !a.waiting {
		if err := a.read(); err != nil {
			return err
		}
	}
	a.waiting = false
	if dst != nil {
		if !fresh {
			if err := a.decode(); err != nil {
				return err
			}
		}
		dst.CopyFrom(a.frame)
	}
	a.n++
	return nil
}

// unit[b] is b/255.
var unit = func() (t [256]float32) {
	for b := range t {
		t[b] = float32(b) / 255
	}
	return t
}()

// sameShape returns x, or an error if the frames before it, of which one is before,
// had another size. Frames get the channels of the first: a gray one among coloured
// ones is repeated, but a coloured one among gray ones is an error.
func sameShape(before, x *tensor.Tensor) (*tensor.Tensor, error) {
	if before == nil {
		return x, nil
	}
	c, h, w := before.Dim(0), before.Dim(1), before.Dim(2)
	if x.Dim(1) != h || x.Dim(2) != w {
		return nil, fmt.Errorf("%d by %d pixels, the first frame has %d by %d", x.Dim(2), x.Dim(1), w, h)
	}
	if x.Dim(0) > c {
		return nil, errors.New("a frame in colour, the first frame is gray")
	}
	if x.Dim(0) < c {
		x = repeat(x)
	}
	return x, nil
}

// repeat makes three equal channels of one.
func repeat(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(3, x.Dim(1), x.Dim(2))
	for c := range 3 {
		copy(out.Index(c).Data(), x.Data())
	}
	return out
}
