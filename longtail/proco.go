package longtail

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// ProCoOptions are the settings of [NewProCo]. The zero value has those of its authors for
// CIFAR-LT.
type ProCoOptions struct {
	Temperature float64 // τ; 0 means 0.1
	Weight      float64 // of the contrastive term; 0 means 1
}

// A ProCo is the loss of probabilistic contrastive learning (Du, Wang, Song and Huang,
// "Probabilistic contrastive learning for long-tailed visual recognition", 2024), and its
// state. Contrastive losses compare a sample with the others of its batch, but rare classes
// have few others there. ProCo assumes that the features of class c, unit vectors in d
// dimensions, have a von Mises-Fisher distribution. It estimates the mean direction μ_c and
// the concentration κ_c from the features seen, and compares a sample's feature z with the
// whole distribution, in closed form. The logit of class c is
//
//	log of the mean of exp(<z, v>/τ) over features v of the class = g(‖κ_c·μ_c + z/τ‖) - g(κ_c)
//	g(κ) = log I_ν(κ) - ν·log κ,   ν = d/2 - 1
//
// for the modified Bessel function I. The loss is [LogitAdjustment] with τ = 1 on these
// logits, added to the same loss on the classifier's logits.
//
// A projection beside the head makes the features, from two views of each sample; a third
// view is for the classifier. In the authors' program this view has pad-and-crop, flip,
// AutoAugment and Cutout; the others have a random resized crop, flip, colour jitter and
// grayscale. With a loader that has three Views, a step with n samples is
//
//	proco.Begin(epoch)
//	f := net.Backbone.Forward(tape.Input(batch.X)) // [3n, width]
//	z := autograd.NormalizeRows(projection.Forward(f), 1e-12)
//	logits := autograd.NarrowCopy(net.Head.Forward(f), 0, 0, n, 1)
//	features := autograd.NarrowCopy(z, 0, n, 3*n, 1)
//	loss := proco.Loss(logits, features, batch.Y)
//
// where [NewProjection] makes the projection. The optimiser gets the parameters of both,
// and prediction is by the network without the projection. The authors train ResNet-32 for
// 200 epochs with batches of 256, by SGD with momentum 0.9 and weight decay 2e-4. The
// learning rate is 0.3 after a warm-up of 5 epochs, and is multiplied by 0.1 at epochs 160
// and 180. An epoch takes three passes per sample.
//
// A ProCo is an nn.Tree, so checkpoints keep its distributions. Only one goroutine at a
// time may use it.
type ProCo struct {
	// Mean [C, d] and Count [C] are over the features of the last epoch and of this one so
	// far; the logits follow from them. NextMean and NextCount are over this epoch alone.
	Mean, Count         *tensor.Tensor
	NextMean, NextCount *tensor.Tensor
	Epoch               *int64 // current epoch, set by Begin

	Options ProCoOptions
	adjust  Loss
}

// NewProCo returns the state for classes with the given counts and features with dims
// dimensions (the authors use 128). Until its first sample, a class has the direction of an
// axis and the concentration of a mean of length 0.9. It panics if a count is not positive,
// there are fewer than two dimensions, or an option is out of range.
func NewProCo(counts []int, dims int, o ProCoOptions) *ProCo {
	const op = "longtail.NewProCo"
	extent(op, counts)
	if dims < 2 {
		tensor.Panic(op, fmt.Sprintf("features of %d dimensions", dims))
	}
	for _, v := range []float64{o.Temperature, o.Weight} {
		if !(v >= 0) || math.IsInf(v, 1) {
			tensor.Panic(op, fmt.Sprintf("temperature %v, weight %v", o.Temperature, o.Weight))
		}
	}
	p := &ProCo{
		Mean: tensor.New(len(counts), dims), Count: tensor.New(len(counts)),
		NextMean: tensor.New(len(counts), dims), NextCount: tensor.New(len(counts)),
		Epoch: new(int64), Options: o,
		adjust: LogitAdjustment(counts, 1),
	}
	unknown(p.Mean)
	unknown(p.NextMean)
	return p
}

// unknown sets means of which nothing is known.
func unknown(mean *tensor.Tensor) {
	clear(mean.Data())
	for c := range mean.Dim(0) {
		mean.Set(0.9, c, c%mean.Dim(1))
	}
}

// NewProjection returns ProCo's projection of features of width in to dims numbers: a
// linear layer to 512, batch normalisation, ReLU, and a linear layer.
func NewProjection(seed uint64, in, dims int) *nn.Sequential {
	rng := stream(seed, drawProjection)
	return nn.NewSequential(nn.NewLinear(rng, in, 512), nn.NewBatchNorm(512), nn.ReLU{}, nn.NewLinear(rng, 512, dims))
}

// Begin begins an epoch, counted from 0: the statistics of the last epoch now determine the
// logits, and those of the new one start empty. It does nothing if the epoch has begun, so
// it may be called before every step. It panics if a later epoch has begun.
func (p *ProCo) Begin(epoch int) {
	if int64(epoch) < *p.Epoch {
		tensor.Panic("longtail.ProCo.Begin", fmt.Sprintf("epoch %d after epoch %d", epoch, *p.Epoch))
	}
	if int64(epoch) == *p.Epoch {
		return
	}
	*p.Epoch = int64(epoch)
	copy(p.Mean.Data(), p.NextMean.Data())
	copy(p.Count.Data(), p.NextCount.Data())
	unknown(p.NextMean)
	clear(p.NextCount.Data())
}

// Update adds features [N, d], unit vectors, to the distributions of their labels. It
// panics if the shapes do not fit or a label is out of range.
func (p *ProCo) Update(features *tensor.Tensor, labels []int) {
	const op = "longtail.ProCo.Update"
	if features.Rank() != 2 || features.Dim(1) != p.Mean.Dim(1) || features.Dim(0) != len(labels) {
		tensor.Panic(op, fmt.Sprintf("%d labels and means of classes", len(labels)), features.Shape(), p.Mean.Shape())
	}
	for k, c := range labels {
		if c < 0 || c >= p.Count.Len() {
			tensor.Panic(op, fmt.Sprintf("label %d of row %d is not one of %d classes", c, k, p.Count.Len()))
		}
	}
	dims := features.Dim(1)
	for k, c := range labels {
		x := features.Data()[k*dims : (k+1)*dims]
		for _, e := range []struct{ mean, count *tensor.Tensor }{{p.Mean, p.Count}, {p.NextMean, p.NextCount}} {
			mean, n := e.mean.Data()[c*dims:(c+1)*dims], &e.count.Data()[c]
			*n++
			kernel.Lerp(mean, mean, x, 1 / *n)
		}
	}
}

// Concentration returns an estimate of the concentration κ of a von Mises-Fisher
// distribution, from the length R of the mean of unit vectors in d dimensions:
// R(d-R²)/(1-R²) (Banerjee et al., "Clustering on the unit hypersphere using von
// Mises-Fisher distributions", 2005), but at most 1e5, as in ProCo.
func Concentration(length float64, dims int) float64 {
	r := length * length
	if r >= 1 {
		return 1e5
	}
	return min(length*(float64(dims)-r)/(1-r), 1e5)
}

// Logits returns the logits [N, C] of features [N, d], unit vectors, from the present
// distributions. Gradients flow to the features alone. It panics if the shape does not fit.
func (p *ProCo) Logits(features autograd.Var) autograd.Var {
	if features.Rank() != 2 || features.Dim(1) != p.Mean.Dim(1) {
		tensor.Panic("longtail.ProCo.Logits", fmt.Sprintf("features of %d dimensions", p.Mean.Dim(1)), features.Shape())
	}
	dims := p.Mean.Dim(1)
	f := &contrast{inverse: 1 / cmp.Or(p.Options.Temperature, 0.1), nu: float64(dims)/2 - 1}
	for c := range p.Count.Len() {
		k := Concentration(kernel.Norm2(p.Mean.Index(c).Data()), dims)
		g, _ := vonMises(f.nu, k)
		f.kappa, f.g = append(f.kappa, k), append(f.g, g)
	}
	cosines := autograd.MatMulT(features, features.Tape().Input(unitRows(p.Mean)))
	return autograd.Apply(f, cosines, autograd.SumAxes(autograd.Square(features), 1))
}

// Loss takes the logits [N, C] of one view of a batch and the features [V·N, d] of others,
// view after view, unit vectors. It adds the features to the distributions and returns
//
//	LogitAdjustment(logits) + Weight·LogitAdjustment(Logits(features)).
//
// It panics if the shapes do not fit.
func (p *ProCo) Loss(logits, features autograd.Var, labels []int) autograd.Var {
	n := len(labels)
	if n == 0 || features.Rank() != 2 || features.Dim(0)%n != 0 || features.Dim(0) == 0 {
		tensor.Panic("longtail.ProCo.Loss", fmt.Sprintf("%d labels for views of their samples", n), features.Shape())
	}
	all := slices.Repeat(labels, features.Dim(0)/n)
	p.Update(features.Value(), all)
	contrastive := p.adjust(p.Logits(features), all)
	return autograd.Add(p.adjust(logits, labels), autograd.Scale(contrastive, float32(cmp.Or(p.Options.Weight, 1))))
}

// Walk names mean, count, next_mean, next_count and epoch.
func (p *ProCo) Walk(w *nn.Walker) {
	w.Buffer("mean", p.Mean)
	w.Buffer("count", p.Count)
	w.Buffer("next_mean", p.NextMean)
	w.Buffer("next_count", p.NextCount)
	w.Counter("epoch", p.Epoch)
}

// contrast makes g(κ') - g(κ) of the inner products of features with mean directions and
// of their squared lengths.
type contrast struct {
	kappa, g    []float64
	inverse, nu float64 // 1/τ
	slope       []float64
}

func (f *contrast) Shape(x [][]int) []int { return x[0] }

func (f *contrast) Forward(y *tensor.Tensor, x []*tensor.Tensor) {
	classes := len(f.kappa)
	f.slope = make([]float64, y.Len())
	for i, square := range x[1].Data() {
		from, to := i*classes, (i+1)*classes
		cosines, logits, slope := x[0].Data()[from:to], y.Data()[from:to], f.slope[from:to]
		for c, k := range f.kappa {
			s := k*k + f.inverse*(f.inverse*float64(square)+2*k*float64(cosines[c]))
			at := math.Sqrt(max(s, 0))
			g, a := vonMises(f.nu, at)
			logits[c] = float32(g - f.g[c])
			// The derivative to s; a is at/(2ν+2) near 0.
			slope[c] = 1 / (4*f.nu + 4)
			if at > 0 {
				slope[c] = a / (2 * at)
			}
		}
	}
}

func (f *contrast) Backward(dx []*tensor.Tensor, dy, _ *tensor.Tensor, x []*tensor.Tensor) {
	classes := len(f.kappa)
	for i := range x[1].Len() {
		sum := 0.0
		for c, k := range f.kappa {
			ds := float64(dy.Data()[i*classes+c]) * f.slope[i*classes+c]
			sum += ds
			if dx[0] != nil {
				dx[0].Data()[i*classes+c] = float32(ds * 2 * k * f.inverse)
			}
		}
		if dx[1] != nil {
			dx[1].Data()[i] = float32(sum * f.inverse * f.inverse)
		}
	}
}
