package video

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/mettleml/mettle/tensor"
)

// input reads a file or a stream, knows where it is, and makes errors of what is
// wrong there.
type input struct {
	format string
	name   string // the path, empty if unknown
	r      *bufio.Reader
	under  io.ReadSeeker // nil if r cannot seek
	at     int64         // bytes taken
	size   int64         // bytes in all, -1 if unknown
}

// newInput takes the name of an *os.File from it.
func newInput(format string, r io.Reader) *input {
	in := &input{format: format, r: bufio.NewReaderSize(r, 1<<16), size: -1}
	if f, ok := r.(interface{ Name() string }); ok {
		in.name = f.Name()
	}
	if s, ok := r.(io.ReadSeeker); ok {
		here, err := s.Seek(0, io.SeekCurrent)
		if err != nil {
			return in
		}
		end, err := s.Seek(0, io.SeekEnd)
		if err != nil {
			return in
		}
		if _, err := s.Seek(here, io.SeekStart); err == nil {
			in.under, in.size = s, max(end-here, 0)
		}
	}
	return in
}

// fail returns a *tensor.FormatError.
func (in *input) fail(place, reason string, cause error) error {
	return &tensor.FormatError{Format: in.format, File: in.name, Place: place, Reason: reason, Err: cause}
}

// ends returns the error for data that ends at the given place, or any other
// failure to read.
func (in *input) ends(place string, err error) error {
	if err != io.EOF && err != io.ErrUnexpectedEOF {
		var fe *tensor.FormatError
		if errors.As(err, &fe) {
			return err
		}
		return fmt.Errorf("%s: %s: %w", in.format, in.name, err)
	}
	return in.fail(place, fmt.Sprintf("the data ends at byte %d", in.at), io.ErrUnexpectedEOF)
}

// full reads len(b) bytes. The error is io.EOF if there is none at all, and
// io.ErrUnexpectedEOF if there are some.
func (in *input) full(b []byte) error {
	n, err := io.ReadFull(in.r, b)
	in.at += int64(n)
	return err
}

// take reads n bytes into the memory of b if that suffices. It takes no more memory
// than twice the data that is there and a piece.
func (in *input) take(b []byte, n int) ([]byte, error) {
	if in.size >= 0 && in.size-in.at < int64(n) {
		in.at = in.size
		return b, io.ErrUnexpectedEOF
	}
	const piece = 1 << 20
	if cap(b) >= n || n <= piece || in.size >= 0 {
		if cap(b) < n {
			b = make([]byte, n)
		}
		b = b[:n]
		return b, in.full(b)
	}
	var grown bytes.Buffer
	m, err := io.CopyN(&grown, in.r, int64(n))
	in.at += m
	return grown.Bytes(), err
}

// skip passes over n bytes. The error is io.ErrUnexpectedEOF if there are fewer.
func (in *input) skip(n int64) error {
	if in.size >= 0 && in.size-in.at < n {
		in.at = in.size
		return io.ErrUnexpectedEOF
	}
	if buffered := int64(in.r.Buffered()); n > buffered && in.under != nil {
		if _, err := in.under.Seek(n-buffered, io.SeekCurrent); err != nil {
			return err
		}
		in.r.Reset(in.under)
		in.at += n
		return nil
	}
	m, err := io.CopyN(io.Discard, in.r, n)
	in.at += m
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// line reads up to a new line, which it leaves out, and at most limit bytes.
func (in *input) line(limit int) (string, error) {
	var b []byte
	for {
		c, err := in.r.ReadByte()
		if err == io.EOF && len(b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return string(b), err
		}
		in.at++
		if c == '\n' {
			return string(b), nil
		}
		if len(b) == limit {
			return string(b), errLongLine
		}
		b = append(b, c)
	}
}

var errLongLine = errors.New("the line is too long")
