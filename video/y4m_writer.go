package video

import (
	"fmt"
	"io"
	"math"

	"github.com/mettleml/mettle/tensor"
)

// roundTag is the parameter of Y4M files whose pixels are those of 8-bit RGB.
const roundTag = "METTLE=RGB8"

// Y4MOptions are the options of [WriteY4M].
type Y4MOptions struct {
	Bits int // per sample: 10 or 8; 0 means 10
}

// WriteY4M writes a clip as YUV4MPEG2, with chroma of full resolution (C444p10 or C444)
// or without (Cmono) if it is gray. Values are rounded to 8 bits first, as
// [tensor.Tensor.Round8] does. A rate of 0 is written as 25 per second.
//
// Luma and chroma of 8 bits cannot hold all colours of 8-bit RGB: with option Bits 8 the
// pixels that [NewY4M] reads differ by up to 2/255: for viewing only. With 10 bits they are
// exact after rounding to 8. ffmpeg reads both; its own conversion of 10 bits to RGB may
// differ by 1/255.
//
// It panics if c is not a clip or an option is impossible.
func WriteY4M(w io.Writer, c *Clip, opt Y4MOptions) error {
	t, ch, height, width := c.dims("video.WriteY4M")
	bits := opt.Bits
	if bits == 0 {
		bits = 10
	}
	if bits != 8 && bits != 10 {
		tensor.Panic("video.WriteY4M", fmt.Sprintf("%d bits, not 8 or 10", bits), c.X.Shape())
	}
	layout, extra := "444", "XCOLORRANGE=LIMITED"
	switch {
	case ch == 1:
		bits, layout, extra = 8, "mono", "XCOLORRANGE=FULL"
	case bits == 10:
		layout, extra = "444p10", extra+" X"+roundTag
	}
	num, den := rational(c.FPS)
	if _, err := fmt.Fprintf(w, "%s W%d H%d F%d:%d Ip A1:1 C%s %s\n", y4mMagic, width, height, num, den, layout, extra); err != nil {
		return err
	}
	n := width * height
	var raw []byte
	for k := range t {
		x := c.X.Index(k).Round8().Data()
		raw = raw[:0]
		if ch == 1 {
			for _, v := range x {
				raw = append(raw, byte(v*255+0.5))
			}
		} else {
			for plane := range 3 {
				for i := range n {
					v := yuv(plane, bits, float64(x[i]), float64(x[n+i]), float64(x[2*n+i]))
					raw = append(raw, byte(v))
					if bits > 8 {
						raw = append(raw, byte(v>>8))
					}
				}
			}
		}
		if _, err := io.WriteString(w, "FRAME\n"); err != nil {
			return err
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
	}
	return nil
}

// yuv returns the sample of luma (plane 0) or chroma of a colour, in the limited range.
func yuv(plane, bits int, r, g, b float64) uint16 {
	unit := float64(int(1) << (bits - 8))
	v := lumaRed*r + lumaGreen*g + lumaBlue*b
	switch plane {
	case 0:
		v = 16 + 219*v
	case 1:
		v = 128 + 224/blueOfCb*(b-v)
	case 2:
		v = 128 + 224/redOfCr*(r-v)
	}
	return uint16(v*unit + 0.5)
}

// rational returns a rate as a fraction: with the denominator 1 or 1001 if that fits,
// and else thousandths.
func rational(fps float64) (num, den int) {
	if !(fps > 0 && fps < 1e6) {
		return 25, 1
	}
	for _, den := range []int{1, 1001} {
		n := math.Round(fps * float64(den))
		if n > 0 && math.Abs(n/float64(den)-fps) < 1e-6*fps {
			return int(n), den
		}
	}
	return max(int(math.Round(fps*1000)), 1), 1000
}
