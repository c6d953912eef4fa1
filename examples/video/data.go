package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models/pretrained"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
	"github.com/mettleml/mettle/zoo"
	"github.com/mettleml/mettle/zoo/oip"
)

// victim opens what -victim names. It returns the names of its classes too, nil if they
// are not known.
func victim(ctx context.Context, c *config) (v zoo.Scorer, classes []string, err error) {
	shape, err := weights.ParseShape(c.shape, 4, "four positive numbers are due, such as 16,3,112,112")
	if err != nil {
		return nil, nil, err
	}
	if !weights.IsAddress(c.victim) && c.preprocess != "" {
		return nil, nil, errors.New("-preprocess: for a victim at an address; a file has its own")
	}
	switch {
	case c.victim == "":
		if shape != nil {
			return nil, nil, errors.New("-shape: the network that comes with the library has its own")
		}
		info := zoo.Info{Name: "tiny3d", Shape: []int{16, 3, 32, 32}, Classes: len(datasets.Motions)}
		v, err := zoo.NewModel(pretrained.Tiny3D(), info, data.Preprocess{CTHW: true})
		return v, datasets.Motions, err
	case weights.IsAddress(c.victim):
		opt := oip.Options{Shape: shape, Token: os.Getenv("METTLE_TOKEN")}
		if opt.Scores, err = zoo.ParseScoreKind(c.scores); err != nil {
			return nil, nil, fmt.Errorf("-scores: %w", err)
		}
		if c.preprocess != "" {
			if opt.Preprocess, err = data.ParsePreprocess(c.preprocess); err != nil {
				return nil, nil, fmt.Errorf("-preprocess: %w", err)
			}
		}
		v, err := oip.Dial(ctx, c.victim, opt)
		if err != nil {
			return nil, nil, err
		}
		return v, nil, nil
	}
	return weights.Open(c.victim, shape)
}

// clips opens what -data names, with the numbers that the classes have for a victim.
func clips(ctx context.Context, c *config, info zoo.Info, classes []string) (d data.Dataset, err error) {
	if len(info.Shape) != 4 {
		return nil, fmt.Errorf("victim %q takes %v, and clips are [T, C, H, W]: examples/probe attacks classifiers of images", info.Name, info.Shape)
	}
	if c.data == "moving" {
		digits, err := datasets.Digits()
		if err != nil {
			return nil, err
		}
		d = datasets.NewMoving(digits, 800, 0)
		if fmt.Sprint(d.Shape()) != fmt.Sprint(info.Shape) {
			return nil, fmt.Errorf("-data moving: the clips are %v and victim %q takes %v; name a directory of videos for it by -data DIR", d.Shape(), info.Name, info.Shape)
		}
	} else {
		if _, err := os.Stat(c.data); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("-data %s: neither moving nor a directory", c.data)
		}
		folder, err := video.OpenFolder(ctx, c.data, info.Shape, video.FolderOptions{
			Window: video.Window{Frames: info.Shape[0], Stride: c.stride, Short: video.Hold}})
		if err != nil {
			return nil, err
		}
		if c.test != "" {
			if _, folder, err = folder.Split(strings.Split(c.test, ",")...); err != nil {
				return nil, fmt.Errorf("-test: %w", err)
			}
		}
		d = folder
	}
	if d.Classes() > info.Classes {
		return nil, fmt.Errorf("-data %s has %d classes, victim %q %d", c.data, d.Classes(), info.Name, info.Classes)
	}
	if classes != nil {
		if d, err = data.MatchClasses(d, classes); err != nil {
			return nil, fmt.Errorf("-data %s and victim %q: %w", c.data, info.Name, err)
		}
	}
	return d, nil
}

// A look is what was found out about the victim before the attacks.
type look struct {
	Tried, Right int                // clips in a random order, until enough were right
	Shown        int                // how many of the first were also shown otherwise
	Controls     [len(controls)]int // on how many of those it was right, shown so
}

// controls are ways to show a clip that a victim which uses motion does not survive.
var controls = [...]struct {
	name string
	t    data.Transform
}{{"as they are", nil}, {"one frame frozen", video.Freeze{}}, {"frames shuffled", video.Shuffle{}}, {"time reversed", video.Reverse{}}}

// samples takes clips in a random order until n are right, and looks whether the victim
// uses motion.
func samples(ctx context.Context, c *config, v zoo.Scorer, d data.Dataset) (list []attack.Sample, l look, err error) {
	answer := zoo.LabelsOf(v)
	ask := func(x *tensor.Tensor) (int, error) {
		var label [1]int
		err := answer.Labels(ctx, x.Reshape(append([]int{1}, x.Shape()...)...), label[:])
		return label[0], err
	}
	r := rand.New(rand.NewPCG(c.seed, 1))
	order, draws := r.Perm(d.Len()), rand.New(rand.NewPCG(c.seed, 2))
	l.Shown = min(d.Len(), 40)
	shown := tensor.New(d.Shape()...)
	for k, i := range order {
		if len(list) == c.n && k >= l.Shown {
			break
		}
		x := tensor.New(d.Shape()...)
		if err := d.Read(i, x); err != nil {
			return nil, l, err
		}
		y := d.Label(i)
		got, err := ask(x)
		if err != nil {
			return nil, l, err
		}
		if l.Tried++; got == y {
			l.Right++
			if len(list) < c.n {
				list = append(list, attack.Sample{Name: fmt.Sprint(i), X: x, Label: y})
			}
		}
		if k >= l.Shown {
			continue
		}
		for j, control := range controls {
			if control.t != nil {
				control.t.Apply(shown, x, draws)
				if got, err = ask(shown); err != nil {
					return nil, l, err
				}
			}
			if got == y {
				l.Controls[j]++
			}
		}
	}
	if len(list) == 0 {
		return nil, l, fmt.Errorf("the victim is wrong on all of %d clips: check its preprocessing and the order of its classes", l.Tried)
	}
	return list, l, nil
}

// starts are clips of each class that the victim gets right, for attacks that begin at one.
func starts(ctx context.Context, v zoo.Scorer, d data.Dataset, wanted map[int]bool) (map[int]*tensor.Tensor, error) {
	found := map[int]*tensor.Tensor{}
	answer := zoo.LabelsOf(v)
	for i := range d.Len() {
		y := d.Label(i)
		if len(found) == len(wanted) {
			break
		}
		if !wanted[y] || found[y] != nil {
			continue
		}
		x := tensor.New(append([]int{1}, d.Shape()...)...)
		if err := d.Read(i, x.Index(0)); err != nil {
			return nil, err
		}
		var label [1]int
		if err := answer.Labels(ctx, x, label[:]); err != nil {
			return nil, err
		}
		if label[0] == y {
			found[y] = x.Index(0)
		}
	}
	return found, nil
}

// className is what a class is called.
func className(classes []string, k int) string {
	if k < len(classes) {
		return cmp.Or(classes[k], strconv.Itoa(k))
	}
	return strconv.Itoa(k)
}
