package longtail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

func zipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.Bytes()
}

func TestReadList(t *testing.T) {
	// Lines as the published lists have them, and what editors make of them.
	const text = "train/airfield/00004851.jpg 0\r\n\n  train_val2018/Plantae/7291/9f8e.jpg 7291 \na name/with blanks.png\t3"
	want := []Entry{{"train/airfield/00004851.jpg", 0}, {"train_val2018/Plantae/7291/9f8e.jpg", 7291}, {"a name/with blanks.png", 3}}
	for _, b := range [][]byte{[]byte(text), []byte("\ufeff" + text), zipped(text)} {
		got, err := ReadList(bytes.NewReader(b))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v", got, err)
		}
	}
	for bad, reason := range map[string]string{
		"":                         "no entries",
		" \n\n":                    "no entries",
		"a.png":                    `"a.png" is not "path label"`,
		"a.png 0\nb.png x":         `line 2: the label "x"`,
		"a.png 1.5":                "whole number",
		"a.png -1":                 "the label is -1",
		"../a.png 1":               "leaves the root",
		"/etc/passwd 1":            "leaves the root",
		"a.png 9" + zeros(30):      "whole number",
		string(zipped("a 1")[:15]): "the data ends",
		"\x1f\x8b\x00":             "list of pictures",
		strings.Repeat("x", 1<<17): "too long",
	} {
		var fe *tensor.FormatError
		if got, err := ReadList(strings.NewReader(bad)); !errors.As(err, &fe) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.20q: %v, %v; want %q", bad, got, err, reason)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

func TestOpenList(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "pictures")
	if err := os.MkdirAll(filepath.Join(root, "b"), 0o777); err != nil {
		t.Fatal(err)
	}
	names := []string{"b/1.png", "0.png", "b/2.png"}
	for k, name := range names {
		img := image.NewRGBA(image.Rect(0, 0, 6, 4))
		for i := range img.Pix {
			img.Pix[i] = 255
		}
		for y := range 4 {
			for x := range 6 {
				img.Set(x, y, color.RGBA{uint8(51 * k), 0, 255, 255})
			}
		}
		f, err := os.Create(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, img); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	write := func(text string) string {
		path := filepath.Join(dir, "list.txt.gz")
		if err := os.WriteFile(path, zipped(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const good = "b/1.png 1\n0.png 0\nb/2.png 1\n"
	shape := []int{3, 2, 2}
	d, err := OpenList(write(good), root, shape, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.New(shape...)
	for k := range names {
		if err := d.Read(k, x); err != nil || !(math.Abs(float64(x.At(0, 1, 1))-float64(k)/5) < 1e-6) || x.At(2, 0, 0) != 1 {
			t.Errorf("picture %d: %v, %v", k, x.Data(), err)
		}
	}
	if d.Len() != 3 || d.Classes() != 2 || d.Label(0) != 1 || d.Label(1) != 0 || !slices.Equal(d.Shape(), shape) {
		t.Errorf("%+v", d)
	}
	if counts, err := Counts(d); err != nil || !slices.Equal(counts, []int{1, 2}) {
		t.Errorf("%v, %v", counts, err)
	}
	digest, err := data.Digest(d)
	if err != nil {
		t.Fatal(err)
	}
	wider, err := OpenList(write(good), root, shape, ListOptions{Classes: 5})
	if err != nil || wider.Classes() != 5 {
		t.Fatalf("%v, %v", wider, err)
	}
	if other, err := data.Digest(wider); err != nil || other == digest {
		t.Errorf("digest %s, %v", other, err)
	}
	resized, err := OpenList(write(good), root, shape, ListOptions{ImageOptions: data.ImageOptions{Resize: 3}})
	if err != nil {
		t.Fatal(err)
	}
	if other, err := data.Digest(resized); err != nil || other == digest {
		t.Errorf("pictures of another size have digest %s, %v", other, err)
	}
	file := filepath.Join(root, names[2])
	picture, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(picture, 0), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	if other, err := data.Digest(d); err != nil || other == digest {
		t.Errorf("a file of another size leaves digest %s, %v", other, err)
	}
	for _, c := range []struct {
		text string
		o    ListOptions
		want string
	}{
		{good + "b/3.png 1\nb/4.png 0", ListOptions{}, "entry 4, b/3.png: 2 of 5 pictures are missing"},
		{good + "b 1", ListOptions{}, "is a directory"},
		{good, ListOptions{Classes: 1}, "entry 1, b/1.png: the label is 1, outside [0, 1)"},
		{good + "b/2.png 900000000", ListOptions{}, "say how many classes"},
		{good + "b/2.png 3", ListOptions{}, "class 2 of 4 has no pictures"},
		{"x", ListOptions{}, "list.txt.gz: line 1"},
	} {
		var fe *tensor.FormatError
		if d, err := OpenList(write(c.text), root, shape, c.o); d != nil || !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
	_, err = OpenList(write(good+"b/3.png 1"), root, shape, ListOptions{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing picture: %v", err)
	}
	late, err := OpenList(write(good+"b/3.png 1"), root, shape, ListOptions{Unchecked: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Read(3, x); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing picture, read: %v", err)
	}
	if _, err := OpenList(filepath.Join(dir, "none"), root, shape, ListOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no list: %v", err)
	}
	panics(t, "not [3, H, W]", func() { OpenList("x", root, []int{2, 3, 3}, ListOptions{}) })
	panics(t, "-1 classes", func() { OpenList("x", root, shape, ListOptions{Classes: -1}) })
}

// TestPublishedList reads the first lines of a list as Places-LT has it.
func TestPublishedList(t *testing.T) {
	f, err := os.Open("testdata/places-head.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := ReadList(f)
	if err != nil || len(list) != 3 || list[2] != (Entry{"train/zen_garden/00000151.jpg", 364}) {
		t.Errorf("%v, %v", list, err)
	}
}

func FuzzReadList(f *testing.F) {
	f.Add([]byte("train/airfield/00004851.jpg 0\nb 1"))
	f.Add(zipped("a b.png 12\n"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ReadList(bytes.NewReader(b))
		if err != nil {
			var fe *tensor.FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		var text strings.Builder
		for _, e := range list {
			if e.Label < 0 || !filepath.IsLocal(e.Path) {
				t.Fatalf("%+v", e)
			}
			fmt.Fprintf(&text, "%s %d\n", e.Path, e.Label)
		}
		if strings.Contains(text.String(), "\ufeff") { // which is taken off once
			return
		}
		if strings.HasPrefix(text.String(), "\x1f\x8b") { // a blank stood before gzip's mark
			return
		}
		again, err := ReadList(strings.NewReader(text.String()))
		if err != nil || !slices.Equal(again, list) {
			t.Fatalf("%v read again: %v, %v", list, again, err)
		}
	})
}
