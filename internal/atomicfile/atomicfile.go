// Package atomicfile replaces files whole: a reader sees the old content or the
// new, never a part, and a failed write leaves the old file as it was.
package atomicfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Write creates or replaces the file at path with what fn writes. The content
// goes to a temporary file in the same directory, is flushed to the disk, and is
// renamed over path; if anything fails, fn included, the temporary file is
// removed and path is untouched. A file that is replaced keeps its permissions,
// and a symbolic link keeps pointing at it. What is no regular file, such as a pipe
// or /dev/stdout, is written to as it is.
func Write(path string, fn func(w io.Writer) error) error {
	if special(path) {
		return stream(path, fn)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := create(path)
	if err != nil {
		return err
	}
	if err := fill(f, path, fn); err != nil {
		os.Remove(f.Name())
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		os.Remove(f.Name())
		return err
	}
	return nil
}

// WriteFile is [Write] of some bytes.
func WriteFile(path string, b []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// WriteJSON is [Write] of v as JSON, indented by two spaces, and a line feed.
func WriteJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(path, append(b, '\n'))
}

// Check says why [Write] to path would fail before anything is written, nil if it would
// not: the directory is missing or may not be written to, for example. It changes nothing.
func Check(path string) error {
	if special(path) {
		return stream(path, func(io.Writer) error { return nil })
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return &fs.PathError{Op: "write", Path: path, Err: errors.New("is a directory")}
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// special reports whether there is something at path that is neither a regular file nor
// a directory.
func special(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// stream writes to what cannot be replaced.
func stream(path string, fn func(w io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := fn(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// create opens a new file beside path, with the mode that os.Create would give.
func create(path string) (*os.File, error) {
	for {
		name := fmt.Sprintf("%s.tmp%08x", path, rand.Uint32())
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// fill writes the content of f and closes it.
func fill(f *os.File, path string, fn func(w io.Writer) error) error {
	defer f.Close()
	if old, err := os.Stat(path); err == nil {
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	w := bufio.NewWriterSize(f, 1<<16)
	if err := fn(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
