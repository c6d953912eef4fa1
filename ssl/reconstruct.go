package ssl

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// Reconstruction trains a small [Decoder] to reconstruct samples from frozen features, by
// mean squared error. Details in such a picture are still in the features; missing details
// may be lost (figure 5.1 of the thesis; its method of inversion is not known, and this one
// is ours). Adam's learning rate falls to 0 along a cosine.
type Reconstruction struct {
	Epochs int     `json:"epochs,omitempty"` // 0 means 20
	Batch  int     `json:"batch,omitempty"`  // 0 means 64
	LR     float64 `json:"lr,omitempty"`     // 0 means 0.002
	Width  int     `json:"width,omitempty"`  // channels of the decoder's first map; 0 means 64
	Seed   uint64  `json:"seed"`
}

func (r Reconstruction) withDefaults() Reconstruction {
	r.Epochs, r.Batch, r.LR, r.Width = cmp.Or(r.Epochs, 20), cmp.Or(r.Batch, 64), cmp.Or(r.LR, 0.002), cmp.Or(r.Width, 64)
	return r
}

// String returns the protocol, to be stated beside the picture.
func (r Reconstruction) String() string {
	r = r.withDefaults()
	return fmt.Sprintf("decoder of 3x3 convolutions with %d channels at first on frozen, standardised features; mean squared error, Adam, rate %g to 0 by a cosine, batch %d, %d epochs", r.Width, r.LR, r.Batch, r.Epochs)
}

// Fit returns a decoder trained on features [N, d] of samples [N, C, H, W], row by row.
// Samples are in [0,1], neither augmented nor normalised. It is an error if the training
// diverges or the context ends. It panics if the shapes do not fit or an option is out of
// range.
func (r Reconstruction) Fit(ctx context.Context, features *eval.Outputs, samples *tensor.Tensor) (*Decoder, error) {
	const op = "ssl.Reconstruction"
	r = r.withDefaults()
	positive(op, "Epochs", r.Epochs, "Batch", r.Batch, "LR", r.LR, "Width", r.Width)
	if features.Y.Rank() != 2 || samples.Rank() != 4 || samples.Dim(0) != features.Y.Dim(0) {
		tensor.Panic(op, "want features [N, d] of samples [N, C, H, W]", features.Y.Shape(), samples.Shape())
	}
	n := samples.Dim(0)
	d := newDecoder(features.Y, samples, r.Width, r.Seed)
	set, err := data.NewTensors(features.Y, make([]int, n), 1)
	if err != nil {
		return nil, fmt.Errorf("ssl: reconstruction: %w", err)
	}
	loader, err := data.NewLoader(set, data.LoaderOptions{BatchSize: min(r.Batch, n), Shuffle: true, Seed: r.Seed, Workers: 1})
	if err != nil {
		return nil, fmt.Errorf("ssl: reconstruction: %w", err)
	}
	opt := optim.NewAdam(Trainable(d), optim.AdamOptions{LR: r.LR})
	rate := optim.Cosine(r.LR, 0, r.Epochs*loader.Len())
	tape := autograd.NewTape(autograd.Training, r.Seed)
	size := samples.Len() / n
	for step := 0; step < r.Epochs*loader.Len(); {
		for b, err := range loader.Batches(ctx) {
			if err != nil {
				return nil, err
			}
			want := tensor.New(append([]int{len(b.Y)}, samples.Shape()[1:]...)...)
			for k, i := range b.Indices {
				copy(want.Data()[k*size:][:size], samples.Data()[i*size:][:size])
			}
			tape.Reset()
			opt.SetLR(rate(step))
			step++
			if err := opt.Step(tape.Gradients(nn.MSE(d.Forward(tape.Input(b.X)), tape.Input(want)))); err != nil {
				return nil, fmt.Errorf("ssl: reconstruction: %w; try a smaller LR", err)
			}
		}
	}
	return d, nil
}

// A Decoder maps features [N, d] to samples [N, C, H, W]. A linear layer makes a map of at
// most 4x4. Steps double its sides and halve its channels, to no fewer than 16, up to the
// sample's size. The result is added to the mean of the training samples. A new Decoder
// returns that mean.
type Decoder struct {
	Norm   *nn.BatchNorm // standardises features; not trained
	Start  *nn.Linear
	Blocks []*nn.Conv // each after a step of Sizes
	Sizes  [][2]int   // height and width of the maps
	Out    *nn.Conv
	Mean   *autograd.Param // [1, C, H, W], frozen
}

func newDecoder(features, samples *tensor.Tensor, width int, seed uint64) *Decoder {
	rng := generator(seed)
	shape := samples.Shape()
	d := &Decoder{Norm: standardizer(features), Sizes: [][2]int{{shape[2], shape[3]}}}
	for at := d.Sizes[0]; max(at[0], at[1]) > 4; {
		at = [2]int{(at[0] + 1) / 2, (at[1] + 1) / 2}
		d.Sizes = append([][2]int{at}, d.Sizes...)
	}
	d.Start = nn.NewLinear(rng, features.Dim(1), width*d.Sizes[0][0]*d.Sizes[0][1])
	for range d.Sizes[1:] {
		next := max(width/2, min(width, 16))
		d.Blocks = append(d.Blocks, convolution(rng, width, next))
		width = next
	}
	d.Out = convolution(nil, width, shape[1])
	mean := tensor.New(1, shape[1], shape[2], shape[3])
	sum := make([]float64, mean.Len())
	for i, v := range samples.Data() {
		sum[i%len(sum)] += float64(v)
	}
	for i, v := range sum {
		mean.Data()[i] = float32(v / float64(shape[0]))
	}
	d.Mean = autograd.NewParam(mean)
	d.Mean.SetFrozen(true)
	return d
}

// convolution returns one of 3x3 that keeps the size; without a generator its weights are 0.
func convolution(rng *rand.Rand, in, out int) *nn.Conv {
	c := nn.NewConv2D(nil, in, out, 3, nn.ConvOptions{Padding: 1})
	if rng != nil {
		nn.KaimingNormal(rng, c.Weight)
	}
	return c
}

// Forward returns the samples. Values may lie a little outside of [0,1].
func (d *Decoder) Forward(x autograd.Var) autograd.Var {
	first := d.Sizes[0]
	x = autograd.ReLU(d.Start.Forward(d.Norm.Forward(x)))
	x = autograd.Reshape(x, x.Dim(0), x.Dim(1)/(first[0]*first[1]), first[0], first[1])
	for i, size := range d.Sizes[1:] {
		x = autograd.ReLU(d.Blocks[i].Forward(autograd.ResizeNearest(x, size[0], size[1])))
	}
	return autograd.Add(d.Out.Forward(x), x.Tape().Param(d.Mean))
}

// Walk names norm, start, blocks, out and mean.
func (d *Decoder) Walk(w *nn.Walker) {
	w.Child("norm", d.Norm)
	w.Child("start", d.Start)
	for i, b := range d.Blocks {
		w.Child(fmt.Sprintf("blocks.%d", i), b)
	}
	w.Child("out", d.Out)
	w.Param("mean", d.Mean)
}

// Decode returns the samples [N, C, H, W] for features [N, d].
func (d *Decoder) Decode(features *tensor.Tensor) *tensor.Tensor {
	n := features.Dim(0)
	shape := d.Mean.Value().Shape()
	out := tensor.New(append([]int{n}, shape[1:]...)...)
	tape := autograd.NewTape(autograd.Inference, 0)
	const part = 250
	for lo := 0; lo < n; lo += part {
		hi := min(lo+part, n)
		tape.Reset()
		copy(out.Slice(lo, hi).Data(), d.Forward(tape.Input(features.Slice(lo, hi))).Value().Data())
	}
	return out
}

// Error returns the mean squared error per value of the decoder's outputs, and the
// explained share of the variance about the mean of the training samples: 1 if exact, 0 if
// no better than that mean, and negative if worse. Compare the shares of two networks, on
// samples that the decoder was not trained on.
func (d *Decoder) Error(features, samples *tensor.Tensor) (mse, explained float64) {
	if samples.Rank() != 4 || samples.Dim(0) != features.Dim(0) || samples.Dim(0) == 0 || samples.Len()/samples.Dim(0) != d.Mean.Value().Len() {
		tensor.Panic("ssl.Decoder.Error", "want features [N, d] of samples [N, C, H, W]", features.Shape(), samples.Shape())
	}
	made := d.Decode(features).Data()
	mean := d.Mean.Value().Data()
	var about float64
	for i, v := range samples.Data() {
		off, plain := float64(made[i])-float64(v), float64(mean[i%len(mean)])-float64(v)
		mse += off * off
		about += plain * plain
	}
	explained = 1 - mse/max(about, tiny)
	return mse / float64(samples.Len()), explained
}
