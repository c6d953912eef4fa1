package models

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

func TestSaveAndOpen(t *testing.T) {
	net := LeNet5(3, 4)
	info := Info{Model: "lenet5", Classes: 4, ClassNames: []string{"a", "b, c", `"d"`, "ä"}, Input: []int{1, 28, 28}, Data: "letters",
		Preprocess: data.Preprocess{Mean: []float32{0.5}, Std: []float32{0.25}}, Accuracy: "0.75"}
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Save(path, net, info, nn.SaveOptions{Metadata: map[string]string{"seed": "3"}}); err != nil {
		t.Fatal(err)
	}
	got, read, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, info) || read.Spec().Name != "lenet5" || nn.Digest(got) != nn.Digest(net) {
		t.Errorf("read %+v, want %+v, and the same network", read, info)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, read, err = Read(bytes.NewReader(b), int64(len(b)))
	if err != nil || !reflect.DeepEqual(read, info) || nn.Digest(got) != nn.Digest(net) {
		t.Errorf("from memory: %+v, error %v", read, err)
	}
	s, err := tensor.OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Metadata()["seed"] != "3" {
		t.Errorf("metadata %v", s.Metadata())
	}
	if _, _, err := Open(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A network says which input it was trained on, where several fit.
func TestInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	for _, c := range []struct{ input, want []int }{{nil, []int{3, 16, 32, 32}}, {[]int{3, 8, 48, 64}, []int{3, 8, 48, 64}}} {
		if err := Save(path, Tiny3D(1, 0), Info{Model: "tiny3d", Input: c.input}, nn.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		_, info, err := Open(path)
		if err != nil || !slices.Equal(info.Spec().Input, c.want) || !slices.Equal(info.Input, c.input) {
			t.Errorf("input %v, the spec says %v, want %v (%v)", info.Input, info.Spec().Input, c.want, err)
		}
	}
	if own, _ := Find("tiny3d"); !slices.Equal(own.Input, []int{3, 16, 32, 32}) {
		t.Errorf("the model's own input has become %v", own.Input)
	}
}

// What metadata leaves out is the model's own, or follows from the names.
func TestOpenDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	for _, c := range []struct {
		meta    map[string]string
		classes int
	}{
		{map[string]string{"model": "lenet5"}, 10},
		{map[string]string{"model": "lenet5", "class_names": `["a","b","c"]`}, 3},
		{map[string]string{"model": "lenet5", "classes": "2", "class_names": `["a","b"]`}, 2},
		{map[string]string{"model": "autozoom-mnist", "classes": "x"}, 0},
	} {
		spec, _ := Find(c.meta["model"])
		if err := nn.SaveWith(path, spec.New(1, c.classes), nn.SaveOptions{Metadata: c.meta}); err != nil {
			t.Fatal(err)
		}
		if _, info, err := Open(path); err != nil || info.Classes != c.classes {
			t.Errorf("%v: %d classes, want %d; error %v", c.meta, info.Classes, c.classes, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	for say, meta := range map[string]map[string]string{
		"does not say which model":     nil,
		`names the model "net9"`:       {"model": "net9"},
		"NAME is one of lenet5":        {},
		`"0" classes`:                  {"model": "net4", "classes": "0"},
		`"-1" classes`:                 {"model": "net4", "classes": "-1"},
		`"ten" classes`:                {"model": "net4", "classes": "ten"},
		"no tensor has so many rows":   {"model": "net4", "classes": "900000000"},
		"not a JSON array of strings":  {"model": "net4", "class_names": "a,b"},
		"2 class_names for 10 classes": {"model": "net4", "classes": "10", "class_names": `["a","b"]`},
		"an input of [1,28]":           {"model": "net4", "input": "[1,28]"},
		"an input of [3,28,28]":        {"model": "net4", "input": "[3,28,28]"},
		"an input of [1,28,0]":         {"model": "net4", "input": "[1,28,0]"},
		"an input of [1,28,99999]":     {"model": "net4", "input": "[1,28,99999]"},
		"an input of 28":               {"model": "net4", "input": "28"},
		"names are Resize":             {"model": "net4", "preprocess": `{"Mean": [0.5], "Sdt": [0.2]}`},
		"says 900000000 classes, and":  {"model": "net4", "classes": "900000000"},
		"something follows the JSON":   {"model": "net4", "preprocess": `{"Mean": [0.5]} {}`},
		"does not fit the network":     {"model": "lenet5"},
	} {
		if err := nn.SaveWith(path, Net4(1, 10), nn.SaveOptions{Metadata: meta}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(path); err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v; want an error that names the file and says %q", err, say)
		}
	}
}

// A network opens in several files by their index too, and under the names that a wrapper
// gave it. A file of another kind is named for what it is.
func TestOpenOtherFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	want := Info{Model: "lenet5", Classes: 3, ClassNames: []string{"a", "b", "c"}}
	if err := Save(path("w.safetensors"), LeNet5(1, 3), want, nn.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	tensors, meta, err := tensor.LoadSafetensors(path("w.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	wrapped := map[string]*tensor.Tensor{}
	for name, x := range tensors {
		names = append(names, fmt.Sprintf("%q: \"w.safetensors\"", name))
		wrapped["module."+name] = x
	}
	index := []byte(`{"weight_map": {` + strings.Join(names, ", ") + "}}")
	if err := errors.Join(os.WriteFile(path("w.safetensors.index.json"), index, 0o666), tensor.SaveSafetensors(path("p.safetensors"), wrapped, meta)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"w.safetensors.index.json", "p.safetensors"} {
		if net, info, err := Open(path(name)); err != nil || !reflect.DeepEqual(info, want) || nn.Digest(net) != nn.Digest(LeNet5(1, 3)) {
			t.Errorf("%s: %+v (%v), want %+v", name, info, err, want)
		}
	}
	if err := os.WriteFile(path("w.safetensors"), []byte("version https://git-lfs.github.com/spec/v1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(path("w.safetensors")); err == nil || !strings.Contains(err.Error(), path("w.safetensors")+": byte 0: a Git LFS pointer") {
		t.Errorf("error %v", err)
	}
}
