package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

func idxFile(data []byte, shape ...int) []byte {
	b := []byte{0, 0, 8, byte(len(shape))}
	for _, d := range shape {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, data...)
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// wants checks that err is a *FormatError with the given text.
func wants(t *testing.T, err error, text string) {
	t.Helper()
	var fe *tensor.FormatError
	if !errors.As(err, &fe) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want a *FormatError with %q", err, text)
	}
}

func TestLoadMNIST(t *testing.T) {
	dir := t.TempDir()
	pixels := make([]byte, 3*4*5)
	for i := range pixels {
		pixels[i] = byte(i * 4)
	}
	write(t, filepath.Join(dir, "train-images-idx3-ubyte.gz"), zip(idxFile(pixels, 3, 4, 5)))
	write(t, filepath.Join(dir, "train-labels-idx1-ubyte"), idxFile([]byte{9, 0, 4}, 3))
	write(t, filepath.Join(dir, "t10k-images-idx3-ubyte"), idxFile(pixels[:40], 2, 4, 5))
	_, _, err := LoadMNIST(dir)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "t10k-labels-idx1-ubyte") {
		t.Errorf("error %v, want one about the missing file", err)
	}
	write(t, filepath.Join(dir, "t10k-labels-idx1-ubyte.gz"), zip(idxFile([]byte{1, 2}, 2)))
	train, test, err := LoadMNIST(dir)
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 3 || test.Len() != 2 || train.Classes() != 10 || !slices.Equal(train.Shape(), []int{1, 4, 5}) || !slices.Equal(train.Labels, []int{9, 0, 4}) {
		t.Errorf("%d and %d samples of shape %v, labels %v", train.Len(), test.Len(), train.Shape(), train.Labels)
	}
	x, y, err := Load(train, []int{2, 0})
	if err != nil || !slices.Equal(y, []int{4, 9}) || x.At(0, 0, 1, 2) != float32((40+7)*4)/255 || x.At(1, 0, 0, 1) != 4.0/255 {
		t.Errorf("labels %v (%v), values %v", y, err, x.Data())
	}

	images, labels := filepath.Join(dir, "i"), filepath.Join(dir, "l")
	for _, c := range []struct {
		want   string
		images []byte
		labels []byte
	}{
		{"l: byte 4: 2 labels, but " + images + " has 3 images", idxFile(pixels, 3, 4, 5), idxFile([]byte{1, 2}, 2)},
		{"l: byte 10: label 10, outside [0, 10)", idxFile(pixels, 3, 4, 5), idxFile([]byte{1, 9, 10}, 3)},
		{"i: byte 3: 1 dimensions, want 3", idxFile(pixels, 60), idxFile([]byte{1, 9, 10}, 3)},
		{"l: byte 3: 3 dimensions, want 1", idxFile(pixels, 3, 4, 5), idxFile(pixels, 3, 4, 5)},
		{"i: byte 4: no pixels in 0 images", idxFile(nil, 0, 4, 5), idxFile(nil, 0)},
		{"i: byte 4: no pixels in 3 images", idxFile(nil, 3, 0, 5), idxFile([]byte{1, 2, 3}, 3)},
	} {
		write(t, images, c.images)
		write(t, labels, c.labels)
		_, err := LoadIDX(images, labels, 10)
		wants(t, err, c.want)
	}
}

func TestReadIDXMalformed(t *testing.T) {
	good := idxFile([]byte{1, 2, 3, 4, 5, 6}, 2, 3)
	if data, shape, err := ReadIDX(bytes.NewReader(zip(good))); err != nil || len(data) != 6 || !slices.Equal(shape, []int{2, 3}) {
		t.Fatalf("%v %v %v", data, shape, err)
	}
	change := func(at int, v byte) []byte {
		b := slices.Clone(good)
		b[at] = v
		return b
	}
	zipped := zip(good)
	badSum := slices.Clone(zipped)
	badSum[len(badSum)-8] ^= 1
	for _, c := range []struct {
		want string
		file []byte
	}{
		{"byte 0: the data ends", nil},
		{"byte 0: the data ends", good[:3]},
		{"byte 4: the data ends", good[:9]},
		{"byte 15: the data ends", good[:15]},
		{"byte 18: more data", append(slices.Clone(good), 0)},
		{"not as IDX does", change(0, 1)},
		{"element type 0x0d", change(2, 13)},
		{"0 dimensions", change(3, 0)},
		{"9 dimensions", change(3, 9)},
		{"more than 1073741824 bytes", idxFile(nil, 1<<30, 1<<30, 1<<30)},
		{"byte 16: the data ends", idxFile(nil, 1<<10, 1<<10, 1<<10)},
		{"gzip", badSum},
		{"the data ends", zipped[:20]},
		{"gzip", []byte{0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0}},
	} {
		_, _, err := ReadIDX(bytes.NewReader(c.file))
		wants(t, err, c.want)
	}
}

// cifarRecord returns a record whose pixel k is v+k.
func cifarRecord(v byte, labels ...byte) []byte {
	b := slices.Clone(labels)
	for k := range cifarPixels {
		b = append(b, v+byte(k))
	}
	return b
}

func TestCIFAR(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		write(t, filepath.Join(dir, fmt.Sprintf("data_batch_%d.bin", i+1)), slices.Concat(cifarRecord(byte(i), byte(i)), cifarRecord(byte(100+i), 9)))
	}
	write(t, filepath.Join(dir, "test_batch.bin"), cifarRecord(7, 3))
	train, test, err := LoadCIFAR10(dir)
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 10 || test.Len() != 1 || train.Classes() != 10 || !slices.Equal(train.Labels, []int{0, 9, 1, 9, 2, 9, 3, 9, 4, 9}) {
		t.Errorf("%d and %d samples, labels %v", train.Len(), test.Len(), train.Labels)
	}
	x, _, err := Load(train, []int{3})
	// Record 3 starts at 101, and the pixel has number 1025, 1 modulo 256.
	if want := float32(102) / 255; err != nil || x.At(0, 1, 0, 1) != want {
		t.Errorf("green at (0, 1) is %v (%v), want %v", x.At(0, 1, 0, 1), err, want)
	}
	write(t, filepath.Join(dir, "train.bin"), slices.Concat(cifarRecord(0, 19, 99), cifarRecord(0, 3, 42)))
	write(t, filepath.Join(dir, "test.bin"), cifarRecord(0, 1, 2))
	for _, coarse := range []bool{false, true} {
		train, test, err := LoadCIFAR100(dir, coarse)
		if err != nil {
			t.Fatal(err)
		}
		want, classes := []int{99, 42}, 100
		if coarse {
			want, classes = []int{19, 3}, 20
		}
		if !slices.Equal(train.Labels, want) || train.Classes() != classes || test.Len() != 1 {
			t.Errorf("coarse %v: labels %v of %d", coarse, train.Labels, train.Classes())
		}
	}
	for _, c := range []struct {
		want string
		file []byte
	}{
		{"empty", nil},
		{"record 1, byte 4000: the data ends", make([]byte, 4000)},
		{"record 1, byte 3073: label 10, outside [0, 10)", slices.Concat(cifarRecord(0, 9), cifarRecord(0, 10))},
	} {
		_, err := ReadCIFAR10(bytes.NewReader(c.file))
		wants(t, err, c.want)
	}
	_, err = ReadCIFAR100(bytes.NewReader(cifarRecord(0, 20, 5)), false)
	wants(t, err, "byte 0: label 20, outside [0, 20)")
	_, err = ReadCIFAR100(bytes.NewReader(cifarRecord(0, 1, 100)), true)
	wants(t, err, "byte 1: label 100, outside [0, 100)")
	write(t, filepath.Join(dir, "data_batch_4.bin"), make([]byte, 10))
	_, _, err = LoadCIFAR10(dir)
	wants(t, err, filepath.Join(dir, "data_batch_4.bin")+": record 0, byte 10")
	os.Remove(filepath.Join(dir, "data_batch_2.bin"))
	if _, _, err = LoadCIFAR10(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one about the missing file", err)
	}
}

func TestCSV(t *testing.T) {
	for _, c := range []struct {
		name, text string
		opt        CSVOptions
		shape      []int
		labels     []int
		values     []float32
		classes    int
	}{
		{"plain", "1,0.5,2\n0,-1,3e2\n", CSVOptions{}, []int{2}, []int{1, 0}, []float32{0.5, 2, -1, 300}, 2},
		{"header, scale, shape", "label,a,b\r\n3, 255, 0\r\n", CSVOptions{Header: true, Scale: 1.0 / 255, Shape: []int{1, 1, 2}}, []int{1, 1, 2}, []int{3}, []float32{1, 0}, 4},
		{"label last", "7,8,2", CSVOptions{Label: -1, Classes: 5}, []int{2}, []int{2}, []float32{7, 8}, 5},
		{"what spreadsheets write", "\ufeff1.0 ,0.5\t, 2 \r\n \r\n\t0.00,-1 ,3e2  \r\n\r\n   \r\n", CSVOptions{}, []int{2}, []int{1, 0}, []float32{0.5, 2, -1, 300}, 2},
		{"a large label by request", "70000,1\n1e5,2\n", CSVOptions{Classes: 1 << 20}, []int{1}, []int{70000, 100000}, []float32{1, 2}, 1 << 20},
		{"label in the middle", "7,1,8", CSVOptions{Label: 1}, []int{2}, []int{1}, []float32{7, 8}, 2},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.text), bytes.NewReader(zip([]byte(c.text)))} {
			d, err := ReadCSV(r, c.opt)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			x, y, err := Load(d, nil)
			if err != nil || !slices.Equal(d.Shape(), c.shape) || !slices.Equal(y, c.labels) || !slices.Equal(x.Data(), c.values) || d.Classes() != c.classes {
				t.Errorf("%s: shape %v, labels %v of %d, values %v (%v)", c.name, d.Shape(), y, d.Classes(), x.Data(), err)
			}
		}
	}
	for _, c := range []struct {
		want, text string
		opt        CSVOptions
	}{
		{"end: no samples", "", CSVOptions{}},
		{"end: no samples", "label,a\n", CSVOptions{Header: true}},
		{"line 2, column 3: \"x\" is not a number", "1,2\n3,x\n", CSVOptions{}},
		{"line 2, column 3: \"1e99\" is not a number", "1,2\n3,1e99\n", CSVOptions{}},
		{"line 2, column 1: the label \"-1\"", "1,2\n-1,2\n", CSVOptions{}},
		{"line 1, column 1: the label \"5\" is not a whole number in [0, 5)", "5,2\n", CSVOptions{Classes: 5}},
		{"line 2, column 1: 3 fields, but the first line has 2", "1,2\n1,2,3\n", CSVOptions{}},
		{"line 2, column 1: 2 fields, but the first line has 3", "l,a,b\n1,2\n", CSVOptions{Header: true}},
		{"bare \"", "1,2\"3\n", CSVOptions{}},
		{"1 columns", "1\n", CSVOptions{}},
		{"2 columns, and the label is to be column 2", "1,2\n", CSVOptions{Label: 2}},
		{"2 columns, and the label is to be column -3", "1,2\n", CSVOptions{Label: -3}},
		{"the shape [2 2] needs 4", "1,2\n", CSVOptions{Shape: []int{2, 2}}},
		{"line 1, column 1: the label \"1.5\" is not", "1.5,2\n", CSVOptions{}},
		{"line 1, column 1: the label \"nan\" is not", "nan,2\n", CSVOptions{}},
		{"line 1, column 1: the label \"-1.0\" is not", "-1.0,2\n", CSVOptions{}},
		{"line 1, column 1: the label \"1e300\" is not", "1e300,2\n", CSVOptions{}},
		{"line 1, column 1: the label \"\" is not", ",2\n", CSVOptions{}},
		{"line 2, column 1: the label 900000000 would make more than 65536 classes", "1,2\n900000000,3\n", CSVOptions{}},
		{"line 2, column 5: \"3e38\" times 2 is not a number that float32 holds", "1,2,3\n1,1,3e38\n", CSVOptions{Scale: 2}},
		{"line 1, column 3: \"2\" times NaN", "1,2\n", CSVOptions{Scale: math.NaN()}},
		{"line 1, column 1: the label \"class\" is not a whole number in [0, 2147483647); if the first line holds names, set Header", "class,a\n1,2\n", CSVOptions{}},
		{"separated by semicolons or tabs", "1;2;3\n", CSVOptions{}},
		{"byte 0: an HTML page", "<!DOCTYPE html>\n", CSVOptions{}},
		{"byte 0: text in UTF-16", "\xff\xfe1\x00,\x002\x00", CSVOptions{}},
		{"byte 0: a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n", CSVOptions{}},
	} {
		_, err := ReadCSV(strings.NewReader(c.text), c.opt)
		wants(t, err, c.want)
	}
	for _, s := range []string{"nan", "NaN", "inf", "-Infinity", "+INF"} {
		_, err := ReadCSV(strings.NewReader("1,2,3\n0, 1, "+s+"\n"), CSVOptions{})
		wants(t, err, "line 2, column 7: \""+s+"\" is not a finite number")
	}
	path := filepath.Join(t.TempDir(), "a.csv")
	write(t, path, []byte("1,x\n"))
	_, err := LoadCSV(path, CSVOptions{})
	wants(t, err, path+": line 1")
}

func encoded(t *testing.T, name string, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch filepath.Ext(name) {
	case ".png":
		err = png.Encode(&b, img)
	case ".gif":
		err = gif.Encode(&b, img, nil)
	default:
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFolder(t *testing.T) {
	root := t.TempDir()
	flat := func(c color.Color, w, h int) image.Image {
		img := image.NewNRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				img.Set(x, y, c)
			}
		}
		return img
	}
	red, blue := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 0, 51, 255}
	gray := image.NewGray(image.Rect(0, 0, 9, 4))
	for i := range gray.Pix {
		gray.Pix[i] = 102
	}
	for name, img := range map[string]image.Image{
		"zebra/b.png": flat(red, 8, 8), "zebra/a.JPG": flat(blue, 30, 10), "ant/x.jpeg": gray, "ant/y.png": gray, "ant/.hidden.png": gray, ".git/x.png": gray,
	} {
		write(t, filepath.Join(root, name), encoded(t, name, img))
	}
	write(t, filepath.Join(root, "ant", "notes.txt"), []byte("not an image"))
	write(t, filepath.Join(root, "list.png"), []byte("in the root"))
	d, err := OpenFolder(root, []int{3, 4, 6}, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range d.Paths {
		names = append(names, filepath.ToSlash(strings.TrimPrefix(p, root)))
	}
	if fmt.Sprint(names, d.ClassNames()) != "[/ant/x.jpeg /ant/y.png /zebra/a.JPG /zebra/b.png] [ant zebra]" || !slices.Equal(ClassCounts(d), []int{2, 2}) {
		t.Errorf("files %v, classes %v", names, d.ClassNames())
	}
	x, y, err := Load(d, nil)
	if err != nil || !slices.Equal(y, []int{0, 0, 1, 1}) || !slices.Equal(x.Shape(), []int{4, 3, 4, 6}) {
		t.Fatalf("labels %v, shape %v (%v)", y, x.Shape(), err)
	}
	for i, want := range [][3]float32{{0.4, 0.4, 0.4}, {0.4, 0.4, 0.4}, {0, 0, 0.2}, {1, 0, 0}} {
		for c := range 3 {
			for _, v := range x.Index(i).Index(c).Data() {
				if !(math.Abs(float64(v-want[c])) <= 0.01) {
					t.Fatalf("%s: channel %d has %v, want %v", names[i], c, v, want[c])
				}
			}
		}
	}
	one, err := OpenFolder(root, []int{1, 2, 2}, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if x, _, err = Load(one, []int{3}); err != nil || !(math.Abs(float64(x.Data()[0]-0.299)) <= 1e-6) {
		t.Errorf("luma of red is %v (%v)", x.Data(), err)
	}

	huge := encoded(t, "a.png", flat(red, 1, 1))
	binary.BigEndian.PutUint32(huge[16:], 1<<14)
	binary.BigEndian.PutUint32(huge[20:], 1<<13)
	binary.BigEndian.PutUint32(huge[29:], crc(huge[12:29]))
	bad := filepath.Join(root, "zebra", "b.png")
	for _, c := range []struct {
		want string
		file []byte
	}{
		{"text that begins \"hello\", not PNG or JPEG", []byte("hello")},
		{"a GIF image, not PNG or JPEG", encoded(t, "a.gif", flat(red, 8, 8))},
		{"the limit is 67108864", huge},
		{"unexpected EOF", encoded(t, "a.png", flat(red, 8, 8))[:60]},
	} {
		write(t, bad, c.file)
		_, _, err := Load(d, []int{3})
		wants(t, err, bad+": ")
		wants(t, err, c.want)
	}
	os.Remove(bad)
	if _, _, err := Load(d, []int{3}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one about the missing file", err)
	}
	os.Mkdir(filepath.Join(root, "empty"), 0o777)
	_, err = OpenFolder(root, []int{3, 4, 4}, FolderOptions{})
	wants(t, err, filepath.Join(root, "empty")+": no .png")
	_, err = OpenFolder(filepath.Join(root, "empty"), []int{3, 4, 4}, FolderOptions{})
	wants(t, err, "no directory for a class")
	if _, err = OpenFolder(filepath.Join(root, "no"), []int{3, 4, 4}, FolderOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if err := tensor.Try(func() error { OpenFolder(root, []int{2, 4, 4}, FolderOptions{}); return nil }); err == nil {
		t.Error("two channels were accepted")
	}
}

// crc is the checksum of a PNG chunk.
func crc(b []byte) uint32 {
	c := ^uint32(0)
	for _, v := range b {
		c ^= uint32(v)
		for range 8 {
			c = c>>1 ^ 0xedb88320&-(c&1)
		}
	}
	return ^c
}

// known fails the test unless err is nil or a *FormatError, and reports whether
// it is nil.
func known(t *testing.T, err error) bool {
	var fe *tensor.FormatError
	if err != nil && !errors.As(err, &fe) {
		t.Fatalf("%T: %v", err, err)
	}
	return err == nil
}

func FuzzReadIDX(f *testing.F) {
	good := idxFile([]byte{1, 2, 3, 4, 5, 6}, 2, 3)
	f.Add(good)
	f.Add(zip(good))
	f.Add(idxFile(nil, 1<<20, 1<<10, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		data, shape, err := ReadIDX(bytes.NewReader(b))
		if known(t, err) && len(data) != product(shape) {
			t.Fatalf("%d bytes for shape %v", len(data), shape)
		}
	})
}

func FuzzReadCIFAR(f *testing.F) {
	f.Add(cifarRecord(1, 2), false)
	f.Add(zip(slices.Concat(cifarRecord(1, 2, 3), cifarRecord(1, 19, 99))), true)
	f.Fuzz(func(t *testing.T, b []byte, coarse bool) {
		for _, read := range []func() (*Images, error){
			func() (*Images, error) { return ReadCIFAR10(bytes.NewReader(b)) },
			func() (*Images, error) { return ReadCIFAR100(bytes.NewReader(b), coarse) },
		} {
			if d, err := read(); known(t, err) && (d.Len() == 0 || len(d.Pixels) != d.Len()*cifarPixels || slices.Max(d.Labels) >= d.Classes()) {
				t.Fatalf("%d samples, %d pixels, labels %v", d.Len(), len(d.Pixels), d.Labels)
			}
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("label,a\n1,0.5\n2,\"3\"\n"), 0, true)
	f.Add([]byte("1,2,3\n4,5,6\n"), -1, false)
	f.Add(zip([]byte("1,2\n")), 1, false)
	f.Add([]byte("\xef\xbb\xbf1.0 ,nan\n\t\n"), 0, false)
	f.Fuzz(func(t *testing.T, b []byte, label int, header bool) {
		d, err := ReadCSV(bytes.NewReader(b), CSVOptions{Label: label, Header: header})
		if known(t, err) {
			x, _, err := Load(d, nil)
			if err != nil || d.Len() == 0 || len(ClassCounts(d)) > maxImplied {
				t.Fatalf("%d samples of %d classes (%v)", d.Len(), d.Classes(), err)
			}
			for _, v := range x.Data() {
				if !(math.Abs(float64(v)) <= math.MaxFloat32) {
					t.Fatalf("a value of %v", v)
				}
			}
		}
	})
}

func FuzzReadImage(f *testing.F) {
	img := image.NewNRGBA(image.Rect(0, 0, 5, 3))
	for i := range img.Pix {
		img.Pix[i] = byte(i * 11)
	}
	for _, enc := range []func(io.Writer, image.Image) error{png.Encode, func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) }} {
		var b bytes.Buffer
		if err := enc(&b, img); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(b)); err == nil && c.Width > 1<<20/max(c.Height, 1) {
			t.Skip("large enough to be slow")
		}
		dst := tensor.New(3, 4, 4)
		if known(t, ReadImage(bytes.NewReader(b), dst, ImageOptions{})) {
			for _, v := range dst.Data() {
				if !(v >= -1e-6 && v <= 1+1e-6) {
					t.Fatalf("a value of %v", v)
				}
			}
		}
	})
}

// TestFolderOrder: directories named by numbers are classes in the order of these.
func TestFolderOrder(t *testing.T) {
	for want, dirs := range map[string][]string{
		"[0 1 2 10]":     {"0", "1", "10", "2"},
		"[0 1 10 2 two]": {"0", "1", "10", "2", "two"},
		"[-1 08 9 10]":   {"08", "10", "9", "-1"},
	} {
		root := t.TempDir()
		for _, dir := range dirs {
			write(t, filepath.Join(root, dir, "x.png"), nil)
		}
		d, err := OpenFolder(root, []int{1, 2, 2}, FolderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		last := d.Label(d.Len() - 1)
		if fmt.Sprint(d.ClassNames()) != want || filepath.Base(filepath.Dir(d.Paths[last])) != d.ClassNames()[last] {
			t.Errorf("classes %v, files %v; want %s", d.ClassNames(), d.Paths, want)
		}
	}
}
