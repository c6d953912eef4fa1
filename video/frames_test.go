package video

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// pictures writes the frames of a clip, each by the encoder of its name's extension.
func pictures(t *testing.T, dir string, c *Clip, names ...string) {
	t.Helper()
	for k, name := range names {
		img := c.X.Index(k).ToImage()
		var b bytes.Buffer
		var err error
		switch strings.ToLower(filepath.Ext(name)) {
		case ".png":
			err = png.Encode(&b, img)
		case ".jpg", ".jpeg":
			err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 95})
		default:
			pnm(&b, c.X.Index(k), 255, false, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), b.Bytes())
	}
}

// pnm writes a PPM or PGM picture.
func pnm(b *bytes.Buffer, x *tensor.Tensor, top int, plain bool, comment string) {
	c, h, w := x.Dim(0), x.Dim(1), x.Dim(2)
	magic := map[[2]bool]string{{false, false}: "P5", {false, true}: "P2", {true, false}: "P6", {true, true}: "P3"}[[2]bool{c == 3, plain}]
	fmt.Fprintf(b, "%s\n%s%d %d\n%d\n", magic, comment, w, h, top)
	for i := range h * w {
		for ch := range c {
			v := int(x.Data()[ch*h*w+i]*float32(top) + 0.5)
			switch {
			case plain:
				fmt.Fprintf(b, "%d\n", v)
			case top > 255:
				b.Write([]byte{byte(v >> 8), byte(v)})
			default:
				b.WriteByte(byte(v))
			}
		}
	}
}

func openAll(path string) (*tensor.Tensor, error) {
	s, err := OpenFrames(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return collect(s)
}

func TestOpenFrames(t *testing.T) {
	c := moving(3, 3, 6, 9)
	for _, names := range [][]string{
		{"9.png", "10.png", "11.png"},
		{"frame_00000.png", "frame_00001.ppm", "frame_00002.PNG"},
		{"img5.pnm", "img10.ppm", "img15.png"},
		{"v1_clip-008.png", "v1_clip-009.png", "v1_clip-010.png"},
	} {
		dir := t.TempDir()
		pictures(t, dir, c, names...)
		write(t, filepath.Join(dir, "README.txt"), []byte("not a frame"))
		write(t, filepath.Join(dir, ".thumb1.png"), []byte("nor is this"))
		if err := os.Mkdir(filepath.Join(dir, "12.png"), 0o777); err != nil {
			t.Fatal(err)
		}
		x, err := openAll(dir)
		if err != nil {
			t.Errorf("%v: %v", names, err)
			continue
		}
		same(t, fmt.Sprint(names), x, c.X)
	}

	dir := t.TempDir()
	pictures(t, dir, c, "img_00001.png", "img_00002.png", "img_00003.png")
	flow := moving(2, 1, 6, 9)
	pictures(t, dir, flow, "flow_x_00001.png", "flow_x_00002.png")
	for pattern, want := range map[string]*tensor.Tensor{"img_%05d.png": c.X, "img_%d.png": c.X, "flow_x_%5d.png": flow.X} {
		x, err := openAll(filepath.Join(dir, pattern))
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		same(t, pattern, x, want)
	}
	_, err := openAll(dir)
	wants(t, err, "two series, flow_x_00001.png and img_00001.png; name one by a pattern such as ")
	x, err := openAll(filepath.Join(dir, "img_00002.png"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "one picture", x, c.X.Slice(1, 2))

	// A gray picture among coloured ones is repeated.
	dir = t.TempDir()
	pictures(t, dir, c, "1.png")
	pictures(t, dir, flow, "2.png")
	if x, err = openAll(dir); err != nil {
		t.Fatal(err)
	}
	same(t, "gray among coloured", x.Index(1), repeat(flow.X.Index(0)))

	// 16 bits keep their precision.
	deep := image.NewGray16(image.Rect(0, 0, 2, 1))
	deep.SetGray16(1, 0, color.Gray16{12345})
	var b bytes.Buffer
	if err := png.Encode(&b, deep); err != nil {
		t.Fatal(err)
	}
	if x, err = openAll(write(t, filepath.Join(t.TempDir(), "a.png"), b.Bytes())); err != nil || x.At(0, 0, 0, 1) != 12345.0/65535 {
		t.Errorf("%v, %v", x, err)
	}
}

func TestOpenFramesMalformed(t *testing.T) {
	c := moving(4, 3, 6, 9)
	small := moving(1, 3, 6, 8)
	gray := moving(1, 1, 6, 9)
	for _, k := range []struct {
		want string
		make func(dir string)
	}{
		{"no frames: no PNG, JPEG, PPM or PGM file", func(dir string) {}},
		{"no frames", func(dir string) { write(t, filepath.Join(dir, "1.txt"), nil) }},
		{"first.png: no number in the name of a frame", func(dir string) { pictures(t, dir, c, "first.png", "second.png") }},
		{"4.png: number 3 is missing before it", func(dir string) { pictures(t, dir, c, "1.png", "2.png", "4.png", "5.png") }},
		{"20.png: number 15 is missing before it", func(dir string) { pictures(t, dir, c, "5.png", "10.png", "20.png") }},
		{"1.png: the number of 01.png again", func(dir string) { pictures(t, dir, c, "01.png", "1.png") }},
		{"two series, a1.png and b1.png", func(dir string) { pictures(t, dir, c, "a1.png", "b1.png", "a2.png", "b2.png") }},
		{"2.png: frame 1: 8 by 6 pixels, the first frame has 9 by 6", func(dir string) { pictures(t, dir, c, "1.png"); pictures(t, dir, small, "2.png") }},
		{"2.png: frame 1: a frame in colour, the first frame is gray", func(dir string) { pictures(t, dir, gray, "1.png"); pictures(t, dir, c, "2.png") }},
		{"1.png: begins with 68 65 6c 6c 6f, which is neither PNG nor JPEG nor PNM", func(dir string) { write(t, filepath.Join(dir, "1.png"), []byte("hello")) }},
		{"PNG: ", func(dir string) { write(t, filepath.Join(dir, "1.png"), []byte("\x89PNG\r\n\x1a\nxxxx")) }},
		{"JPEG: ", func(dir string) { write(t, filepath.Join(dir, "1.jpg"), []byte{0xff, 0xd8, 0xff}) }},
		{"99999999999999999999.png: no number", func(dir string) { pictures(t, dir, c, "99999999999999999999.png") }},
	} {
		dir := t.TempDir()
		k.make(dir)
		_, err := openAll(dir)
		wants(t, err, k.want)
	}
	if _, err := openAll(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want ErrNotExist", err)
	}
	dir := t.TempDir()
	pictures(t, dir, c, "1.png")
	_, err := openAll(filepath.Join(dir, "img_%d.png"))
	wants(t, err, "no frames")
}

func readPNMBytes(b []byte) (*tensor.Tensor, error) {
	return readPNM(newInput("PNM", bytes.NewReader(b)))
}

func TestPNM(t *testing.T) {
	for _, c := range []int{1, 3} {
		x := moving(1, c, 3, 5).X.Index(0)
		for _, top := range []int{255, 1, 65535, 1020} {
			for _, plain := range []bool{false, true} {
				for _, comment := range []string{"", "# Generated by OpenCV 4.6.0\n", "#\n#x\n"} {
					var b bytes.Buffer
					pnm(&b, x, top, plain, comment)
					got, err := readPNMBytes(b.Bytes())
					if err != nil {
						t.Fatalf("%q: %v", b.Bytes()[:20], err)
					}
					for i, v := range got.Data() {
						if want := float32(int(x.Data()[i]*float32(top)+0.5)) / float32(top); v != want {
							t.Fatalf("%q: value %d is %v, want %v", b.Bytes()[:20], i, v, want)
						}
					}
					for n := range b.Len() {
						_, err := readPNMBytes(b.Bytes()[:n])
						wants(t, err, "")
					}
				}
			}
		}
	}
	if x, err := readPNMBytes([]byte("P5 2# width\n1\t#height\n255#top\n\x33\x66")); err != nil || x.At(0, 0, 1) != 0.4 {
		t.Errorf("%v, %v", x, err)
	}
	for _, c := range []struct{ want, file string }{
		{`header: "P4"; P2, P3, P5 and P6 are read`, "P4 1 1 a"},
		{"header, width: the data ends", "P5 "},
		{`'x' at byte 3, not a number`, "P5 x"},
		{`'-' at byte 3, not a number`, "P5 -1 1 255 x"},
		{"a number of more than 9 digits", "P5 1234567890 1 255 x"},
		{"0 by 1 pixels", "P5 0 1 255 "},
		{"pixels, a frame has", "P5 99999 99999 255 "},
		{"the largest value is 0", "P5 1 1 0 x"},
		{"the largest value is 65536", "P5 1 1 65536 xx"},
		{"row 1, column 0: 7 is above the largest value 6", "P5 1 2 6 \x06\x07"},
		{"row 0, column 1: 9 is above the largest value 6", "P2 2 1 6 1 9 "},
		{"data: the data ends", "P6 1 1 255 xx"},
		{"data: 4 bytes for 67108864 values", "P2 8192 8192 255 1 2 "},
		{"more data after the picture", "P5 1 1 255 xx"},
	} {
		_, err := readPNMBytes([]byte(c.file))
		wants(t, err, c.want)
	}
}

func FuzzPNM(f *testing.F) {
	x := moving(1, 3, 3, 5).X.Index(0)
	for _, plain := range []bool{false, true} {
		var b bytes.Buffer
		pnm(&b, x, 255, plain, "# comment\n")
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		fuzz(t, func(r io.Reader) (Source, error) {
			x, err := readPNM(newInput("PNM", r))
			if err != nil {
				return nil, err
			}
			done := false
			return &source{info: Info{C: x.Dim(0), H: x.Dim(1), W: x.Dim(2)}, next: func(dst *tensor.Tensor) error {
				if done {
					return io.EOF
				}
				done = true
				dst.CopyFrom(x)
				return nil
			}}, nil
		}, file)
	})
}
