package recipes

import (
	"context"
	"fmt"

	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/eval/tsne"
	"github.com/mettleml/mettle/ssl"
	"github.com/mettleml/mettle/tensor"
)

// Method returns the network of a job of self-supervision that was done, with the method as
// training left it.
func (l *Lab) Method(j *Job) (*nn.Classifier, ssl.Method, error) {
	if _, err := l.Kept(j); err != nil {
		return nil, nil, err
	}
	if j.SSL == nil {
		return nil, nil, fmt.Errorf("%s has no self-supervision of its own", j.Label())
	}
	d, err := l.dataOf(j)
	if err != nil {
		return nil, nil, err
	}
	module, err := blank(j, d)
	if err != nil {
		return nil, nil, err
	}
	path, _, err := l.files(j)
	if err != nil {
		return nil, nil, err
	}
	net := module.(*nn.Classifier)
	steps := j.steps(d.Train.Data.Len())
	if j.Method == Heterotopic {
		h, err := j.SSL.join(net, d, steps, j.Seed)
		if err != nil {
			return nil, nil, err
		}
		return net, h.Method, nn.Load(path, h)
	}
	m, err := ssl.New(j.SSL.Method, net.Backbone, j.SSL.settings(d.Train.Data.Len(), steps, j.Seed))
	if err != nil {
		return nil, nil, err
	}
	return net, m, nn.Load(path, beside{net, m})
}

// Some are n of the samples or all, evenly over their order.
func Some(d data.Dataset, n int) data.Dataset {
	total := d.Len()
	if n >= total {
		return d
	}
	at := make([]int, n)
	for i := range at {
		at[i] = i * total / n
	}
	return data.Subset(d, at)
}

// pixels are all samples of a data set.
func pixels(d data.Dataset) (*tensor.Tensor, error) {
	x := tensor.New(append([]int{d.Len()}, d.Shape()...)...)
	for i := range d.Len() {
		if err := d.Read(i, x.Index(i)); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// A Reconstruction is what a decoder makes of the features of test samples.
type Reconstruction struct {
	MSE, Explained float64        // see ssl.Decoder
	Width          int            // of the features
	Shown          *tensor.Tensor // eight samples, as they are
	Made           *tensor.Tensor // and as the decoder makes them
}

// Reconstruct trains a decoder of features on up to 5,000 training samples, and judges it on up
// to 1,000 test samples.
func Reconstruct(ctx context.Context, features nn.Module, d *Data, r ssl.Reconstruction) (*Reconstruction, error) {
	collect := func(d data.Dataset, pre data.Preprocess) (*eval.Outputs, *tensor.Tensor, error) {
		out, err := eval.Collect(ctx, features, d, eval.Options{Transform: pre.Transform()})
		if err != nil {
			return nil, nil, err
		}
		x, err := pixels(d)
		return out, x, err
	}
	out, x, err := collect(Some(d.Train.Data, 5000), d.Pre)
	if err != nil {
		return nil, err
	}
	decoder, err := r.Fit(ctx, out, x)
	if err != nil {
		return nil, err
	}
	if out, x, err = collect(Some(d.Test, 1000), d.Pre); err != nil {
		return nil, err
	}
	made := &Reconstruction{Width: out.Y.Dim(1)}
	made.MSE, made.Explained = decoder.Error(out.Y, x)
	n := min(8, x.Dim(0))
	made.Shown, made.Made = x.Slice(0, n), decoder.Decode(out.Y.Slice(0, n))
	return made, nil
}

// Embed lays the features of up to 2,000 samples out in the plane, with a perplexity of 30 or
// what so few allow.
func Embed(ctx context.Context, features *eval.Outputs) (*tsne.Result, error) {
	o := tsne.Options{}
	if n := features.Y.Dim(0); float64(n-1) < 90 {
		o.Perplexity = float64(n-1) / 3
	}
	return tsne.Embed(ctx, features.Y, o)
}
