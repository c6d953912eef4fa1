// Package weights opens files of package models as the parts that attacks need.
package weights

import (
	"fmt"
	"slices"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// Decoder opens AutoZOOM's auto-encoder and returns the half of it that decodes for
// samples of the given shape.
func Decoder(path string, shape []int) (*attack.Learned, error) {
	net, info, err := models.Open(path)
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
	net, info, err := models.Open(path)
	if err != nil {
		return nil, err
	}
	if _, auto := net.(*models.AutoEncoder); auto || info.Spec().Classes > 0 {
		return nil, fmt.Errorf("%s holds a %s and no meta attacker", path, info.Model)
	}
	x := tensor.New(shape...)
	if err := zoo.NewMeta(net).Predict(shape, x.Data(), x.Clone().Data()); err != nil {
		return nil, fmt.Errorf("%s: the %s does not fit samples of %v: %w", path, info.Model, shape, err)
	}
	return net, nil
}

// Fits returns an error if a network has not the classes of a data set under the same
// numbers: fewer of them or, where both tell their names, others.
func Fits(path string, info models.Info, d data.Dataset) error {
	if info.Classes < d.Classes() {
		return fmt.Errorf("%s has %d classes, the data have %d", path, info.Classes, d.Classes())
	}
	names := data.ClassNames(d)
	if names == nil || info.ClassNames == nil {
		return nil
	}
	for i, name := range names {
		if theirs := info.ClassNames[i]; theirs != name {
			return fmt.Errorf("class %d is %q in %s and %q in the data: was it trained on other data?", i, theirs, path, name)
		}
	}
	return nil
}

// Victim makes a victim of a classifier that models.Open returned, for samples
// of the given shape.
func Victim(net nn.Module, info models.Info, shape []int) (*zoo.Model, error) {
	return zoo.NewModel(net, zoo.Info{Name: info.Model, Shape: shape, Classes: info.Classes}, info.Preprocess)
}
