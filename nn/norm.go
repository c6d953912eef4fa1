package nn

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// Statistics says which mean and variance a [BatchNorm] uses.
type Statistics uint8

const (
	// Running is the usual behaviour: in Training mode the statistics of the batch, which
	// also update the running estimates; in the other modes the running estimates.
	Running Statistics = iota

	// Frozen uses the running estimates in every mode and does not update them.
	Frozen

	// Batch uses the statistics of the batch in every mode. In Training mode they also
	// update the running estimates.
	Batch
)

// BatchNorm normalises the channels of [N, C, ...] (Ioffe and Szegedy, 2015). It works for
// vectors, images and volumes.
type BatchNorm struct {
	Weight, Bias            *autograd.Param // [C], or nil: 1 and 0
	RunningMean, RunningVar *tensor.Tensor  // [C]
	Batches                 *int64          // the number of batches seen in training, or nil
	Momentum                float64         // weight of the new batch in the running estimates
	Eps                     float64         // added to the variance
	Statistics              Statistics
}

// NewBatchNorm returns a layer with weights 1, biases 0, momentum 0.1 and eps 1e-5.
func NewBatchNorm(channels int) *BatchNorm {
	b := &BatchNorm{
		Weight: newParam(channels), Bias: newParam(channels),
		RunningMean: tensor.New(channels), RunningVar: tensor.New(channels), Batches: new(int64),
		Momentum: 0.1, Eps: 1e-5,
	}
	Constant(b.Weight, 1)
	b.RunningVar.Fill(1)
	return b
}

// Forward applies the layer.
func (b *BatchNorm) Forward(x autograd.Var) autograd.Var {
	return b.forward(x, false, false, autograd.Var{})
}

// ForwardThenReLU returns the ReLU of Forward.
func (b *BatchNorm) ForwardThenReLU(x autograd.Var) autograd.Var {
	return b.forward(x, false, true, autograd.Var{})
}

// ForwardAfterReLU returns Forward of the ReLU of x.
func (b *BatchNorm) ForwardAfterReLU(x autograd.Var) autograd.Var {
	return b.forward(x, true, false, autograd.Var{})
}

// Promises: see [Promiser]. With the statistics of the batch it does not promise
// PerExample.
func (b *BatchNorm) Promises(self Module) Promise {
	p := PerExample | FusesNextReLU | FusesPriorReLU
	if b.Statistics == Batch {
		p = KeepsNothing | FusesNextReLU | FusesPriorReLU
	}
	return Promised[*BatchNorm](self, p)
}

// forward normalises x, or max(x, 0), adds a residual unless that is zero, and
// applies a ReLU if asked.
func (b *BatchNorm) forward(x autograd.Var, preReLU, postReLU bool, residual autograd.Var) autograd.Var {
	o := b.options(x)
	o.PreReLU, o.PostReLU, o.Residual = preReLU, postReLU, residual
	return autograd.BatchNorm(x, param(x, b.Weight), param(x, b.Bias), o)
}

// options are those of a pass on the tape of x, which counts if it is one of training.
func (b *BatchNorm) options(x autograd.Var) autograd.BatchNormOptions {
	training := x.Tape().Mode() == autograd.Training
	o := autograd.BatchNormOptions{
		Mean: b.RunningMean, Var: b.RunningVar, Momentum: b.Momentum, Eps: b.Eps,
		UseRunning: b.Statistics == Frozen || b.Statistics == Running && !training,
	}
	if training && b.Statistics != Frozen {
		o.Update = true
		if b.Batches != nil {
			*b.Batches++
		}
	}
	return o
}

// Walk names weight, bias, running_mean, running_var and num_batches_tracked.
func (b *BatchNorm) Walk(w *Walker) {
	w.Param("weight", b.Weight)
	w.Param("bias", b.Bias)
	w.Buffer("running_mean", b.RunningMean)
	w.Buffer("running_var", b.RunningVar)
	w.Counter("num_batches_tracked", b.Batches)
}

// Settings: see [HasSettings].
func (b *BatchNorm) Settings() string { return fmt.Sprint(b.Statistics, b.Momentum, b.Eps) }

// SetStatistics sets field Statistics.
func (b *BatchNorm) SetStatistics(s Statistics) { b.Statistics = s }

// SetStatistics sets the statistics of every subtree of m with a method SetStatistics, such
// as [BatchNorm].
func SetStatistics(m Tree, s Statistics) {
	set := func(m Tree) {
		if b, ok := m.(interface{ SetStatistics(Statistics) }); ok {
			b.SetStatistics(s)
		}
	}
	set(m)
	m.Walk(&Walker{visit: func(Entry) bool { return true }, enter: set})
}

// LayerNorm normalises the last axis (Ba, Kiros and Hinton, 2016).
type LayerNorm struct {
	Weight, Bias *autograd.Param // [K], or nil: 1 and 0
	Eps          float64
}

// NewLayerNorm returns a layer for rows of length n with weights 1, biases 0 and eps
// 1e-5.
func NewLayerNorm(n int) *LayerNorm {
	l := &LayerNorm{Weight: newParam(n), Bias: newParam(n), Eps: 1e-5}
	Constant(l.Weight, 1)
	return l
}

// Forward applies the layer.
func (l *LayerNorm) Forward(x autograd.Var) autograd.Var {
	return autograd.LayerNorm(x, param(x, l.Weight), param(x, l.Bias), l.Eps)
}

// Promises: see [Promiser].
func (l *LayerNorm) Promises(self Module) Promise { return Promised[*LayerNorm](self, PerExample) }

// Walk names weight and bias.
func (l *LayerNorm) Walk(w *Walker) {
	w.Param("weight", l.Weight)
	w.Param("bias", l.Bias)
}

// Settings: see [HasSettings].
func (l *LayerNorm) Settings() string { return fmt.Sprint(l.Eps) }
