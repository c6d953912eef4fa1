package ssl

import (
	"errors"
	"fmt"
	"math"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/nn"
	"github.com/mettleml/mettle/nn/data"
	"github.com/mettleml/mettle/nn/optim"
	"github.com/mettleml/mettle/tensor"
)

// An Encoder maps samples to features [N, Width]. An [nn.Backbone] is one.
type Encoder interface {
	nn.Module
	Width() int
}

// A Method learns features without labels ([SupCon] uses labels). It trains a given encoder
// and adds heads, a queue or an average of weights. As an nn.Tree it names only what it
// adds.
//
// A step of training is
//
//	tape.Reset()
//	out, err := m.Loss(tape, batch)
//	err = opt.Step(tape.Gradients(out.Loss))
//	m.Update()
//
// or a call of [Step]. A method of your own needs these two methods and Walk;
// [Heterotopic], the monitors and the programs then accept it.
type Method interface {
	nn.Tree

	// Loss returns the loss of a batch from a loader with the method's number of views. It
	// is an error if the batch has too few views or samples, or if the loss is not finite.
	Loss(t *autograd.Tape, b data.Batch) (Output, error)

	// Update updates averages, queues and memories. Call it after the optimiser's step and
	// before the tape is reset.
	Update()
}

// An Output holds a method's results for a batch of n samples. It is valid until the tape
// is reset.
type Output struct {
	Loss autograd.Var // a scalar

	// Features are the encoder's outputs, [n, Width] per view.
	Features []autograd.Var

	// Specific are the method's outputs, [n, e] per view: the specific features of the
	// thesis, for mutual information and the monitors.
	Specific []autograd.Var

	// Pretext is the accuracy on the pretext task of Rotation or Jigsaw, and 0 for other
	// methods. It does not measure the quality of features.
	Pretext float64
}

// ErrNotFinite is wrapped by the error of a Loss that is NaN or infinite.
var ErrNotFinite = errors.New("the loss is not finite")

// Step takes one training step of a method: see [Method]. The output is valid until the
// next step on the same tape.
func Step(t *autograd.Tape, m Method, opt optim.Optimizer, b data.Batch) (Output, error) {
	t.Reset()
	out, err := m.Loss(t, b)
	if err != nil {
		return out, err
	}
	if err := opt.Step(t.Gradients(out.Loss)); err != nil {
		return out, fmt.Errorf("ssl: step %d: %w", t.Step(), err)
	}
	m.Update()
	return out, nil
}

// Trainable returns the parameters of the trees that are not frozen, each once: those of
// an encoder and a method, for an optimiser.
func Trainable(trees ...nn.Tree) []*autograd.Param {
	seen := make(map[*autograd.Param]bool)
	var list []*autograd.Param
	for _, tree := range trees {
		for _, p := range nn.Params(tree) {
			if !p.Frozen() && !seen[p] {
				seen[p] = true
				list = append(list, p)
			}
		}
	}
	return list
}

// finite returns out, or an error if its loss is not finite.
func finite(name string, out Output) (Output, error) {
	if v := out.Loss.Scalar(); math.IsNaN(v) || math.IsInf(v, 0) {
		return out, fmt.Errorf("ssl: %s: %w: it is %v; look for NaN in the batch, or take a smaller learning rate", name, ErrNotFinite, v)
	}
	return out, nil
}

// viewsOf returns the first want views of a batch, each [n, ...], and n, which must be at
// least least.
func viewsOf(name string, b data.Batch, want, least int) ([]*tensor.Tensor, int, error) {
	n := len(b.Y)
	if n < least {
		return nil, n, fmt.Errorf("ssl: %s: a batch of %d: there must be at least %d samples to compare", name, n, least)
	}
	if b.X.Rank() < 2 || b.X.Dim(0)%n != 0 {
		return nil, n, fmt.Errorf("ssl: %s: %d labels do not fit a batch of %v", name, n, b.X.Shape())
	}
	if have := b.X.Dim(0) / n; have < want {
		return nil, n, fmt.Errorf("ssl: %s takes %d views of each sample and the batch has %d: give the loader %d (LoaderOptions.Views)", name, want, have, want)
	}
	views := make([]*tensor.Tensor, want)
	for v := range views {
		views[v] = b.X.Slice(v*n, (v+1)*n)
	}
	return views, n, nil
}

// rows returns rows from to to-1 of x.
func rows(x autograd.Var, from, to int) autograd.Var {
	return autograd.NarrowCopy(x, 0, from, to, 1)
}

// halves returns the two halves of the rows of x.
func halves(x autograd.Var) []autograd.Var {
	n := x.Dim(0) / 2
	return []autograd.Var{rows(x, 0, n), rows(x, n, 2*n)}
}

// positive panics for op unless every number is above 0 and finite. They come in pairs
// of name and value.
func positive(op string, pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		var v float64
		switch x := pairs[i+1].(type) {
		case int:
			v = float64(x)
		case float64:
			v = x
		}
		if !(v > 0) || math.IsInf(v, 1) {
			tensor.Panic(op, fmt.Sprintf("%s is %v and must be above 0", pairs[i], pairs[i+1]))
		}
	}
}
