package models

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// Info is the description of a network in the metadata of its file. It suffices to rebuild
// the network and to preprocess its input.
type Info struct {
	Model      string          // "model": a name in [All]
	Classes    int             // "classes": 0 means the model's own number
	ClassNames []string        // "class_names", a JSON array: one per class, or none
	Input      []int           // "input", a JSON array: shape of one example; nil means the model's own (Spec.Input)
	Data       string          // "data": the training data
	Preprocess data.Preprocess // "preprocess", as JSON: from [0,1] to the network's input
	Accuracy   string          // "accuracy": on the test set
}

// Spec returns the description of the model with the Input of the file, the zero Spec if there
// is none. MultiplyAdds are those of the model's own input.
func (i Info) Spec() Spec {
	s, ok := Find(i.Model)
	if ok && i.Input != nil {
		s.Input = i.Input
	}
	return s
}

// Metadata returns the entries of the file's metadata.
func (i Info) Metadata() (map[string]string, error) {
	pre, err := json.Marshal(i.Preprocess)
	if err != nil {
		return nil, fmt.Errorf("models: preprocessing: %w", err)
	}
	m := map[string]string{"model": i.Model, "data": i.Data, "preprocess": string(pre), "accuracy": i.Accuracy}
	if i.Classes > 0 {
		m["classes"] = strconv.Itoa(i.Classes)
	}
	if len(i.ClassNames) > 0 {
		names, err := json.Marshal(i.ClassNames)
		if err != nil {
			return nil, fmt.Errorf("models: class names: %w", err)
		}
		m["class_names"] = string(names)
	}
	if i.Input != nil {
		shape, err := json.Marshal(i.Input)
		if err != nil {
			return nil, fmt.Errorf("models: input: %w", err)
		}
		m["input"] = string(shape)
	}
	return m, nil
}

// Save writes a network and its description to a safetensors file. [Open] reads it; PyTorch
// can load it by the names of the tensors. The options are those of [nn.SaveWith]; their
// metadata is kept too. The file is written atomically.
func Save(path string, net nn.Tree, info Info, o nn.SaveOptions) error {
	meta, err := info.Metadata()
	if err != nil {
		return err
	}
	maps.Copy(meta, o.Metadata)
	o.Metadata = meta
	return nn.SaveWith(path, net, o)
}

// Open reads a network from a file written by [Save], or by PyTorch with the same metadata,
// or from the index of sharded files. Of the metadata only "model" is required. See
// [nn.Load] for names with a prefix. It is an error if the metadata do not name a model of
// this package or the tensors do not fit that model. For a network with another kind of
// head use [nn.SaveWith] and [nn.Load].
func Open(path string) (nn.Module, Info, error) {
	s, err := tensor.OpenSafetensors(path)
	if err != nil {
		return nil, Info{}, err
	}
	defer s.Close()
	return read(s)
}

// Read is [Open] from size bytes of r in the safetensors format.
func Read(r io.ReaderAt, size int64) (nn.Module, Info, error) {
	s, err := tensor.NewSafetensors(r, size)
	if err != nil {
		return nil, Info{}, err
	}
	return read(s)
}

// read makes the network that the metadata name and loads it.
func read(s *tensor.Safetensors) (nn.Module, Info, error) {
	info, err := parse(s.Metadata())
	// A network of so many classes takes memory before its tensors are compared.
	if n := info.Classes; err == nil && n > info.Spec().Classes && !slices.ContainsFunc(s.Entries(), func(e tensor.Entry) bool { return slices.Contains(e.Shape, n) }) {
		err = fmt.Errorf("its metadata says %d classes, and no tensor has so many rows", n)
	}
	if err != nil {
		if s.Path() != "" {
			err = fmt.Errorf("%s: %w", s.Path(), err)
		}
		return nil, info, err
	}
	net := info.Spec().New(0, info.Classes)
	if err := nn.LoadFrom(s, net, nn.LoadOptions{}); err != nil {
		return nil, info, err
	}
	return net, info, nil
}

// parse reads metadata.
func parse(meta map[string]string) (info Info, err error) {
	info = Info{Model: meta["model"], Data: meta["data"], Accuracy: meta["accuracy"]}
	spec, ok := Find(info.Model)
	if !ok {
		var names []string
		for _, m := range All {
			names = append(names, m.Name)
		}
		what := fmt.Sprintf("its metadata names the model %q, which is unknown", info.Model)
		if info.Model == "" {
			what = "its metadata does not say which model it holds"
		}
		return info, fmt.Errorf("%s: write it with metadata={\"model\": NAME, \"classes\": \"10\"}, as the README shows under “Your own model”; NAME is one of %s", what, strings.Join(names, ", "))
	}
	if n := meta["class_names"]; n != "" {
		if err := json.Unmarshal([]byte(n), &info.ClassNames); err != nil {
			return info, fmt.Errorf("class_names in its metadata is not a JSON array of strings: %w", err)
		}
	}
	info.Classes = spec.Classes
	if len(info.ClassNames) > 0 && spec.Classes > 0 {
		info.Classes = len(info.ClassNames)
	}
	if c := meta["classes"]; c != "" && spec.Classes > 0 {
		if info.Classes, err = strconv.Atoi(c); err != nil || info.Classes < 1 {
			return info, fmt.Errorf("its metadata says %q classes; write their number, or leave it out for the %d of %s", c, spec.Classes, spec.Name)
		}
	}
	if n := len(info.ClassNames); n > 0 && n != info.Classes {
		return info, fmt.Errorf("its metadata has %d class_names for %d classes", n, info.Classes)
	}
	if shape := meta["input"]; shape != "" {
		if err := json.Unmarshal([]byte(shape), &info.Input); err != nil || !fits(info.Input, spec.Input) {
			return info, fmt.Errorf("its metadata says an input of %s; the form is that of %v, with as many channels", shape, spec.Input)
		}
	}
	if p := meta["preprocess"]; p != "" {
		if info.Preprocess, err = data.ParsePreprocess(p); err != nil {
			return info, fmt.Errorf("preprocess in its metadata: %w", err)
		}
	}
	return info, nil
}

// widest bounds the sides of an input, so that a file does not ask for more memory than
// there is.
const widest = 4096

// fits reports whether an example of this shape may be one of a model whose own has shape
// own: only frames, height and width differ.
func fits(shape, own []int) bool {
	if len(shape) != len(own) || shape[0] != own[0] {
		return false
	}
	for _, n := range shape {
		if n < 1 || n > widest {
			return false
		}
	}
	return true
}
