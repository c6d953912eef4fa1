package tensor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/mettleml/mettle/internal/filetype"
)

// maxSafetensorsHeader bounds the header, as the reference implementation does.
const maxSafetensorsHeader = 100_000_000

// An Entry describes a tensor in a safetensors file.
type Entry struct {
	Name  string
	DType DType // the stored type; the empty DType means F32 on writing
	Shape []int
}

// stored is an Entry and the place of its bytes, counted from the end of the
// header of its file.
type stored struct {
	Entry
	start, end int64
	file       *source
}

// A source is a file of which tensors are read.
type source struct {
	src  io.ReaderAt
	base int64 // where the data starts
	path string
}

// A Safetensors is an open file in the safetensors format, or several that an index
// joins. It holds the headers and reads a tensor when asked for it. Several goroutines
// may load from it if its source allows them, as files do.
type Safetensors struct {
	path    string
	files   []io.Closer
	entries []stored
	byName  map[string]int
	meta    map[string]string
}

// OpenSafetensors opens the file at path and reads its header. The file may also be an
// index (model.safetensors.index.json), whose weight_map names the file of each tensor,
// beside the index; these files are then opened too. If path is neither, the error names
// the kind of file if it is recognised. The caller must close the result.
func OpenSafetensors(path string) (*Safetensors, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s, err := openSafetensors(f, path)
	if err != nil {
		f.Close()
		return nil, inFile(path, err)
	}
	return s, nil
}

// openSafetensors reads what the file is and keeps it open, or closes it if it is an
// index.
func openSafetensors(f *os.File, path string) (*Safetensors, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if filetype.JSON(head(f)) {
		s, err := openIndex(path, f, info.Size())
		if err == nil {
			f.Close()
		}
		return s, err
	}
	s, err := newSafetensors(f, info.Size(), path)
	if err == nil {
		s.files = append(s.files, f)
	}
	return s, err
}

// NewSafetensors reads the header of a safetensors file of size bytes. It
// checks that names are unique, that every tensor's bytes agree with its type
// and shape, and that the tensors cover the data without gaps or overlaps; what
// is wrong is a [*FormatError]. It keeps src.
func NewSafetensors(src io.ReaderAt, size int64) (*Safetensors, error) {
	return newSafetensors(src, size, "")
}

func newSafetensors(src io.ReaderAt, size int64, path string) (*Safetensors, error) {
	fail := func(reason string, err error) (*Safetensors, error) {
		h := head(src)
		if what := filetype.Binary(h); what != "" && what != "a safetensors file" {
			reason = what
		}
		if filetype.Torch(h) {
			reason += `; write the weights again in Python, by safetensors.torch.save_file(model.state_dict(), "FILE.safetensors")`
		}
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
	file := &source{src: src, base: 8 + int64(n), path: path}
	s := &Safetensors{path: path}
	var err error
	if s.entries, s.meta, err = parseSafetensorsHeader(text, size-file.base); err != nil {
		return nil, err
	}
	for i := range s.entries {
		s.entries[i].file = file
	}
	s.number()
	return s, nil
}

// number fills in where names are among the entries.
func (s *Safetensors) number() {
	s.byName = make(map[string]int, len(s.entries))
	for i, e := range s.entries {
		s.byName[e.Name] = i
	}
}

// head returns the first bytes of src, as many as say what it is.
func head(src io.ReaderAt) []byte {
	b := make([]byte, filetype.Head)
	n, _ := src.ReadAt(b, 0)
	return b[:n]
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

// Close closes the files that [OpenSafetensors] opened.
func (s *Safetensors) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Path returns the path given to [OpenSafetensors]; it is empty after [NewSafetensors].
func (s *Safetensors) Path() string { return s.path }

// Entries describes the tensors in the order of their data, file by file.
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

// Metadata returns the strings stored beside the tensors. With an index they are those of
// all files, then those of the index; of two values for one key the first counts. It may be
// nil, and must not be modified.
func (s *Safetensors) Metadata() map[string]string { return s.meta }

// Load reads one tensor; see [DType] for how its elements become float32. It is an error if
// the file has no tensor of that name, or if this package does not read its type.
func (s *Safetensors) Load(name string) (*Tensor, error) {
	var t *Tensor
	done := 0
	err := s.load(name, func(e Entry, _ int) { t = New(e.Shape...) }, func(d DType, b []byte, n int) *valueError {
		bad := d.decode(t.data[done:done+n], b)
		done += n
		return bad
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// load reads the bytes of a tensor: begin is told of its entry and number of elements,
// and then add gets n elements at a time.
func (s *Safetensors) load(name string, begin func(e Entry, n int), add func(d DType, b []byte, n int) *valueError) error {
	place := fmt.Sprintf("tensor %.64q", name)
	i, ok := s.byName[name]
	if !ok {
		return &FormatError{Format: "safetensors", File: s.path, Place: place, Reason: "not in the file"}
	}
	e := s.entries[i]
	size := e.DType.Size()
	if size == 0 {
		return &FormatError{Format: "safetensors", File: e.file.path, Place: place, Reason: fmt.Sprintf("element type %.20q", string(e.DType)), Err: errUnsupported}
	}
	n, _ := elements(e.Shape)
	begin(e.Entry, n)
	buf := make([]byte, min(e.end-e.start, chunk))
	for done := 0; done < n; {
		k := min(n-done, len(buf)/size)
		if err := readAt(e.file.src, buf[:k*size], e.file.base+e.start+int64(done*size)); err != nil {
			if e.file.path != "" {
				err = inFile(e.file.path, err)
			}
			return err
		}
		if bad := add(e.DType, buf[:k*size], k); bad != nil {
			bad.index += done
			return &FormatError{Format: "safetensors", File: e.file.path, Place: place, Reason: bad.Error()}
		}
		done += k
	}
	return nil
}

// LoadSafetensors reads every tensor of the file at path, and its metadata; see
// [OpenSafetensors].
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
