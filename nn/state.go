package nn

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/tensor"
)

// A StateError says how the tensors at hand differ from those a network names.
type StateError struct {
	Source     string   // the file, or what else the tensors came from
	Missing    []string // named by the network and not there
	Unexpected []string // there and not named by the network
	Misshapen  []string // "name: have [..], want [..]"
}

// Error lists the names.
func (e *StateError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nn: %s does not fit the network", e.Source)
	for _, part := range []struct {
		what  string
		names []string
	}{{"missing", e.Missing}, {"unexpected", e.Unexpected}, {"of another shape", e.Misshapen}} {
		if len(part.names) > 0 {
			fmt.Fprintf(&b, "; %s: %s", part.what, strings.Join(part.names, ", "))
		}
	}
	return b.String()
}

// LoadOptions say what [Load] lets pass.
type LoadOptions struct {
	// Partial loads the tensors whose name and shape fit and leaves the rest of
	// the network as it is. That none fits is an error still.
	Partial bool

	// Rename maps a name in the file to one in the network; "" drops the tensor.
	// Nil leaves names alone.
	Rename func(name string) string
}

// SaveOptions say how [SaveWith] writes.
type SaveOptions struct {
	// Metadata is kept beside the tensors, such as the network's name and the
	// preprocessing it was trained with.
	Metadata map[string]string

	// DType is the type of parameters and buffers in the file; counters are always
	// 64-bit integers. "" means F32.
	DType tensor.DType
}

// Save writes the parameters and buffers of m to a safetensors file under the names
// of [State]. The file appears whole or not at all: a failure leaves one that was
// there before untouched.
func Save(path string, m Tree) error { return SaveWith(path, m, SaveOptions{}) }

// SaveWith is [Save] with options.
func SaveWith(path string, m Tree, o SaveOptions) error {
	err := atomicfile.Write(path, func(w io.Writer) error { return Write(w, m, o) })
	if err != nil {
		return fmt.Errorf("nn: saving %s: %w", path, err)
	}
	return nil
}

// Write writes the parameters and buffers of m in the safetensors format.
func Write(w io.Writer, m Tree, o SaveOptions) error {
	var entries []tensor.Entry
	byName := make(map[string]*tensor.Tensor)
	for e := range State(m) {
		t := e.DType
		if t == tensor.F32 && o.DType != "" {
			t = o.DType
		}
		entries = append(entries, tensor.Entry{Name: e.Name, DType: t, Shape: e.Value().Shape()})
		byName[e.Name] = e.Value()
	}
	slices.SortFunc(entries, func(a, b tensor.Entry) int {
		if n := b.DType.Size() - a.DType.Size(); n != 0 { // wide types first, so that all are aligned
			return n
		}
		return strings.Compare(a.Name, b.Name)
	})
	meta := maps.Clone(o.Metadata)
	if meta == nil {
		meta = map[string]string{}
	}
	if meta["format"] == "" {
		meta["format"] = "pt"
	}
	s, err := tensor.NewSafetensorsWriter(w, entries, meta)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.Write(byName[e.Name]); err != nil {
			return err
		}
	}
	return s.Close()
}

// Load reads the parameters and buffers of m from a safetensors file. Names and
// shapes must agree exactly, or the error is a [*StateError] and m is unchanged;
// PyTorch's num_batches_tracked may be absent.
func Load(path string, m Tree) error { return LoadWith(path, m, LoadOptions{}) }

// LoadWith is [Load] with options.
func LoadWith(path string, m Tree, o LoadOptions) error {
	s, err := tensor.OpenSafetensors(path)
	if err != nil {
		return err
	}
	defer s.Close()
	return restore(path, s, m, o)
}

// Read is [Load] from what need not be a file: size bytes in the safetensors format.
func Read(src io.ReaderAt, size int64, m Tree, o LoadOptions) error {
	s, err := tensor.NewSafetensors(src, size)
	if err != nil {
		return err
	}
	return restore("the safetensors data", s, m, o)
}

func restore(source string, s *tensor.Safetensors, m Tree, o LoadOptions) error {
	stored := make(map[string]tensor.Entry) // by the name in the network
	inFile := make(map[string]string)
	for _, e := range s.Entries() {
		name := e.Name
		if o.Rename != nil {
			name = o.Rename(name)
		}
		if name == "" {
			continue
		}
		if other, ok := inFile[name]; ok {
			return fmt.Errorf("nn: %s: %s and %s are both renamed to %s", source, other, e.Name, name)
		}
		stored[name], inFile[name] = e, e.Name
	}
	bad := &StateError{Source: source}
	var entries []Entry
	for e := range State(m) {
		have, ok := stored[e.Name]
		delete(stored, e.Name)
		switch {
		case ok && slices.Equal(have.Shape, e.Value().Shape()):
			entries = append(entries, e)
		case ok:
			bad.Misshapen = append(bad.Misshapen, fmt.Sprintf("%s: have %v, want %v", e.Name, have.Shape, e.Value().Shape()))
		case !strings.HasSuffix(e.Name, "num_batches_tracked"):
			bad.Missing = append(bad.Missing, e.Name)
		}
	}
	for name := range stored {
		bad.Unexpected = append(bad.Unexpected, name)
	}
	slices.Sort(bad.Unexpected)
	if differ := len(bad.Missing) + len(bad.Unexpected) + len(bad.Misshapen); differ > 0 && (!o.Partial || len(entries) == 0) {
		return bad
	}
	values := make([]*tensor.Tensor, len(entries))
	for i, e := range entries { // all are read before any is stored
		v, err := s.Load(inFile[e.Name])
		if err != nil {
			return err
		}
		values[i] = v
	}
	for i, e := range entries {
		e.set(values[i])
	}
	return nil
}

// set copies the elements of t, which has the entry's shape, into the entry.
func (e Entry) set(t *tensor.Tensor) {
	if e.Param == nil {
		e.Buffer.CopyFrom(t)
		return
	}
	e.Param.Update(func(v []float32) { copy(v, t.Data()) })
}

// Copy copies parameters and buffers from src to dst, networks that name the same
// things. It panics if they do not.
func Copy(dst, src Tree) {
	const op = "nn.Copy"
	from := make(map[string]*tensor.Tensor)
	for e := range State(src) {
		from[e.Name] = e.Value()
	}
	var to []Entry
	for e := range State(dst) {
		v, ok := from[e.Name]
		if !ok {
			tensor.Panic(op, fmt.Sprintf("the source has no %q", e.Name))
		}
		if !slices.Equal(v.Shape(), e.Value().Shape()) {
			tensor.Panic(op, fmt.Sprintf("the shapes of %q differ", e.Name), e.Value().Shape(), v.Shape())
		}
		to = append(to, e)
	}
	if len(to) != len(from) {
		tensor.Panic(op, fmt.Sprintf("the source names %d tensors, the destination %d", len(from), len(to)))
	}
	for _, e := range to {
		e.set(from[e.Name])
	}
}
