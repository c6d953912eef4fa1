package tensor

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxSafetensorsHeader bounds the header, as the reference implementation does.
const maxSafetensorsHeader = 100_000_000

// An Entry describes a tensor in a safetensors file.
type Entry struct {
	Name  string
	DType DType // what it is stored as; the empty DType means F32 on writing
	Shape []int
}

// stored is an Entry and the place of its bytes, counted from the end of the
// header.
type stored struct {
	Entry
	start, end int64
}

// A Safetensors is an open file in the safetensors format. It holds the header
// and reads a tensor when asked for it. Several goroutines may load from it if
// its source allows them, as files do.
type Safetensors struct {
	src     io.ReaderAt
	closer  io.Closer
	path    string
	base    int64 // where the data starts
	entries []stored
	byName  map[string]int
	meta    map[string]string
}

// OpenSafetensors opens the file at path and reads its header. The caller must
// close it.
func OpenSafetensors(path string) (*Safetensors, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	s, err := NewSafetensors(f, info.Size())
	if err != nil {
		f.Close()
		return nil, inFile(path, err)
	}
	s.closer, s.path = f, path
	return s, nil
}

// NewSafetensors reads the header of a safetensors file of size bytes. It
// checks that names are unique, that every tensor's bytes agree with its type
// and shape, and that the tensors cover the data without gaps or overlaps; what
// is wrong is a [*FormatError]. It keeps src.
func NewSafetensors(src io.ReaderAt, size int64) (*Safetensors, error) {
	fail := func(reason string, err error) (*Safetensors, error) {
		return nil, &FormatError{Format: "safetensors", Place: "byte 0", Reason: reason, Err: err}
	}
	if size < 8 {
		return fail(fmt.Sprintf("%d bytes, fewer than the 8 that tell the length of the header", size), io.ErrUnexpectedEOF)
	}
	var b [8]byte
	if err := readAt(src, b[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n > maxSafetensorsHeader {
		return fail(fmt.Sprintf("claims a header of %d bytes, above the limit of %d", n, maxSafetensorsHeader), nil)
	}
	if int64(n) > size-8 {
		return fail(fmt.Sprintf("claims a header of %d bytes in a file of %d", n, size), io.ErrUnexpectedEOF)
	}
	text := make([]byte, n)
	if err := readAt(src, text, 8); err != nil {
		return nil, err
	}
	s := &Safetensors{src: src, base: 8 + int64(n)}
	var err error
	if s.entries, s.meta, err = parseSafetensorsHeader(text, size-s.base); err != nil {
		return nil, err
	}
	s.byName = make(map[string]int, len(s.entries))
	for i, e := range s.entries {
		s.byName[e.Name] = i
	}
	return s, nil
}

// readAt fills b from offset off. A source that ends early is a *FormatError.
func readAt(src io.ReaderAt, b []byte, off int64) error {
	n, err := src.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return &FormatError{Format: "safetensors", Place: fmt.Sprintf("byte %d", off+int64(n)), Reason: "the file ends", Err: io.ErrUnexpectedEOF}
	}
	return err
}

// Close closes the file if [OpenSafetensors] opened it.
func (s *Safetensors) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// Entries describes the tensors in the order of their data.
func (s *Safetensors) Entries() []Entry {
	list := make([]Entry, len(s.entries))
	for i, e := range s.entries {
		list[i] = e.Entry
		list[i].Shape = slices.Clone(e.Shape)
	}
	return list
}

// Has reports whether there is a tensor of that name.
func (s *Safetensors) Has(name string) bool {
	_, ok := s.byName[name]
	return ok
}

// Metadata returns the strings stored beside the tensors. It may be nil, and
// must not be modified.
func (s *Safetensors) Metadata() map[string]string { return s.meta }

// Load reads one tensor; see [DType] for how its elements become float32. There
// is an error if the file has no tensor of that name, or if its type is not one
// that this package reads.
func (s *Safetensors) Load(name string) (*Tensor, error) {
	i, ok := s.byName[name]
	if !ok {
		return nil, s.located(&FormatError{Format: "safetensors", Place: fmt.Sprintf("tensor %.64q", name), Reason: "not in the file"})
	}
	e := s.entries[i]
	size := e.DType.Size()
	if size == 0 {
		return nil, s.located(&FormatError{Format: "safetensors", Place: fmt.Sprintf("tensor %.64q", name), Reason: fmt.Sprintf("element type %.20q", string(e.DType)), Err: errUnsupported})
	}
	t := New(e.Shape...)
	buf := make([]byte, min(e.end-e.start, chunk))
	for done := 0; done < len(t.data); {
		k := min(len(t.data)-done, len(buf)/size)
		if err := readAt(s.src, buf[:k*size], s.base+e.start+int64(done*size)); err != nil {
			return nil, s.located(err)
		}
		if bad := e.DType.decode(t.data[done:done+k], buf); bad != nil {
			bad.index += done
			return nil, s.located(placeValue(bad, "safetensors", fmt.Sprintf("tensor %.64q", name)))
		}
		done += k
	}
	return t, nil
}

// located adds the path, if there is one, to an error.
func (s *Safetensors) located(err error) error {
	if s.path == "" {
		return err
	}
	return inFile(s.path, err)
}

// LoadSafetensors reads every tensor of the file at path, and its metadata.
func LoadSafetensors(path string) (tensors map[string]*Tensor, meta map[string]string, err error) {
	s, err := OpenSafetensors(path)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	tensors = make(map[string]*Tensor, len(s.entries))
	for _, e := range s.entries {
		if tensors[e.Name], err = s.Load(e.Name); err != nil {
			return nil, nil, err
		}
	}
	return tensors, s.meta, nil
}
