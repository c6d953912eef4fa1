package tensor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxShards bounds the files that an index may name, all of which are open at once.
const maxShards = 512

// openIndex opens the files that an index of size bytes names. The errors are about the
// index or, with its path, about one of the files.
func openIndex(path string, r io.Reader, size int64) (*Safetensors, error) {
	if size > maxSafetensorsHeader {
		return nil, indexError(fmt.Sprintf("%d bytes of JSON, above the limit of %d", size, maxSafetensorsHeader))
	}
	text, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return nil, err
	}
	index, err := parseIndex(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, err
	}
	s := &Safetensors{path: path, meta: map[string]string{}}
	if err := s.join(filepath.Dir(path), index); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func indexError(reason string) error {
	return &FormatError{Format: "safetensors index", Reason: reason}
}

// A shardIndex is what an index says: the tensors of each file, and its own metadata.
type shardIndex struct {
	names map[string][]string // by the name of the file
	meta  map[string]string
}

// parseIndex reads an index and checks that it names plain files.
func parseIndex(text []byte) (shardIndex, error) {
	index := shardIndex{names: map[string][]string{}, meta: map[string]string{}}
	p := &headerParser{text: text, format: "safetensors index", where: "byte"}
	var files map[string]string // by the name of a tensor
	err := p.object(func(key string) (err error) {
		switch {
		case key == "weight_map" && files != nil:
			return p.fail("weight_map appears twice")
		case key == "weight_map":
			files, err = p.metadata()
			return err
		case key == "metadata":
			return p.object(func(key string) error {
				v, err := p.value()
				index.meta[key] = v
				return err
			})
		}
		_, err = p.value()
		return err
	})
	switch {
	case err == nil && p.next() != 0 || err == nil && p.pos != len(text):
		return index, p.fail("text after the object")
	case err != nil:
		return index, err
	case len(files) == 0:
		return index, indexError("JSON text without a weight_map, so neither a safetensors file nor the index of several")
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := files[name]
		if file == "." || !filepath.IsLocal(file) || strings.ContainsAny(file, `/\`) {
			return index, indexError(fmt.Sprintf("tensor %.64q is to be in %.64q, which is not the plain name of a file beside the index", name, file))
		}
		index.names[file] = append(index.names[file], name)
	}
	if len(index.names) > maxShards {
		return index, indexError(fmt.Sprintf("names %d files, above the limit of %d", len(index.names), maxShards))
	}
	return index, nil
}

// value skips a JSON value and returns a string as it is, and else its text.
func (p *headerParser) value() (string, error) {
	p.next()
	d := json.NewDecoder(bytes.NewReader(p.text[p.pos:]))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return "", p.fail("not a JSON value")
	}
	p.pos += int(d.InputOffset())
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	return string(raw), nil
}

// join opens the files in dir and takes from each the tensors that the index says are
// in it.
func (s *Safetensors) join(dir string, index shardIndex) error {
	files := slices.Sorted(maps.Keys(index.names))
	for _, name := range files {
		path := filepath.Join(dir, name)
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return &FormatError{Format: "safetensors index", Reason: fmt.Sprintf("names %d files, of which %q is not beside it", len(files), name), Err: err}
		}
		if err != nil {
			return err
		}
		s.files = append(s.files, f)
		info, err := f.Stat()
		if err != nil {
			return err
		}
		part, err := newSafetensors(f, info.Size(), path)
		if err != nil {
			return inFile(path, err)
		}
		for k, v := range part.meta {
			if _, ok := s.meta[k]; !ok {
				s.meta[k] = v
			}
		}
		wanted := map[string]bool{}
		for _, tensor := range index.names[name] {
			if !part.Has(tensor) {
				return &FormatError{Format: "safetensors", File: path, Place: fmt.Sprintf("tensor %.64q", tensor), Reason: "not in the file, though the index says so"}
			}
			wanted[tensor] = true
		}
		for _, e := range part.entries {
			if wanted[e.Name] {
				s.entries = append(s.entries, e)
			}
		}
	}
	for k, v := range index.meta {
		if _, ok := s.meta[k]; !ok {
			s.meta[k] = v
		}
	}
	s.number()
	return nil
}
