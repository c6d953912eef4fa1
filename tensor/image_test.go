package tensor

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"testing"
)

// naiveFromImage is FromImage by way of the general interface.
func naiveFromImage(img image.Image) []float32 {
	b := img.Bounds()
	gray := img.ColorModel() == color.GrayModel || img.ColorModel() == color.Gray16Model
	var planes [3][]float32
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBA64Model.Convert(img.At(x, y)).(color.NRGBA64)
			for i, v := range []uint16{c.R, c.G, c.B} {
				planes[i] = append(planes[i], float32(v)/65535)
			}
		}
	}
	if gray {
		return planes[0]
	}
	return slices.Concat(planes[0], planes[1], planes[2])
}

func TestFromImage(t *testing.T) {
	r := image.Rect(2, 3, 7, 6)
	ycc := image.NewYCbCr(r, image.YCbCrSubsampleRatio444)
	for i := range ycc.Y {
		ycc.Y[i] = byte(i * 13)
	}
	for i := range ycc.Cb {
		ycc.Cb[i], ycc.Cr[i] = byte(i*31), byte(200-i*17)
	}
	images := []image.Image{
		image.NewGray(r), image.NewGray16(r), image.NewRGBA(r), image.NewNRGBA(r), image.NewNRGBA64(r), image.NewCMYK(r), ycc,
		image.NewPaletted(r, color.Palette{color.Black, color.RGBA{100, 50, 0, 100}, color.NRGBA{9, 8, 7, 6}}),
	}
	for _, img := range images {
		if set, ok := img.(interface{ Set(x, y int, c color.Color) }); ok {
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := r.Min.X; x < r.Max.X; x++ {
					set.Set(x, y, color.NRGBA{byte(40 * x), byte(70 * y), byte(x * y), byte(255 - 60*(x%3))})
				}
			}
		}
		for _, img := range []image.Image{img, img.(interface {
			SubImage(image.Rectangle) image.Image
		}).SubImage(image.Rect(3, 4, 6, 6))} {
			t.Run(fmt.Sprintf("%T%v", img, img.Bounds()), func(t *testing.T) {
				got, want := FromImage(img), naiveFromImage(img)
				b := img.Bounds()
				if got.Dim(1) != b.Dy() || got.Dim(2) != b.Dx() || got.Len() != len(want) {
					t.Fatalf("shape %v for %v", got.Shape(), b)
				}
				for i := range want {
					// 8-bit colours with alpha lose a little on the way through 16.
					if !(math.Abs(float64(got.data[i]-want[i])) <= 1.0/255) {
						t.Fatalf("value %d is %v, want %v", i, got.data[i], want[i])
					}
				}
			})
		}
	}
}

func TestImageRoundTrip(t *testing.T) {
	for _, c := range []int{1, 3, 4} {
		x := New(c, 16, 16)
		for i := range x.data {
			x.data[i] = float32(i%256) / 255
		}
		img := x.ToImage()
		want := x
		if c == 4 {
			if a := img.(*image.NRGBA).Pix[4*7+3]; a != 7 {
				t.Errorf("alpha %d, want 7", a)
			}
			want = x.Slice(0, 3)
		}
		if got := FromImage(img); !slices.Equal(got.data, want.data) || !slices.Equal(got.shape, want.shape) {
			t.Errorf("%d channels do not survive: %v", c, got.data)
		}
		if got := x.Round8(); !slices.Equal(got.data, x.data) {
			t.Errorf("Round8 moves multiples of 1/255: %v", got.data)
		}
	}
	if b := New(2, 3).ToImage().Bounds(); b.Dx() != 3 || b.Dy() != 2 {
		t.Errorf("bounds %v", b)
	}
}

func TestRoundTo8(t *testing.T) {
	nan := float32(math.NaN())
	x := FromSlice([]float32{-1, 0, 0.49 / 255, 0.5 / 255, 1.4999 / 255, 0.5, 0.999, 1, 7, nan, float32(math.Inf(1)), float32(math.Inf(-1))}, 1, 1, 12)
	want := []byte{0, 0, 0, 1, 1, 128, 255, 255, 255, 0, 255, 0}
	got := x.ToImage().(*image.Gray).Pix
	if !slices.Equal(got, want) {
		t.Errorf("bytes %v, want %v", got, want)
	}
	for i, v := range x.Round8().data {
		if v != float32(want[i])/255 {
			t.Errorf("Round8 of %v is %v, want %d/255", x.data[i], v, want[i])
		}
	}
}

func TestToImagePanics(t *testing.T) {
	for _, s := range [][]int{{}, {3}, {2, 4, 4}, {1, 3, 4, 4}} {
		if e := panics(t, func() { New(s...).ToImage() }); e.Op != "tensor.ToImage" {
			t.Errorf("panic %v", e)
		}
	}
}
