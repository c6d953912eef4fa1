package tensor

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/internal/jpeg"
)

func decodeImage(t *testing.T, path string, decode func(io.Reader) (image.Image, error)) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := decode(f)
	if err != nil {
		t.Fatal(path, err)
	}
	return img
}

// A JPEG becomes what libjpeg makes of it (testdata/jpeg/make.py), to the bit.
func TestJPEG(t *testing.T) {
	files, err := filepath.Glob("testdata/jpeg/*.jpg")
	if err != nil || len(files) < 18 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, path := range files {
		img := decodeImage(t, path, jpeg.Decode)
		want := decodeImage(t, strings.TrimSuffix(path, "jpg")+"png", png.Decode)
		got := FromImage(img)
		if got.Dim(0) == 1 {
			want = toGray(want)
		}
		most, differ := 0.0, 0
		for i, v := range FromImage(want).Data() {
			d := math.Round(255 * math.Abs(float64(got.Data()[i]-v)))
			most = max(most, d)
			if d > 0 {
				differ++
			}
		}
		if differ > 0 {
			t.Errorf("%s: %d values differ, by up to %v/255", path, differ, most)
		}
	}
}

func toGray(img image.Image) image.Image {
	gray := image.NewGray(img.Bounds())
	draw.Draw(gray, gray.Rect, img, image.Point{}, draw.Src)
	return gray
}

// A part of a picture is upsampled as the whole is, but for its border.
func TestYCbCrSubImage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		img := image.NewYCbCr(image.Rect(3, 5, 26, 28), ratio)
		for _, plane := range [][]byte{img.Y, img.Cb, img.Cr} {
			for i := range plane {
				plane[i] = byte(rng.Uint32())
			}
		}
		whole := FromImage(img)
		for _, r := range []image.Rectangle{image.Rect(7, 8, 17, 19), image.Rect(8, 9, 17, 18), image.Rect(9, 10, 10, 11), image.Rect(10, 7, 10, 9)} {
			part := FromImage(img.SubImage(r))
			for c := range 3 {
				for y := 2; y < r.Dy()-2; y++ {
					for x := 2; x < r.Dx()-2; x++ {
						if got, want := part.At(c, y, x), whole.At(c, r.Min.Y-5+y, r.Min.X-3+x); got != want {
							t.Fatalf("%v, %v: channel %d at (%d, %d) is %v, want %v", ratio, r, c, y, x, got, want)
						}
					}
				}
			}
		}
		// Bounds below 0: chroma as package image has it.
		img.Rect = img.Rect.Sub(image.Pt(8, 8))
		got := FromImage(img)
		if r, _, _ := nrgba(color.YCbCrModel.Convert(img.At(-1, 2))); got.At(0, 5, 4) != r {
			t.Errorf("%v: red at (2, -1) is %v, want %v", ratio, got.At(0, 5, 4), r)
		}
	}
}

// Constant chroma stays what it is, and the gray axis is gray.
func TestYCbCrConstant(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio440} {
		for c := range 256 {
			img := image.NewYCbCr(image.Rect(0, 0, 7, 7), ratio)
			for i := range img.Cb {
				img.Cb[i], img.Cr[i] = byte(c), byte(255-c)
			}
			for i := range img.Y {
				img.Y[i] = byte(c)
			}
			x := FromImage(img)
			y, b, r := float64(c), float64(c-128), float64(127-c)
			for ch, want := range []float64{y + 1.402*r, y - 0.344136*b - 0.714136*r, y + 1.772*b} {
				want = min(max(want, 0), 255)
				for _, v := range x.Index(ch).Data() {
					if !(math.Abs(255*float64(v)-want) <= 0.51) {
						t.Fatalf("%v, chroma %d: channel %d is %v, want %v", ratio, c, ch, 255*v, want)
					}
				}
			}
		}
	}
}

func BenchmarkFromYCbCr(b *testing.B) {
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio420} {
		img := image.NewYCbCr(image.Rect(0, 0, 224, 224), ratio)
		for i := range img.Y {
			img.Y[i] = byte(i * 7)
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = byte(i*5), byte(i*3)
		}
		b.Run(ratio.String(), func(b *testing.B) {
			for b.Loop() {
				FromImage(img)
			}
		})
	}
}
