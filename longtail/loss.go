package longtail

import (
	"cmp"
	"fmt"
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// A Loss maps the logits [N, C] of a batch and its N labels to a scalar. Most losses of
// this package are made from the class counts of the training set. [nn.CrossEntropy] is a
// Loss too.
type Loss func(logits autograd.Var, labels []int) autograd.Var

// Mixed is the loss of a batch that was mixed in pairs by mixup or CutMix: λ·loss(labels A)
// + (1-λ)·loss(labels B) (Zhang et al., "mixup: Beyond empirical risk minimization", 2018).
func Mixed(loss Loss, logits autograd.Var, p data.Pairs) autograd.Var {
	a, b := loss(logits, p.A), loss(logits, p.B)
	return autograd.Add(autograd.Scale(a, float32(p.Lambda)), autograd.Scale(b, float32(1-p.Lambda)))
}

// CrossEntropy is the mean of -w_y·log p_y over a batch, divided by the mean of w_y, as in
// PyTorch; p is the softmax of the logits. Nil weights mean 1.
func CrossEntropy(weights []float32) Loss {
	return func(logits autograd.Var, labels []int) autograd.Var {
		return autograd.CrossEntropy(logits, labels, autograd.CrossEntropyOptions{Weights: weights})
	}
}

// EffectiveWeights returns w_c = (1-β)/(1-β^{n_c}), the inverse of the effective number of
// samples of class c, scaled so that the sum over classes is their number (Cui et al.,
// "Class-balanced loss based on effective number of samples", 2019). Their β is 0.9999 for
// CIFAR-LT of 5,000 samples in the largest class; 0 gives 1 for every class. It panics if
// β is not in [0, 1) or a count is not positive.
func EffectiveWeights(counts []int, beta float64) []float32 {
	const op = "longtail.EffectiveWeights"
	extent(op, counts)
	if !(beta >= 0 && beta < 1) {
		tensor.Panic(op, fmt.Sprintf("beta %v is not in [0, 1)", beta))
	}
	inverse := make([]float64, len(counts))
	sum := 0.0
	for c, n := range counts {
		inverse[c] = (1 - beta) / -math.Expm1(float64(n)*math.Log(beta))
		sum += inverse[c]
	}
	weights := make([]float32, len(counts))
	for c, v := range inverse {
		weights[c] = float32(v / sum * float64(len(counts)))
	}
	return weights
}

// DRW, deferred re-weighting, gives classes equal weights until epoch Start, and then
// weighs them by their effective numbers (Cao et al., 2019).
type DRW struct {
	Start int     // the first epoch with weights; 0 means 160, of 200
	Beta  float64 // see [EffectiveWeights]; 0 means 0.9999
}

// Weights returns the weights for an epoch, nil before Start. LDAM-DRW is
//
//	loss := longtail.LDAM(counts, longtail.LDAMOptions{Weights: longtail.DRW{}.Weights(counts, epoch)})
func (d DRW) Weights(counts []int, epoch int) []float32 {
	if epoch < cmp.Or(d.Start, 160) {
		return nil
	}
	return EffectiveWeights(counts, cmp.Or(d.Beta, 0.9999))
}

// FocalOptions are the settings of [Focal].
type FocalOptions struct {
	Weights []float32 // of the classes; nil means 1; see [EffectiveWeights]

	// WeightedP sets p_y to exp(-w_y·ce) instead of exp(-ce), as the program of Cao et al.
	// does; the weights then change the focus too.
	WeightedP bool
}

// Focal is the mean over a batch of w_y·(1-p_y)^γ·ce with ce = -log p_y (Lin et al., "Focal
// loss for dense object detection", 2017, with γ = 2; Cao et al. use 1). It panics if γ is
// negative or not finite.
func Focal(gamma float64, o FocalOptions) Loss {
	const op = "longtail.Focal"
	if !(gamma >= 0) || math.IsInf(gamma, 1) {
		tensor.Panic(op, fmt.Sprintf("gamma %v", gamma))
	}
	return func(logits autograd.Var, labels []int) autograd.Var {
		if o.Weights != nil && len(o.Weights) != logits.Dim(-1) {
			tensor.Panic(op, fmt.Sprintf("%d weights", len(o.Weights)), logits.Shape())
		}
		ce := autograd.CrossEntropy(logits, labels, autograd.CrossEntropyOptions{Reduction: autograd.ReduceNone})
		return autograd.Mean(autograd.Apply(&focal{gamma, o, labels}, ce))
	}
}

// focal maps the cross-entropy u of each row to w·(1-e^{-su})^γ·u; s is 1 or the weight.
type focal struct {
	gamma  float64
	o      FocalOptions
	labels []int
}

func (f *focal) Shape(x [][]int) []int { return x[0] }

func (f *focal) scales(k int) (w, s float64) {
	w, s = 1, 1
	if f.o.Weights != nil {
		w = float64(f.o.Weights[f.labels[k]])
	}
	if f.o.WeightedP {
		s = w
	}
	return w, s
}

func (f *focal) Forward(y *tensor.Tensor, x []*tensor.Tensor) {
	for k, u := range x[0].Data() {
		w, s := f.scales(k)
		y.Data()[k] = float32(w * math.Pow(-math.Expm1(-s*float64(u)), f.gamma) * float64(u))
	}
}

func (f *focal) Backward(dx []*tensor.Tensor, dy, _ *tensor.Tensor, x []*tensor.Tensor) {
	for k, u := range x[0].Data() {
		w, s := f.scales(k)
		su := s * float64(u)
		wrong := -math.Expm1(-su)
		// The derivative of wrong^γ·u is wrong^γ·(1 + γ·(1-wrong)·su/wrong), and
		// su/wrong tends to 1.
		ratio := 1.0
		if wrong > 0 {
			ratio = su / wrong
		}
		slope := math.Pow(wrong, f.gamma) * (1 + f.gamma*math.Exp(-su)*ratio)
		dx[0].Data()[k] = float32(float64(dy.Data()[k]) * w * slope)
	}
}

// LDAMOptions are the settings of [LDAM].
type LDAMOptions struct {
	MaxMargin float64   // of the rarest class; 0 means 0.5
	Scale     float64   // s; 0 means 30
	Weights   []float32 // of the classes; nil means 1; see [DRW]
}

// LDAM demands a larger margin of classes with fewer samples (Cao et al., "Learning
// imbalanced datasets with label-distribution-aware margin loss", 2019). It takes cosines
// [N, C], those of a [Cosine] head of scale 1, and is the cross-entropy, as [CrossEntropy]
// weighs it, of
//
//	s·(z_c - Δ_c) for the label c = y, and s·z_c for the others,
//
// with Δ_c proportional to n_c^{-1/4} and equal to MaxMargin for the rarest class. It
// panics if an option is negative, or a count not positive.
func LDAM(counts []int, o LDAMOptions) Loss {
	const op = "longtail.LDAM"
	margins := Margins(counts, o.MaxMargin)
	scale := float32(cmp.Or(o.Scale, 30))
	if !(scale > 0) {
		tensor.Panic(op, fmt.Sprintf("scale %v", o.Scale))
	}
	weighted := CrossEntropy(o.Weights)
	return func(cosines autograd.Var, labels []int) autograd.Var {
		checkClasses(op, cosines, labels, len(counts))
		return weighted(autograd.Apply(&margin{margins, scale, labels}, cosines), labels)
	}
}

// Margins returns Δ_c of [LDAM]; largest 0 means 0.5.
func Margins(counts []int, largest float64) []float64 {
	const op = "longtail.Margins"
	lo, _ := extent(op, counts)
	largest = cmp.Or(largest, 0.5)
	if !(largest > 0) || math.IsInf(largest, 1) {
		tensor.Panic(op, fmt.Sprintf("a margin of %v", largest))
	}
	list := make([]float64, len(counts))
	for c, n := range counts {
		list[c] = largest * math.Pow(float64(lo)/float64(n), 0.25)
	}
	return list
}

// margin subtracts the label's margin from its cosine, and scales.
type margin struct {
	margins []float64
	scale   float32
	labels  []int
}

func (m *margin) Shape(x [][]int) []int { return x[0] }

func (m *margin) Forward(y *tensor.Tensor, x []*tensor.Tensor) {
	for i, v := range x[0].Data() {
		y.Data()[i] = m.scale * v
	}
	for k, c := range m.labels {
		y.Data()[k*len(m.margins)+c] -= float32(float64(m.scale) * m.margins[c])
	}
}

func (m *margin) Backward(dx []*tensor.Tensor, dy, _ *tensor.Tensor, _ []*tensor.Tensor) {
	for i, v := range dy.Data() {
		dx[0].Data()[i] = m.scale * v
	}
}

// BalancedSoftmax is the cross-entropy of z_c + log n_c (Ren et al., "Balanced meta-softmax
// for long-tailed visual recognition", 2020): [LogitAdjustment] with τ = 1, up to a
// constant. At test time predict from z without the term.
func BalancedSoftmax(counts []int) Loss {
	extent("longtail.BalancedSoftmax", counts)
	return adjusted("longtail.BalancedSoftmax", logs(counts, 1, 1))
}

// LogitAdjustment is the cross-entropy of z_c + τ·log π_c with π_c = n_c/N (Menon et al.,
// "Long-tail learning via logit adjustment", 2021). At test time predict from z without the
// term. [PostHoc] instead adjusts at test time only. It panics if τ is not finite or a
// count is not positive.
func LogitAdjustment(counts []int, tau float64) Loss {
	return adjusted("longtail.LogitAdjustment", priors("longtail.LogitAdjustment", counts, tau))
}

// adjusted is the cross-entropy of logits plus an offset for each class.
func adjusted(op string, offsets *tensor.Tensor) Loss {
	return func(logits autograd.Var, labels []int) autograd.Var {
		checkClasses(op, logits, labels, offsets.Len())
		return nn.CrossEntropy(autograd.Add(logits, logits.Tape().Input(offsets)), labels)
	}
}

// PostHoc subtracts τ·log π_c from the logits of a network that was trained by plain
// cross-entropy, at test time only (Menon et al., 2021); π_c is the share of class c in
// counts. Apply it to outputs by eval's Through. τ is 1, or chosen on validation data.
// Never use it on a network that was trained by [BalancedSoftmax] or [LogitAdjustment]. It
// panics if τ is not finite or a count is not positive.
func PostHoc(counts []int, tau float64) nn.Module {
	const op = "longtail.PostHoc"
	offsets := priors(op, counts, -tau)
	return nn.Func(func(logits autograd.Var) autograd.Var {
		if logits.Dim(-1) != offsets.Len() {
			tensor.Panic(op, fmt.Sprintf("logits for %d classes", offsets.Len()), logits.Shape())
		}
		return autograd.Add(logits, logits.Tape().Input(offsets))
	})
}

// priors returns tau·log(n_c/N).
func priors(op string, counts []int, tau float64) *tensor.Tensor {
	extent(op, counts)
	if math.IsNaN(tau) || math.IsInf(tau, 0) {
		tensor.Panic(op, fmt.Sprintf("tau %v", tau))
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	return logs(counts, tau, total)
}

// logs returns tau·log(n_c/total).
func logs(counts []int, tau float64, total int) *tensor.Tensor {
	t := tensor.New(len(counts))
	for c, n := range counts {
		t.Data()[c] = float32(tau * math.Log(float64(n)/float64(total)))
	}
	return t
}

// LabelAwareSmoothing smooths the labels of large classes more, because a network is more
// confident of them (Zhong et al., "Improving calibration for long-tailed recognition",
// MiSLAS, 2021): the mean over a batch of
//
//	(1-ε_y)·(-log p_y) + ε_y·(mean over classes of -log p_c),
//	ε_c = tail + (head-tail)·sin(π/2·(n_c-n_min)/(n_max-n_min)).
//
// For CIFAR100-LT of imbalance 100 they have head 0.4 and tail 0.1. Where all counts are
// equal ε is head. It panics unless 0 <= tail <= head < 1 and counts are positive.
func LabelAwareSmoothing(counts []int, head, tail float64) Loss {
	const op = "longtail.LabelAwareSmoothing"
	epsilon := tensor.FromSlice(Smoothing(counts, head, tail), len(counts), 1)
	return func(logits autograd.Var, labels []int) autograd.Var {
		checkClasses(op, logits, labels, len(counts))
		logp := autograd.LogSoftmax(logits)
		e := autograd.Reshape(autograd.GatherCopy(logits.Tape().Input(epsilon), labels), len(labels))
		sharp := autograd.Mul(autograd.Affine(e, -1, 1), autograd.Pick(logp, labels))
		smooth := autograd.Mul(e, autograd.MeanAxes(logp, 1))
		return autograd.Neg(autograd.Mean(autograd.Add(sharp, smooth)))
	}
}

// Smoothing returns ε_c of [LabelAwareSmoothing].
func Smoothing(counts []int, head, tail float64) []float32 {
	const op = "longtail.Smoothing"
	lo, hi := extent(op, counts)
	if !(tail >= 0 && tail <= head && head < 1) {
		tensor.Panic(op, fmt.Sprintf("smoothing of %v for the head and %v for the tail", head, tail))
	}
	list := make([]float32, len(counts))
	for c, n := range counts {
		at := 1.0
		if hi > lo {
			at = float64(n-lo) / float64(hi-lo)
		}
		list[c] = float32(tail + (head-tail)*math.Sin(math.Pi/2*at))
	}
	return list
}

// checkClasses panics for op unless logits are [N, classes] with a label for each row.
func checkClasses(op string, logits autograd.Var, labels []int, classes int) {
	if logits.Rank() != 2 || logits.Dim(1) != classes || logits.Dim(0) != len(labels) {
		tensor.Panic(op, fmt.Sprintf("%d labels and counts of %d classes", len(labels), classes), logits.Shape())
	}
	for k, y := range labels {
		if y < 0 || y >= classes {
			tensor.Panic(op, fmt.Sprintf("label %d of row %d is not one of %d classes", y, k, classes))
		}
	}
}
