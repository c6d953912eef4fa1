package tensor

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/mettleml/mettle/internal/atomicfile"
)

// A SafetensorsWriter writes a safetensors file tensor by tensor. The header
// comes first in the file, so the entries are declared before the data is
// written.
type SafetensorsWriter struct {
	w       io.Writer
	entries []Entry
	next    int
}

// NewSafetensorsWriter writes the header of a file with the given entries, in that order,
// and metadata, which may be nil. The bytes depend on the arguments alone. It is an error
// if a name is repeated or reserved, a type is unknown, or a shape is invalid. Some readers
// need aligned tensors: list wider types first.
func NewSafetensorsWriter(w io.Writer, entries []Entry, meta map[string]string) (*SafetensorsWriter, error) {
	var head bytes.Buffer
	head.WriteByte('{')
	if len(meta) > 0 {
		for k, v := range meta {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, &FormatError{Format: "safetensors", Place: "metadata", Reason: fmt.Sprintf("%.64q is not UTF-8", k)}
			}
		}
		b, err := json.Marshal(meta) // sorts the keys
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&head, `"__metadata__":%s`, b)
	}
	own := make([]Entry, len(entries))
	names := make(map[string]bool, len(entries))
	at := int64(0)
	for i, e := range entries {
		fail := func(reason string, cause error) (*SafetensorsWriter, error) {
			return nil, &FormatError{Format: "safetensors", Place: fmt.Sprintf("tensor %.64q", e.Name), Reason: reason, Err: cause}
		}
		if e.DType == "" {
			e.DType = F32
		}
		size := e.DType.Size()
		n, ok := elements(e.Shape)
		switch {
		case names[e.Name]:
			return fail("the name appears twice", nil)
		case !utf8.ValidString(e.Name):
			return fail("the name is not UTF-8", nil)
		case e.Name == "__metadata__":
			return fail("the name is reserved", nil)
		case size == 0:
			return fail(fmt.Sprintf("element type %.20q", string(e.DType)), errUnsupported)
		case !ok || int64(n) > (math.MaxInt64-at)/int64(size):
			return fail(fmt.Sprintf("the shape %v is impossible", e.Shape), nil)
		case len(e.Shape) > maxRank:
			return fail(fmt.Sprintf("more than %d dimensions", maxRank), nil)
		}
		names[e.Name] = true
		e.Shape = append([]int{}, e.Shape...)
		own[i] = e
		name, err := json.Marshal(e.Name)
		if err != nil {
			return nil, err
		}
		shape, err := json.Marshal(e.Shape)
		if err != nil {
			return nil, err
		}
		if head.Len() > 1 {
			head.WriteByte(',')
		}
		end := at + int64(n)*int64(size)
		fmt.Fprintf(&head, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, e.DType, shape, at, end)
		at = end
	}
	head.WriteByte('}')
	for head.Len()%8 != 0 {
		head.WriteByte(' ')
	}
	if head.Len() > maxSafetensorsHeader {
		return nil, &FormatError{Format: "safetensors", Place: "header", Reason: fmt.Sprintf("%d bytes, above the limit of %d", head.Len(), maxSafetensorsHeader)}
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(head.Len()))); err != nil {
		return nil, err
	}
	if _, err := w.Write(head.Bytes()); err != nil {
		return nil, err
	}
	return &SafetensorsWriter{w: w, entries: own}, nil
}

// Write writes the data of the next entry. It panics if there is none, or if the entry was
// declared with another shape. It is an error if an element cannot be converted to the
// declared type; see [DType].
func (s *SafetensorsWriter) Write(t *Tensor) error {
	const op = "tensor.SafetensorsWriter.Write"
	e := s.declared(op, t.shape)
	if !slices.Equal(e.Shape, t.shape) {
		Panic(op, fmt.Sprintf("%q was declared with another shape", e.Name), e.Shape, t.shape)
	}
	s.next++
	return placeValue(writeData(s.w, t.data, e.DType), "safetensors", fmt.Sprintf("tensor %.64q", e.Name))
}

// declared returns the next entry, or panics for op.
func (s *SafetensorsWriter) declared(op string, shape []int) Entry {
	if s.next == len(s.entries) {
		Panic(op, "more tensors than were declared", shape)
	}
	return s.entries[s.next]
}

// Close returns an error if a declared tensor was not written. It does not close
// the underlying writer.
func (s *SafetensorsWriter) Close() error {
	if s.next < len(s.entries) {
		return &FormatError{Format: "safetensors", Place: fmt.Sprintf("tensor %.64q", s.entries[s.next].Name), Reason: "was declared and not written"}
	}
	return nil
}

// WriteSafetensors writes the tensors as F32, sorted by name, with metadata that
// may be nil. Equal arguments give equal bytes.
func WriteSafetensors(w io.Writer, tensors map[string]*Tensor, meta map[string]string) error {
	names := slices.Sorted(maps.Keys(tensors))
	entries := make([]Entry, len(names))
	for i, name := range names {
		entries[i] = Entry{Name: name, Shape: tensors[name].shape}
	}
	s, err := NewSafetensorsWriter(w, entries, meta)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.Write(tensors[name]); err != nil {
			return err
		}
	}
	return s.Close()
}

// SaveSafetensors writes a file as [WriteSafetensors] does. The file appears
// whole or not at all: a failure leaves an old file of that name as it was.
func SaveSafetensors(path string, tensors map[string]*Tensor, meta map[string]string) error {
	return inFile(path, atomicfile.Write(path, func(w io.Writer) error { return WriteSafetensors(w, tensors, meta) }))
}
