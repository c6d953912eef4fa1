package longtail

import (
	"fmt"
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// TauNormalized returns a classifier with the rows w_c / ‖w_c‖^τ of l and no bias (Kang et
// al., "Decoupling representation and classifier for long-tailed recognition", 2020). 0
// does not change the rows, 1 makes their lengths 1; choose τ in [0, 1], in steps of 0.1,
// on validation data. It panics if τ is not finite.
func TauNormalized(l *nn.Linear, tau float64) *nn.Linear {
	if math.IsNaN(tau) || math.IsInf(tau, 0) {
		tensor.Panic("longtail.TauNormalized", fmt.Sprintf("tau %v", tau))
	}
	w := l.Weight.Value().Clone()
	for r := range w.Dim(0) {
		row := w.Index(r).Data()
		kernel.Scale(row, row, float32(math.Pow(max(kernel.Norm2(row), tiny), -tau)))
	}
	return &nn.Linear{Weight: autograd.NewParam(w)}
}

// An LWS scales the logits of a classifier by one learned factor per class: z_c =
// f_c·(w_c·x + b_c) (learnable weight scaling; Kang et al., 2020). Stage two trains the
// factors alone, with samples balanced over classes; MiSLAS trains the classifier too, at a
// lower rate.
type LWS struct {
	Head  nn.Module
	Scale *autograd.Param // [classes], 1 at first
}

// NewLWS returns an LWS for a head with the given number of classes, and freezes the head.
// Unfreeze it by nn.SetFrozen to train both, as MiSLAS does: see the example of [Retrain].
// It panics unless classes is positive.
func NewLWS(head nn.Module, classes int) *LWS {
	if classes < 1 {
		tensor.Panic("longtail.NewLWS", fmt.Sprintf("%d classes", classes))
	}
	nn.SetFrozen(head, true)
	l := &LWS{head, autograd.NewParam(tensor.New(classes))}
	nn.Constant(l.Scale, 1)
	return l
}

// Forward returns scaled logits. It panics if the head has another number of classes.
func (l *LWS) Forward(x autograd.Var) autograd.Var {
	z := l.Head.Forward(x)
	if z.Dim(-1) != l.Scale.Len() {
		tensor.Panic("longtail.LWS", fmt.Sprintf("scales of %d classes for the head's logits", l.Scale.Len()), z.Shape())
	}
	return autograd.Mul(z, x.Tape().Param(l.Scale))
}

// Walk names the contents of the head, and scale.
func (l *LWS) Walk(w *nn.Walker) {
	w.Child("head", l.Head)
	w.Param("scale", l.Scale)
}

// NCMOptions are the settings of [NewNCM]. The zero value compares unchanged features by
// the cosine. Kang et al. set all three.
type NCMOptions struct {
	Center    bool // subtract the mean of all features first
	Normalize bool // then scale every feature to length 1, before taking means
	Euclidean bool // logits are negative squared distances instead of cosines
}

// An NCM is a classifier without training: the logit of a class is the similarity of a
// feature to the mean of the class's training features (nearest class mean; Mensink et al.,
// 2013; for long tails Kang et al., 2020). It has buffers and no parameters.
type NCM struct {
	Means   *tensor.Tensor // [classes, in]
	Mean    *tensor.Tensor // [in], of all features; nil without Center
	Options NCMOptions
}

// NewNCM returns the classifier from features [N, in] of the training set, as eval.Collect
// returns them. It is an error if a class has none.
func NewNCM(features *eval.Outputs, classes int, o NCMOptions) (*NCM, error) {
	x := features.Y
	m := &NCM{Options: o}
	if o.Center {
		m.Mean = x.MeanAxis(0)
		x = x.Clone()
		for k := range x.Dim(0) {
			row := x.Index(k).Data()
			kernel.Sub(row, row, m.Mean.Data())
		}
	}
	if o.Normalize {
		x = unitRows(x)
	}
	var err error
	m.Means, err = ClassMeans(&eval.Outputs{Y: x, Labels: features.Labels}, classes)
	return m, err
}

// ClassMeans returns the mean feature of each class, [classes, in]. It is an error if a
// class has no sample or a label is out of range.
func ClassMeans(features *eval.Outputs, classes int) (*tensor.Tensor, error) {
	in := features.Y.Dim(1)
	sums, counts := make([]float64, classes*in), make([]int, classes)
	for k, c := range features.Labels {
		if c < 0 || c >= classes {
			return nil, fmt.Errorf("longtail: sample %d has label %d, outside [0, %d)", k, c, classes)
		}
		counts[c]++
		sum := sums[c*in : (c+1)*in]
		for i, v := range features.Y.Index(k).Data() {
			sum[i] += float64(v)
		}
	}
	means := tensor.New(classes, in)
	for c, n := range counts {
		if n == 0 {
			return nil, fmt.Errorf("longtail: class %d of %d has no samples", c, classes)
		}
		for i, v := range sums[c*in : (c+1)*in] {
			means.Data()[c*in+i] = float32(v / float64(n))
		}
	}
	return means, nil
}

// unitRows returns the rows of x [N, K], each divided by its length.
func unitRows(x *tensor.Tensor) *tensor.Tensor {
	y := x.Clone()
	for k := range y.Dim(0) {
		row := y.Index(k).Data()
		kernel.Scale(row, row, float32(1/max(kernel.Norm2(row), tiny)))
	}
	return y
}

// Forward returns logits [N, classes] of features [N, in].
func (m *NCM) Forward(x autograd.Var) autograd.Var {
	t := x.Tape()
	if m.Options.Center {
		x = autograd.Sub(x, t.Input(m.Mean))
	}
	if m.Options.Normalize {
		x = autograd.NormalizeRows(x, tiny)
	}
	means := t.Input(m.Means)
	if m.Options.Euclidean {
		return autograd.Neg(squaredDistances(x, means))
	}
	return autograd.MatMulT(autograd.NormalizeRows(x, tiny), autograd.NormalizeRows(means, tiny))
}

// Walk names means and mean.
func (m *NCM) Walk(w *nn.Walker) {
	w.Buffer("means", m.Means)
	w.Buffer("mean", m.Mean)
}

// RetrainOptions are the settings of [Retrain].
type RetrainOptions struct {
	// ShiftStatistics lets batch normalisation update its running statistics in stage two,
	// on the balanced samples, as MiSLAS does. By default they are frozen.
	ShiftStatistics bool
}

// Retrain prepares the second stage of two-stage training: it freezes the backbone, sets
// the classifier's head and returns the parameters to train. Train them for about ten
// epochs of the sampler [ClassBalanced]. With a new head this is cRT (classifier
// re-training; Kang et al., 2020); with an [LWS] of the old head it is learnable weight
// scaling:
//
//	params := longtail.Retrain(net, nn.NewLinear(rng, net.Backbone.Width(), classes), longtail.RetrainOptions{})
//	params := longtail.Retrain(net, longtail.NewLWS(net.Head, classes), longtail.RetrainOptions{})
//
// In Training mode dropout in the backbone still drops.
func Retrain(c *nn.Classifier, head nn.Module, o RetrainOptions) []*autograd.Param {
	nn.SetFrozen(c.Backbone, true)
	statistics := nn.Frozen
	if o.ShiftStatistics {
		statistics = nn.Running
	}
	nn.SetStatistics(c.Backbone, statistics)
	c.Head = head
	var params []*autograd.Param
	for _, p := range nn.Params(head) {
		if !p.Frozen() {
			params = append(params, p)
		}
	}
	return params
}
