// Package weights keeps networks in safetensors files that say what they are: the
// metadata names the model, its classes and the preprocessing it wants.
package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// Info is what a file's metadata says.
type Info struct {
	Model      string         // a name in models.All
	Classes    int            // 0: the model's own number
	Data       string         // what it was trained on
	Preprocess zoo.Preprocess // from [0,1] to what the network takes
	Accuracy   string         // on the test set, as it came out
}

// Metadata is what goes into the file.
func (i Info) Metadata() (map[string]string, error) {
	pre, err := json.Marshal(i.Preprocess)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"model": i.Model, "classes": strconv.Itoa(i.Classes), "data": i.Data,
		"preprocess": string(pre), "accuracy": i.Accuracy,
	}, nil
}

// Save writes the network and what it is.
func Save(path string, net nn.Module, info Info, dtype tensor.DType) error {
	meta, err := info.Metadata()
	if err != nil {
		return err
	}
	return nn.SaveWith(path, net, nn.SaveOptions{Metadata: meta, DType: dtype})
}

// Open reads a file that Save, or PyTorch, wrote.
func Open(path string) (nn.Module, models.Spec, Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, models.Spec{}, Info{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, models.Spec{}, Info{}, err
	}
	net, spec, info, err := read(f, st.Size())
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return net, spec, info, err
}

// Read is Open for a file in memory, such as an embedded one.
func Read(b []byte) (nn.Module, models.Spec, Info, error) {
	return read(bytes.NewReader(b), int64(len(b)))
}

func read(r io.ReaderAt, size int64) (nn.Module, models.Spec, Info, error) {
	var info Info
	s, err := tensor.NewSafetensors(r, size)
	if err != nil {
		return nil, models.Spec{}, info, err
	}
	meta := s.Metadata()
	info.Model, info.Data, info.Accuracy = meta["model"], meta["data"], meta["accuracy"]
	spec, ok := models.Find(info.Model)
	if !ok {
		var names []string
		for _, m := range models.All {
			names = append(names, m.Name)
		}
		return nil, spec, info, fmt.Errorf("its metadata names the model %q; there are %s", info.Model, strings.Join(names, ", "))
	}
	info.Classes = spec.Classes
	if c := meta["classes"]; c != "" && c != "0" {
		if info.Classes, err = strconv.Atoi(c); err != nil {
			return nil, spec, info, fmt.Errorf("its metadata says %q classes", c)
		}
	}
	if p := meta["preprocess"]; p != "" {
		if err := json.Unmarshal([]byte(p), &info.Preprocess); err != nil {
			return nil, spec, info, fmt.Errorf("preprocess in its metadata: %w", err)
		}
	}
	net := spec.New(0, info.Classes)
	if err := nn.Read(r, size, net, nn.LoadOptions{}); err != nil {
		return nil, spec, info, err
	}
	return net, spec, info, nil
}

// Victim makes a victim of a classifier that Open or Read returned, for samples
// of the given shape.
func Victim(net nn.Module, info Info, shape []int) (*zoo.Model, error) {
	return zoo.NewModel(net, zoo.Info{Name: info.Model, Shape: shape, Classes: info.Classes}, info.Preprocess)
}
