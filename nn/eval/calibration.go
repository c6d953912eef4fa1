package eval

import (
	"fmt"
	"math"

	"github.com/mettleml/mettle/tensor"
)

// A Calibration says how well a classifier's confidence, the largest probability of its
// softmax, agrees with its accuracy (Guo et al., "On calibration of modern neural
// networks", 2017). Everything is computed in float64.
type Calibration struct {
	// ECE, the expected calibration error, is the mean over samples of the distance
	// between accuracy and mean confidence of the sample's bin: Σ |B|/N |acc(B) - conf(B)|.
	ECE float64

	// MCE, the maximum calibration error, is the largest such distance of a bin that is
	// not empty.
	MCE float64

	// NLL is the mean negative log-likelihood of the label under the softmax, in nats.
	NLL float64

	// Brier is the mean over samples of the squared distance, summed over all classes,
	// between the probabilities and the label's indicator: in [0, 2] (Brier, 1950).
	Brier float64

	Bins []Bin // of equal width, from low confidence to high
}

// A Bin holds the samples whose confidence is in (Lo, Hi].
type Bin struct {
	Lo, Hi     float64
	Count      int
	Confidence float64 // mean; 0 if the bin is empty
	Accuracy   float64 // share of correct predictions; 0 if the bin is empty
}

// Gap returns the accuracy minus the confidence: negative where the network is
// overconfident.
func (b Bin) Gap() float64 { return b.Accuracy - b.Confidence }

// Calibration measures the calibration of logits with the given number of bins; 0 means 15.
// A prediction is the class of the largest logit, the first of equal ones. It panics if a
// logit is NaN.
func (o *Outputs) Calibration(bins int) Calibration {
	const op = "eval.Outputs.Calibration"
	n := float64(len(o.Labels))
	confidence := make([]float64, len(o.Labels))
	right := make([]bool, len(o.Labels))
	var c Calibration
	o.rows(op, func(k int, z []float32, label int) {
		best := first(z)
		top := float64(z[best])
		sum := 0.0
		for _, v := range z {
			sum += math.Exp(float64(v) - top)
		}
		confidence[k], right[k] = 1/sum, best == label
		c.NLL += (math.Log(sum) + top - float64(z[label])) / n
		for i, v := range z {
			p := math.Exp(float64(v)-top) / sum
			if i == label {
				p--
			}
			c.Brier += p * p / n
		}
	})
	c.ECE, c.MCE, c.Bins = Reliability(confidence, right, bins)
	return c
}

// Reliability returns the expected and the maximum calibration error of predictions, and
// their bins. Prediction i has confidence[i] in [0,1], and right[i] says whether it is
// correct. A confidence c is in bin ceil(c·bins) - 1, counted from 0; a confidence of 0 is
// in bin 0. 0 bins means 15. It panics if the lengths differ or are 0, or a confidence is
// not in [0,1].
func Reliability(confidence []float64, right []bool, bins int) (ece, mce float64, list []Bin) {
	const op = "eval.Reliability"
	if bins == 0 {
		bins = 15
	}
	if bins < 0 || len(confidence) != len(right) || len(right) == 0 {
		tensor.Panic(op, fmt.Sprintf("%d bins for %d confidences of %d predictions", bins, len(confidence), len(right)))
	}
	list = make([]Bin, bins)
	for i := range list {
		list[i].Lo, list[i].Hi = float64(i)/float64(bins), float64(i+1)/float64(bins)
	}
	for k, c := range confidence {
		if !(c >= 0 && c <= 1) {
			tensor.Panic(op, fmt.Sprintf("confidence %v of prediction %d is not in [0,1]", c, k))
		}
		b := &list[max(int(math.Ceil(c*float64(bins)))-1, 0)]
		b.Count++
		b.Confidence += c
		if right[k] {
			b.Accuracy++
		}
	}
	for i := range list {
		b := &list[i]
		if b.Count == 0 {
			continue
		}
		b.Confidence /= float64(b.Count)
		b.Accuracy /= float64(b.Count)
		gap := math.Abs(b.Gap())
		ece += gap * float64(b.Count) / float64(len(right))
		mce = max(mce, gap)
	}
	return ece, mce, list
}
