package data

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// Resize of a folder is torchvision's Resize and CenterCrop (testdata/shorter/make.py).
func TestShorterSide(t *testing.T) {
	files, _ := filepath.Glob("testdata/shorter/*x*.png")
	if len(files) != 4 {
		t.Fatalf("%d files", len(files))
	}
	for _, path := range files {
		var short, h, w int
		name, rest, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".png"), "-")
		if _, err := fmt.Sscanf(rest, "%d-%dx%d", &short, &h, &w); err != nil {
			t.Fatal(err)
		}
		read := func(path string, opt FolderOptions) *tensor.Tensor {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			x := tensor.New(3, h, w)
			if err := ReadImage(f, x, opt.ImageOptions); err != nil {
				t.Fatal(err)
			}
			return x
		}
		got, want := read("testdata/shorter/"+name+".png", FolderOptions{ImageOptions: ImageOptions{Resize: short}}), read(path, FolderOptions{})
		most, sum := 0.0, 0.0
		for i, v := range want.Data() {
			d := 255 * math.Abs(float64(got.Data()[i]-v))
			most, sum = max(most, d), sum+d
		}
		// The original rounds to 8 bits after each of two passes.
		if mean := sum / float64(want.Len()); !(most <= 2 && mean <= 0.5) {
			t.Errorf("%s: differs from torchvision by up to %.2f/255, by %.2f/255 on average", path, most, mean)
		}
	}
}

func TestShorterSideRefuses(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a", "x.png"), encoded(t, "x.png", image.NewGray(image.Rect(0, 0, 1<<17, 1))))
	d, err := OpenFolder(root, []int{1, 8, 8}, FolderOptions{ImageOptions: ImageOptions{Resize: 8}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Load(d, nil)
	wants(t, err, "too narrow")
	for _, opt := range []FolderOptions{{ImageOptions: ImageOptions{Resize: 7}}, {ImageOptions: ImageOptions{Resize: -1}}, {Count: -1}, {Count: 2, Classes: []string{"a"}}} {
		if err := tensor.Try(func() error { OpenFolder(root, []int{1, 8, 6}, opt); return nil }); err == nil {
			t.Errorf("%+v was accepted", opt)
		}
	}
}

// exifTIFF is TIFF data with two tags, of which one is the orientation.
func exifTIFF(order binary.AppendByteOrder, o uint16) []byte {
	b := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	for _, tag := range [][4]uint16{{0x0100, 3, 1, 640}, {0x0112, 3, 1, o}} {
		b = order.AppendUint16(b, tag[0])
		b = order.AppendUint16(b, tag[1])
		b = order.AppendUint32(b, uint32(tag[2]))
		b = order.AppendUint16(b, tag[3])
		b = append(b, 0, 0)
	}
	return append(b, 0, 0, 0, 0)
}

// withExif puts TIFF data into a JPEG or PNG.
func withExif(file, tiff []byte) []byte {
	if file[0] == 0xff {
		app0 := []byte("\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")
		other := []byte("\xff\xff\xe1\x00\x08http:\x00") // as XMP has it, after a filling byte
		exif := binary.BigEndian.AppendUint16([]byte("\xff\xe1"), uint16(len(tiff)+8))
		return bytes.Join([][]byte{file[:2], app0, other, exif, []byte("Exif\x00\x00"), tiff, file[2:]}, nil)
	}
	const head = 8 + 25 // signature and IHDR
	chunk := append([]byte("eXIf"), tiff...)
	b := binary.BigEndian.AppendUint32(bytes.Clone(file[:head]), uint32(len(tiff)))
	b = binary.BigEndian.AppendUint32(append(b, chunk...), crc32.ChecksumIEEE(chunk))
	return append(b, file[head:]...)
}

// All eight orientations, of both formats and byte orders, as they are to be seen.
func TestOrientation(t *testing.T) {
	// Quarters of 16 by 16 pixels in a picture of 48 by 32, so that blocks of a JPEG are of one gray.
	stored := image.NewGray(image.Rect(0, 0, 48, 32))
	at := func(x, y int) byte { return byte(20 + 40*(x/16) + 120*(y/16)) }
	for i := range stored.Pix {
		stored.Pix[i] = at(i%48, i/48)
	}
	// Where a pixel of the result comes from, in a picture whose last pixel is (W, H).
	const W, H = 47, 31
	from := map[uint16]func(x, y int) (int, int){
		0: func(x, y int) (int, int) { return x, y }, // not a value that Exif knows
		1: func(x, y int) (int, int) { return x, y },
		2: func(x, y int) (int, int) { return W - x, y },
		3: func(x, y int) (int, int) { return W - x, H - y },
		4: func(x, y int) (int, int) { return x, H - y },
		5: func(x, y int) (int, int) { return y, x },
		6: func(x, y int) (int, int) { return y, H - x }, // the first line is the right side
		7: func(x, y int) (int, int) { return W - y, H - x },
		8: func(x, y int) (int, int) { return W - y, x },
		9: func(x, y int) (int, int) { return x, y },
	}
	var jpg, pngs bytes.Buffer
	if err := jpeg.Encode(&jpg, stored, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&pngs, stored); err != nil {
		t.Fatal(err)
	}
	for o, source := range from {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			for format, file := range map[string][]byte{"JPEG": jpg.Bytes(), "PNG": pngs.Bytes()} {
				for _, orient := range []bool{true, false} {
					h, w, src := 32, 48, source
					if !orient {
						src = from[1]
					} else if o >= 5 && o <= 8 {
						h, w = w, h
					}
					x := tensor.New(1, h, w)
					if err := ReadImage(bytes.NewReader(withExif(file, exifTIFF(order, o))), x, ImageOptions{Orient: orient}); err != nil {
						t.Fatal(err)
					}
					for i, v := range x.Data() {
						sx, sy := src(i%w, i/w)
						if want := float64(at(sx, sy)); !(math.Abs(255*float64(v)-want) <= 1.01) {
							t.Fatalf("%s, orientation %d (%v, %v): (%d, %d) is %v, want %v", format, o, order, orient, i%w, i/w, 255*v, want)
						}
					}
				}
			}
		}
	}
}

// What is damaged is upright, and no picture is refused for it.
func TestOrientationDamaged(t *testing.T) {
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	tiff := exifTIFF(binary.LittleEndian, 6)
	change := func(at int, v byte) []byte {
		b := bytes.Clone(tiff)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "cut in its head": tiff[:7], "cut in the tag": tiff[:30], "a directory beyond the end": change(4, 200),
		"another byte order": change(0, 'X'), "another type": change(24, 4), "two values": change(26, 2),
	} {
		if o := readOrientation(bufio.NewReader(bytes.NewReader(withExif(jpg.Bytes(), b)))); o != upright {
			t.Errorf("%s: orientation %d", name, o)
		}
	}
	if o := readOrientation(bufio.NewReader(bytes.NewReader(withExif(jpg.Bytes(), tiff)))); o != 6 {
		t.Errorf("orientation %d, want 6", o)
	}
	if o := readOrientation(bufio.NewReader(strings.NewReader("GIF89a"))); o != upright {
		t.Errorf("orientation %d", o)
	}
}

func FuzzOrientation(f *testing.F) {
	var jpg, pngs bytes.Buffer
	img := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	img.Set(1, 1, color.White)
	jpeg.Encode(&jpg, img, nil)
	png.Encode(&pngs, img)
	for _, file := range [][]byte{jpg.Bytes(), pngs.Bytes()} {
		f.Add(file)
		f.Add(withExif(file, exifTIFF(binary.BigEndian, 3)))
		f.Add(withExif(file, exifTIFF(binary.LittleEndian, 7)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := readOrientation(bufio.NewReader(bytes.NewReader(b))); o < 1 || o > 8 {
			t.Fatalf("orientation %d", o)
		}
	})
}
