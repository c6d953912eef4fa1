package tensor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shards writes two files and returns their directory.
func shards(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, part := range map[string]map[string]*Tensor{
		"m-1.safetensors": {"a": count(2, 3), "b": count(4)},
		"m-2.safetensors": {"c": count(5), "b": New(4), "spare": New(1)},
	} {
		if err := SaveSafetensors(filepath.Join(dir, name), part, map[string]string{"format": "pt", "of": name}); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestIndex(t *testing.T) {
	dir := shards(t)
	for _, bom := range []string{"", "\xef\xbb\xbf \n"} {
		path := writeFile(t, filepath.Join(dir, "m.safetensors.index.json"), bom+
			`{"metadata": {"total_size": 60, "of": "index", "nested": {"x": [1, "y"]}}, "weight_map": {"c": "m-2.safetensors", "a": "m-1.safetensors", "b": "m-1.safetensors"}, "more": [{}, null, 1e3]}`+"\n")
		s, err := OpenSafetensors(path)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range s.Entries() {
			names = append(names, e.Name)
			x, err := s.Load(e.Name)
			if err != nil || !slices.Equal(x.data, count(x.shape...).data) || !slices.Equal(x.shape, e.Shape) {
				t.Errorf("%s is %v (%v)", e.Name, x, err)
			}
		}
		if fmt.Sprint(names) != "[a b c]" || s.Has("spare") || s.Path() != path {
			t.Errorf("tensors %v of %s", names, s.Path())
		}
		want := map[string]string{"format": "pt", "of": "m-1.safetensors", "total_size": "60", "nested": `{"x": [1, "y"]}`}
		if got := s.Metadata(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("metadata %v, want %v", got, want)
		}
		if _, err := s.Load("spare"); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		all, meta, err := LoadSafetensors(path)
		if err != nil || len(all) != 3 || len(meta) != 4 {
			t.Errorf("%d tensors, %d strings (%v)", len(all), len(meta), err)
		}
	}
}

func TestIndexMalformed(t *testing.T) {
	dir := shards(t)
	outside := filepath.Join(filepath.Dir(dir), "outside.safetensors")
	if err := SaveSafetensors(outside, map[string]*Tensor{"a": New(1)}, nil); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(outside)
	writeFile(t, filepath.Join(dir, "m-3.safetensors"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
	path := filepath.Join(dir, "m.safetensors.index.json")
	in := func(file string) string {
		b, _ := json.Marshal(map[string]any{"weight_map": map[string]string{"a": file}})
		return string(b)
	}
	many := map[string]string{}
	for i := range maxShards + 1 {
		many[fmt.Sprint(i)] = fmt.Sprint(i)
	}
	manyFiles, _ := json.Marshal(map[string]any{"weight_map": many})
	for _, c := range []struct{ want, text string }{
		{"without a weight_map", `{"architectures": ["x"], "id2label": {"0": "cat"}}`},
		{"without a weight_map", `{"weight_map": {}}`},
		{"byte 0: no object", `["a"]`},
		{"byte 18: no string", `{"weight_map": {"a": 3}}`[:16] + `  {"a": 3}}`},
		{"appears twice", `{"weight_map": {"a": "x"}, "weight_map": {"a": "y"}}`},
		{`"a" appears twice`, `{"weight_map": {"a": "x", "a": "y"}}`},
		{"a string does not end", `{"weight_map": {"a": "x`},
		{"not a JSON value", `{"more": [1, }`},
		{"text after the object", in("m-1.safetensors") + "{}"},
		{"plain name of a file", in("../outside.safetensors")},
		{"plain name of a file", in(outside)},
		{"plain name of a file", in("..")},
		{"plain name of a file", in("")},
		{"plain name of a file", in("sub/m-1.safetensors")},
		{"plain name of a file", in(`sub\m-1.safetensors`)},
		{`names 1 files, of which "m-9.safetensors" is not beside it`, in("m-9.safetensors")},
		{"m-2.safetensors: tensor \"a\": not in the file, though the index says so", in("m-2.safetensors")},
		{"m-3.safetensors: byte 0: a Git LFS pointer", in("m-3.safetensors")},
		{"m.safetensors.index.json: byte 0: JSON text", in("m.safetensors.index.json")}, // itself
		{"names 513 files", string(manyFiles)},
	} {
		writeFile(t, path, c.text)
		_, err := OpenSafetensors(path)
		var fe *FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%.60s: error %v, want a *FormatError with %q and a path", c.text, err, c.want)
		}
	}
	writeFile(t, path, in("m-9.safetensors"))
	if _, err := OpenSafetensors(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := NewSafetensors(strings.NewReader(in("m-1.safetensors")), int64(len(in("m-1.safetensors")))); err == nil || !strings.Contains(err.Error(), "JSON text") {
		t.Errorf("error %v", err)
	}
}

// A file of another kind is named for what it is.
func TestSafetensorsOfAnotherKind(t *testing.T) {
	dir := t.TempDir()
	for want, content := range map[string]string{
		"byte 0: an empty file":                                "",
		"a Git LFS pointer, not the file":                      "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n",
		"torch.save writes (.pt, .pth, .bin); write the weigh": "PK\x03\x04" + strings.Repeat("\x00", 22) + "\x10\x00\x00\x00" + "archive/data.pkl" + strings.Repeat("x", 50),
		"a Python pickle, as old versions":                     "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
		"an HTML page":                                         "<!DOCTYPE html><html><title>Not found",
		"a gzip archive":                                       "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
		"a numpy array (.npy)":                                 "\x93NUMPY\x01\x00v\x00{'descr'",
		`text that begins "Entry not found"`:                   "Entry not found",
	} {
		path := writeFile(t, filepath.Join(dir, "w.safetensors"), content)
		_, err := OpenSafetensors(path)
		var fe *FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "safetensors: "+path) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// And in the other direction.
	var b bytes.Buffer
	if err := WriteSafetensors(&b, map[string]*Tensor{"a": New(2)}, nil); err != nil {
		t.Fatal(err)
	}
	for want, content := range map[string]string{
		"a safetensors file": b.String(),
		"an empty file":      "",
		"a Git LFS pointer":  "version https://git-lfs.github.com/spec/v1\n",
		"(.npz)":             "PK\x03\x04" + strings.Repeat("\x00", 22) + "\x09\x00\x00\x00arr_0.npy",
	} {
		if _, err := LoadNPY(writeFile(t, filepath.Join(dir, "x.npy"), content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata": {"total_size": 1}, "weight_map": {"a": "m-1.safetensors"}}`))
	f.Add([]byte(`{"weight_map": {"a": "../x"}, "b": [[]]}`))
	f.Add([]byte(`{"weight_map": {"a": "."}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		index, err := parseIndex(b)
		var fe *FormatError
		if err != nil {
			if !errors.As(err, &fe) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		for file := range index.names {
			if filepath.Dir(filepath.Join("d", file)) != "d" || filepath.Base(file) != file {
				t.Fatalf("the file %q is elsewhere", file)
			}
		}
	})
}
