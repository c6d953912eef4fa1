package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/examples/internal/datasets"
	"github.com/mettleml/mettle/internal/atomicfile"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/video"
)

// takesClips reports whether a network takes clips.
func takesClips(s models.Spec) bool { return len(s.Input) == 4 }

// clipFlags are the settings of networks for clips.
type clipFlags struct {
	size, stride, segments int
	groups, pack           string
	still                  float64
}

// kineticsMean and kineticsStd are those of the pixels of Kinetics-400, as torchvision's
// video networks have them.
var (
	kineticsMean = []float32{0.43216, 0.394666, 0.37645}
	kineticsStd  = []float32{0.22803, 0.22145, 0.216989}
)

// clips opens a folder of videos and divides it by groups. Training draws windows, the
// test takes those in the middle.
func clips(ctx context.Context, c *config, spec models.Spec) (train, test data.Dataset, err error) {
	if c.data == "moving" {
		return moving(c, spec)
	}
	if _, err := os.Stat(c.data); err != nil {
		return nil, nil, fmt.Errorf("-data %s: model %s takes a folder of CLASS/VIDEO: %w", c.data, spec.Name, err)
	}
	if spec.Input[0] != 3 {
		return nil, nil, fmt.Errorf("-model %s takes %d channels, and clips have 3", spec.Name, spec.Input[0])
	}
	shape := []int{spec.Input[1], 3, spec.Input[2], spec.Input[3]}
	if c.size > 0 {
		shape[2], shape[3] = c.size, c.size
	}
	test1 := video.Window{Frames: shape[0], Stride: c.stride, Short: video.Hold}
	root := c.data
	if c.pack != "" {
		all, err := video.OpenFolder(ctx, root, shape, video.FolderOptions{Window: test1})
		if err != nil {
			return nil, nil, err
		}
		fmt.Printf("packing %d videos to %s\n", all.Len(), c.pack)
		if err := all.Pack(ctx, c.pack); err != nil {
			return nil, nil, err
		}
		root = c.pack
	}
	groups, err := numbers(c.groups)
	if err != nil {
		return nil, nil, err
	}
	open := func(shape []int, w video.Window) (train, test *video.Folder, err error) {
		all, err := video.OpenFolder(ctx, root, shape, video.FolderOptions{Window: w})
		if err != nil {
			return nil, nil, err
		}
		return all.Split(groups...)
	}
	a, b, err := open(shape, test1)
	if err != nil {
		return nil, nil, err
	}
	if c.segments > 0 {
		some := slices.Clone(shape)
		some[0] = c.segments
		if a, _, err = open(some, video.Window{Frames: 1, Segments: c.segments}); err != nil {
			return nil, nil, err
		}
	}
	return a, b, nil
}

// moving returns moving digits: those of MNIST's training set to train on, and to test
// on those that programs carry.
func moving(c *config, spec models.Spec) (train, test data.Dataset, err error) {
	if c.size > 0 || c.stride > 1 || c.segments > 0 || c.pack != "" {
		return nil, nil, errors.New("-size, -stride, -segments and -pack are for videos, and moving digits are made")
	}
	digits, _, err := datasets.Open("mnist", true)
	if err != nil {
		return nil, nil, err
	}
	others, err := datasets.Digits()
	if err != nil {
		return nil, nil, err
	}
	a, b := datasets.NewMoving(digits, 8000, c.seed), datasets.NewMoving(others, 800, 0)
	if s := a.Shape(); !slices.Equal([]int{s[1], s[0], s[2], s[3]}, spec.Input) {
		return nil, nil, fmt.Errorf("model %s takes %v and moving digits are %v", spec.Name, spec.Input, s)
	}
	return a, b, nil
}

// numbers reads a list such as 1-7,9.
func numbers(list string) ([]string, error) {
	var all []string
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		switch {
		case isRange && err1 == nil && err2 == nil && a <= b && b-a < 1000:
			for n := a; n <= b; n++ {
				all = append(all, strconv.Itoa(n))
			}
		case part == "" || isRange && err1 == nil && err2 == nil:
			return nil, fmt.Errorf("-groups %q: a list such as 1-7,9", list)
		default:
			all = append(all, part)
		}
	}
	return all, nil
}

// prepareClips is what the network wants done to clips, and what is done to training
// clips beside.
func prepareClips(c *config, sample []int) (pre data.Preprocess, train data.Transform) {
	pre = data.Preprocess{Mean: kineticsMean, Std: kineticsStd, CTHW: true}
	var steps []data.Transform
	switch {
	case c.data == "moving": // everywhere as it is, and the mirror image of another class
		pre.Mean, pre.Std = nil, nil
	case c.augment:
		steps = append(steps, data.RandomCrop{Padding: max(sample[2]/8, 1)}, data.RandomHorizontalFlip{})
	}
	return pre, data.Compose(append(steps, pre.Transform())...)
}

// freeze makes still pictures of some of the clips x [N, C, T, H, W] of a training step,
// each with probability c.still, by one of its frames. The result is the targets [N, K]
// of the step: for a still picture all classes alike, so that the network learns to tell
// nothing from appearance.
func (s *session) freeze(x *tensor.Tensor, labels []int, classes, step int) *tensor.Tensor {
	target := tensor.New(len(labels), classes)
	frames, plane := x.Dim(2), x.Dim(3)*x.Dim(4)
	for i, y := range labels {
		row := target.Index(i).Data()
		rng := rand.New(rand.NewPCG(s.seed, uint64(step)<<32|uint64(i)))
		if rng.Float64() >= s.still {
			row[y] = 1
			continue
		}
		for k := range row {
			row[k] = 1 / float32(classes)
		}
		t := rng.IntN(frames)
		for c := range x.Dim(1) {
			v := x.Index(i).Index(c).Data()
			for u := range frames {
				if u != t {
					copy(v[u*plane:(u+1)*plane], v[t*plane:(t+1)*plane])
				}
			}
		}
	}
	return target
}

// controls are accuracies on the test set. Frozen, Shuffled and Reversed say how often
// the network is still right when a clip shows one frame all the time, its frames in any
// order, or the last one first: near Clean it makes no use of motion.
type controls struct {
	Clean    float64 `json:"clean"`
	Frozen   float64 `json:"frozen"`
	Shuffled float64 `json:"shuffled"`
	Reversed float64 `json:"reversed"`
}

func measure(ctx context.Context, net nn.Module, pre data.Preprocess, test data.Dataset) (a controls, err error) {
	for _, m := range []struct {
		to     *float64
		change []data.Transform
	}{{&a.Clean, nil}, {&a.Frozen, []data.Transform{video.Freeze{}}}, {&a.Shuffled, []data.Transform{video.Shuffle{}}}, {&a.Reversed, []data.Transform{video.Reverse{}}}} {
		out, err := eval.Collect(ctx, net, test, eval.Options{BatchSize: 16, Transform: data.Compose(append(m.change, pre.Transform())...)})
		if err != nil {
			return a, err
		}
		*m.to = out.Accuracy()
	}
	return a, nil
}

// write keeps the accuracies in the metadata of the weights, and in a file of JSON.
func (a controls) write(c *config, test data.Dataset, meta map[string]string) error {
	fmt.Printf("test accuracy %.2f %%; with one frame frozen %.2f %%, frames shuffled %.2f %%, time reversed %.2f %%\n",
		100*a.Clean, 100*a.Frozen, 100*a.Shuffled, 100*a.Reversed)
	if a.Clean-a.Frozen < 0.05 {
		fmt.Println("note: the network is as right on a frozen frame as on the clip: it makes no use of motion")
	}
	maps.Copy(meta, map[string]string{
		"accuracy_frozen":   strconv.FormatFloat(a.Frozen, 'f', 4, 64),
		"accuracy_shuffled": strconv.FormatFloat(a.Shuffled, 'f', 4, 64),
		"accuracy_reversed": strconv.FormatFloat(a.Reversed, 'f', 4, 64),
		"stride":            strconv.Itoa(c.stride),
	})
	return atomicfile.WriteJSON(strings.TrimSuffix(c.out, ".safetensors")+".json", struct {
		Model    string   `json:"model"`
		Data     string   `json:"data"`
		Clips    int      `json:"test_clips"`
		Shape    []int    `json:"clip"`
		Stride   int      `json:"stride"`
		Segments int      `json:"training_segments,omitempty"`
		Still    float64  `json:"still,omitempty"`
		Epochs   int      `json:"epochs"`
		Seed     uint64   `json:"seed"`
		Accuracy controls `json:"accuracy"`
	}{c.model, c.data, test.Len(), test.Shape(), c.stride, c.segments, c.still, c.epochs, c.seed, a})
}

// checkClips says which setting of clips cannot be meant.
func (c *config) checkClips(spec models.Spec) error {
	if !takesClips(spec) {
		if c.size > 0 || c.segments > 0 || c.still > 0 || c.pack != "" {
			return fmt.Errorf("-size, -segments, -still and -pack are for networks of clips, and %s takes images", spec.Name)
		}
		return nil
	}
	switch {
	case c.adversarial != "":
		return errors.New("-adversarial is for images")
	case c.still > 0 && c.segments > 0:
		return errors.New("-still is for networks that use motion, which -segments does not show")
	}
	c.stride = cmp.Or(c.stride, 1)
	return nil
}

// lossOf is the loss of a training step.
func (s *session) lossOf(x *tensor.Tensor, labels []int, step int) (logits, loss autograd.Var) {
	if s.still == 0 {
		logits = s.net.Forward(s.tape.Input(x))
		return logits, nn.CrossEntropy(logits, labels)
	}
	target := s.freeze(x, labels, s.classes, step)
	logits = s.net.Forward(s.tape.Input(x))
	return logits, autograd.SoftCrossEntropy(logits, s.tape.Input(target), autograd.ReduceMean)
}
