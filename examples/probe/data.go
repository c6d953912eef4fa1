package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// victim opens what -victim names. It returns the names of its classes too, nil if they
// are not known.
func victim(ctx context.Context, c *config) (v zoo.Scorer, classes []string, err error) {
	shape, err := parseShape(c.shape)
	if err != nil {
		return nil, nil, err
	}
	if weights.IsAddress(c.victim) {
		v, err := c.remote.dial(ctx, c.victim, shape, c.workers)
		return v, nil, err
	}
	if c.victim != "" {
		if v, classes, err = weights.Open(c.victim, shape); err != nil {
			return nil, nil, err
		}
	}
	if given := c.remote.given(); given != nil {
		return nil, nil, fmt.Errorf("%s: for a -victim at an address only, which begins with http:// or https://", strings.Join(given, ", "))
	}
	if c.victim == "" {
		if shape != nil {
			return nil, nil, errors.New("-shape: the embedded Net4 has its own")
		}
		classes := data.ClassNumbers(10)
		v, err := zoo.NewModel(pretrained.Net4(), zoo.Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: len(classes)}, data.Preprocess{})
		return v, classes, err
	}
	return v, classes, nil
}

// images opens what -data names, with the numbers that the classes have for a victim.
// Names of its classes may be nil.
func images(c *config, info zoo.Info, classes []string) (d data.Dataset, err error) {
	switch c.data {
	case "embedded":
		d, err = datasets.Digits()
	case "mnist":
		_, d, err = datasets.Open("mnist", true)
	default:
		return folder(c, info, classes)
	}
	if err != nil {
		return nil, err
	}
	if c.classMap != "" || c.resize != 0 || c.orient {
		return nil, errors.New("-class-map, -resize, -orient: for a directory of pictures only, which -data names")
	}
	if fmt.Sprint(d.Shape()) != fmt.Sprint(info.Shape) {
		return nil, fmt.Errorf("-data %s: the images are %v and victim %q takes %v; name a directory of pictures for it by -data DIR, with a directory in it for each class", c.data, d.Shape(), info.Name, info.Shape)
	}
	if classes == nil {
		classes = data.ClassNumbers(info.Classes)
	}
	if d, err = data.MatchClasses(d, classes); err != nil {
		return nil, fmt.Errorf("-data %s and victim %q: %w", c.data, info.Name, err)
	}
	return d, nil
}

// folder opens a directory of pictures.
func folder(c *config, info zoo.Info, classes []string) (data.Dataset, error) {
	if _, err := os.Stat(c.data); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("-data %s: neither embedded, mnist nor a directory", c.data)
	}
	if n := len(info.Shape); n != 3 || info.Shape[0] != 1 && info.Shape[0] != 3 {
		return nil, fmt.Errorf("victim %q takes %v, and pictures are [1, H, W] or [3, H, W]", info.Name, info.Shape)
	}
	if c.resize != 0 && c.resize < max(info.Shape[1], info.Shape[2]) {
		return nil, fmt.Errorf("-resize %d: the victim takes %v, so it is at least %d", c.resize, info.Shape, max(info.Shape[1], info.Shape[2]))
	}
	opt := data.FolderOptions{Classes: classes, Count: info.Classes,
		ImageOptions: data.ImageOptions{Resize: c.resize, Orient: c.orient}}
	if c.classMap != "" {
		var err error
		if opt.Map, err = data.LoadClassMap(c.classMap); err != nil {
			return nil, fmt.Errorf("-class-map: %w", err)
		}
	}
	d, err := data.OpenFolder(c.data, info.Shape, opt)
	if fe := new(tensor.FormatError); errors.As(err, &fe) && c.classMap == "" {
		return nil, fmt.Errorf("%w (-class-map FILE says which class a directory holds)", err)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}
