package jpeg

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The samples of pictures that libjpeg and image/jpeg decode are compared in package
// tensor with what libjpeg makes of them. Here are pictures of other kinds.

const fixtures = "../../tensor/testdata/jpeg"

// planes returns the samples within the bounds.
func planes(t testing.TB, img image.Image) (luma, cb, cr []byte) {
	b := img.Bounds()
	switch img := img.(type) {
	case *image.Gray:
		for y := range b.Dy() {
			luma = append(luma, img.Pix[y*img.Stride:][:b.Dx()]...)
		}
	case *image.YCbCr:
		for y := range b.Dy() {
			luma = append(luma, img.Y[y*img.YStride:][:b.Dx()]...)
			for x := range b.Dx() {
				cb = append(cb, img.Cb[img.COffset(x, y)])
				cr = append(cr, img.Cr[img.COffset(x, y)])
			}
		}
	default:
		t.Fatalf("%T", img)
	}
	return luma, cb, cr
}

// differences is how far the samples of two pictures are apart, at most.
func differences(t testing.TB, a, b image.Image) int {
	if a.Bounds() != b.Bounds() {
		t.Fatalf("bounds %v and %v", a.Bounds(), b.Bounds())
	}
	most := 0
	ay, ab, ar := planes(t, a)
	by, bb, br := planes(t, b)
	for _, p := range [][2][]byte{{ay, by}, {ab, bb}, {ar, br}} {
		if len(p[0]) != len(p[1]) {
			t.Fatalf("%d and %d samples", len(p[0]), len(p[1]))
		}
		for i, v := range p[0] {
			most = max(most, max(int(v), int(p[1][i]))-min(int(v), int(p[1][i])))
		}
	}
	return most
}

// Progressive, baseline, gray and colour pictures of many sizes and qualities, with the
// samples of image/jpeg to 1.
func TestBesideImageJPEG(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for trial := range 60 {
		w, h := 1+rng.IntN(40), 1+rng.IntN(40)
		rgba := image.NewRGBA(image.Rect(0, 0, w, h))
		gray := image.NewGray(rgba.Rect)
		for y := range h {
			for x := range w {
				c := color.RGBA{byte(5*x + rng.IntN(40)), byte(4*y + rng.IntN(40)), byte(3 * (x + y)), 255}
				rgba.SetRGBA(x, y, c)
				gray.Set(x, y, c)
			}
		}
		var img image.Image = rgba
		if trial%3 == 0 {
			img = gray
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 1 + rng.IntN(100)}); err != nil {
			t.Fatal(err)
		}
		got, err := Decode(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		want, err := jpeg.Decode(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if d := differences(t, got, want); d > 1 {
			t.Fatalf("trial %d, %dx%d: samples differ by %d", trial, w, h, d)
		}
	}
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Restart markers change no sample, and one that is missing or wrong is an error.
func TestRestart(t *testing.T) {
	for _, name := range []string{"restart", "restart-progressive"} {
		b := fixture(t, name+".jpg")
		img, err := Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Decode(bytes.NewReader(fixture(t, map[string]string{"restart": "smooth-420.jpg", "restart-progressive": "progressive-420.jpg"}[name])))
		if err != nil {
			t.Fatal(err)
		}
		if d := differences(t, img, plain); d != 0 {
			t.Errorf("%s: samples differ by %d", name, d)
		}
		at := bytes.Index(b, []byte{0xff, mRST0 + 1})
		if at < 0 {
			t.Fatal("no second restart marker")
		}
		wrong := slices.Clone(b)
		wrong[at+1] = mRST0 + 5
		if _, err := Decode(bytes.NewReader(wrong)); err == nil {
			t.Errorf("%s: a wrong marker is accepted", name)
		}
	}
}

// What is not decoded here comes out as image/jpeg has it.
func TestElsewhere(t *testing.T) {
	b := fixture(t, "rgb.jpg")
	frame := bytes.Index(b, []byte{0xff, mSOF0, 0, 17})
	if frame < 0 {
		t.Fatal("no frame")
	}
	b[frame+11] = 0x22 // red is said to have four times as many samples
	got, err := Decode(bytes.NewReader(b))
	want, werr := jpeg.Decode(bytes.NewReader(b))
	if (err == nil) != (werr == nil) || err == nil && got.At(20, 3) != want.At(20, 3) {
		t.Errorf("%v, %v; want %v, %v", got, err, want, werr)
	}
}

// By libjpeg's rules, components called R, G and B are those colours, but not in a file
// that says it is JFIF.
func TestNamesOfComponents(t *testing.T) {
	b := fixture(t, "smooth-444.jpg")
	want, err := Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	frame, scan := bytes.Index(b, []byte{0xff, mSOF0, 0, 17}), bytes.Index(b, []byte{0xff, mSOS, 0, 12})
	if frame < 0 || scan < 0 {
		t.Fatal("no frame, or no scan")
	}
	for i, name := range []byte("RGB") {
		b[frame+10+3*i], b[scan+5+2*i] = name, name
	}
	got, err := Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if d := differences(t, got, want); d != 0 {
		t.Errorf("samples differ by %d", d)
	}
	copy(b[bytes.Index(b, []byte("JFIF")):], "none")
	if got, err = Decode(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	if _, ok := got.(*image.RGBA); !ok {
		t.Errorf("%T", got)
	}
}

// A scan that ends early is an error though the end of the picture is marked.
func TestShortScan(t *testing.T) {
	for _, name := range []string{"smooth-422.jpg", "gray.jpg", "restart.jpg"} {
		b := fixture(t, name)
		for cut := 20; cut < 120; cut += 10 {
			if _, err := Decode(bytes.NewReader(append(slices.Clone(b[:len(b)-cut]), 0xff, mEOI))); err == nil {
				t.Errorf("%s without %d bytes is accepted", name, cut)
			}
		}
	}
}

// A file that ends early, wherever it does, is an error.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"smooth-422.jpg", "progressive-420.jpg", "restart.jpg"} {
		b := fixture(t, name)
		for n := range len(b) - 2 {
			if _, err := Decode(bytes.NewReader(b[:n])); err == nil {
				t.Fatalf("%s: %d of %d bytes are accepted", name, n, len(b))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob(fixtures + "/*.jpg")
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := jpeg.DecodeConfig(bytes.NewReader(b))
		if err != nil || c.Width*c.Height > 1<<16 {
			return
		}
		img, err := Decode(bytes.NewReader(b))
		if err == nil && img.Bounds() != image.Rect(0, 0, c.Width, c.Height) {
			t.Fatalf("%v, want %d by %d", img.Bounds(), c.Width, c.Height)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	rgba := image.NewRGBA(image.Rect(0, 0, 224, 224))
	for i := range rgba.Pix {
		rgba.Pix[i] = byte(i/7 + i*i%30)
	}
	var file bytes.Buffer
	jpeg.Encode(&file, rgba, nil)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			Decode(bytes.NewReader(file.Bytes()))
		}
	})
	b.Run("image", func(b *testing.B) {
		for b.Loop() {
			jpeg.Decode(bytes.NewReader(file.Bytes()))
		}
	})
}
