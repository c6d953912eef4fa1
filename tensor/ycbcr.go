package tensor

import "image"

// fromYCbCr converts a picture to three planes as libjpeg does by default, and with
// it PIL, OpenCV and torchvision: chroma that was halved along an axis is brought back
// by a triangle filter ("fancy upsampling"), where [image.YCbCr.At] repeats it. The
// filter reads no chroma beyond the bounds. (Bounds that begin below 0, which no decoder
// gives, are the exception: there it is repeated.) As in libjpeg, chroma that was divided
// by 4 is repeated, and so is chroma of fewer than 3 columns that were halved.
func fromYCbCr(red, green, blue []float32, img *image.YCbCr) {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	switch {
	case w == 0 || h == 0:
		return
	case b.Min.X < 0 || b.Min.Y < 0: // where package image divides by rounding to 0
		for i := range w * h {
			red[i], green[i], blue[i] = nrgba(img.At(b.Min.X+i%w, b.Min.Y+i/w))
		}
		return
	}
	u := newUpsampler(img)
	cb, cr := make([]byte, u.room), make([]byte, u.room)
	for y := range h {
		i := y * w
		luma := img.Y[y*img.YStride:][:w]
		r, g, bl := red[i:][:w], green[i:][:w], blue[i:][:w]
		pb, pr := u.line(cb, img.Cb, b.Min.Y+y)[:w], u.line(cr, img.Cr, b.Min.Y+y)[:w]
		for x, l := range luma {
			at := int32(l) + clampBelow
			kb, kr := &chroma[pb[x]], &chroma[pr[x]]
			r[x] = clamped[uint32(at+kr.red)%clampSize]
			g[x] = clamped[uint32(at+(kb.green+kr.greenOfRed)>>16)%clampSize]
			bl[x] = clamped[uint32(at+kb.blue)%clampSize]
		}
	}
}

// An upsampler brings lines of chroma to the resolution of the luma.
type upsampler struct {
	img        *image.YCbCr
	cols, rows int      // samples of a chroma plane within the bounds
	xDiv, yDiv int      // pixels per sample
	x, y       bool     // whether the triangle filter works along the axis
	phase      int      // pixels by which the bounds begin after their first sample
	room       int      // bytes that line needs
	sums       []uint16 // a line that is filtered along y
}

func newUpsampler(img *image.YCbCr) *upsampler {
	u := &upsampler{img: img, xDiv: 1, yDiv: 1}
	switch img.SubsampleRatio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		u.xDiv = 2
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		u.xDiv = 4
	}
	switch img.SubsampleRatio {
	case image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio410:
		u.yDiv = 2
	}
	b := img.Bounds()
	u.cols = (b.Max.X-1)/u.xDiv - b.Min.X/u.xDiv + 1
	u.rows = (b.Max.Y-1)/u.yDiv - b.Min.Y/u.yDiv + 1
	u.phase = b.Min.X - b.Min.X/u.xDiv*u.xDiv
	u.room = u.cols * u.xDiv
	u.x = u.xDiv == 2 && u.cols > 2
	u.y = u.yDiv == 2 && (u.x || u.xDiv == 1)
	u.sums = make([]uint16, u.cols)
	return u
}

// line returns the chroma of the pixels with ordinate y, from the left bound on. It
// may use dst, of u.room bytes.
func (u *upsampler) line(dst, plane []byte, y int) []byte {
	row := y / u.yDiv
	upper := y == row*u.yDiv
	row -= u.img.Rect.Min.Y / u.yDiv
	near := plane[row*u.img.CStride:][:u.cols]
	if !u.x && !u.y {
		if u.xDiv == 1 {
			return near
		}
		for i := range dst {
			dst[i] = near[i/u.xDiv]
		}
		return dst[u.phase:]
	}
	if !u.y {
		for i, v := range near {
			u.sums[i] = uint16(v)
		}
		triangle(dst, u.sums, 1, 2, 2)
		return dst[u.phase:]
	}
	other := min(row+1, u.rows-1)
	if upper {
		other = max(row-1, 0)
	}
	far := plane[other*u.img.CStride:][:u.cols]
	if !u.x {
		bias := uint16(2)
		if upper {
			bias = 1
		}
		for i, v := range near {
			dst[i] = byte((3*uint16(v) + uint16(far[i]) + bias) >> 2)
		}
		return dst
	}
	for i, v := range near {
		u.sums[i] = 3*uint16(v) + uint16(far[i])
	}
	triangle(dst, u.sums, 8, 7, 4)
	return dst[u.phase:]
}

// triangle doubles a line: a new sample is 3/4 of the one that it lies in and 1/4 of
// the nearer neighbour, which at the ends is the sample itself. The biases of even and
// odd samples round halves up here and down there, lest the line drift.
func triangle(dst []byte, src []uint16, even, odd uint16, shift uint) {
	left, v := src[0], src[0]
	for i, right := range src[1:] {
		dst[2*i] = byte((3*v + left + even) >> shift)
		dst[2*i+1] = byte((3*v + right + odd) >> shift)
		left, v = v, right
	}
	i := len(src) - 1
	dst[2*i] = byte((3*v + left + even) >> shift)
	dst[2*i+1] = byte((4*v + odd) >> shift)
}

// chroma[c] is what a sample of chroma adds to the luma, in the fixed point of libjpeg:
// a sample of Cb to blue and, in units of 2^-16, to green, one of Cr to red and green.
// The factors are those of JFIF.
var chroma = func() (t [256]struct{ red, blue, green, greenOfRed int32 }) {
	const half = 1 << 15
	fix := func(v float64) int32 { return int32(v*65536 + 0.5) }
	for c := range t {
		x := int32(c) - 128
		t[c].red = (fix(1.402)*x + half) >> 16
		t[c].blue = (fix(1.772)*x + half) >> 16
		t[c].green = -fix(0.34414)*x + half
		t[c].greenOfRed = -fix(0.71414) * x
	}
	return t
}()

// clamped[v+clampBelow] is v/255 for v in [0, 255], and else the nearer end.
const clampBelow, clampSize = 256, 1024

var clamped = func() (t [clampSize]float32) {
	for i := range t {
		t[i] = unit[min(max(i-clampBelow, 0), 255)]
	}
	return t
}()
