package data

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/mettleml/mettle/internal/filetype"
	"github.com/mettleml/mettle/tensor"
)

// maxRank bounds the dimensions of an IDX file.
const maxRank = 8

// ReadIDX reads an array of bytes in the IDX format of the MNIST files, compressed by gzip
// or not, to the end of r. It reads at most 1 GiB. Invalid content is a
// [*tensor.FormatError].
func ReadIDX(r io.Reader) (data []byte, shape []int, err error) {
	fail := func(place, reason string) ([]byte, []int, error) {
		return nil, nil, &tensor.FormatError{Format: "IDX", Place: place, Reason: reason}
	}
	r, err = unzipped(r)
	if err != nil {
		return nil, nil, broken("IDX", "byte 0", err)
	}
	var b [4 * maxRank]byte
	if _, err := io.ReadFull(r, b[:4]); err != nil {
		return nil, nil, broken("IDX", "byte 0", err)
	}
	rank := int(b[3])
	switch {
	case b[0] != 0 || b[1] != 0:
		rest, _ := readMost(r, filetype.Head-4)
		return fail("byte 0", cmp.Or(filetype.Binary(append(b[:4], rest...)), fmt.Sprintf("starts with % x, not as IDX does", b[:4])))
	case b[2] != 8:
		return fail("byte 2", fmt.Sprintf("element type 0x%02x, only unsigned bytes (0x08) are read", b[2]))
	case rank < 1 || rank > maxRank:
		return fail("byte 3", fmt.Sprintf("%d dimensions", rank))
	}
	if _, err := io.ReadFull(r, b[:4*rank]); err != nil {
		return nil, nil, broken("IDX", "byte 4", err)
	}
	n := int64(1)
	for a := range rank {
		d := int64(binary.BigEndian.Uint32(b[4*a:]))
		if d > 0 && n > maxBytes/d {
			return fail(fmt.Sprintf("byte %d", 4+4*a), fmt.Sprintf("more than %d bytes of data", maxBytes))
		}
		n *= d
		shape = append(shape, int(d))
	}
	// One byte more shows whether the data ends where it should, and makes gzip
	// check its sum.
	data, err = readMost(r, n+1)
	switch {
	case err == nil && int64(len(data)) < n:
		err = io.ErrUnexpectedEOF
	case err == nil && int64(len(data)) > n:
		return fail(fmt.Sprintf("byte %d", 4+4*int64(rank)+n), "more data than the dimensions say")
	}
	if err != nil {
		return nil, nil, broken("IDX", fmt.Sprintf("byte %d", 4+4*rank+len(data)), err)
	}
	return data, shape, nil
}

// readIDXFile reads the first of some files that exists, which must have the
// given rank.
func readIDXFile(rank int, paths ...string) (data []byte, shape []int, path string, err error) {
	f, err := openFirst(paths...)
	if err != nil {
		return nil, nil, "", err
	}
	defer f.Close()
	data, shape, err = ReadIDX(f)
	if err == nil && len(shape) != rank {
		err = &tensor.FormatError{Format: "IDX", Place: "byte 3", Reason: fmt.Sprintf("%d dimensions, want %d", len(shape), rank)}
	}
	return data, shape, f.Name(), named(f.Name(), err)
}

// LoadIDX reads gray images, [N, H, W], and their labels, [N], from two IDX files,
// compressed or not. It is an error if the numbers of images and labels differ, if there
// are none, or if a label is not in [0, classes).
func LoadIDX(images, labels string, classes int) (*Images, error) {
	return loadIDX([]string{images}, []string{labels}, classes)
}

func loadIDX(images, labels []string, classes int) (*Images, error) {
	pixels, shape, ipath, err := readIDXFile(3, images...)
	if err != nil {
		return nil, err
	}
	bytes, count, lpath, err := readIDXFile(1, labels...)
	if err != nil {
		return nil, err
	}
	fail := func(path, place, reason string) (*Images, error) {
		return nil, &tensor.FormatError{Format: "IDX", File: path, Place: place, Reason: reason}
	}
	switch {
	case shape[0] != count[0]:
		return fail(lpath, "byte 4", fmt.Sprintf("%d labels, but %s has %d images", count[0], ipath, shape[0]))
	case len(pixels) == 0:
		return fail(ipath, "byte 4", fmt.Sprintf("no pixels in %d images of %d by %d", shape[0], shape[1], shape[2]))
	}
	y := make([]int, len(bytes))
	for i, b := range bytes {
		if y[i] = int(b); y[i] >= classes {
			return fail(lpath, fmt.Sprintf("byte %d", 8+i), fmt.Sprintf("label %d, outside [0, %d)", b, classes))
		}
	}
	return NewImages(pixels, y, []int{1, shape[1], shape[2]}, classes)
}

// LoadMNIST reads the four files of MNIST, or of a data set that imitates it, from a
// directory: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
// t10k-labels-idx1-ubyte, each with or without .gz. Samples have shape [1, 28, 28] and ten
// classes, named by their numbers.
func LoadMNIST(dir string) (train, test *Images, err error) {
	return loadMNIST(dir, ClassNumbers(10))
}

// LoadFashionMNIST reads Fashion-MNIST, with the names of its classes. Its files have the
// same names as MNIST's.
func LoadFashionMNIST(dir string) (train, test *Images, err error) {
	return loadMNIST(dir, fashionNames)
}

func loadMNIST(dir string, classes []string) (train, test *Images, err error) {
	part := func(prefix string) (*Images, error) {
		names := func(what string) []string {
			p := filepath.Join(dir, prefix+what)
			return []string{p, p + ".gz"}
		}
		d, err := loadIDX(names("-images-idx3-ubyte"), names("-labels-idx1-ubyte"), len(classes))
		if err == nil {
			d.Names = slices.Clone(classes)
		}
		return d, err
	}
	if train, err = part("train"); err != nil {
		return nil, nil, err
	}
	test, err = part("t10k")
	return train, test, err
}
