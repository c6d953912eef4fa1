// Package eval measures classifiers. It passes a data set through a network and keeps the
// outputs; accuracies, confusion tables and calibration follow from them.
//
//	out, err := eval.Collect(ctx, net, test, eval.Options{})
//	if err != nil {
//		return err
//	}
//	fmt.Println(out.Accuracy(), out.TopK(5), out.Calibration(15).ECE)
//
// It works for any module. The outputs of a classifier's backbone are features; a head can
// be applied to them without passing the samples through the backbone again:
//
//	features, err := eval.Collect(ctx, net.Backbone, test, eval.Options{})
//	logits := features.Through(net.Head)
package eval

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/tensor"
)

// Options say how a data set is passed through a network. Only Transform affects the
// result.
type Options struct {
	BatchSize int            // 0 means 250
	Transform data.Transform // applied to every sample, such as a centre crop; nil means none
	Workers   int            // goroutines that prepare batches; 0 means tensor.Workers()
}

// Outputs are the outputs of a network for labelled samples.
type Outputs struct {
	Y       *tensor.Tensor // [N, K]: logits, or features
	Labels  []int
	Indices []int // of the samples in the data set; nil if there is none
}

// Collect passes the samples of d through net in Inference mode, in their order. A data set
// that can draw random windows does not do so here (option Fixed of the loader). An error
// is the data set's or the context's. It panics if net does not return [N, K] or does not
// take the samples.
func Collect(ctx context.Context, net nn.Module, d data.Dataset, o Options) (*Outputs, error) {
	l, err := data.NewLoader(d, data.LoaderOptions{BatchSize: cmp.Or(o.BatchSize, 250), Transform: o.Transform, Workers: o.Workers, Fixed: true})
	if err != nil {
		return nil, err
	}
	return CollectFrom(ctx, net, l)
}

// CollectFrom is [Collect] for the remaining batches of a loader's epoch, in their order.
// It panics if the loader has several views.
func CollectFrom(ctx context.Context, net nn.Module, l *data.Loader) (*Outputs, error) {
	const op = "eval.CollectFrom"
	out := &Outputs{}
	var y []float32
	width := 0
	tape := autograd.NewTape(autograd.Inference, 0)
	for batch, err := range l.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		if batch.X.Dim(0) != len(batch.Y) {
			tensor.Panic(op, fmt.Sprintf("%d views of each sample", batch.X.Dim(0)/len(batch.Y)))
		}
		tape.Reset()
		z := net.Forward(tape.Input(batch.X)).Value()
		if z.Rank() != 2 || z.Dim(0) != len(batch.Y) {
			tensor.Panic(op, "the network does not return [N, K]", z.Shape())
		}
		width = z.Dim(1)
		y = append(y, z.Data()...)
		out.Labels = append(out.Labels, batch.Y...)
		out.Indices = append(out.Indices, batch.Indices...)
	}
	out.Y = tensor.FromSlice(y, len(out.Labels), width)
	return out, nil
}

// Through returns the outputs of m for Y, such as the logits of a head for features.
func (o *Outputs) Through(m nn.Module) *Outputs {
	tape := autograd.NewTape(autograd.Inference, 0)
	z := m.Forward(tape.Input(o.Y)).Value().Clone()
	return &Outputs{z, o.Labels, o.Indices}
}

// Among returns the outputs of the samples with a label in classes. It keeps only the
// logits of these classes, in the order of classes, and renumbers the labels to match. The
// network then chooses among these classes only, for a fair comparison with a network that
// knows only them.
func (o *Outputs) Among(classes []int) *Outputs {
	place := make(map[int]int)
	for i, c := range classes {
		if _, twice := place[c]; twice || c < 0 || c >= o.Y.Dim(1) {
			tensor.Panic("eval.Outputs.Among", fmt.Sprintf("class %d is listed twice or is none of %d", c, o.Y.Dim(1)))
		}
		place[c] = i
	}
	part := &Outputs{}
	var y []float32
	for k, label := range o.Labels {
		i, ok := place[label]
		if !ok {
			continue
		}
		for _, c := range classes {
			y = append(y, o.Y.At(k, c))
		}
		part.Labels = append(part.Labels, i)
		if o.Indices != nil {
			part.Indices = append(part.Indices, o.Indices[k])
		}
	}
	part.Y = tensor.FromSlice(y, len(part.Labels), len(classes))
	return part
}

// rows calls f with the logits and the label of every sample. It panics for op if there
// are none, or a label is not below their number.
func (o *Outputs) rows(op string, f func(k int, z []float32, label int)) {
	if o.Y.Rank() != 2 || o.Y.Dim(0) != len(o.Labels) || len(o.Labels) == 0 {
		tensor.Panic(op, fmt.Sprintf("want logits [N, K] for %d labels, at least one", len(o.Labels)), o.Y.Shape())
	}
	for k, label := range o.Labels {
		if label < 0 || label >= o.Y.Dim(1) {
			tensor.Panic(op, fmt.Sprintf("label %d of sample %d for %d logits", label, k, o.Y.Dim(1)))
		}
		f(k, o.Y.Index(k).Data(), label)
	}
}

// first is the place of the largest element, of equal ones the first.
func first(z []float32) int {
	best := 0
	for i, v := range z {
		if v > z[best] {
			best = i
		}
	}
	return best
}

// Predictions returns the class with the largest logit of each sample, the first of
// equal ones.
func (o *Outputs) Predictions() []int {
	p := make([]int, len(o.Labels))
	o.rows("eval.Outputs.Predictions", func(k int, z []float32, _ int) { p[k] = first(z) })
	return p
}

// Accuracy returns the share of samples whose largest logit is their label's.
func (o *Outputs) Accuracy() float64 { return o.TopK(1) }

// TopK returns the share of samples whose label is among the k classes with the largest
// logits, the first of equal ones. It panics if k is not positive.
func (o *Outputs) TopK(k int) float64 {
	const op = "eval.Outputs.TopK"
	if k < 1 {
		tensor.Panic(op, fmt.Sprintf("the first %d classes", k))
	}
	right := 0
	o.rows(op, func(_ int, z []float32, label int) {
		before := 0 // classes that come before the label
		for i, v := range z {
			if v > z[label] || v == z[label] && i < label {
				before++
			}
		}
		if before < k && z[label] == z[label] { // NaN has no place
			right++
		}
	})
	return float64(right) / float64(len(o.Labels))
}

// Confusion returns a [K, K] table whose entry (i, j) is the number of samples of class i
// that were classified as j.
func (o *Outputs) Confusion() [][]int {
	n := o.Y.Dim(1)
	flat := make([]int, n*n)
	o.rows("eval.Outputs.Confusion", func(_ int, z []float32, label int) { flat[label*n+first(z)]++ })
	return slices.Collect(slices.Chunk(flat, n))
}

// A ClassAccuracy is the accuracy on the samples of one class.
type ClassAccuracy struct {
	Count, Right int // samples, and correctly classified ones
}

// Share returns Right/Count, or 0 for a class without samples.
func (c ClassAccuracy) Share() float64 {
	if c.Count == 0 {
		return 0
	}
	return float64(c.Right) / float64(c.Count)
}

// PerClass returns the accuracy on each class.
func (o *Outputs) PerClass() []ClassAccuracy {
	list := make([]ClassAccuracy, o.Y.Dim(1))
	for c, row := range o.Confusion() {
		for _, n := range row {
			list[c].Count += n
		}
		list[c].Right = row[c]
	}
	return list
}

// BalancedAccuracy returns the mean of the accuracies per class, over the given classes or,
// without arguments, over all. Classes without samples do not count; it panics if no class
// has samples.
func (o *Outputs) BalancedAccuracy(classes ...int) float64 {
	all := o.PerClass()
	if len(classes) == 0 {
		for c := range all {
			classes = append(classes, c)
		}
	}
	sum, n := 0.0, 0
	for _, c := range classes {
		if all[c].Count > 0 {
			sum += all[c].Share()
			n++
		}
	}
	if n == 0 {
		tensor.Panic("eval.Outputs.BalancedAccuracy", fmt.Sprintf("no samples of classes %v", classes))
	}
	return sum / float64(n)
}
