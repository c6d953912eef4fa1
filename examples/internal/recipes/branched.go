package recipes

import (
	"context"
	"iter"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
)

// bbn trains two branches, one on samples as they come and one on samples that the reversed
// sampler draws.
func (l *Lab) bbn(ctx context.Context, j *Job, d *Data) (*lesson, error) {
	net, err := blank(j, d)
	if err != nil {
		return nil, err
	}
	s, err := usual(j, d, net)
	if err != nil {
		return nil, err
	}
	if s.reversed, err = longtail.Reversed(s.train, longtail.SamplerOptions{Seed: j.stream()}); err != nil {
		return nil, err
	}
	branches := net.(*longtail.Branched)
	ctx = context.WithoutCancel(ctx) // the first loader says when to stop, so both stop at one step
	at := -1                         // the epoch of the second loader's batches
	var next func() (data.Batch, error, bool)
	stop := func() {}
	s.pass = func(tape *autograd.Tape, b data.Batch, epoch int) (loss, logits autograd.Var, err error) {
		if epoch != at {
			stop()
			at = epoch
			next, stop = iter.Pull2(s.second.Batches(ctx))
		}
		other, err, ok := next()
		if err != nil {
			return loss, logits, err
		}
		if !ok {
			panic("recipes: the loaders of BBN are not in step")
		}
		logits = branches.Branch(0).Forward(tape.Input(b.X))
		reversed := branches.Branch(1).Forward(tape.Input(other.X))
		return longtail.BBN(nn.CrossEntropy, longtail.Cumulative(epoch, j.Recipe.Epochs), logits, b.Y, reversed, other.Y), logits, nil
	}
	s.close = func() { stop() }
	return s, nil
}

// ride trains three experts, weighted by class from the epoch of DRW on.
func (l *Lab) ride(j *Job, d *Data) (*lesson, error) {
	net, err := blank(j, d)
	if err != nil {
		return nil, err
	}
	s, err := usual(j, d, net)
	if err != nil {
		return nil, err
	}
	experts := net.(*longtail.Branched)
	drw := longtail.DRW{Start: max(j.Recipe.Epochs*8/10, 1)}
	s.pass = func(tape *autograd.Tape, b data.Batch, epoch int) (loss, logits autograd.Var, err error) {
		list := experts.Logits(tape.Input(b.X))
		loss = longtail.RIDE(d.Train.Counts, longtail.RIDEOptions{Weights: drw.Weights(d.Train.Counts, epoch)})(list, b.Y)
		return loss, list[0], nil
	}
	return s, nil
}

// proco trains a classifier and, on a projection beside it, a contrastive loss of two more
// views of each sample.
func (l *Lab) proco(j *Job, d *Data) (*lesson, error) {
	module, err := blank(j, d)
	if err != nil {
		return nil, err
	}
	s, err := usual(j, d, module)
	if err != nil {
		return nil, err
	}
	const dims = 128
	net := module.(*nn.Classifier)
	projection := longtail.NewProjection(j.Seed, net.Backbone.Width(), dims)
	state := longtail.NewProCo(d.Train.Counts, dims, longtail.ProCoOptions{})
	s.opt = j.Recipe.sgd(append(nn.Params(net), nn.Params(projection)...))
	s.more = map[string]nn.Tree{"projection": projection, "proco": state}
	first, err := d.transform(j.Recipe.Augment)
	if err != nil {
		return nil, err
	}
	size := d.Test.Shape()[1]
	list := []data.Transform{data.RandomResizedCrop{H: size, W: size, MinScale: 0.2}, data.RandomHorizontalFlip{}}
	if d.Test.Shape()[0] == 3 {
		list = append(list, data.RandomApply{Transform: data.ColorJitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1}, P: 0.8}, data.RandomGrayscale{P: 0.2})
	}
	if !d.Pre.Identity() {
		list = append(list, d.Pre.Transform())
	}
	other := data.Compose(list...)
	s.views = []data.Transform{first, other, other}
	s.pass = func(tape *autograd.Tape, b data.Batch, epoch int) (loss, logits autograd.Var, err error) {
		state.Begin(epoch)
		f := net.Backbone.Forward(tape.Input(b.X))
		z := autograd.NormalizeRows(projection.Forward(f), 1e-12)
		n := len(b.Y)
		logits = autograd.NarrowCopy(net.Head.Forward(f), 0, 0, n, 1)
		return state.Loss(logits, autograd.NarrowCopy(z, 0, n, 3*n, 1), b.Y), logits, nil
	}
	return s, nil
}
