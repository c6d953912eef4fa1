package data

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/tensor"
)

// A Folder is a data set of PNG and JPEG files, one directory per class. Read decodes an
// image.
type Folder struct {
	Paths  []string // the files, by directory and then sorted
	labels []int
	names  []string
	shape  []int
	opt    FolderOptions
}

// FolderOptions say which classes the directories of a [Folder] are, and how to read its
// images. With the zero value the directories are the classes.
//
// Match two data sets, or a data set and a network, by class names and not by positions: in
// a test set that lacks a class, all later labels would shift. Pass the names on:
//
//	train, err := data.OpenFolder("birds/train", shape, data.FolderOptions{})
//	test, err := data.OpenFolder("birds/test", shape, data.FolderOptions{Classes: train.ClassNames()})
//
// A directory then is the class of its name. If no class has exactly that name, case is
// ignored, and blanks, underscores, hyphens and slashes are equal. If all directories are
// whole numbers and none is a class name, they are the numbers of the classes, from 0. A
// class without a directory has no samples ([Absent] lists such classes). A directory that
// is none of the classes is an error.
type FolderOptions struct {
	// Classes are the names of the classes in their order; nil means unknown.
	Classes []string

	// Count is the number of classes if their names are not known; 0 means that it is not
	// known either. Directories named by whole numbers below Count are the classes with
	// these numbers; with other names there must be exactly Count directories.
	Count int

	// Map gives the classes of directories whose names are not class names. Without Classes
	// and Count it also determines which classes there are; see [ClassMap.Classes].
	Map ClassMap

	ImageOptions // of every image
}

// OpenFolder lists the images in the directories of root: files that end in .png, .jpg or
// .jpeg, in any case. Without options classes are numbered in the sorted order of the
// directories' names: as numbers if every one is a whole number, so that 2 comes before 10,
// and else as text. Files in root itself, and names that start with a dot, do not count.
// Every image becomes [C, H, W]; see ImageOptions for the crop. With a C of 3 a gray image
// is repeated; with 1 a coloured one is reduced to its luma. It is an error if root has no
// directories, a directory has no image, or a directory is none of the classes in the
// options. It panics if shape is not [3, H, W] or [1, H, W], or if an option is out of
// range.
func OpenFolder(root string, shape []int, opt FolderOptions) (*Folder, error) {
	const op = "data.OpenFolder"
	opt.Check(op, shape)
	switch {
	case opt.Count < 0 || opt.Classes != nil && opt.Count > 0 && opt.Count != len(opt.Classes):
		tensor.Panic(op, fmt.Sprintf("Count %d and %d Classes", opt.Count, len(opt.Classes)), shape)
	}
	d := &Folder{shape: slices.Clone(shape), opt: opt}
	dirs, err := ClassDirs(root)
	if err != nil {
		return nil, err
	}
	fail := func(path, reason string) (*Folder, error) {
		return nil, &tensor.FormatError{Format: "image folder", File: path, Reason: reason}
	}
	if len(dirs) == 0 {
		return fail(root, "no directory for a class")
	}
	names, numbers, err := opt.classes(dirs)
	if err != nil {
		return fail(root, err.Error())
	}
	d.names = names
	for _, dir := range dirs {
		files, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			return nil, err
		}
		before := len(d.Paths)
		for _, f := range files {
			switch strings.ToLower(filepath.Ext(f.Name())) {
			case ".png", ".jpg", ".jpeg":
				if !strings.HasPrefix(f.Name(), ".") && !f.IsDir() {
					d.Paths = append(d.Paths, filepath.Join(root, dir, f.Name()))
					d.labels = append(d.labels, numbers[dir])
				}
			}
		}
		if len(d.Paths) == before {
			return fail(filepath.Join(root, dir), "no .png, .jpg or .jpeg file for this class")
		}
	}
	return d, nil
}

// classes returns the names of all classes, and the number of each directory's.
func (o FolderOptions) classes(dirs []string) (names []string, numbers map[string]int, err error) {
	switch {
	case o.Classes != nil:
		names = slices.Clone(o.Classes)
	case o.Map != nil:
		if names, err = o.Map.Classes(); err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(o.Map, func(e ClassEntry) bool { return !isNumber(e.Class) }) && o.Count >= len(names) {
			names = append(names, ClassNumbers(o.Count)[len(names):]...)
		}
		if o.Count > 0 && len(names) != o.Count {
			return nil, nil, fmt.Errorf("the map has %d classes where there are %d", len(names), o.Count)
		}
	case o.Count > 0:
		below := func(name string) bool {
			n, err := strconv.Atoi(name)
			return isNumber(name) && err == nil && n < o.Count
		}
		if !slices.ContainsFunc(dirs, func(name string) bool { return !below(name) }) {
			names = ClassNumbers(o.Count)
			break
		}
		if len(dirs) != o.Count {
			return nil, nil, fmt.Errorf("%d directories (%s) for %d classes whose names are not known; give the names or a map, or call each directory by the number of its class, from 0", len(dirs), few(dirs), o.Count)
		}
		names = dirs
	default:
		names = dirs
	}
	numbers, err = matchNames(dirs, names, o.Map)
	return names, numbers, err
}

// ClassDirs returns the names of the directories of root in the order of their class
// numbers: sorted as numbers if all are whole numbers, and else as text. Names that start
// with a dot do not count.
func ClassDirs(root string) ([]string, error) {
	entries, err := os.ReadDir(root) // sorted as text
	if err != nil {
		return nil, err
	}
	var names []string
	number := map[string]int{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(root, e.Name())); err != nil {
			return nil, err
		} else if !info.IsDir() {
			continue
		}
		names = append(names, e.Name())
		if n, err := strconv.Atoi(e.Name()); err == nil {
			number[e.Name()] = n
		}
	}
	if len(number) == len(names) {
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(number[a], number[b]) })
	}
	return names, nil
}

func (d *Folder) Len() int        { return len(d.Paths) }
func (d *Folder) Shape() []int    { return d.shape }
func (d *Folder) Classes() int    { return len(d.names) }
func (d *Folder) Label(i int) int { return d.labels[i] }

// ClassNames returns the names of the classes: those in the options, or the directories'.
func (d *Folder) ClassNames() []string { return d.names }

// Read decodes image i. A file that is corrupt, not what its name says, or above
// 2^26 pixels gives a [*tensor.FormatError].
func (d *Folder) Read(i int, dst *tensor.Tensor) error {
	return ReadImageFile(d.Paths[i], dst, d.opt.ImageOptions)
}
