package recipes

import (
	"github.com/mettleml/mettle/longtail"
	"github.com/mettleml/mettle/nn/eval"
)

// A Result is what came out of a [Job].
type Result struct {
	Steps   int     `json:"steps"`
	Samples int     `json:"samples"` // passed forward and back: the image-steps of this stage
	Seconds float64 `json:"seconds"` // of training, beside whatever else the machine did

	Report longtail.Report `json:"report"` // of the last epoch
	MCE    float64         `json:"mce"`
	NLL    float64         `json:"nll"`
	Brier  float64         `json:"brier"`
	Bins   []eval.Bin      `json:"bins"`

	Last5 float64 `json:"acc_last5,omitempty"` // mean accuracy of the last five epochs
	Best  float64 `json:"acc_best,omitempty"`  // of the epochs that were tested: chosen on the test set
	Curve []Point `json:"curve,omitempty"`
	Bank  int     `json:"bank,omitempty"` // exemplars of phase II
	Pool  int     `json:"pool,omitempty"` // samples that phase II trains on
}

// A Point is an epoch of training.
type Point struct {
	Epoch      int                  `json:"epoch"`              // from 1
	Loss       float64              `json:"loss"`               // mean over the epoch's steps
	Right      float64              `json:"right"`              // share of the augmented training samples
	Retained   float64              `json:"retained,omitempty"` // mean memory-retentive loss
	Test       *Shots               `json:"test,omitempty"`     // of the epochs that were tested
	Distortion *longtail.Distortion `json:"distortion,omitempty"`
}

// Shots are accuracies by groups of classes.
type Shots struct {
	Acc      float64  `json:"acc"`
	Balanced float64  `json:"balanced"`
	Many     *float64 `json:"many,omitempty"`
	Medium   *float64 `json:"medium,omitempty"`
	Few      *float64 `json:"few,omitempty"`
}

// ended adds what follows from the network and from the curve at the end.
func (r *Result) ended(out *eval.Outputs, g longtail.Groups) {
	c := out.Calibration(0)
	r.Report, r.MCE, r.NLL, r.Brier, r.Bins = longtail.Measure(out, g), c.MCE, c.NLL, c.Brier, c.Bins
	var tested []float64
	for _, p := range r.Curve {
		if p.Test != nil {
			tested = append(tested, p.Test.Acc)
			r.Best = max(r.Best, p.Test.Acc)
		}
	}
	if n := min(len(tested), lastEpochs); n > 0 {
		for _, acc := range tested[len(tested)-n:] {
			r.Last5 += acc / float64(n)
		}
	}
}
