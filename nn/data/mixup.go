package data

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mettleml/mettle/internal/kernel"
	"github.com/mettleml/mettle/tensor"
)

// Pairs are the labels of a batch with samples mixed in pairs. Entry [k] is of class A[k]
// with weight Lambda, and of class B[k] with weight 1-Lambda. For any loss L on one label
// the loss of the mixture is Lambda·L(A) + (1-Lambda)·L(B); for cross-entropy this is the
// loss on [Pairs.Targets].
type Pairs struct {
	A, B    []int
	Lambda  float64
	Partner []int // entry k was mixed with the former entry Partner[k]
}

// Targets returns the labels as distributions [n, classes], for
// autograd.SoftCrossEntropy. It panics if a label is not below classes.
func (p Pairs) Targets(classes int) *tensor.Tensor {
	t := tensor.New(len(p.A), classes)
	for k := range p.A {
		if min(p.A[k], p.B[k]) < 0 || max(p.A[k], p.B[k]) >= classes {
			tensor.Panic("data.Pairs.Targets", fmt.Sprintf("labels %d and %d, outside [0, %d)", p.A[k], p.B[k], classes))
		}
		row := t.Index(k).Data()
		row[p.A[k]] += float32(p.Lambda)
		row[p.B[k]] += float32(1 - p.Lambda)
	}
	return t
}

// A Mixer mixes the samples of a batch, [n, ...] with n labels, in place. Its draws depend
// on seed and step alone.
type Mixer interface {
	Mix(x *tensor.Tensor, labels []int, seed, step uint64) Pairs
}

// Mixup replaces every sample by Lambda times itself plus 1-Lambda times its partner
// in a random permutation of the batch, with Lambda from Beta(Alpha, Alpha) (Zhang et
// al., "mixup: Beyond empirical risk minimization", 2018).
type Mixup struct {
	Alpha float64 // 0 means 1
}

// Mix mixes x in place. It panics if the labels do not fit x or Alpha is negative.
func (m Mixup) Mix(x *tensor.Tensor, labels []int, seed, step uint64) Pairs {
	p, _ := pair("data.Mixup", x, labels, m.Alpha, seed, step)
	p.each(x, func(dst, partner []float32) { kernel.Lerp(dst, dst, partner, float32(1-p.Lambda)) })
	return p
}

// CutMix replaces one rectangle of every sample, at the same place in all, by that of its
// partner in a random permutation of the batch (Yun et al., "CutMix: Regularization
// strategy to train strong classifiers with localizable features", 2019). Its area is 1-l
// of the sample with l drawn from Beta(Alpha, Alpha), cut off at the edges. Lambda is the
// share of a sample that remains. Samples are [C, H, W] or [T, C, H, W].
type CutMix struct {
	Alpha float64 // 0 means 1
	P     float64 // probability that a batch is mixed; 0 means 1; the paper has 0.5 for CIFAR
}

// Mix mixes x in place. It panics if the labels do not fit x, the samples are neither
// images nor clips, Alpha is negative or P is not in [0,1].
func (c CutMix) Mix(x *tensor.Tensor, labels []int, seed, step uint64) Pairs {
	const op = "data.CutMix"
	p, rng := pair(op, x, labels, c.Alpha, seed, step)
	t, ch, h, w := frames(op, x.Shape()[1:])
	side := math.Sqrt(1 - p.Lambda)
	if rng.Float64() >= chance(op, c.P, 1) {
		side = 0
	}
	ch2, cw2 := int(float64(h)*side)/2, int(float64(w)*side)/2
	cy, cx := rng.IntN(h), rng.IntN(w)
	top, bottom, left, right := max(cy-ch2, 0), min(cy+ch2, h), max(cx-cw2, 0), min(cx+cw2, w)
	p.Lambda = 1 - float64((bottom-top)*(right-left))/float64(h*w)
	p.each(x, func(dst, partner []float32) {
		for plane := range t * ch {
			for y := top; y < bottom; y++ {
				row := (plane*h + y) * w
				copy(dst[row+left:row+right], partner[row+left:row+right])
			}
		}
	})
	return p
}

// pair draws Lambda and the permutation.
func pair(op string, x *tensor.Tensor, labels []int, alpha float64, seed, step uint64) (Pairs, *rand.Rand) {
	if x.Rank() < 2 || x.Dim(0) != len(labels) || len(labels) == 0 {
		tensor.Panic(op, fmt.Sprintf("%d labels for a batch", len(labels)), x.Shape())
	}
	if !(alpha >= 0) || math.IsInf(alpha, 1) {
		tensor.Panic(op, fmt.Sprintf("alpha %v", alpha))
	}
	rng := rand.New(rand.NewPCG(mix(seed, step), 0x6d6978))
	p := Pairs{A: slices.Clone(labels), B: make([]int, len(labels))}
	p.Lambda = beta(rng, cmp.Or(alpha, 1))
	p.Partner = rng.Perm(len(labels))
	for k, i := range p.Partner {
		p.B[k] = labels[i]
	}
	return p, rng
}

// each calls f for every sample with its partner as that was. It follows the cycles
// of the permutation, so that one sample has to be kept.
func (p Pairs) each(x *tensor.Tensor, f func(dst, partner []float32)) {
	done := make([]bool, len(p.Partner))
	first := tensor.New(x.Shape()[1:]...).Data()
	for k := range p.Partner {
		if done[k] || p.Partner[k] == k {
			continue
		}
		copy(first, x.Index(k).Data())
		at := k
		for ; p.Partner[at] != k; at = p.Partner[at] {
			f(x.Index(at).Data(), x.Index(p.Partner[at]).Data())
			done[at] = true
		}
		f(x.Index(at).Data(), first)
		done[at] = true
	}
}

// beta draws from Beta(a, a).
func beta(rng *rand.Rand, a float64) float64 {
	x, y := logGamma(rng, a), logGamma(rng, a)
	return 1 / (1 + math.Exp(y-x))
}

// logGamma draws the logarithm of a variable with the distribution Gamma(a) (Marsaglia
// and Tsang, "A simple method for generating gamma variables", 2000), which for small
// a is itself too small for a float64.
func logGamma(rng *rand.Rand, a float64) float64 {
	if a < 1 {
		return logGamma(rng, a+1) + math.Log(1-rng.Float64())/a
	}
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-rng.Float64()) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return math.Log(d) + math.Log(v)
		}
	}
}
