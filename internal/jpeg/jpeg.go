// Package jpeg decodes JPEG pictures to the samples that libjpeg makes of them, and so
// PIL, OpenCV and torchvision.
//
// Package image/jpeg rounds differently in its inverse cosine transform. A sample differs
// by 1 now and then, a pixel by up to 3 once colours are made of three samples, and a
// classifier that was measured in Python answers a little differently. Here the transform
// is that of libjpeg's default, to the bit. What its colours need beside it, chroma that
// is interpolated, is done in package tensor.
//
// Baseline, extended and progressive pictures with Huffman codes, 8 bits a sample, one
// component or three are decoded here. All else is left to image/jpeg. A picture
// that is damaged is an error, as in PIL by default; libjpeg itself would fill in gray.
package jpeg

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
)

// Markers of ITU-T T.81, table B.1.
const (
	mSOF0  = 0xc0 // baseline
	mSOF1  = 0xc1 // extended sequential
	mSOF2  = 0xc2 // progressive
	mDHT   = 0xc4
	mJPG   = 0xc8
	mDAC   = 0xcc
	mSOF15 = 0xcf
	mRST0  = 0xd0
	mRST7  = 0xd7
	mSOI   = 0xd8
	mEOI   = 0xd9
	mSOS   = 0xda
	mDQT   = 0xdb
	mDRI   = 0xdd
	mAPP0  = 0xe0
	mAPP14 = 0xee
	mTEM   = 0x01
)

// errElsewhere says that image/jpeg is to decode the picture.
var errElsewhere = errors.New("jpeg: a kind of picture that is not decoded here")

// errEnd says that the file is cut off.
var errEnd = fmt.Errorf("jpeg: the picture ends early: %w", io.ErrUnexpectedEOF)

// Decode decodes a picture to an [*image.Gray], an [*image.YCbCr] or, if its components
// are red, green and blue, an [*image.RGBA]; or to what package image/jpeg makes of kinds
// that are decoded there.
func Decode(r io.Reader) (image.Image, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	d := decoder{rest: b}
	img, err := d.decode()
	if errors.Is(err, errElsewhere) {
		return jpeg.Decode(bytes.NewReader(b))
	}
	return img, err
}

// DecodeConfig returns the size of a picture.
func DecodeConfig(r io.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) }

// A component is one of the picture's planes.
type component struct {
	id     byte
	h, v   int // sampling factors
	quant  byte
	cols   int // blocks that the picture needs
	rows   int
	stride int // blocks in a row of the plane, whole units of the interleaved scan
	plane  []byte
	coef   []int16 // of a progressive picture, 64 per block, in the order of the block
	seen   bool    // a scan has brought it
}

type decoder struct {
	rest        []byte
	w, h        int
	comps       []component
	hMax, vMax  int
	mcuX, mcuY  int
	progressive bool
	restart     int // units between two restart markers, 0 for none
	jfif        bool
	adobe       int // its transform, -1 if no marker says one
	quant       [4][64]uint16
	quantKnown  [4]bool
	dc, ac      [4]huffman
}

func (d *decoder) decode() (image.Image, error) {
	d.adobe = -1
	if len(d.rest) < 2 || d.rest[0] != 0xff || d.rest[1] != mSOI {
		return nil, errors.New("jpeg: no start of a picture")
	}
	d.rest = d.rest[2:]
	for {
		marker, err := d.marker()
		if err != nil {
			return nil, err
		}
		if marker == mEOI {
			return d.picture()
		}
		if marker == mTEM || marker >= mRST0 && marker <= mRST7 { // without a segment
			continue
		}
		segment, err := d.segment()
		if err != nil {
			return nil, err
		}
		switch {
		case marker == mDHT:
			err = d.huffmanTables(segment)
		case marker == mDQT:
			err = d.quantTables(segment)
		case marker == mDRI:
			if len(segment) != 2 {
				return nil, errors.New("jpeg: a restart interval of another length")
			}
			d.restart = int(segment[0])<<8 | int(segment[1])
		case marker == mAPP0:
			d.jfif = d.jfif || len(segment) >= 5 && string(segment[:5]) == "JFIF\x00"
		case marker == mAPP14:
			if len(segment) >= 12 && string(segment[:5]) == "Adobe" {
				d.adobe = int(segment[11])
			}
		case marker == mSOF0 || marker == mSOF1 || marker == mSOF2:
			d.progressive = marker == mSOF2
			err = d.frame(segment)
		case marker >= mSOF0 && marker <= mSOF15 && marker != mJPG:
			return nil, errElsewhere // which names it
		case marker == mSOS:
			err = d.scan(segment)
		}
		if err != nil {
			return nil, err
		}
	}
}

// marker goes to the next marker, over what else there may be before it.
func (d *decoder) marker() (byte, error) {
	for i := 0; i+1 < len(d.rest); i++ {
		if d.rest[i] == 0xff && d.rest[i+1] != 0 && d.rest[i+1] != 0xff {
			m := d.rest[i+1]
			d.rest = d.rest[i+2:]
			return m, nil
		}
	}
	return 0, errEnd
}

func (d *decoder) segment() ([]byte, error) {
	if len(d.rest) < 2 {
		return nil, errEnd
	}
	n := int(d.rest[0])<<8 | int(d.rest[1])
	if n < 2 {
		return nil, errors.New("jpeg: a segment that is shorter than its length")
	}
	if n > len(d.rest) {
		return nil, errEnd
	}
	s := d.rest[2:n]
	d.rest = d.rest[n:]
	return s, nil
}

// frame reads a frame header, T.81, B.2.2.
func (d *decoder) frame(s []byte) error {
	if d.comps != nil {
		return errors.New("jpeg: two frames")
	}
	if len(s) < 6 || len(s) != 6+3*int(s[5]) {
		return errors.New("jpeg: a frame header of another length")
	}
	n := int(s[5])
	d.h, d.w = int(s[1])<<8|int(s[2]), int(s[3])<<8|int(s[4])
	if s[0] != 8 || d.h == 0 || n != 1 && n != 3 {
		return errElsewhere
	}
	if d.w == 0 {
		return errors.New("jpeg: a picture without width")
	}
	d.comps = make([]component, n)
	for i := range d.comps {
		c, b := &d.comps[i], s[6+3*i:]
		*c = component{id: b[0], h: int(b[1] >> 4), v: int(b[1] & 15), quant: b[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quant > 3 {
			return errors.New("jpeg: a component with a factor or table that cannot be")
		}
		for _, other := range d.comps[:i] {
			if other.id == c.id {
				return errors.New("jpeg: two components with one name")
			}
		}
		if n == 1 {
			c.h, c.v = 1, 1 // a scan of one component has no use for them
		}
		d.hMax, d.vMax = max(d.hMax, c.h), max(d.vMax, c.v)
	}
	if n == 3 {
		if r, ok := d.ratio(); !ok || d.rgb() && r != image.YCbCrSubsampleRatio444 {
			return errElsewhere
		}
	}
	d.mcuX, d.mcuY = ceil(d.w, 8*d.hMax), ceil(d.h, 8*d.vMax)
	for i := range d.comps {
		c := &d.comps[i]
		c.cols, c.rows = ceil(ceil(d.w*c.h, d.hMax), 8), ceil(ceil(d.h*c.v, d.vMax), 8)
		c.stride = d.mcuX * c.h
		blocks := c.stride * d.mcuY * c.v
		c.plane = make([]byte, 64*blocks)
		if d.progressive {
			c.coef = make([]int16, 64*blocks)
		}
	}
	return nil
}

// rgb reports whether the three components are red, green and blue, by the rules of
// libjpeg.
func (d *decoder) rgb() bool {
	if d.jfif {
		return false
	}
	return d.adobe == 0 || d.adobe < 0 && d.comps[0].id == 'R' && d.comps[1].id == 'G' && d.comps[2].id == 'B'
}

// ratio returns how chroma is subsampled, and whether package image has a word for it.
func (d *decoder) ratio() (image.YCbCrSubsampleRatio, bool) {
	y, cb, cr := &d.comps[0], &d.comps[1], &d.comps[2]
	if cb.h != cr.h || cb.v != cr.v || y.h != d.hMax || y.v != d.vMax || y.h%cb.h != 0 || y.v%cb.v != 0 {
		return 0, false
	}
	r, ok := map[[2]int]image.YCbCrSubsampleRatio{
		{1, 1}: image.YCbCrSubsampleRatio444, {2, 1}: image.YCbCrSubsampleRatio422,
		{1, 2}: image.YCbCrSubsampleRatio440, {2, 2}: image.YCbCrSubsampleRatio420,
		{4, 1}: image.YCbCrSubsampleRatio411, {4, 2}: image.YCbCrSubsampleRatio410,
	}[[2]int{y.h / cb.h, y.v / cb.v}]
	return r, ok
}

// picture returns what the scans made.
func (d *decoder) picture() (image.Image, error) {
	if d.comps == nil {
		return nil, errors.New("jpeg: a picture without a frame")
	}
	for i := range d.comps {
		c := &d.comps[i]
		if !c.seen {
			return nil, errors.New("jpeg: a component without a scan")
		}
		if d.progressive {
			if err := d.transform(c); err != nil {
				return nil, err
			}
		}
	}
	rect := image.Rect(0, 0, d.w, d.h)
	y := &d.comps[0]
	if len(d.comps) == 1 {
		return &image.Gray{Pix: y.plane, Stride: 8 * y.stride, Rect: rect}, nil
	}
	cb, cr := &d.comps[1], &d.comps[2]
	if d.rgb() {
		img := image.NewRGBA(rect)
		for row := range d.h {
			for x := range d.w {
				i := row*8*y.stride + x
				copy(img.Pix[row*img.Stride+4*x:], []byte{y.plane[i], cb.plane[i], cr.plane[i], 255})
			}
		}
		return img, nil
	}
	ratio, _ := d.ratio()
	return &image.YCbCr{Y: y.plane, Cb: cb.plane, Cr: cr.plane, YStride: 8 * y.stride, CStride: 8 * cb.stride,
		SubsampleRatio: ratio, Rect: rect}, nil
}

func ceil(n, m int) int { return (n + m - 1) / m }
