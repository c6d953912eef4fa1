package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/mettleml/mettle/attack"
	"github.com/mettleml/mettle/examples/internal/cast"
	"github.com/mettleml/mettle/examples/internal/cells"
	"github.com/mettleml/mettle/examples/internal/weights"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/tensor"
	"github.com/mettleml/mettle/zoo"
)

// A classifier is a source or a victim with what it answers for the test images.
type classifier struct {
	name    string // of the file
	hash    string
	net     nn.Module
	info    models.Info
	model   *zoo.Model
	answers []int
	right   []int // the test images it gets right, in order
}

func (c *classifier) accuracy() float64 { return float64(len(c.right)) / float64(len(c.answers)) }

// classifier opens a network of the cast and asks it about the test images.
func (b *book) classifier(ctx context.Context, name string) (*classifier, error) {
	return b.open(ctx, cast.File(b.weights, name), name)
}

// open opens the network of a file and asks it about the test images.
func (b *book) open(ctx context.Context, path, name string) (*classifier, error) {
	c := &classifier{name: name}
	var err error
	if c.hash, err = fileDigest(path); err != nil {
		return nil, err
	}
	if c.net, c.info, err = models.Open(path); err != nil {
		return nil, err
	}
	if c.model, err = weights.Victim(c.net, c.info, b.test.Shape()); err != nil {
		return nil, err
	}
	if err := weights.Fits(path, c.info, b.test); err != nil {
		return nil, err
	}
	key := struct{ What, Net, Data string }{"answers", c.hash, b.data}
	c.answers, err = cells.Get(cells.Store{Dir: b.cells.Dir}, name+"-answers", key, func() ([]int, error) {
		answers := make([]int, b.test.Len())
		err := batches(ctx, b.test, func(lo int, x *tensor.Tensor, y []int) error {
			return zoo.LabelsOf(c.model).Labels(ctx, x, answers[lo:lo+len(y)])
		})
		return answers, err
	})
	if err != nil {
		return nil, err
	}
	for i, a := range c.answers {
		if a == b.test.Label(i) {
			c.right = append(c.right, i)
		}
	}
	return c, nil
}

// batches goes through a data set in order.
func batches(ctx context.Context, d data.Dataset, do func(lo int, x *tensor.Tensor, y []int) error) error {
	size := 1
	for _, n := range d.Shape() {
		size *= n
	}
	l, err := data.NewLoader(d, data.LoaderOptions{BatchSize: max(1, min(250, 1<<23/size))})
	if err != nil {
		return err
	}
	lo := 0
	for batch, err := range l.Batches(ctx) {
		if err == nil {
			err = do(lo, batch.X, batch.Y)
		}
		if err != nil {
			return err
		}
		lo += len(batch.Y)
	}
	return nil
}

// A victim is a classifier that is attacked, on the images it gets right.
type victim struct {
	*classifier
	samples []attack.Sample
	starts  map[int]*tensor.Tensor // an image of each class, for attacks on labels
}

// attacked makes a victim of a classifier: its samples are the first n test images
// that it gets right.
func (b *book) attacked(c *classifier) (*victim, error) {
	if len(c.right) == 0 {
		return nil, fmt.Errorf("%s gets none of the test images right: check its preprocessing and the order of the classes", c.name)
	}
	v := &victim{classifier: c, starts: map[int]*tensor.Tensor{}}
	pick := c.right[:min(b.c.n, len(c.right))]
	x, y, err := data.Load(b.test, pick)
	if err != nil {
		return nil, err
	}
	for i, k := range pick {
		v.samples = append(v.samples, attack.Sample{Name: strconv.Itoa(k), X: x.Index(i), Label: y[i]})
	}
	for class := range b.test.Classes() {
		i := slices.IndexFunc(c.right, func(k int) bool { return b.test.Label(k) == class })
		if i < 0 {
			continue
		}
		x, _, err := data.Load(b.test, c.right[i:i+1])
		if err != nil {
			return nil, err
		}
		v.starts[class] = x.Index(0)
	}
	return v, nil
}

// start is where a targeted attack on labels begins; an untargeted one does with
// noise.
func (v *victim) start(g zoo.Goal) *tensor.Tensor {
	if !g.Targeted {
		return nil
	}
	return v.starts[g.Target]
}
