package longtail

import (
	"cmp"
	"fmt"
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/tensor"
)

// A Variant is a reading of the memory-retentive loss, or a baseline for it. In the
// formulas o_i are the features by the network of phase I and g_j those by the current one,
// rows of length 1, and a_ij the coefficients of [Retention].
type Variant uint8

const (
	// Graph is 1/B Σ_ij a_ij ‖o_i - g_j‖²: the literal reading of figure 4.5, the sum over
	// old nodes of their weighted distances to all new ones. It is not 0 at g = o. By
	// itself it moves g_j to Σ_i a_ij o_i / Σ_i a_ij, a smoothed copy of the old features
	// that approaches them as τ falls. With a large τ, or with ExcludeSelf, features
	// collapse.
	Graph Variant = iota

	// Attended is 1/B Σ_i ‖o_i - Σ_j a_ij g_j‖²: the difference between a node and its
	// attended sum, as in graph matching networks (Li et al., 2019).
	Attended

	// Relation is 1/B Σ_i KL(a_i ‖ b_i), where b are the coefficients among the new
	// features. It keeps relations only: it is invariant to a rotation of all g_j.
	Relation

	// Distances is 1/B Σ_ij a_ij (‖o_i - g_j‖² - ‖o_i - o_j‖²)²: Graph with its minimum
	// at g = o.
	Distances

	// Features is 1/B Σ_i ‖o_i - g_i‖²: feature distillation, and the limit of Graph for τ
	// to 0.
	Features
)

var variantNames = []string{"graph", "attended", "relation", "distances", "features"}

func (v Variant) String() string {
	if int(v) < len(variantNames) {
		return variantNames[v]
	}
	return fmt.Sprintf("Variant(%d)", uint8(v))
}

// MarshalText writes the name.
func (v Variant) MarshalText() ([]byte, error) {
	if int(v) >= len(variantNames) {
		return nil, fmt.Errorf("longtail: %v has no name", v)
	}
	return []byte(v.String()), nil
}

// UnmarshalText reads a name.
func (v *Variant) UnmarshalText(b []byte) error {
	for i, name := range variantNames {
		if string(b) == name {
			*v = Variant(i)
			return nil
		}
	}
	return fmt.Errorf("longtail: no variant %q of the memory-retentive loss; there are %q", b, variantNames)
}

// Retention is the memory-retentive loss, which keeps the features of phase II near those
// of phase I (thesis, section 4.3 and figure 4.5). Its nodes are all samples of a phase II
// batch, from the bank and the tail. The coefficients
//
//	a_ij = softmax over j of s(o_i, o_j)/τ
//
// say how close node j is to node i among the old features; they are constants. The thesis
// states the graph: coefficients among the old nodes, and distances from an old node to all
// new ones, weighted by the coefficients. The similarity s, τ, the lengths of 1 and the
// factor 1/B are ours. The zero value is the default.
type Retention struct {
	Variant Variant `json:"variant"`
	Tau     float64 `json:"tau,omitempty"` // 0 means 0.1

	// Distance makes the similarity s the negative squared distance. By default it is the
	// cosine.
	Distance bool `json:"distance,omitempty"`

	// ExcludeSelf leaves j = i out of the coefficients, as "other nodes" in the caption may
	// mean. Nodes then collapse onto their neighbours: for ablations.
	ExcludeSelf bool `json:"exclude_self,omitempty"`

	// Symmetric takes (a + aᵀ)/2, so that a node near many others does not weigh more. It
	// does not change Relation and Features.
	Symmetric bool `json:"symmetric,omitempty"`

	// Raw does not normalise features. The weight of the loss then depends on their length
	// and number.
	Raw bool `json:"raw,omitempty"`
}

// Loss returns the loss of the old features o and the current features g, both [B, d], of
// the same pixels. No gradient flows to the old ones. The phase II loss is
//
//	cross-entropy + λ·Loss(old, current)
//
// with λ = 1 as our default. Loss(old, current) - Loss(old, old) is 0 if nothing has
// changed. It panics if the shapes differ, Tau is negative or not finite, the variant is
// unknown, or self is excluded in a batch of one.
func (r Retention) Loss(old, current autograd.Var) autograd.Var {
	const op = "longtail.Retention"
	tau := cmp.Or(r.Tau, 0.1)
	if old.Rank() != 2 || current.Rank() != 2 || old.Dim(0) != current.Dim(0) || old.Dim(1) != current.Dim(1) || old.Dim(0) == 0 {
		tensor.Panic(op, "want two [B, d]", old.Shape(), current.Shape())
	}
	if !(tau > 0) || math.IsInf(tau, 1) {
		tensor.Panic(op, fmt.Sprintf("tau %v", r.Tau))
	}
	if r.ExcludeSelf && old.Dim(0) == 1 {
		tensor.Panic(op, "one node has no others", old.Shape())
	}
	o, g := autograd.Detach(old), current
	if !r.Raw {
		o, g = autograd.NormalizeRows(o, tiny), autograd.NormalizeRows(g, tiny)
	}
	mean := 1 / float32(o.Dim(0))
	switch r.Variant {
	case Graph:
		return autograd.Scale(autograd.Sum(autograd.Mul(r.coefficients(o, tau), squaredDistances(o, g))), mean)
	case Attended:
		return autograd.Scale(autograd.Sum(autograd.Square(autograd.Sub(o, autograd.MatMul(r.coefficients(o, tau), g)))), mean)
	case Relation:
		r.Symmetric = false
		return autograd.KLDiv(autograd.LogSoftmax(r.affinities(g, tau)), r.coefficients(o, tau))
	case Distances:
		d := autograd.Sub(squaredDistances(o, g), squaredDistances(o, o))
		return autograd.Scale(autograd.Sum(autograd.Mul(r.coefficients(o, tau), autograd.Square(d))), mean)
	case Features:
		return autograd.Scale(autograd.MSE(o, g), float32(o.Dim(1)))
	}
	tensor.Panic(op, r.Variant.String())
	return autograd.Var{}
}

// coefficients returns a_ij of rows x.
func (r Retention) coefficients(x autograd.Var, tau float64) autograd.Var {
	a := autograd.Softmax(r.affinities(x, tau))
	if r.Symmetric {
		a = autograd.Scale(autograd.Add(a, autograd.MatMulT(diagonal(x.Tape(), x.Dim(0), 1), a)), 0.5)
	}
	return a
}

// affinities returns s(x_i, x_j)/τ, far below all others where i = j is left out.
func (r Retention) affinities(x autograd.Var, tau float64) autograd.Var {
	var s autograd.Var
	switch {
	case r.Distance:
		s = autograd.Scale(squaredDistances(x, x), float32(-1/tau))
	default:
		if r.Raw {
			x = autograd.NormalizeRows(x, tiny)
		}
		s = autograd.Scale(autograd.MatMulT(x, x), float32(1/tau))
	}
	if r.ExcludeSelf {
		s = autograd.Add(s, diagonal(x.Tape(), x.Dim(0), -1e30))
	}
	return s
}

// The following are made of operations that need no memory but the tape's, so that a
// training step makes no garbage.

// row returns [1, n] of v.
func row(t *autograd.Tape, n int, v float32) autograd.Var {
	return autograd.PadConstant(autograd.Reshape(t.Constant(v), 1, 1), v, 0, n-1)
}

// diagonal returns [n, n] with v on the diagonal and 0 elsewhere: rows of v and n zeros,
// laid out anew.
func diagonal(t *autograd.Tape, n int, v float32) autograd.Var {
	wide := autograd.PadConstant(autograd.Reshape(row(t, n, v), n, 1), 0, 0, n)
	return autograd.Reshape(autograd.NarrowCopy(autograd.Reshape(wide, n*(n+1)), 0, 0, n*n, 1), n, n)
}

// squaredDistances returns ‖a_i - b_j‖² of the rows of a [N, K] and b [M, K].
func squaredDistances(a, b autograd.Var) autograd.Var {
	ones := row(a.Tape(), a.Dim(1), 1)
	aa := autograd.MatMulT(autograd.Square(a), ones) // [N, 1]
	bb := autograd.MatMulT(ones, autograd.Square(b)) // [1, M]
	return autograd.Add(autograd.Add(autograd.Scale(autograd.MatMulT(a, b), -2), aa), bb)
}

// Distill is learning without forgetting, a baseline that retains logits instead of
// features: T²·KL(softmax(old/T) ‖ softmax(current/T)) over the old classes, the first of
// the current ones, as a mean over the batch (Li and Hoiem, 2016; Hinton et al., 2015).
// Their T is 2. No gradient flows to the old logits. It panics if the shapes do not fit or
// T is not positive.
func Distill(old, current autograd.Var, temperature float64) autograd.Var {
	const op = "longtail.Distill"
	if old.Rank() != 2 || current.Rank() != 2 || old.Dim(0) != current.Dim(0) || old.Dim(1) > current.Dim(1) {
		tensor.Panic(op, "want logits [B, old classes] and [B, classes]", old.Shape(), current.Shape())
	}
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		tensor.Panic(op, fmt.Sprintf("temperature %v", temperature))
	}
	t := float32(1 / temperature)
	if old.Dim(1) < current.Dim(1) {
		current = autograd.NarrowCopy(current, 1, 0, old.Dim(1), 1)
	}
	kl := autograd.KLDiv(autograd.LogSoftmax(autograd.Scale(current, t)), autograd.Softmax(autograd.Scale(autograd.Detach(old), t)))
	return autograd.Scale(kl, float32(temperature*temperature))
}

// A Teacher is a frozen copy of a network, or of its backbone, at the end of phase I. It
// computes the old features, or the old logits, of a batch.
type Teacher struct {
	Module nn.Module
	tape   *autograd.Tape
}

// NewTeacher copies m (see [nn.Clone]) and freezes the copy.
func NewTeacher(m nn.Module) *Teacher {
	m = nn.Clone(m)
	nn.SetFrozen(m, true)
	return &Teacher{m, autograd.NewTape(autograd.Inference, 0)}
}

// Of returns the network's output for x, with running statistics and without dropout. It is
// valid until the next call:
//
//	old := tape.Input(teacher.Of(batch.X))
func (t *Teacher) Of(x *tensor.Tensor) *tensor.Tensor {
	t.tape.Reset()
	return t.Module.Forward(t.tape.Input(x)).Value()
}

// Walk names the contents of the network.
func (t *Teacher) Walk(w *nn.Walker) { w.Child("", t.Module) }
