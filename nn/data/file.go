package data

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mettleml/mettle/tensor"
)

// maxBytes bounds the data that a decoder takes from one file, compressed or
// not.
const maxBytes = 1 << 30

// unzipped returns r, or what it holds if it is compressed by gzip.
func unzipped(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	if head, _ := b.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		return gzip.NewReader(b)
	}
	return b, nil
}

// readMost reads until the end or limit bytes, whichever comes first, and takes
// memory only as the data arrives.
func readMost(r io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, limit))
}

// broken returns the *FormatError for a failure to read: a truncated or corrupt
// compression, for instance.
func broken(format, place string, err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	reason := err.Error()
	if err == io.ErrUnexpectedEOF {
		reason = "the data ends"
	}
	return &tensor.FormatError{Format: format, Place: place, Reason: reason, Err: err}
}

// named adds a path to an error that does not have it.
func named(path string, err error) error {
	var fe *tensor.FormatError
	if errors.As(err, &fe) {
		if fe.File == "" {
			fe.File = path
		}
		return err
	}
	var pe *os.PathError
	if err == nil || errors.As(err, &pe) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// openFirst opens the first of some paths that exists.
func openFirst(paths ...string) (*os.File, error) {
	var first error
	for _, p := range paths {
		f, err := os.Open(p)
		if err == nil {
			return f, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}
