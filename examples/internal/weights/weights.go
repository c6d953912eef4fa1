// Package weights keeps networks in safetensors files that say what they are: the
// metadata names the model, its classes and the preprocessing it wants.
package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// Info is what a file's metadata says.
type Info struct {
	Model      string          // a name in models.All
	Classes    int             // 0: the model's own number
	Data       string          // what it was trained on
	Preprocess data.Preprocess // from [0,1] to what the network takes
	Accuracy   string          // on the test set, as it came out
}

// Metadata is what goes into the file.
func (i Info) Metadata() (map[string]string, error) {
	pre, err := json.Marshal(i.Preprocess)
	if err != nil {
		return nil, err
	}
	m := map[string]string{"model": i.Model, "data": i.Data, "preprocess": string(pre), "accuracy": i.Accuracy}
	if i.Classes > 0 {
		m["classes"] = strconv.Itoa(i.Classes)
	}
	return m, nil
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
		what := fmt.Sprintf("its metadata names the model %q, which is unknown", info.Model)
		if info.Model == "" {
			what = "its metadata does not say which model it holds"
		}
		return nil, spec, info, fmt.Errorf("%s: write it with metadata={\"model\": NAME, \"classes\": \"10\"}, as the README shows under “Your own model”; NAME is one of %s", what, strings.Join(names, ", "))
	}
	info.Classes = spec.Classes
	if c := meta["classes"]; c != "" && spec.Classes > 0 {
		if info.Classes, err = strconv.Atoi(c); err != nil || info.Classes < 1 {
			return nil, spec, info, fmt.Errorf("its metadata says %q classes; write their number, or leave it out for the %d of %s", c, spec.Classes, spec.Name)
		}
	}
	if p := meta["preprocess"]; p != "" {
		if info.Preprocess, err = data.ParsePreprocess(p); err != nil {
			return nil, spec, info, fmt.Errorf("preprocess in its metadata: %w", err)
		}
	}
	net := spec.New(0, info.Classes)
	if err := nn.Read(r, size, net, nn.LoadOptions{}); err != nil {
		return nil, spec, info, err
	}
	return net, spec, info, nil
}

// Decoder opens AutoZOOM's auto-encoder and returns the half of it that decodes for
// samples of the given shape.
func Decoder(path string, shape []int) (*attack.Learned, error) {
	net, _, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	auto, ok := net.(*models.AutoEncoder)
	if !ok {
		return nil, fmt.Errorf("%s holds a %s and no auto-encoder", path, info.Model)
	}
	d := &attack.Learned{Network: auto.Decoder}
	err = tensor.Try(func() error {
		tape := autograd.NewTape(autograd.Inference, 0)
		d.Code = slices.Clone(auto.Encoder.Forward(tape.Input(tensor.New(append([]int{1}, shape...)...))).Shape()[1:])
		d.Decode(make([]float32, tensor.New(shape...).Len()), make([]float32, d.Dim(shape)), shape)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: the %s does not fit samples of %v: %w", path, info.Model, shape, err)
	}
	return d, nil
}

// Attacker opens a meta attacker for samples of the given shape.
func Attacker(path string, shape []int) (nn.Module, error) {
	net, spec, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	if _, auto := net.(*models.AutoEncoder); auto || spec.Classes > 0 {
		return nil, fmt.Errorf("%s holds a %s and no meta attacker", path, info.Model)
	}
	x := tensor.New(shape...)
	if err := zoo.NewMeta(net).Predict(shape, x.Data(), x.Clone().Data()); err != nil {
		return nil, fmt.Errorf("%s: the %s does not fit samples of %v: %w", path, info.Model, shape, err)
	}
	return net, nil
}

// Victim makes a victim of a classifier that Open or Read returned, for samples
// of the given shape.
func Victim(net nn.Module, info Info, shape []int) (*zoo.Model, error) {
	return zoo.NewModel(net, zoo.Info{Name: info.Model, Shape: shape, Classes: info.Classes}, info.Preprocess)
}
