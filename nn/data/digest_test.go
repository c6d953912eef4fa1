package data

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mettleml/mettle/tensor"
)

// hiddenDigest is a data set without a digest of its own.
type hiddenDigest struct{ Dataset }

// TestDigest: every part of a data set counts, and where it lies does not.
func TestDigest(t *testing.T) {
	digest := func(d Dataset) string {
		t.Helper()
		s, err := Digest(d)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tensors := func(change func(x *tensor.Tensor, y []int), classes int) Dataset {
		x := tensor.New(3, 1, 2, 2)
		for i := range x.Data() {
			x.Data()[i] = float32(i)
		}
		y := []int{0, 1, 1}
		change(x, y)
		d, err := NewTensors(x, y, classes)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	images := func(change func(p []byte), shape ...int) Dataset {
		p := make([]byte, 12)
		change(p)
		d, err := NewImages(p, []int{0, 1, 1}, shape, 2)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	root := t.TempDir()
	var opt FolderOptions
	folder := func(name, class, file, content string) Dataset {
		dir := filepath.Join(root, name)
		for path, content := range map[string]string{filepath.Join(class, file): content, "z/z.png": "z"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		d, err := OpenFolder(dir, []int{1, 2, 2}, opt)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	same := func(*tensor.Tensor, []int) {}
	d := tensors(same, 2)
	if digest(d) != digest(tensors(same, 2)) || digest(d) != digest(hiddenDigest{d}) || digest(d) == "" {
		t.Error("one data set has two digests")
	}
	if digest(folder("one", "a", "a.png", "12")) != digest(folder("two", "a", "a.png", "34")) {
		t.Error("a folder's digest depends on where it lies")
	}
	all := []string{
		digest(d),
		digest(tensors(func(x *tensor.Tensor, _ []int) { x.Data()[11]++ }, 2)),
		digest(tensors(func(_ *tensor.Tensor, y []int) { y[2] = 0 }, 2)),
		digest(tensors(same, 3)),
		digest(Subset(d, []int{0, 1, 2})),
		digest(Subset(d, []int{0, 2, 1})),
		digest(images(func([]byte) {}, 1, 2, 2)),
		digest(images(func([]byte) {}, 1, 4, 1)),
		digest(images(func(p []byte) { p[7] = 1 }, 1, 2, 2)),
		digest(folder("one", "a", "a.png", "12")),
		digest(folder("size", "a", "a.png", "123")),
		digest(folder("name", "a", "b.png", "12")),
		digest(folder("class", "b", "a.png", "12")),
	}
	for _, opt = range []FolderOptions{{ImageOptions: ImageOptions{Resize: 3}}, {ImageOptions: ImageOptions{Orient: true}}, {Classes: []string{"z", "a"}}} {
		d := folder("one", "a", "a.png", "12")
		all = append(all, digest(d))
		if m, err := MatchClasses(d, []string{"z", "x", "a"}); err != nil || digest(m) == digest(d) {
			t.Errorf("classes of other numbers have the same digest (%v)", err)
		}
	}
	opt = FolderOptions{}
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
		t.Errorf("%d different digests of %d data sets: %v", n, len(all), all)
	}
	gone := folder("gone", "a", "a.png", "12")
	if err := os.RemoveAll(filepath.Join(root, "gone")); err != nil {
		t.Fatal(err)
	}
	if _, err := Digest(gone); err == nil {
		t.Error("no error for files that are gone")
	}
}
