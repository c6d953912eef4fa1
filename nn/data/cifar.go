package data

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mettleml/mettle/internal/filetype"
	"github.com/mettleml/mettle/tensor"
)

// A cifar describes the records of a CIFAR file in its binary version: some
// labels of a byte each, and 32 x 32 pixels, all red values, all green, all blue.
type cifar struct {
	name    string
	labels  int // bytes in front of the pixels
	use     int // the one that is wanted
	classes [][]string
}

const cifarPixels = 3 * 32 * 32

// CIFAR files give the coarse and then the fine label in CIFAR-100, one label in
// CIFAR-10.
var (
	cifar10        = cifar{"CIFAR-10", 1, 0, [][]string{cifar10Names}}
	cifar100       = cifar{"CIFAR-100", 2, 1, [][]string{cifar100CoarseNames, cifar100Names}}
	cifar100Coarse = cifar{"CIFAR-100", 2, 0, [][]string{cifar100CoarseNames, cifar100Names}}
)

// read appends the records of one file.
func (c cifar) read(r io.Reader, pixels []byte, labels []int) ([]byte, []int, error) {
	r, err := unzipped(r)
	if err != nil {
		return nil, nil, broken(c.name, "byte 0", err)
	}
	b, err := readMost(r, maxBytes+1)
	if err != nil {
		return nil, nil, broken(c.name, fmt.Sprintf("byte %d", len(b)), err)
	}
	record := c.labels + cifarPixels
	fail := func(at int, reason string, err error) ([]byte, []int, error) {
		if what := filetype.Binary(b[:min(len(b), filetype.Head)]); what != "" && len(b) > 0 {
			at, reason = 0, what
		}
		return nil, nil, &tensor.FormatError{Format: c.name, Place: fmt.Sprintf("record %d, byte %d", at/record, at), Reason: reason, Err: err}
	}
	switch {
	case len(b) > maxBytes:
		return fail(maxBytes, fmt.Sprintf("more than %d bytes of data", maxBytes), nil)
	case len(b) == 0:
		return fail(0, "empty", io.ErrUnexpectedEOF)
	case len(b)%record != 0:
		return fail(len(b), fmt.Sprintf("the data ends, but a record has %d bytes", record), io.ErrUnexpectedEOF)
	}
	for at := 0; at < len(b); at += record {
		for k, classes := range c.classes {
			if int(b[at+k]) >= len(classes) {
				return fail(at+k, fmt.Sprintf("label %d, outside [0, %d)", b[at+k], len(classes)), nil)
			}
		}
		labels = append(labels, int(b[at+c.use]))
		pixels = append(pixels, b[at+c.labels:at+record]...)
	}
	return pixels, labels, nil
}

// load reads files of one directory into one data set.
func (c cifar) load(dir string, names ...string) (*Images, error) {
	var pixels []byte
	var labels []int
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		pixels, labels, err = c.read(f, pixels, labels)
		f.Close()
		if err != nil {
			return nil, named(f.Name(), err)
		}
	}
	return newNamed(pixels, labels, []int{3, 32, 32}, c.classes[c.use])
}

// ReadCIFAR10 reads a file of CIFAR-10's binary version, compressed by gzip or not, at most
// 1 GiB. Samples have shape [3, 32, 32]. Invalid content is a [*tensor.FormatError].
func ReadCIFAR10(r io.Reader) (*Images, error) {
	pixels, labels, err := cifar10.read(r, nil, nil)
	if err != nil {
		return nil, err
	}
	return newNamed(pixels, labels, []int{3, 32, 32}, cifar10Names)
}

// LoadCIFAR10 reads CIFAR-10 in its binary version from a directory:
// data_batch_1.bin to data_batch_5.bin and test_batch.bin.
func LoadCIFAR10(dir string) (train, test *Images, err error) {
	train, err = cifar10.load(dir, "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin")
	if err != nil {
		return nil, nil, err
	}
	test, err = cifar10.load(dir, "test_batch.bin")
	return train, test, err
}

// ReadCIFAR100 reads a file of CIFAR-100's binary version as [ReadCIFAR10] does,
// with the 20 coarse labels or the 100 fine ones.
func ReadCIFAR100(r io.Reader, coarse bool) (*Images, error) {
	c := cifar100
	if coarse {
		c = cifar100Coarse
	}
	pixels, labels, err := c.read(r, nil, nil)
	if err != nil {
		return nil, err
	}
	return newNamed(pixels, labels, []int{3, 32, 32}, c.classes[c.use])
}

// LoadCIFAR100 reads CIFAR-100 in its binary version, train.bin and test.bin,
// from a directory, with the 20 coarse labels or the 100 fine ones.
func LoadCIFAR100(dir string, coarse bool) (train, test *Images, err error) {
	c := cifar100
	if coarse {
		c = cifar100Coarse
	}
	if train, err = c.load(dir, "train.bin"); err != nil {
		return nil, nil, err
	}
	test, err = c.load(dir, "test.bin")
	return train, test, err
}
