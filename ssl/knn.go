package ssl

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/eval"
	"github.com/mettleml/mettle/tensor"
)

// KNN evaluates features without training, by a weighted vote of the nearest neighbours (Wu
// et al., 2018): each of the K features of a bank with the largest cosine to a query adds
// exp(cosine/T) to its class.
type KNN struct {
	K int     `json:"k,omitempty"` // 0 means 200; at most the size of the bank
	T float64 `json:"t,omitempty"` // 0 means 0.07
}

func (k KNN) withDefaults() KNN { return KNN{cmp.Or(k.K, 200), cmp.Or(k.T, 0.07)} }

// String returns the protocol, to be stated beside the accuracy.
func (k KNN) String() string {
	k = k.withDefaults()
	return fmt.Sprintf("%d nearest neighbours by cosine, votes weighted by exp(cosine/%g)", k.K, k.T)
}

// Votes returns the votes for each class as logits [N, classes]. The bank holds features
// [M, d] and labels of training samples, as eval.Collect returns them for a backbone;
// queries are those of test samples. Of equal cosines the first in the bank counts. It
// panics if widths differ, a label of the bank is not below classes, or K or T is negative.
func (k KNN) Votes(bank, queries *eval.Outputs, classes int) *eval.Outputs {
	const op = "ssl.KNN"
	k = k.withDefaults()
	positive(op, "K", k.K, "T", k.T)
	m, n := bank.Y.Dim(0), queries.Y.Dim(0)
	if m == 0 || bank.Y.Dim(1) != queries.Y.Dim(1) || len(bank.Labels) != m {
		tensor.Panic(op, "the queries do not fit the bank", bank.Y.Shape(), queries.Y.Shape())
	}
	for _, y := range bank.Labels {
		if y < 0 || y >= classes {
			tensor.Panic(op, fmt.Sprintf("label %d of %d classes", y, classes))
		}
	}
	out := &eval.Outputs{Y: tensor.New(n, classes), Labels: queries.Labels, Indices: queries.Indices}
	tape := autograd.NewTape(autograd.Inference, 0)
	unitBank := autograd.NormalizeRows(tape.Input(bank.Y), tiny).Value().Clone()
	count := min(k.K, m)
	var nearest neighbours
	for from := 0; from < n; from += 256 {
		to := min(from+256, n)
		tape.Reset()
		q := autograd.NormalizeRows(tape.Input(queries.Y.Slice(from, to)), tiny)
		s := autograd.MatMulT(q, tape.Input(unitBank)).Data()
		for i := range to - from {
			votes := out.Y.Data()[(from+i)*classes:][:classes]
			for _, b := range nearest.of(s[i*m:][:m], count) {
				votes[bank.Labels[b.at]] += float32(math.Exp((float64(b.cos) - 1) / k.T)) // which no T overflows
			}
		}
	}
	return out
}

// neighbours is memory for the largest of many numbers.
type neighbours []neighbour

type neighbour struct {
	cos float32
	at  int
}

// of returns the largest count of s, in descending order, of equal ones the first.
func (n *neighbours) of(s []float32, count int) []neighbour {
	list := (*n)[:0]
	floor := float32(math.Inf(-1))
	trim := func() {
		slices.SortFunc(list, func(a, b neighbour) int {
			return cmp.Or(cmp.Compare(b.cos, a.cos), cmp.Compare(a.at, b.at))
		})
		if len(list) >= count {
			list = list[:count]
			floor = list[count-1].cos
		}
	}
	for i, v := range s {
		if v > floor || len(list) < count {
			if list = append(list, neighbour{v, i}); len(list) >= 4*count+64 {
				trim()
			}
		}
	}
	trim()
	*n = list
	return list
}

// An OnlineKNN keeps a ring of the latest features of a training, so that kNN costs no pass
// through the network. The features come from augmented samples in Training mode, and from
// slightly older weights. It reads lower than KNN at the end of an epoch; use it to notice
// a failing run.
type OnlineKNN struct {
	KNN
	Bank   *tensor.Tensor // [size, d]
	Labels *tensor.Tensor // [size]
	Next   int64          // features added so far
}

// NewOnlineKNN returns an empty ring for size features of width d; the size of an epoch is
// usual. It panics if a number is not positive.
func NewOnlineKNN(k KNN, size, d int) *OnlineKNN {
	positive("ssl.NewOnlineKNN", "size", size, "d", d)
	return &OnlineKNN{KNN: k, Bank: tensor.New(size, d), Labels: tensor.New(size)}
}

// Add puts features [n, d] and their labels in the ring.
func (o *OnlineKNN) Add(features *tensor.Tensor, labels []int) {
	size, d := o.Bank.Dim(0), o.Bank.Dim(1)
	if features.Rank() != 2 || features.Dim(1) != d || features.Dim(0) != len(labels) {
		tensor.Panic("ssl.OnlineKNN.Add", fmt.Sprintf("%d labels", len(labels)), features.Shape(), o.Bank.Shape())
	}
	for i, y := range labels {
		at := int(o.Next % int64(size))
		copy(o.Bank.Data()[at*d:][:d], features.Data()[i*d:][:d])
		o.Labels.Data()[at] = float32(y)
		o.Next++
	}
}

// Online returns the votes of the features in the ring. It panics if the ring is empty.
func (o *OnlineKNN) Online(queries *eval.Outputs, classes int) *eval.Outputs {
	n := min(int(o.Next), o.Bank.Dim(0))
	bank := &eval.Outputs{Y: o.Bank.Slice(0, n)}
	for _, y := range o.Labels.Data()[:n] {
		bank.Labels = append(bank.Labels, int(y))
	}
	return o.KNN.Votes(bank, queries, classes)
}

// Walk names bank, labels and next.
func (o *OnlineKNN) Walk(w *nn.Walker) {
	w.Buffer("bank", o.Bank)
	w.Buffer("labels", o.Labels)
	w.Counter("next", &o.Next)
}
