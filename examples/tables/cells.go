package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/kernel"
)

// errNotRun says that a cell is not there and may not be made now.
var errNotRun = errors.New("not run")

// A store keeps what was computed, one file a cell.
type store struct {
	dir    string
	cached bool // make nothing
}

// A stamp is what determines a cell beside its own key: results have the same bits
// wherever it is the same.
type stamp struct {
	Kernel, Arch, Go string
	Key              any
}

// cell returns the value kept under the key, or makes it and keeps it. label begins
// the file's name.
func cell[T any](s store, label string, key any, make func() (T, error)) (T, error) {
	var entry struct {
		Stamp stamp
		Value T
	}
	entry.Stamp = stamp{kernel.Active().Name, runtime.GOARCH, runtime.Version(), key}
	b, err := json.Marshal(entry.Stamp)
	if err != nil {
		return entry.Value, err
	}
	sum := sha256.Sum256(b)
	path := filepath.Join(s.dir, fmt.Sprintf("%s-%s.json", label, hex.EncodeToString(sum[:8])))
	b, err = os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(b, &entry); err != nil {
			return entry.Value, fmt.Errorf("%s: %w; delete it to run the cell again", path, err)
		}
		return entry.Value, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return entry.Value, err
	}
	if s.cached {
		return entry.Value, errNotRun
	}
	if entry.Value, err = make(); err != nil {
		return entry.Value, err
	}
	if b, err = json.Marshal(entry); err != nil {
		return entry.Value, err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return entry.Value, err
	}
	return entry.Value, atomicfile.WriteFile(path, b) // entirely or not at all
}

// digest is a short hash of what is written to it.
func digest(write func(w io.Writer) error) (string, error) {
	h := sha256.New()
	if err := write(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// fileDigest is the digest of a file.
func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return digest(func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
