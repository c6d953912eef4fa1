package tensor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A FormatError says what is wrong with a file, and where. The decoders of this
// package and of those above it return it for content that is corrupt,
// truncated, or not supported.
type FormatError struct {
	Format string // "npy", "safetensors", "IDX", ...
	File   string // the path, empty if the content did not come from one
	Place  string // the part of the file, such as "header, byte 12"; may be empty
	Reason string
	Err    error // the cause: io.ErrUnexpectedEOF, errors.ErrUnsupported, ...; may be nil
}

// Error returns "format: file: place: reason".
func (e *FormatError) Error() string {
	parts := []string{e.Format}
	for _, s := range []string{e.File, e.Place, e.Reason} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// inFile adds the path to a *FormatError that has none, and to other errors.
func inFile(path string, err error) error {
	var fe *FormatError
	var pe *os.PathError
	switch {
	case errors.As(err, &fe):
		if fe.File == "" {
			fe.File = path
		}
		return err
	case err == nil, errors.As(err, &pe):
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// unread returns the number of bytes left in r, if r can tell.
func unread(r io.Reader) (n int64, ok bool) {
	switch r := r.(type) {
	case *bytes.Buffer:
		return int64(r.Len()), true
	case io.Seeker:
		here, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0, false
		}
		end, err := r.Seek(0, io.SeekEnd)
		if err != nil {
			return 0, false
		}
		if _, err := r.Seek(here, io.SeekStart); err != nil {
			return 0, false
		}
		return max(end-here, 0), true
	}
	return 0, false
}
