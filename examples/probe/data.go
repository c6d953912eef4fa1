package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/zoo"
)

// The first images of MNIST's test set: origin and licence stand in images/README.md.
//
//go:embed images/t10k-first-images.idx3.gz
var someImages []byte

//go:embed images/t10k-first-labels.idx1.gz
var someLabels []byte

// isAddress reports whether -victim names a server.
func isAddress(victim string) bool {
	return strings.HasPrefix(victim, "http://") || strings.HasPrefix(victim, "https://")
}

// victim opens what -victim names.
func victim(ctx context.Context, c *config) (zoo.Scorer, error) {
	shape, err := parseShape(c.shape)
	if err != nil {
		return nil, err
	}
	if isAddress(c.victim) {
		return c.remote.dial(ctx, c.victim, shape, c.workers)
	}
	if _, err := os.Stat(c.victim); errors.Is(err, fs.ErrNotExist) && (strings.Contains(c.victim, ":") || strings.Contains(c.victim, "/v2/models/")) {
		return nil, fmt.Errorf("-victim %s: no such file; if it is the address of a server, http:// or https:// is missing", c.victim)
	}
	if given := c.remote.given(); given != nil {
		return nil, fmt.Errorf("%s: for a -victim at an address only, which begins with http:// or https://", strings.Join(given, ", "))
	}
	if c.victim == "" {
		if shape != nil {
			return nil, errors.New("-shape: the embedded Net4 has its own")
		}
		return zoo.NewModel(pretrained.Net4(), zoo.Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: 10}, data.Preprocess{})
	}
	net, info, err := models.Open(c.victim)
	if err != nil {
		return nil, err
	}
	if shape == nil {
		if shape, err = info.Preprocess.InputShape(info.Spec().Input); err != nil {
			return nil, fmt.Errorf("%s: %w, by -shape", c.victim, err)
		}
	}
	return weights.Victim(net, info, shape)
}

// images opens what -data names, for a victim.
func images(c *config, info zoo.Info) (d data.Dataset, err error) {
	switch c.data {
	case "embedded":
		d, err = embedded()
	case "mnist":
		_, d, err = datasets.Open("mnist", true)
	default:
		if _, err := os.Stat(c.data); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("-data %s: neither embedded, mnist nor a directory", c.data)
		}
		d, err = data.OpenFolder(c.data, info.Shape)
	}
	if err != nil {
		return nil, err
	}
	if fmt.Sprint(d.Shape()) != fmt.Sprint(info.Shape) {
		return nil, fmt.Errorf("the images are %v and victim %q takes %v", d.Shape(), info.Name, info.Shape)
	}
	for i := range d.Len() {
		if label := d.Label(i); label >= info.Classes {
			return nil, fmt.Errorf("the images have a class %d and victim %q has %d", label, info.Name, info.Classes)
		}
	}
	return d, nil
}

func embedded() (data.Dataset, error) {
	px, shape, err := data.ReadIDX(bytes.NewReader(someImages))
	if err != nil {
		return nil, err
	}
	ls, _, err := data.ReadIDX(bytes.NewReader(someLabels))
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(ls))
	for i, l := range ls {
		labels[i] = int(l)
	}
	return data.NewImages(px, labels, []int{1, shape[1], shape[2]}, 10)
}
