package nn

import (
	"fmt"
	"iter"
	"path"
	"slices"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// A Tree has named parameters, buffers and children: a layer, a network, or
// several networks that are trained together.
type Tree interface {
	// Walk tells w the tree's parameters, buffers, counters and children, in a fixed
	// order.
	Walk(w *Walker)
}

// A Module is a Tree that maps one Var to another.
type Module interface {
	Tree
	Forward(x autograd.Var) autograd.Var
}

// A Walker collects what a [Tree] names in Walk. Dots join the names of nested children, as
// in a PyTorch state_dict.
type Walker struct {
	prefix string
	visit  func(e Entry) bool
	enter  func(m Tree) // if not nil, is told every child before it walks
	done   bool
}

// An Entry is a parameter, a buffer or a counter with its dotted name. Exactly one of
// Param, Buffer and Counter is set.
type Entry struct {
	Name    string
	Param   *autograd.Param
	Buffer  *tensor.Tensor
	Counter *int64
}

// Value returns the tensor of the parameter or buffer. It is nil for a counter, because
// float32 cannot hold large counts.
func (e Entry) Value() *tensor.Tensor {
	if e.Param != nil {
		return e.Param.Value()
	}
	return e.Buffer
}

// Shape returns the shape of the entry's value, [] for a counter. It must not be modified.
func (e Entry) Shape() []int {
	if e.Counter != nil {
		return []int{}
	}
	return e.Value().Shape()
}

func (w *Walker) entry(name string, e Entry) {
	e.Name = w.prefix + name
	w.done = w.done || !w.visit(e)
}

// Param names a parameter. A nil parameter is left out.
func (w *Walker) Param(name string, p *autograd.Param) {
	if p != nil && !w.done {
		w.entry(name, Entry{Param: p})
	}
}

// Buffer names a tensor that is saved with the parameters but not trained. A nil
// tensor is left out.
func (w *Walker) Buffer(name string, t *tensor.Tensor) {
	if t != nil && !w.done {
		w.entry(name, Entry{Buffer: t})
	}
}

// Counter names a whole number that is saved with the parameters, as a 64-bit integer
// of rank 0. A nil counter is left out.
func (w *Walker) Counter(name string, n *int64) {
	if n != nil && !w.done {
		w.entry(name, Entry{Counter: n})
	}
}

// Child names a subtree. With the name "" its contents get no prefix.
func (w *Walker) Child(name string, m Tree) {
	if w.done {
		return
	}
	outer := w.prefix
	if name != "" {
		w.prefix += name + "."
	}
	if w.enter != nil {
		w.enter(m)
	}
	m.Walk(w)
	w.prefix = outer
}

// State iterates over all parameters, buffers and counters of m in the order in which
// it names them. It panics if a name occurs twice.
func State(m Tree) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		seen := make(map[string]bool)
		m.Walk(&Walker{visit: func(e Entry) bool {
			if seen[e.Name] {
				tensor.Panic("nn.State", fmt.Sprintf("two entries are called %q", e.Name))
			}
			seen[e.Name] = true
			return yield(e)
		}})
	}
}

// Params returns the parameters of m, each once, in the order of their names.
func Params(m Tree) []*autograd.Param {
	var params []*autograd.Param
	seen := make(map[*autograd.Param]bool)
	for e := range State(m) {
		if e.Param != nil && !seen[e.Param] {
			seen[e.Param] = true
			params = append(params, e.Param)
		}
	}
	return params
}

// Select returns the parameters of m whose dotted names match one of the patterns, each
// once, in the order of their names. A pattern is one of [path.Match]: "*" stands for any
// characters, so "layer3.*" is all of layer3 and "*.bias" every bias. It panics if a
// pattern matches no parameter, because that is usually a misspelling.
func Select(m Tree, patterns ...string) []*autograd.Param {
	var params []*autograd.Param
	seen := make(map[*autograd.Param]bool)
	matched := make([]bool, len(patterns))
	for e := range State(m) {
		if e.Param == nil {
			continue
		}
		for i, p := range patterns {
			ok, err := path.Match(p, e.Name)
			if err != nil {
				tensor.Panic("nn.Select", fmt.Sprintf("pattern %q: %v", p, err))
			}
			if matched[i] = matched[i] || ok; ok && !seen[e.Param] {
				seen[e.Param] = true
				params = append(params, e.Param)
			}
		}
	}
	for i, ok := range matched {
		if !ok {
			tensor.Panic("nn.Select", fmt.Sprintf("no parameter matches %q", patterns[i]))
		}
	}
	return params
}

// Except returns the parameters of m that are not among others, in the order of their
// names.
func Except(m Tree, others []*autograd.Param) []*autograd.Param {
	return slices.DeleteFunc(Params(m), func(p *autograd.Param) bool { return slices.Contains(others, p) })
}

// Sources returns the parameters of the trees, each once, as arguments of Tape.Gradients:
// tape.Gradients(loss, nn.Sources(model.Backbone)...) computes no gradients for the head.
func Sources(trees ...Tree) []autograd.Source {
	var sources []autograd.Source
	seen := make(map[*autograd.Param]bool)
	for _, m := range trees {
		for _, p := range Params(m) {
			if !seen[p] {
				seen[p] = true
				sources = append(sources, p)
			}
		}
	}
	return sources
}

// Count returns the number of elements of all parameters of m.
func Count(m Tree) int {
	n := 0
	for _, p := range Params(m) {
		n += p.Len()
	}
	return n
}

// SetFrozen freezes or unfreezes all parameters of m. It does not change batch statistics:
// see SetStatistics.
func SetFrozen(m Tree, frozen bool) {
	for _, p := range Params(m) {
		p.SetFrozen(frozen)
	}
}

// A Func is a Module without parameters that applies a function.
type Func func(x autograd.Var) autograd.Var

// Forward applies f.
func (f Func) Forward(x autograd.Var) autograd.Var { return f(x) }

// Walk names nothing.
func (Func) Walk(*Walker) {}
