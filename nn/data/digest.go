package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"

	"github.com/mettleml/mettle/tensor"
)

// A Digester is a [Dataset] with a digest of its own, such as one that need not read all
// samples.
type Digester interface {
	Dataset
	Digest() (string, error)
}

// Digest returns a hash of the samples of d in their order, their labels, their shape and
// the number of classes. Write it into results and checkpoints to identify the data. For a
// [Folder] it hashes the names and sizes of the files, not their pixels; for a [Subset] the
// digest of the whole and the indices.
func Digest(d Dataset) (string, error) {
	if q, ok := d.(Digester); ok {
		return q.Digest()
	}
	h := begin("samples", d)
	x := tensor.New(d.Shape()...)
	for i := range d.Len() {
		if err := d.Read(i, x); err != nil {
			return "", fmt.Errorf("data: digest of sample %d: %w", i, err)
		}
		floats(h, x.Data())
	}
	return sum(h), nil
}

// begin starts the digest of a kind of data set with what all have.
func begin(kind string, d Dataset) hash.Hash {
	h := sha256.New()
	fmt.Fprintln(h, kind, d.Len(), d.Shape(), d.Classes())
	labels := make([]byte, 0, 8*d.Len())
	for i := range d.Len() {
		labels = binary.LittleEndian.AppendUint64(labels, uint64(d.Label(i)))
	}
	h.Write(labels)
	return h
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:16]) }

func floats(h hash.Hash, v []float32) {
	for part := range slices.Chunk(v, 1<<12) {
		binary.Write(h, binary.LittleEndian, part) // a hash takes everything
	}
}

// Digest implements [Digester].
func (d *Tensors) Digest() (string, error) {
	h := begin("samples", d)
	floats(h, d.x.Data())
	return sum(h), nil
}

// Digest implements [Digester].
func (d *Images) Digest() (string, error) {
	h := begin("bytes", d)
	h.Write(d.Pixels)
	return sum(h), nil
}

// Digest implements [Digester].
func (s *subset) Digest() (string, error) {
	whole, err := Digest(s.Dataset)
	if err != nil {
		return "", err
	}
	h := begin("subset of "+whole, s)
	indices := make([]byte, 0, 8*len(s.indices))
	for _, i := range s.indices {
		indices = binary.LittleEndian.AppendUint64(indices, uint64(i))
	}
	h.Write(indices)
	return sum(h), nil
}

// Digest implements [Digester].
func (d *Folder) Digest() (string, error) {
	h := begin("files", d)
	if d.opt.Resize != 0 || d.opt.Orient {
		fmt.Fprintln(h, "resize", d.opt.Resize, "orient", d.opt.Orient)
	}
	for i, path := range d.Paths {
		st, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %q %d\n", d.names[d.labels[i]], filepath.Base(path), st.Size())
	}
	return sum(h), nil
}
