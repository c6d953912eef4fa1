package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// The first images of MNIST's test set: origin and licence stand in images/README.md.
//
//go:embed images/t10k-first-images.idx3.gz
var someImages []byte

//go:embed images/t10k-first-labels.idx1.gz
var someLabels []byte

// victim opens what -victim names.
func victim(ctx context.Context, c *config) (zoo.Scorer, error) {
	switch {
	case c.victim == "":
		return zoo.NewModel(pretrained.Net4(), zoo.Info{Name: "net4", Shape: []int{1, 28, 28}, Classes: 10}, zoo.Preprocess{})
	case strings.HasPrefix(c.victim, "http://"), strings.HasPrefix(c.victim, "https://"):
		kind, err := zoo.ParseScoreKind(c.scores)
		if err != nil {
			return nil, err
		}
		return oip.Dial(ctx, c.victim, oip.Options{Scores: kind, Token: c.token, Concurrency: cmp.Or(c.workers, 4)})
	}
	net, spec, info, err := weights.Open(c.victim)
	if err != nil {
		return nil, err
	}
	shape, err := info.Preprocess.SampleShape(spec.Input)
	if err != nil {
		return nil, err
	}
	return weights.Victim(net, info, shape)
}

// images opens what -data names.
func images(c *config, info zoo.Info) (data.Dataset, error) {
	switch c.data {
	case "embedded":
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
	case "mnist":
		_, test, err := datasets.Open("mnist", true)
		return test, err
	}
	if _, err := os.Stat(c.data); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("-data %s: neither embedded, mnist nor a directory", c.data)
	}
	return data.OpenFolder(c.data, info.Shape)
}

// eligible are the first n images, in random order unless they are the embedded
// ones, that the victim gets right. The queries it takes to find them are told.
func eligible(ctx context.Context, c *config, v zoo.Scorer, d data.Dataset) (samples []attack.Sample, asked int, err error) {
	info := v.Info()
	if fmt.Sprint(d.Shape()) != fmt.Sprint(info.Shape) {
		return nil, 0, fmt.Errorf("the images are %v and victim %q takes %v", d.Shape(), info.Name, info.Shape)
	}
	order := rand.New(rand.NewPCG(c.seed, 0)).Perm(d.Len())
	if c.data == "embedded" {
		for i := range order {
			order[i] = i
		}
	}
	labeler := zoo.LabelsOf(v)
	for len(order) > 0 && len(samples) < c.n {
		part := order[:min(len(order), c.n-len(samples))]
		order = order[len(part):]
		x, y, err := data.Load(d, part)
		if err != nil {
			return nil, asked, err
		}
		for _, label := range y {
			if label >= info.Classes {
				return nil, asked, fmt.Errorf("the images have a class %d and victim %q has %d", label, info.Name, info.Classes)
			}
		}
		answers := make([]int, len(part))
		asked += len(part)
		if err := labeler.Labels(ctx, x, answers); err != nil {
			return nil, asked, err
		}
		for i, k := range part {
			if answers[i] == y[i] {
				samples = append(samples, attack.Sample{Name: fmt.Sprint(k), X: x.Index(i).Clone(), Label: y[i]})
			}
		}
	}
	if len(samples) == 0 {
		return nil, asked, fmt.Errorf("victim %q gets none of the %d images right: check its preprocessing and the order of the classes", info.Name, asked)
	}
	return samples, asked, nil
}

// start gives targeted attacks on labels an image of the wanted class to begin from,
// once the samples are there.
func (p *probe) start(g zoo.Goal) *tensor.Tensor {
	for _, s := range p.samples {
		if s.Label == g.Target {
			return s.X
		}
	}
	return nil
}

// besides puts a name before a path's extension.
func besides(path, name string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + name + ext
}
