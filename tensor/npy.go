package tensor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/filetype"
)

var errUnsupported = errors.ErrUnsupported

const (
	npyMagic = "\x93NUMPY"
	// maxNPYHeader bounds the header a file may claim. What can be read needs
	// under 2 KiB.
	maxNPYHeader = 1 << 16
	// chunk is the number of bytes that are converted at a time.
	chunk = 1 << 16
)

// ReadNPY reads one array in numpy's npy format, versions 1 to 3, and leaves r behind its
// last byte. It accepts floats of 16, 32 and 64 bits, integers and booleans, of either byte
// order, in C or Fortran order; see [DType] for their conversion. The array is row-major in
// memory for any order in the file.
//
// Malformed, truncated or unsupported content gives a [*FormatError]. If the size of r is
// known (a file, a bytes.Reader), an array that claims more is an error at once. Otherwise
// memory is allocated as data arrives, with a copy of the raw data.
func ReadNPY(r io.Reader) (*Tensor, error) {
	h, err := readNPYHeader(r)
	if err != nil {
		return nil, err
	}
	n, ok := elements(h.shape)
	if !ok || int64(n) > (1<<62)/int64(h.dtype.Size()) {
		return nil, &FormatError{Format: "npy", Place: "header", Reason: fmt.Sprintf("the shape %v is too large", h.shape)}
	}
	size := int64(n) * int64(h.dtype.Size())
	left, known := unread(r)
	if known && left < size {
		return nil, npyTruncated(left, size)
	}
	if !known {
		if r, err = spool(r, size); err != nil {
			return nil, err
		}
	}
	t := New(h.shape...)
	store := newStore(t, h.fortran)
	buf := make([]byte, min(size, chunk))
	values := make([]float32, len(buf)/h.dtype.Size())
	for done := 0; done < n; {
		k := min(n-done, len(values))
		b := buf[:k*h.dtype.Size()]
		if m, err := io.ReadFull(r, b); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return nil, npyTruncated(int64(done*h.dtype.Size()+m), size)
			}
			return nil, err
		}
		if h.big {
			swapBytes(b, h.dtype.Size())
		}
		if bad := h.dtype.decode(values[:k], b); bad != nil {
			bad.index += done
			return nil, &FormatError{Format: "npy", Place: "data", Reason: bad.Error()}
		}
		store.put(values[:k])
		done += k
	}
	return t, nil
}

func npyTruncated(have, want int64) error {
	return &FormatError{Format: "npy", Place: fmt.Sprintf("data, byte %d", have), Reason: fmt.Sprintf("the data ends, the header promises %d bytes", want), Err: io.ErrUnexpectedEOF}
}

// readNPYHeader reads everything in front of the data.
func readNPYHeader(r io.Reader) (npyHeader, error) {
	fail := func(place, reason string, err error) (npyHeader, error) {
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return npyHeader{}, err
		}
		if err != nil {
			err = io.ErrUnexpectedEOF
		}
		return npyHeader{}, &FormatError{Format: "npy", Place: place, Reason: reason, Err: err}
	}
	var b [12]byte
	if n, err := io.ReadFull(r, b[:8]); err != nil {
		return fail("byte 0", cmp.Or(filetype.Binary(b[:n]), "shorter than its first 8 bytes"), err)
	}
	if string(b[:6]) != npyMagic {
		rest, _ := io.ReadAll(io.LimitReader(r, filetype.Head-8))
		return fail("byte 0", cmp.Or(filetype.Binary(append(b[:8], rest...)), fmt.Sprintf("starts with % x, not as npy does", b[:6])), nil)
	}
	wide := 2 // bytes that tell the length of the header
	switch major, minor := b[6], b[7]; {
	case major == 2 || major == 3:
		wide = 4
	case major != 1:
		return npyHeader{}, &FormatError{Format: "npy", Place: "byte 6", Reason: fmt.Sprintf("version %d.%d", major, minor), Err: errUnsupported}
	}
	if _, err := io.ReadFull(r, b[8:8+wide]); err != nil {
		return fail("byte 8", "ends in the length of the header", err)
	}
	n := int(b[8]) | int(b[9])<<8
	if n > maxNPYHeader || b[10]|b[11] != 0 {
		return fail("byte 8", fmt.Sprintf("claims a header above %d bytes", maxNPYHeader), nil)
	}
	text := make([]byte, n)
	if m, err := io.ReadFull(r, text); err != nil {
		return fail(fmt.Sprintf("header, byte %d", m), fmt.Sprintf("ends in the header of %d bytes", n), err)
	}
	return parseNPYHeader(string(text))
}

// spool reads size bytes in pieces, so that a stream that promises much and
// holds little takes little memory.
func spool(r io.Reader, size int64) (io.Reader, error) {
	var pieces []io.Reader
	for have := int64(0); have < size; {
		piece := make([]byte, min(size-have, 4*chunk))
		n, err := io.ReadFull(r, piece)
		have += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, npyTruncated(have, size)
		}
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, bytes.NewReader(piece))
	}
	return io.MultiReader(pieces...), nil
}

// swapBytes reverses the bytes of every element of the given size.
func swapBytes(b []byte, size int) {
	for ; len(b) >= size; b = b[size:] {
		slices.Reverse(b[:size])
	}
}

// A storer puts elements that arrive in file order at their place in a tensor.
type storer struct {
	t     *Tensor
	next  int   // the place of the next element
	index []int // its coordinates, kept only for Fortran order
	steps []int // the distance of neighbours along each axis
}

func newStore(t *Tensor, fortran bool) *storer {
	s := &storer{t: t}
	if fortran && len(t.shape) > 1 {
		s.index = make([]int, len(t.shape))
		s.steps = make([]int, len(t.shape))
		step := 1
		for a := len(t.shape) - 1; a >= 0; a-- {
			s.steps[a] = step
			step *= t.shape[a]
		}
	}
	return s
}

func (s *storer) put(values []float32) {
	if s.index == nil {
		s.next += copy(s.t.data[s.next:], values)
		return
	}
	for _, v := range values {
		s.t.data[s.next] = v
		for a := range s.index {
			s.index[a]++
			s.next += s.steps[a]
			if s.index[a] < s.t.shape[a] {
				break
			}
			s.next -= s.index[a] * s.steps[a]
			s.index[a] = 0
		}
	}
}

// LoadNPY reads the npy file at path, which must hold one array and nothing
// after it. See [ReadNPY].
func LoadNPY(path string) (*Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := ReadNPY(f)
	if err != nil {
		return nil, inFile(path, err)
	}
	if left, ok := unread(f); ok && left > 0 {
		return nil, &FormatError{Format: "npy", File: path, Place: "end", Reason: fmt.Sprintf("%d bytes after the data", left)}
	}
	return t, nil
}

// WriteNPY writes t in numpy's npy format, version 1.0, little-endian, in C
// order, as numpy itself would write it. The elements become dtype, which the
// format must know (it has no BF16); see [DType] for what cannot be converted.
func WriteNPY(w io.Writer, t *Tensor, dtype DType) error {
	if dtype == "" {
		dtype = F32
	}
	descr := ""
	for name, d := range npyTypes {
		if d == dtype {
			descr = "<" + name
		}
	}
	if descr == "" {
		return &FormatError{Format: "npy", Reason: fmt.Sprintf("no element type %s", dtype), Err: errUnsupported}
	}
	if dtype.Size() == 1 {
		descr = "|" + descr[1:]
	}
	dims := make([]string, len(t.shape))
	for i, d := range t.shape {
		dims[i] = fmt.Sprint(d)
	}
	shape := strings.Join(dims, ", ")
	if len(dims) == 1 {
		shape += ","
	}
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape)
	// The data starts at a multiple of 64 bytes, and a new line ends the header.
	const before = len(npyMagic) + 4
	head += strings.Repeat(" ", 63-(before+len(head))%64) + "\n"
	if len(head) > 0xffff {
		return &FormatError{Format: "npy", Reason: fmt.Sprintf("rank %d", len(dims)), Err: errUnsupported}
	}
	if _, err := io.WriteString(w, npyMagic+"\x01\x00"+string([]byte{byte(len(head)), byte(len(head) >> 8)})+head); err != nil {
		return err
	}
	if err := writeData(w, t.data, dtype); err != nil {
		return placeValue(err, "npy", "data")
	}
	return nil
}

// SaveNPY writes t to a file as [WriteNPY] does. The file appears whole or not
// at all: a failure leaves an old file of that name as it was.
func SaveNPY(path string, t *Tensor, dtype DType) error {
	return inFile(path, atomicfile.Write(path, func(w io.Writer) error { return WriteNPY(w, t, dtype) }))
}

// writeData writes the elements as dtype. The error may be a *valueError.
func writeData(w io.Writer, data []float32, dtype DType) error {
	size := dtype.Size()
	buf := make([]byte, min(len(data)*size, chunk))
	for done := 0; done < len(data); {
		k := min(len(data)-done, len(buf)/size)
		if bad := dtype.encode(buf, data[done:done+k]); bad != nil {
			bad.index += done
			return bad
		}
		if _, err := w.Write(buf[:k*size]); err != nil {
			return err
		}
		done += k
	}
	return nil
}

// placeValue turns a *valueError into a *FormatError and returns others as they
// are.
func placeValue(err error, format, place string) error {
	var bad *valueError
	if errors.As(err, &bad) {
		return &FormatError{Format: format, Place: place, Reason: bad.Error()}
	}
	return err
}
