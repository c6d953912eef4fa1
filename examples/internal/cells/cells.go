// Package cells keeps what an experiment computed, piece by piece, so that a run that
// was stopped repeats nothing.
//
// A cell is a JSON file whose name follows from all that determines its value: a key,
// the kernel set, the architecture and the version of Go. What does not determine the
// name is the code: empty the directory after a change of what a cell computes.
package cells

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/internal/kernel"
)

// ErrNotRun says that a cell is not there and may not be made now.
var ErrNotRun = errors.New("not run")

// A Store keeps what was computed, one file per cell.
type Store struct {
	Dir    string
	Cached bool // make nothing
}

// A stamp is what determines a cell beside its own key: results have the same bits
// wherever it is the same.
type stamp struct {
	Kernel, Arch, Go string
	Key              any
}

func stampOf(key any) stamp {
	return stamp{kernel.Active().Name, runtime.GOARCH, runtime.Version(), key}
}

// Name returns the name that a cell has in the store, without an extension, for files
// that belong to it. label begins it. There is an error if the key has no JSON.
func Name(label string, key any) (string, error) {
	b, err := json.Marshal(stampOf(key))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return label + "-" + hex.EncodeToString(sum[:8]), nil
}

// Get returns the value kept under the key, or makes it and keeps it. label begins the
// file's name.
func Get[T any](s Store, label string, key any, make func() (T, error)) (T, error) {
	var entry struct {
		Stamp stamp
		Value T
	}
	entry.Stamp = stampOf(key)
	name, err := Name(label, key)
	if err != nil {
		return entry.Value, err
	}
	path := filepath.Join(s.Dir, name+".json")
	b, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(b, &entry); err != nil {
			return entry.Value, fmt.Errorf("%s: %w; delete it to run the cell again", path, err)
		}
		return entry.Value, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return entry.Value, err
	}
	if s.Cached {
		return entry.Value, ErrNotRun
	}
	if entry.Value, err = make(); err != nil {
		return entry.Value, err
	}
	if b, err = json.Marshal(entry); err != nil {
		return entry.Value, err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return entry.Value, err
	}
	return entry.Value, atomicfile.WriteFile(path, b) // entirely or not at all
}
