package kernel

import (
	"fmt"
	"math"
)

// A CrossEntropy is the negative log-likelihood of targets under the softmax of
// logits [rows, Classes].
//
// The target of a row is a class (Labels) or a distribution (Soft), never both.
// Smoothing e mixes a label with the uniform distribution: 1-e on the label and
// e/Classes on every class. Weights [Classes] multiply each class's term:
//
//	loss[i] = -sum over c of target[i,c]·Weights[c]·logp[i,c]
//
// A weighted mean divides the sum of the losses by the sum of [CrossEntropy.Weight].
type CrossEntropy struct {
	Classes   int
	Labels    []int     // one per row
	Soft      []float32 // [rows, Classes]
	Weights   []float32 // [Classes]; nil stands for 1
	Smoothing float64   // in [0, 1]; with Labels only
}

// Weight returns the sum over rows of the weights of their labels, in float64;
// with Soft or without Weights, the number of rows.
func (ce *CrossEntropy) Weight(rows int) float64 {
	if ce.Weights == nil || ce.Soft != nil {
		return float64(rows)
	}
	var sum float64
	for _, y := range ce.Labels {
		sum += float64(ce.Weights[y])
	}
	return sum
}

// Forward writes each row's loss, computed in float64. If prob is not nil it
// receives the softmax, for Grad. A row's results do not depend on the others.
func (ce *CrossEntropy) Forward(loss []float64, prob, logits []float32) {
	rows := len(loss)
	ce.check("CrossEntropy.Forward", rows, logits)
	if prob != nil {
		need("CrossEntropy.Forward", "prob", len(prob), len(logits))
	}
	per, parts := cut(rows, 8*ce.Classes)
	runPooled(&ceTasks, parts, ceTask{CrossEntropy: *ce, set: Active(), per: per, rows: rows, loss: loss, prob: prob, logits: logits})
}

// Grad writes the gradient of sum(loss·cot) to the logits, given the softmax
// that Forward computed. Every row's weight is cot[i], or cot[0] if cot has
// length 1. dlogits may be prob.
func (ce *CrossEntropy) Grad(dlogits, prob []float32, cot []float64) {
	rows := len(prob) / max(ce.Classes, 1)
	ce.check("CrossEntropy.Grad", rows, prob)
	need("CrossEntropy.Grad", "dlogits", len(dlogits), len(prob))
	if len(cot) != 1 {
		need("CrossEntropy.Grad", "cot", len(cot), rows)
	}
	per, parts := cut(rows, 4*ce.Classes)
	runPooled(&ceTasks, parts, ceTask{CrossEntropy: *ce, set: Active(), per: per, rows: rows, loss: cot, prob: prob, logits: dlogits, grad: true})
}

func (ce *CrossEntropy) check(op string, rows int, logits []float32) {
	need(op, "the array of logits", len(logits), rows*ce.Classes)
	switch {
	case ce.Soft != nil && ce.Labels != nil:
		panic("kernel: " + op + ": both labels and soft targets")
	case ce.Soft != nil:
		need(op, "Soft", len(ce.Soft), len(logits))
	default:
		need(op, "Labels", len(ce.Labels), rows)
	}
	if ce.Weights != nil {
		need(op, "Weights", len(ce.Weights), ce.Classes)
	}
	for i, y := range ce.Labels {
		if y < 0 || y >= ce.Classes {
			panic(fmt.Sprintf("kernel: %s: label %d of row %d is not one of %d classes", op, y, i, ce.Classes))
		}
	}
}

type ceTask struct {
	CrossEntropy
	set          *Set
	per, rows    int
	loss         []float64
	prob, logits []float32
	grad         bool
}

var ceTasks freeList[ceTask]

// Part does some rows.
func (t *ceTask) Part(part int) {
	k := t.Classes
	for i := part * t.per; i < min((part+1)*t.per, t.rows); i++ {
		logits := t.logits[i*k : (i+1)*k]
		var prob []float32
		if t.prob != nil {
			prob = t.prob[i*k : (i+1)*k]
		}
		if t.grad {
			cot := t.loss[0]
			if len(t.loss) > 1 {
				cot = t.loss[i]
			}
			t.gradRow(logits, prob, i, cot)
		} else {
			t.loss[i] = t.row(logits, prob, i)
		}
	}
}

func (t *ceTask) weight(c int) float64 {
	if t.Weights == nil {
		return 1
	}
	return float64(t.Weights[c])
}

func (t *ceTask) row(logits, prob []float32, i int) float64 {
	if len(logits) == 0 {
		return 0
	}
	m := t.set.rowMax(logits)
	sum := t.set.nnet.expSum(prob, logits, m)
	if prob != nil {
		t.set.rowMap(opMulS, prob, prob, prob, float32(1/sum), 0)
	}
	// -logp[c] = logSum + (m - logits[c]), exact in the difference.
	logSum := math.Log(sum)
	var loss float64
	if t.Soft != nil {
		for c, q := range t.Soft[i*t.Classes : (i+1)*t.Classes] {
			if q != 0 {
				loss += float64(q) * t.weight(c) * (logSum + (float64(m) - float64(logits[c])))
			}
		}
		return loss
	}
	y := t.Labels[i]
	loss = (1 - t.Smoothing) * t.weight(y) * (logSum + (float64(m) - float64(logits[y])))
	if t.Smoothing != 0 {
		var all float64
		if t.Weights == nil {
			k := float64(t.Classes)
			all = k*(logSum+float64(m)) - t.set.vec.reduces[opSum](t.Classes, &logits[0], &logits[0])
		} else {
			for c, v := range logits {
				all += t.weight(c) * (logSum + (float64(m) - float64(v)))
			}
		}
		loss += t.Smoothing / float64(t.Classes) * all
	}
	return loss
}

// gradRow writes cot·(prob·sum of q - q), where q is the weighted target.
func (t *ceTask) gradRow(d, prob []float32, i int, cot float64) {
	if t.Soft != nil {
		soft := t.Soft[i*t.Classes : (i+1)*t.Classes]
		var total float64
		for c, q := range soft {
			total += float64(q) * t.weight(c)
		}
		for c, p := range prob {
			d[c] = float32(cot * (total*float64(p) - float64(soft[c])*t.weight(c)))
		}
		return
	}
	if len(prob) == 0 {
		return
	}
	y := t.Labels[i]
	label := (1 - t.Smoothing) * t.weight(y)
	e := t.Smoothing / float64(t.Classes)
	p := float64(prob[y])
	if t.Weights == nil || t.Smoothing == 0 {
		total := label
		if t.Weights == nil {
			total = 1
		}
		t.set.rowMap(opAffine, d, prob, prob, float32(cot*total), float32(-cot*e))
		d[y] = float32(cot * (total*p - e - label))
		return
	}
	total := label
	for c := range prob {
		total += e * t.weight(c)
	}
	for c, p := range prob {
		q := e * t.weight(c)
		if c == y {
			q += label
		}
		d[c] = float32(cot * (total*float64(p) - q))
	}
}
