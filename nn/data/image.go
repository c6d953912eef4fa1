package data

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"

	"github.com/mettleml/mettle/internal/filetype"
	"github.com/mettleml/mettle/internal/jpeg"
	"github.com/mettleml/mettle/tensor"
)

// Bounds on the images that are decoded: pixels, and the longer by the shorter side of
// one whose shorter side is to have a given length.
const maxPixels, maxRatio = 1 << 26, 1 << 16

// ImageOptions say how to crop and orient an image.
type ImageOptions struct {
	// Resize, if above 0, is the new length of an image's shorter side; then the middle H
	// by W is cropped. With 256 and a shape of [3, 224, 224] this is torchvision's
	// Resize(256) and CenterCrop(224), up to torchvision's rounding to 8 bits after each
	// step. Resize must be at least H and W. 0 crops the largest part in the middle with
	// the proportions of H by W, and resizes it to H by W. This cuts off less: nothing of a
	// square image, where 256 and 224 cut off an eighth of each side. Both average over the
	// area of a new pixel, as [Resize] does.
	Resize int

	// Orient rotates and mirrors an image as its Exif data say. By default pixels are used
	// as stored, as in torchvision. Most networks were trained that way, though viewers
	// rotate a picture.
	Orient bool
}

// Check panics in the name of op if the shape is not [1, H, W] or [3, H, W], or if Resize
// does not fit it.
func (opt ImageOptions) Check(op string, shape []int) {
	if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 || min(shape[1], shape[2]) < 1 {
		tensor.Panic(op, "not [3, H, W] or [1, H, W]", shape)
	}
	if opt.Resize < 0 || opt.Resize > 0 && opt.Resize < max(shape[1], shape[2]) {
		tensor.Panic(op, fmt.Sprintf("Resize %d is below the height or the width", opt.Resize), shape)
	}
}

// ReadImage decodes a PNG or JPEG file into dst, [3, H, W] or [1, H, W], with values in
// [0,1]. A gray image is repeated for three channels; a coloured image is reduced to its
// luma for one. A JPEG decodes as by libjpeg, PIL, OpenCV and torchvision, to the bit.
// Errors are [*tensor.FormatError] or the reader's. It panics if dst has another shape or
// opt.Resize is below H or W.
func ReadImage(r io.ReadSeeker, dst *tensor.Tensor, opt ImageOptions) error {
	opt.Check("data.ReadImage", dst.Shape())
	fail := func(reason string, err error) error {
		return &tensor.FormatError{Format: "image", Reason: reason, Err: err}
	}
	file := bufio.NewReader(r)
	head, _ := file.Peek(filetype.Head)
	config, format, err := image.DecodeConfig(file)
	switch {
	case errors.Is(err, image.ErrFormat), err == nil && format != "png" && format != "jpeg":
		return fail(cmp.Or(filetype.Binary(head), "an unknown format")+", not PNG or JPEG", err)
	case err != nil:
		return fail(err.Error(), err)
	case config.Width < 1 || config.Height < 1 || config.Width > maxPixels/config.Height:
		return fail(fmt.Sprintf("%d by %d pixels, the limit is %d in all", config.Width, config.Height, maxPixels), nil)
	}
	turn := upright
	if opt.Orient {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return err
		}
		turn = readOrientation(bufio.NewReader(r))
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	decode := png.Decode
	if format == "jpeg" {
		decode = jpeg.Decode
	}
	img, err := decode(bufio.NewReader(r))
	if err != nil {
		return fail(err.Error(), err)
	}
	x := turn.apply(channels(tensor.FromImage(img), dst.Dim(0)))
	if short, long := min(x.Dim(1), x.Dim(2)), max(x.Dim(1), x.Dim(2)); opt.Resize > 0 && long/short > maxRatio {
		return fail(fmt.Sprintf("%d by %d pixels, too narrow to resize to %d", config.Width, config.Height, opt.Resize), nil)
	}
	if opt.Resize > 0 {
		fitShorter(dst, x, opt.Resize)
	} else {
		fitLargest(dst, x)
	}
	return nil
}

// ReadImageFile reads the image at path; see [ReadImage].
func ReadImageFile(path string, dst *tensor.Tensor, opt ImageOptions) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return named(path, ReadImage(f, dst, opt))
}

// fitLargest resizes the largest part in the middle of x that has dst's proportions.
func fitLargest(dst, x *tensor.Tensor) {
	_, h, w := dims("data.ReadImage", x.Shape())
	_, oh, ow := dims("data.ReadImage", dst.Shape())
	ch, cw := h, w
	if int64(w)*int64(oh) > int64(h)*int64(ow) {
		cw = max(1, int(int64(h)*int64(ow)/int64(oh)))
	} else {
		ch = max(1, int(int64(w)*int64(oh)/int64(ow)))
	}
	resize(dst, x, (h-ch)/2, (w-cw)/2, ch, cw)
}

// fitShorter cuts the middle out of x resized so that its shorter side has the given
// length, with the rounding of torchvision's Resize and CenterCrop.
func fitShorter(dst, x *tensor.Tensor, short int) {
	_, h, w := dims("data.ReadImage", x.Shape())
	_, oh, ow := dims("data.ReadImage", dst.Shape())
	long := func(n, m int) int { return int(int64(short) * int64(n) / int64(m)) }
	nh, nw := short, short
	if h > w {
		nh = long(h, w)
	} else {
		nw = long(w, h)
	}
	middle := func(n, m int) int { return int(math.RoundToEven(float64(n-m) / 2)) }
	resizeWindow(dst, x, 0, 0, h, w, view{nh, nw, middle(nh, oh), middle(nw, ow)})
}

// channels converts between one channel and three.
func channels(x *tensor.Tensor, c int) *tensor.Tensor {
	if x.Dim(0) == c {
		return x
	}
	out := tensor.New(c, x.Dim(1), x.Dim(2))
	d, n := x.Data(), x.Dim(1)*x.Dim(2)
	for i := range n {
		if c == 1 {
			out.Data()[i] = luma(d[i], d[n+i], d[2*n+i])
			continue
		}
		out.Data()[i], out.Data()[n+i], out.Data()[2*n+i] = d[i], d[i], d[i]
	}
	return out
}
