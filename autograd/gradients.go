package autograd

import (
	"iter"
	"math"
	"slices"
	"unsafe"

	"github.com/mettleml/mettle/tensor"
)

// A Source is a [*Param] or a [Var] with respect to which a derivative can be taken.
type Source interface {
	source(op string, t *Tape) *node
}

func (p *Param) source(_ string, t *Tape) *node { return t.params[p] }

func (v Var) source(op string, t *Tape) *node { return v.on(op, t) }

// Gradients are the derivatives of one scalar, keyed by their sources. Gradients from
// [Tape.Gradients] belong to the tape: they are valid until Reset, and every method panics
// after it. [Gradients.Clone] keeps them.
type Gradients struct {
	tape *Tape // nil for a clone
	gen  uint32
	*derivatives
}

// derivatives are what a tape uses again for the Gradients of its next
// generation. The handle is new each time, so that an old one is found out.
type derivatives struct {
	index   map[Source]int
	entries []entry
}

type entry struct {
	source Source
	node   *node
	mem    *block
	grad   *tensor.Tensor
}

func (t *Tape) newGradients() *Gradients {
	if t.resultsUse == len(t.results) {
		t.results = append(t.results, &derivatives{index: make(map[Source]int)})
	}
	g := &Gradients{tape: t, gen: t.gen, derivatives: t.results[t.resultsUse]}
	t.resultsUse++
	clear(g.index)
	g.entries = g.entries[:0]
	return g
}

// keep retains the gradient of n.
func (g *Gradients) keep(t *Tape, n *node) {
	n.grad.refs++
	var s Source
	if n.param != nil {
		s = n.param
	} else {
		s = n.v(t)
	}
	g.index[s] = len(g.entries)
	if len(g.entries) < cap(g.entries) {
		g.entries = g.entries[:len(g.entries)+1]
	} else {
		g.entries = append(g.entries, entry{})
	}
	e := &g.entries[len(g.entries)-1] // its tensor may fit again
	e.source, e.node, e.mem = s, n, n.grad
}

// settle gives every entry memory of its own and a tensor on it.
func (g *Gradients) settle(t *Tape) {
	for i := range g.entries {
		e := &g.entries[i]
		size := len(e.node.data)
		if e.mem.refs > 1 {
			b := t.mem.get(size)
			copy(b.buf, e.mem.buf[:size])
			t.mem.put(e.mem)
			e.mem = b
		}
		data, shape := e.mem.buf[:size:size], e.node.shape()
		if e.grad == nil || unsafe.SliceData(e.grad.Data()) != unsafe.SliceData(data) || !slices.Equal(e.grad.Shape(), shape) {
			e.grad = tensor.FromSlice(data, shape...)
		}
		e.node, e.mem = nil, nil
	}
}

func (g *Gradients) check(op string) {
	if g.tape != nil && g.gen != g.tape.gen {
		tensor.Panic(op, "the Gradients are used after Reset of their tape")
	}
}

// Of returns the derivative with respect to s, in the shape of s. It returns nil if
// the scalar does not depend on s or the derivative was not asked for.
func (g *Gradients) Of(s Source) *tensor.Tensor {
	g.check("autograd.Gradients.Of")
	if i, ok := g.index[s]; ok {
		return g.entries[i].grad
	}
	return nil
}

// All iterates over the sources and their derivatives, in an order that depends on the
// forward pass alone. The caller may change the elements of a derivative, as gradient
// clipping does.
func (g *Gradients) All() iter.Seq2[Source, *tensor.Tensor] {
	g.check("autograd.Gradients.All")
	return func(yield func(Source, *tensor.Tensor) bool) {
		for _, e := range g.entries {
			if !yield(e.source, e.grad) {
				return
			}
		}
	}
}

// Len returns the number of derivatives.
func (g *Gradients) Len() int {
	g.check("autograd.Gradients.Len")
	return len(g.entries)
}

// Clone returns a copy that stays valid after Reset. Afterwards only parameters can be
// looked up in it, because a Var does not outlive Reset.
func (g *Gradients) Clone() *Gradients {
	g.check("autograd.Gradients.Clone")
	c := &Gradients{derivatives: &derivatives{index: make(map[Source]int, len(g.entries))}}
	for _, e := range g.entries {
		c.index[e.source] = len(c.entries)
		c.entries = append(c.entries, entry{source: e.source, grad: e.grad.Clone()})
	}
	return c
}

// Dot returns the inner product of g and h, in float64, over the sources that both
// have. With the gradients of two losses it tells whether they pull in the same
// direction.
func (g *Gradients) Dot(h *Gradients) float64 {
	g.check("autograd.Gradients.Dot")
	h.check("autograd.Gradients.Dot")
	sum := 0.0
	for _, e := range g.entries {
		i, ok := h.index[e.source]
		if !ok {
			continue
		}
		a, b := e.grad.Data(), h.entries[i].grad.Data()
		for j, x := range a {
			sum += float64(x) * float64(b[j])
		}
	}
	return sum
}

// Norm returns the Euclidean norm of all derivatives taken as one vector, in float64.
func (g *Gradients) Norm() float64 { return math.Sqrt(g.Dot(g)) }
