package tensor

import (
	"image"
	"image/color"
	"math"
)

// FromImage converts an image to [C, H, W] with values in [0,1]: one channel for the two
// gray types of package image, and otherwise three, red, green, blue. A value of 8 bits is
// divided by 255, one of 16 bits by 65535. Alpha is dropped; colours are not premultiplied,
// as in [color.NRGBA].
//
// An [*image.YCbCr], from package image/jpeg, becomes red, green and blue as in libjpeg,
// PIL, OpenCV and torchvision: FromImage interpolates chroma of half the resolution (4:2:0,
// 4:2:2, 4:4:0), where package image repeats it. One value of 10,000 still differs from
// Python's by up to 3/255, because the cosine transform of image/jpeg rounds differently;
// [data.ReadImage] decodes to the same bits as Python.
//
// [data.ReadImage]: https://pkg.go.dev/github.com/mettleml/mettle/nn/data#ReadImage
func FromImage(img image.Image) *Tensor {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	switch img := img.(type) {
	case *image.Gray:
		t := New(1, h, w)
		for y := range h {
			line := img.Pix[y*img.Stride:]
			for x := range w {
				t.data[y*w+x] = unit[line[x]]
			}
		}
		return t
	case *image.Gray16:
		t := New(1, h, w)
		for i := range t.data {
			t.data[i] = float32(img.Gray16At(b.Min.X+i%w, b.Min.Y+i/w).Y) / 65535
		}
		return t
	}
	t := New(3, h, w)
	n := h * w
	red, green, blue := t.data[:n], t.data[n:2*n], t.data[2*n:]
	switch img := img.(type) {
	case *image.YCbCr:
		fromYCbCr(red, green, blue, img)
	case *image.NRGBA:
		for y := range h {
			line := img.Pix[y*img.Stride:]
			for x := range w {
				i := y*w + x
				red[i], green[i], blue[i] = unit[line[4*x]], unit[line[4*x+1]], unit[line[4*x+2]]
			}
		}
	case *image.RGBA:
		for i := range n {
			p := img.Pix[i/w*img.Stride+i%w*4:]
			if p[3] == 255 {
				red[i], green[i], blue[i] = unit[p[0]], unit[p[1]], unit[p[2]]
				continue
			}
			c := color.NRGBAModel.Convert(color.RGBA{p[0], p[1], p[2], p[3]}).(color.NRGBA)
			red[i], green[i], blue[i] = unit[c.R], unit[c.G], unit[c.B]
		}
	case *image.Paletted:
		var r, g, bl [256]float32
		for k, p := range img.Palette[:min(len(img.Palette), 256)] {
			r[k], g[k], bl[k] = nrgba(p)
		}
		for i := range n {
			k := img.Pix[i/w*img.Stride+i%w]
			red[i], green[i], blue[i] = r[k], g[k], bl[k]
		}
	default:
		for i := range n {
			red[i], green[i], blue[i] = nrgba(img.At(b.Min.X+i%w, b.Min.Y+i/w))
		}
	}
	return t
}

// nrgba returns the colour without its alpha.
func nrgba(c color.Color) (r, g, b float32) {
	if c, ok := c.(color.NRGBA); ok {
		return unit[c.R], unit[c.G], unit[c.B]
	}
	n := color.NRGBA64Model.Convert(c).(color.NRGBA64)
	return float32(n.R) / 65535, float32(n.G) / 65535, float32(n.B) / 65535
}

// unit[b] is b/255.
var unit = func() (t [256]float32) {
	for b := range t {
		t[b] = float32(b) / 255
	}
	return t
}()

// ToImage converts values in [0,1] to 8 bits: [H, W] and [1, H, W] to an
// [*image.Gray], [3, H, W] and [4, H, W] (the fourth channel is alpha) to an
// [*image.NRGBA]. A value is clamped to [0,1], multiplied by 255 and rounded to
// nearest, halves up; NaN becomes 0. It panics if t has another shape.
func (t *Tensor) ToImage() image.Image {
	s := t.shape
	if len(s) == 2 {
		s = []int{1, s[0], s[1]}
	}
	if len(s) != 3 || s[0] != 1 && s[0] != 3 && s[0] != 4 {
		Panic("tensor.ToImage", "not [H, W] or [C, H, W] with 1, 3 or 4 channels", t.shape)
	}
	rect := image.Rect(0, 0, s[2], s[1])
	n := s[1] * s[2]
	if s[0] == 1 {
		img := image.NewGray(rect)
		for i, v := range t.data {
			img.Pix[i] = to8(v)
		}
		return img
	}
	img := image.NewNRGBA(rect)
	for i := range n {
		p := img.Pix[4*i:][:4]
		p[0], p[1], p[2], p[3] = to8(t.data[i]), to8(t.data[n+i]), to8(t.data[2*n+i]), 255
		if s[0] == 4 {
			p[3] = to8(t.data[3*n+i])
		}
	}
	return img
}

// to8 rounds a value in [0,1] to 8 bits.
func to8(v float32) byte {
	if v != v {
		return 0
	}
	return byte(math.Floor(float64(min(max(v, 0), 1))*255 + 0.5))
}

// Round8 rounds values in [0,1] to the nearest k/255, as storing them in an 8-bit image
// does ([Tensor.ToImage]).
func (t *Tensor) Round8() *Tensor {
	r := New(t.shape...)
	for i, v := range t.data {
		r.data[i] = unit[to8(v)]
	}
	return r
}
