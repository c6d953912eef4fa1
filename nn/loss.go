package nn

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// CrossEntropy returns the mean negative log-likelihood of labels under the softmax of
// logits [N, K]. It panics if a label is out of range or N is 0. [autograd.CrossEntropy]
// also has class weights, label smoothing and other reductions; [autograd.SoftCrossEntropy]
// takes distributions.
func CrossEntropy(logits autograd.Var, labels []int) autograd.Var {
	return autograd.CrossEntropy(logits, labels, autograd.CrossEntropyOptions{})
}

// Margin returns the mean of max(z[y] - max over k≠y of z[k], -confidence) over the rows z
// of logits [N, K] and their labels y: the loss that an untargeted attack minimises
// (Carlini and Wagner, 2017). For targeted attacks see [TargetedMargin].
func Margin(logits autograd.Var, labels []int, confidence float32) autograd.Var {
	own, other := autograd.Pick(logits, labels), autograd.MaxRow(logits, labels)
	return hinge(autograd.Sub(own, other), confidence)
}

// TargetedMargin returns the mean of max(max over k≠t of z[k] - z[t], -confidence) over
// rows z and their targets t: the loss that a targeted attack minimises.
func TargetedMargin(logits autograd.Var, targets []int, confidence float32) autograd.Var {
	own, other := autograd.Pick(logits, targets), autograd.MaxRow(logits, targets)
	return hinge(autograd.Sub(other, own), confidence)
}

func hinge(d autograd.Var, confidence float32) autograd.Var {
	return autograd.Mean(autograd.AddScalar(autograd.ReLU(autograd.AddScalar(d, confidence)), -confidence))
}

// Hinge returns the mean over rows of the multi-class hinge loss max(0, margin +
// max over k≠y of z[k] - z[y]) (Crammer and Singer, 2001).
func Hinge(logits autograd.Var, labels []int, margin float32) autograd.Var {
	own, other := autograd.Pick(logits, labels), autograd.MaxRow(logits, labels)
	return autograd.Mean(autograd.ReLU(autograd.AddScalar(autograd.Sub(other, own), margin)))
}

// MSE returns the mean squared difference of a and b.
func MSE(a, b autograd.Var) autograd.Var { return autograd.MSE(a, b) }

// L1 returns the mean absolute difference of a and b.
func L1(a, b autograd.Var) autograd.Var { return autograd.L1(a, b) }

// KL returns the mean over rows of the Kullback-Leibler divergence KL(target ‖
// softmax(logits)), in nats. Rows of target are distributions.
func KL(logits, target autograd.Var) autograd.Var {
	return autograd.KLDiv(autograd.LogSoftmax(logits), target)
}

// Cosine returns the mean over rows of 1 - cos(a, b).
func Cosine(a, b autograd.Var) autograd.Var {
	return autograd.Affine(autograd.Mean(autograd.CosineSimilarity(a, b, 1e-8)), -1, 1)
}

// Accuracy returns the share of rows of logits [N, K] whose largest entry is at the label;
// of equal entries the first counts. It panics if N is 0 or there are not N labels.
func Accuracy(logits *tensor.Tensor, labels []int) float64 {
	const op = "nn.Accuracy"
	if logits.Rank() != 2 || logits.Dim(0) != len(labels) || len(labels) == 0 {
		tensor.Panic(op, fmt.Sprintf("want logits [N, K] for %d labels, at least one", len(labels)), logits.Shape())
	}
	k := logits.Dim(1)
	right := 0
	for i, y := range labels {
		best := 0
		row := logits.Data()[i*k : (i+1)*k]
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		if best == y {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}
