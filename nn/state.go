package nn

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/tensor"
)

// LoadOptions are the options of [LoadWith].
type LoadOptions struct {
	// Prefix is stripped from the names in the file, and tensors without it are dropped:
	// "model." selects the network in a checkpoint that holds more. "" takes all tensors,
	// and strips a prefix of all names if they fit without it; see [Load].
	Prefix string

	// Partial loads the tensors whose name and shape fit and does not change the rest of
	// the network. It is an error if none fits.
	Partial bool

	// Rename maps a name in the file, without its prefix, to one in the network; "" drops
	// the tensor. Nil means that names stay as they are.
	Rename func(name string) string
}

// SaveOptions are the options of [SaveWith].
type SaveOptions struct {
	// Metadata is stored in the file, such as the network's name and preprocessing.
	Metadata map[string]string

	// DType is the type of parameters and buffers in the file; counters are always
	// 64-bit integers. "" means F32.
	DType tensor.DType
}

// Save writes the parameters, buffers and counters of m to a safetensors file under the
// names of [State]. It writes the file atomically: after a failure an earlier file is
// unchanged.
func Save(path string, m Tree) error { return SaveWith(path, m, SaveOptions{}) }

// SaveWith is [Save] with options.
func SaveWith(path string, m Tree, o SaveOptions) error {
	err := atomicfile.Write(path, func(w io.Writer) error { return Write(w, m, o) })
	if err != nil {
		return fmt.Errorf("nn: saving %s: %w", path, err)
	}
	return nil
}

// Write writes the parameters, buffers and counters of m in the safetensors format.
func Write(w io.Writer, m Tree, o SaveOptions) error {
	var entries []tensor.Entry
	byName := make(map[string]Entry)
	for e := range State(m) {
		t := cmp.Or(o.DType, tensor.F32)
		if e.Counter != nil {
			t = tensor.I64
		}
		entries = append(entries, tensor.Entry{Name: e.Name, DType: t, Shape: e.Shape()})
		byName[e.Name] = e
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
	for _, entry := range entries {
		e := byName[entry.Name]
		if e.Counter != nil {
			err = s.WriteInts([]int64{*e.Counter})
		} else {
			err = s.Write(e.Value())
		}
		if err != nil {
			return err
		}
	}
	return s.Close()
}

// Load reads the parameters, buffers and counters of m from a safetensors file, or from
// several that an index joins ([tensor.OpenSafetensors]). Names and shapes must agree
// exactly, or the error is a [*StateError] and m is unchanged. There are two exceptions:
// PyTorch's num_batches_tracked may be absent, and Load strips a prefix of all names, such
// as module. or _orig_mod., if the names fit without it.
func Load(path string, m Tree) error { return LoadWith(path, m, LoadOptions{}) }

// LoadWith is [Load] with options.
func LoadWith(path string, m Tree, o LoadOptions) error {
	s, err := tensor.OpenSafetensors(path)
	if err != nil {
		return err
	}
	defer s.Close()
	return LoadFrom(s, m, o)
}

// Read is LoadWith from size bytes of src in the safetensors format.
func Read(src io.ReaderAt, size int64, m Tree, o LoadOptions) error {
	s, err := tensor.NewSafetensors(src, size)
	if err != nil {
		return err
	}
	return LoadFrom(s, m, o)
}

// LoadFrom is [Load] from an open file. Its metadata may tell which network to make:
//
//	s, err := tensor.OpenSafetensors(path)
//	if err != nil { ... }
//	defer s.Close()
//	net := models.ResNet32(seed, classesOf(s.Metadata()))
//	err = nn.LoadFrom(s, net, nn.LoadOptions{})
func LoadFrom(s *tensor.Safetensors, m Tree, o LoadOptions) error {
	f, err := matching(s, m, o)
	if err != nil {
		return err
	}
	values := make([]func(), len(f.fits))
	for i, e := range f.fits { // all are read before any is stored
		if values[i], err = e.read(s, f.stored[e.Name].Name); err != nil {
			return err
		}
	}
	for _, store := range values {
		store()
	}
	return nil
}

// read reads the tensor of that name, which has the entry's shape, and returns what
// stores it in the entry.
func (e Entry) read(s *tensor.Safetensors, name string) (store func(), err error) {
	if e.Counter != nil {
		n, err := s.LoadInts(name)
		return func() { *e.Counter = n[0] }, err
	}
	t, err := s.Load(name)
	return func() { e.set(t) }, err
}

// set copies the elements of t, which has the entry's shape, into the parameter or
// buffer.
func (e Entry) set(t *tensor.Tensor) {
	if e.Param == nil {
		e.Buffer.CopyFrom(t)
		return
	}
	e.Param.Update(func(v []float32) { copy(v, t.Data()) })
}

// Copy copies parameters, buffers and counters from src to dst. It panics if their names or
// shapes differ.
func Copy(dst, src Tree) {
	const op = "nn.Copy"
	from := make(map[string]Entry)
	for e := range State(src) {
		from[e.Name] = e
	}
	var to []Entry
	for e := range State(dst) {
		v, ok := from[e.Name]
		if !ok {
			tensor.Panic(op, fmt.Sprintf("the source has no %q", e.Name))
		}
		if !slices.Equal(v.Shape(), e.Shape()) || (v.Counter == nil) != (e.Counter == nil) {
			tensor.Panic(op, fmt.Sprintf("the shapes of %q differ", e.Name), e.Shape(), v.Shape())
		}
		to = append(to, e)
	}
	if len(to) != len(from) {
		tensor.Panic(op, fmt.Sprintf("the source names %d tensors, the destination %d", len(from), len(to)))
	}
	for _, e := range to {
		if e.Counter != nil {
			*e.Counter = *from[e.Name].Counter
			continue
		}
		e.set(from[e.Name].Value())
	}
}
